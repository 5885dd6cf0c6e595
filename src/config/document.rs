//! The text of the configuration file: the places in it, and words for what stands there.

use std::path::Path;

use toml::de::DeValue;

use super::error::nearest;

/// The text, and where it comes from.
#[derive(Clone, Copy)]
pub(super) struct Document<'d> {
    pub(super) path: &'d Path,
    pub(super) text: &'d str,
}

impl Document<'_> {
    /// `FILE:LINE` of an offset of the text.
    pub(super) fn place(self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(self.text);
        format!("{}:{}", self.path.display(), before.matches('\n').count() + 1)
    }
}

/// A hint that names the most similar known name, or where all of them are.
pub(super) fn did_you_mean<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
    show: impl FnOnce(&str) -> String,
) -> String {
    match nearest(name, known) {
        Some(meant) => format!("did you mean {}?", show(meant)),
        None => "`onetap default-config` prints all that there are".into(),
    }
}

/// What a value is, in words.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
