//! The partitions whose logs the hub follows.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::registry::SubscriptionRegistry;
use crate::domain::{PARTITIONS, Partition};

/// How long the hub still follows a log after the last watcher has left. Starting to follow costs
/// more than going on, and clients open and close pages all the time.
const LINGER: Duration = Duration::from_secs(5);

/// The partitions to follow, as the rooms want it.
#[derive(Debug)]
pub(super) struct Followed {
    partitions: BTreeSet<Partition>,
    /// The partitions without watchers, each with the end of its time, in that order.
    leaving: VecDeque<(Instant, Partition)>,
    seen: Box<[u64]>,
    anew: bool,
}

impl Default for Followed {
    fn default() -> Self {
        let seen = vec![0; PARTITIONS].into();
        Self { partitions: BTreeSet::new(), leaving: VecDeque::new(), seen, anew: false }
    }
}

impl Followed {
    /// Takes in the rooms' changes. Returns whether the set of partitions to follow has changed.
    pub(super) fn tick(&mut self, registry: &SubscriptionRegistry, now: Instant) -> bool {
        for (partition, wanted) in registry.moved(&mut self.seen) {
            self.leaving.retain(|(_, leaving)| *leaving != partition);
            if wanted {
                self.anew |= self.partitions.insert(partition);
            } else {
                self.leaving.push_back((now + LINGER, partition));
            }
        }
        while let Some((_, partition)) = self.leaving.front().filter(|(at, _)| *at <= now) {
            self.anew |= self.partitions.remove(partition);
            self.leaving.pop_front();
        }
        self.anew
    }

    /// Whether there are any, and all of them are in `lost`.
    pub(super) fn are_all_in(&self, lost: &BTreeSet<Partition>) -> bool {
        !self.partitions.is_empty() && self.partitions.is_subset(lost)
    }

    /// When there is more to take in, unless a room changes before.
    pub(super) fn next(&self) -> Option<Instant> {
        self.leaving.front().map(|(at, _)| *at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The partitions to follow, if they have changed since the last call.
    pub(super) fn take_anew(&mut self) -> Option<BTreeSet<Partition>> {
        std::mem::take(&mut self.anew).then(|| self.partitions.clone())
    }
}
