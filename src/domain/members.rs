//! The users that have one reaction on one post.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use super::{Micros, UserId};

/// A set of users with the time at which each joined, listed newest first.
///
/// The two collections always hold the same pairs. The count is their size, never a separate
/// number.
#[derive(Debug, Default)]
pub(super) struct Members {
    since: HashMap<UserId, Micros>,
    ordered: BTreeSet<(Micros, UserId)>,
}

impl Members {
    /// Adds a user. A user that is there already keeps its time.
    pub(super) fn add(&mut self, user: UserId, at: Micros) {
        if let Entry::Vacant(place) = self.since.entry(user) {
            place.insert(at);
            self.ordered.insert((at, user));
        }
    }

    pub(super) fn remove(&mut self, user: UserId) {
        if let Some(at) = self.since.remove(&user) {
            self.ordered.remove(&(at, user));
        }
    }

    pub(super) fn contains(&self, user: UserId) -> bool {
        self.since.contains_key(&user)
    }

    pub(super) fn count(&self) -> u64 {
        self.ordered.len() as u64
    }

    /// The members at or below `from` (or all of them), newest first.
    pub(super) fn newest(
        &self,
        from: Option<(Micros, UserId)>,
    ) -> impl Iterator<Item = (Micros, UserId)> {
        let end = from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
        self.ordered.range((std::ops::Bound::Unbounded, end)).rev().copied()
    }
}
