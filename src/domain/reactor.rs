//! The users that reacted, and pages of them.

use super::{Micros, Reaction, UserId};

/// A user that has a reaction on a post.
///
/// A greater reactor is newer. The order is by time of the reaction, then by the user, then by
/// the reaction. Lists of reactors run from the greatest down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reactor {
    /// When the user reacted, by the store's clock.
    pub reacted_at: Micros,
    /// The user.
    pub user: UserId,
    /// The reaction.
    pub reaction: Reaction,
}

/// A position in the order of reactors: the next page begins with the first smaller reactor. The
/// reactor that it came from may be gone.
pub type Position = Reactor;

/// A page of a list of reactors, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactorsPage {
    /// At most as many as asked for.
    pub reactors: Vec<Reactor>,
    /// Whether more follow.
    pub more: bool,
}

impl ReactorsPage {
    /// Makes a page of at most `limit` reactors. The caller passes those behind some position, and
    /// one more than `limit` if there are as many.
    pub fn cut(mut reactors: Vec<Reactor>, limit: usize) -> Self {
        let more = reactors.len() > limit;
        reactors.truncate(limit);
        Self { reactors, more }
    }

    /// The position of the next page, if there is one.
    pub fn next(&self) -> Option<&Position> {
        self.reactors.last().filter(|_| self.more)
    }
}
