//! What can go wrong in a store, sorted by what it means for the caller.

use crate::domain::Refusal;

/// Why a process takes no writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// It serves with `--read-only`.
    Process,
    /// A read-only window is open, for all processes.
    Window,
}

/// Why a store gave no answer. Every kind but [`StoreError::OutcomeUnknown`] means that the store
/// applied nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// onetap did not reach the store, or the store refused the command. Try again.
    #[error("the store is not available: {0}")]
    Unavailable(String),

    /// The store's queue is full. Try again later.
    #[error("the store has more work than it can take")]
    Overloaded,

    /// A key of onetap holds something that onetap never writes. Trying again does not help; an
    /// operator has to look.
    #[error(
        "the store holds data that onetap did not write ({0}); an operator has to remove or repair \
         it"
    )]
    Damaged(String),

    /// The idempotency key was used for another request. Trying again does not help.
    #[error(
        "this idempotency key was used for another request of this user on this post; take a new key \
         for a new tap"
    )]
    KeyReused,

    /// The rules of the post, or its palette, refuse the tap. Trying again does not help.
    #[error("the rules of the post refuse the tap")]
    Refused(Refusal),

    /// No write may begin now. Try again when the window has ended.
    #[error(
        "the store is read-only; end the window with DELETE /v1/read-only, or use a process without \
         --read-only"
    )]
    ReadOnly(ReadOnly),

    /// onetap handed the write over and got no answer. The store may have applied it. It will not
    /// apply it after the deadline.
    #[error("no answer came from the store: the tap may have been applied")]
    OutcomeUnknown,
}

impl StoreError {
    /// A word for what is wrong with the store. None if the caller asked for what it may not have.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable(_) => Some("unavailable"),
            Self::Overloaded => Some("overloaded"),
            Self::Damaged(_) => Some("damaged"),
            Self::OutcomeUnknown => Some("outcome_unknown"),
            Self::KeyReused | Self::Refused(_) | Self::ReadOnly(_) => None,
        }
    }

    /// The deadline passed before the write's turn came.
    pub(crate) fn too_late() -> Self {
        Self::Unavailable("the deadline had passed before the tap's turn came".into())
    }
}
