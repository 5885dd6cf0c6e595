//! Why a setting does not accept a value.

/// A value that the setting does not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {hint}")]
pub struct InvalidSetting {
    problem: String,
    hint: String,
}

impl InvalidSetting {
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: hint.into() }
    }
}
