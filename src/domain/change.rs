//! What the change log says: one entry per member that changed.

use super::{Micros, PostId, Reaction, Revision, UserId};

/// One change of one user's flag, as the step that made it wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// On which post.
    pub post: PostId,
    /// Whose flag.
    pub user: UserId,
    /// Which reaction.
    pub reaction: Reaction,
    /// What the flag became.
    pub active: bool,
    /// The post's revision with this change.
    pub revision: Revision,
    /// When, by the store's clock. The revision may be ahead of it.
    pub occurred_at: Micros,
    /// Why.
    pub cause: Cause,
}

/// What made a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A toggle, set or unset.
    Tap,
}
