//! Which partitions' logs are followed for the streams.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::registry::SubscriptionRegistry;
use crate::domain::{PARTITIONS, Partition};

/// A log is followed for so long after nobody watches its partition any more: to begin costs more
/// than to go on, and pages are opened and closed all the time.
const LINGER: Duration = Duration::from_secs(5);

/// The partitions to follow, as the rooms say.
#[derive(Debug)]
pub(super) struct Followed {
    partitions: BTreeSet<Partition>,
    /// Those that nobody watches any more, each with the end of its time, in that order.
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
    /// Takes in what has moved. True if others are to be followed than before.
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

    /// Whether there are any, and all of them are among these.
    pub(super) fn are_all_in(&self, lost: &BTreeSet<Partition>) -> bool {
        !self.partitions.is_empty() && self.partitions.is_subset(lost)
    }

    /// When there is more to take in, if nothing moves before.
    pub(super) fn next(&self) -> Option<Instant> {
        self.leaving.front().map(|(at, _)| *at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The partitions to follow, if they are others than the last time.
    pub(super) fn take_anew(&mut self) -> Option<BTreeSet<Partition>> {
        std::mem::take(&mut self.anew).then(|| self.partitions.clone())
    }
}
