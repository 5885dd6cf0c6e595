//! States that came back after a failover lost changes.

use std::cmp::Reverse;
use std::collections::HashMap;

/// The changes between two stages are gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// The stage whose state came back.
    pub(super) after: usize,
    /// The first stage that builds on it.
    pub(super) before: usize,
}

impl Loss {
    /// The more changes it takes, the less likely it is.
    pub(super) fn likelihood(self) -> impl Ord {
        Reverse(self.before - self.after)
    }
}

/// A state that came back: its revision, and the first stage before which it may have.
pub(super) type Which = (u64, usize);

/// For a state that came back, how many likelier places have been tried.
pub(super) type Moved = HashMap<Which, usize>;
