//! What can go wrong in a store, by what it means for the caller.

/// Why a store did not answer. Every kind but [`StoreError::OutcomeUnknown`] means that nothing was
/// applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store was not reached, or refused the command itself. Try again.
    #[error("the store is not available: {0}")]
    Unavailable(String),

    /// The store's queue is full. Try again later.
    #[error("the store has more work than it can take")]
    Overloaded,

    /// Something that is not onetap's lies at one of its keys, or has a form that onetap never
    /// writes. Trying again does not help; an operator has to look.
    #[error("the store holds data that is not onetap's: {0}")]
    Damaged(String),

    /// The idempotency key was used for another request. Trying again does not help.
    #[error("this idempotency key was used for another request of this user on this post")]
    KeyReused,

    /// The write was handed over and no answer came. It may have been applied; it will not be
    /// applied after its deadline.
    #[error("no answer came from the store: the tap may have been applied")]
    OutcomeUnknown,
}

impl StoreError {
    /// The deadline had passed before the store came to the write.
    pub(crate) fn too_late() -> Self {
        Self::Unavailable("the deadline had passed before the tap's turn came".into())
    }
}
