//! States that came back after a failover lost changes.

use std::cmp::Reverse;
use std::collections::HashMap;

/// The changes between two stages are lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// The last stage before the lost ones; its state came back.
    pub(super) after: usize,
    /// The first stage that builds on that state.
    pub(super) before: usize,
}

impl Loss {
    /// The more changes a loss takes, the less likely it is.
    pub(super) fn likelihood(self) -> impl Ord {
        Reverse(self.before - self.after)
    }
}

/// A state that came back: its revision, and the first stage before which that may have happened.
pub(super) type Which = (u64, usize);

/// For each state that came back, how many likelier places were tried.
pub(super) type Moved = HashMap<Which, usize>;
