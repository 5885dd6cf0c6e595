//! The entries of the change log: one for each change of a member.

use super::{Micros, PostId, Reaction, Revision, UserId};

/// One change of one user's flag, as written in the step that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The post.
    pub post: PostId,
    /// The user whose flag changed.
    pub user: UserId,
    /// The reaction.
    pub reaction: Reaction,
    /// The new value of the flag.
    pub active: bool,
    /// The post's revision after this change.
    pub revision: Revision,
    /// The time of the change, by the store's clock. The revision may be ahead of it.
    pub occurred_at: Micros,
    /// The cause of the change.
    pub cause: Cause,
}

/// What made a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A toggle, set or unset.
    Tap,
}
