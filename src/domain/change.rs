//! The entries of the change log.

use super::{Add, Micros, PaletteName, PostId, Reaction, Revision, UserId};

/// One change of a post, as written in the step that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The post.
    pub post: PostId,
    /// What changed.
    pub what: What,
    /// The post's revision after this change.
    pub revision: Revision,
    /// The time of the change, by the store's clock. The revision may be ahead of it.
    pub occurred_at: Micros,
    /// The moderator that made it, if it was not the user.
    pub actor: Option<UserId>,
}

impl Change {
    /// User, reaction and new value, if the change is of a flag.
    pub fn flag(&self) -> Option<(UserId, &Reaction, bool)> {
        match &self.what {
            What::Reaction { user, reaction, active, .. } => Some((*user, reaction, *active)),
            _ => None,
        }
    }
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// One flag of one user.
    Reaction {
        /// The user.
        user: UserId,
        /// The reaction.
        reaction: Reaction,
        /// The new value of the flag.
        active: bool,
        /// The cause of the change.
        cause: Cause,
    },
    /// All members of a reaction, or of all reactions, are gone.
    Forgotten(Option<Reaction>),
    /// The lock.
    Locked(bool),
    /// The palette, and what may be added.
    Rules(Option<PaletteName>, Add),
}

/// What made the change of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A toggle, set or unset.
    Tap,
    /// A tap on another reaction that excludes this one, or a whole set.
    Replace,
    /// A row of an import.
    Import,
    /// The erasure of a user.
    Erase,
    /// A moderator.
    Moderate,
}
