//! One write: the request, and its outcome.

use super::{Keyed, Partition, PostId, Reaction, Revision, UserId, Verb};

/// A tap: one write to one user's flag for one reaction on one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// The post.
    pub post: PostId,
    /// The user whose flag to change.
    pub user: UserId,
    /// The reaction.
    pub reaction: Reaction,
    /// What to do with the flag.
    pub verb: Verb,
    /// The idempotency key of the request and its form, if the caller gave a key.
    pub keyed: Option<Keyed>,
}

impl Tap {
    /// The partition in which this tap may leave an idempotency record.
    pub(crate) fn record_partition(&self) -> Option<Partition> {
        self.keyed.map(|_| self.post.partition())
    }
}

/// What a tap did; all of it read in the step that did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the user has the reaction now.
    pub active: bool,
    /// Whether this tap changed that.
    pub changed: bool,
    /// How many users have the reaction now.
    pub count: u64,
    /// The revision of this change; if nothing changed, the present revision of the post.
    pub revision: Revision,
    /// Whether this repeats the answer to an earlier tap with the same key. Then the other fields
    /// are of that tap's step.
    pub replayed: bool,
}
