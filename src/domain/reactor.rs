//! Who reacted, and pages of them.

use super::{Micros, Reaction, UserId};

/// A user that has a reaction on a post.
///
/// Greater is newer: ordered by the time of the reaction, then by the user's decimal text, then by
/// the reaction. Lists of reactors run from the greatest down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reactor {
    /// When the user reacted, by the store's clock.
    pub reacted_at: Micros,
    /// Who.
    pub user: UserId,
    /// With what.
    pub reaction: Reaction,
}

/// A place in the order of reactors: a page goes on with what is smaller than it. The reactor that
/// it was taken from need not be there any more.
pub type Position = Reactor;

/// A stretch of a list of reactors, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactorsPage {
    /// At most as many as were asked for.
    pub reactors: Vec<Reactor>,
    /// Whether there are more behind the last.
    pub more: bool,
}

impl ReactorsPage {
    /// Makes a page of at most `limit` from the reactors behind some place, of which the caller has
    /// taken one more than `limit` if there were as many.
    pub fn cut(mut reactors: Vec<Reactor>, limit: usize) -> Self {
        let more = reactors.len() > limit;
        reactors.truncate(limit);
        Self { reactors, more }
    }

    /// Where the next page goes on, if there is one.
    pub fn next(&self) -> Option<&Position> {
        self.reactors.last().filter(|_| self.more)
    }
}
