//! What a job is to do.

use serde::{Deserialize, Serialize};

use super::text;
use crate::domain::{Cause, Micros, PostId, Reaction, UserId};

/// The most users of a retraction.
pub const MOST_USERS: usize = 10_000;

/// The most posts that a job may list.
pub const MOST_POSTS: usize = 10_000;

/// What a job is to do. The lists of users and posts stand beside it, in [`Lists`](super::Lists).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// Compares counts, index, rules and revision of every post with its members.
    Audit {
        /// Whether to repair what disagrees.
        repair: bool,
    },
    /// Removes every reaction of a user.
    Erase {
        /// The user.
        #[serde(with = "text")]
        user: UserId,
    },
    /// Removes reactions of many users, and names each in the receipt.
    Retract {
        /// Only this reaction.
        #[serde(with = "text::option")]
        reaction: Option<Reaction>,
        /// Only reactions of this time or later, in µs.
        since: Option<u64>,
        /// Only reactions of this time or earlier, in µs.
        until: Option<u64>,
        /// Whether only on the listed posts.
        listed: bool,
    },
    /// Turns a reaction into another one.
    Rename {
        /// The reaction that goes.
        #[serde(with = "text")]
        from: Reaction,
        /// The reaction that its users have afterwards.
        #[serde(with = "text")]
        to: Reaction,
        /// Whether only on the listed posts.
        listed: bool,
    },
    /// Gives every reaction of a user to another user.
    MergeUser {
        /// The user that has none afterwards.
        #[serde(with = "text")]
        from: UserId,
        /// The user that gets them.
        #[serde(with = "text")]
        to: UserId,
    },
    /// Gives every reaction on a post to another post, too.
    CopyPost {
        /// The post that keeps its reactions.
        #[serde(with = "text")]
        from: PostId,
        /// The post that gets them.
        #[serde(with = "text")]
        to: PostId,
    },
    /// Gives every reaction on a post to another post.
    MovePost {
        /// The post that has none afterwards.
        #[serde(with = "text")]
        from: PostId,
        /// The post that gets them.
        #[serde(with = "text")]
        to: PostId,
    },
}

impl Task {
    /// The kind, as requests and answers spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Audit { .. } => "audit",
            Self::Erase { .. } => "erase",
            Self::Retract { .. } => "retract",
            Self::Rename { .. } => "rename",
            Self::MergeUser { .. } => "merge_user",
            Self::CopyPost { .. } => "copy_post",
            Self::MovePost { .. } => "move_post",
        }
    }

    /// The cause that the change log names.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Erase { .. } => Cause::Erase,
            _ => Cause::Moderate,
        }
    }

    /// Whether it finds its reactions in the index of what users gave.
    pub(super) fn needs_index(&self) -> bool {
        matches!(self, Self::Erase { .. } | Self::Retract { .. } | Self::MergeUser { .. })
    }

    /// Whether it goes through everything again until a pass finds nothing.
    pub(super) fn repeats(&self) -> bool {
        !matches!(self, Self::Audit { .. } | Self::CopyPost { .. })
    }

    /// Whether its receipt names each reaction that it removed.
    pub(super) fn names_removed(&self) -> bool {
        matches!(self, Self::Retract { .. })
    }

    /// Whether a reaction of this name and time is one that the task is about.
    pub(super) fn is_about(&self, name: &Reaction, at: Micros) -> bool {
        match self {
            Self::Retract { reaction, since, until, .. } => {
                reaction.as_ref().is_none_or(|only| only == name)
                    && since.is_none_or(|since| at.0 >= since)
                    && until.is_none_or(|until| at.0 <= until)
            }
            Self::Rename { from, .. } => from == name,
            _ => true,
        }
    }
}
