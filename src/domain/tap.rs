//! One write: what is asked, and what came of it.

use super::{Keyed, Partition, PostId, Reaction, Revision, UserId};

/// What a tap does to the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Flips it. Not idempotent: sent twice it cancels itself.
    Toggle,
    /// Turns it on.
    Set,
    /// Turns it off.
    Unset,
}

impl Verb {
    /// What the flag becomes that is `was` now.
    pub fn turns(self, was: bool) -> bool {
        match self {
            Self::Toggle => !was,
            Self::Set => true,
            Self::Unset => false,
        }
    }
}

/// A tap: one write to one user's flag for one reaction on one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Which post.
    pub post: PostId,
    /// Whose flag.
    pub user: UserId,
    /// Which reaction.
    pub reaction: Reaction,
    /// What to do with it.
    pub verb: Verb,
    /// The key under which the answer is kept, if the caller gave one.
    pub keyed: Option<Keyed>,
}

impl Tap {
    /// The partition in which it may leave an idempotency record.
    pub(crate) fn record_partition(&self) -> Option<Partition> {
        self.keyed.map(|_| self.post.partition())
    }
}

/// What a tap did, all of it read in the step that did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the user has the reaction now.
    pub active: bool,
    /// Whether this tap changed that.
    pub changed: bool,
    /// How many users have the reaction now.
    pub count: u64,
    /// The revision of this change; of the post as it is, if nothing changed.
    pub revision: Revision,
    /// Whether this is what an earlier tap with the same key was answered. All of the above is of
    /// that moment then.
    pub replayed: bool,
}
