//! Reads watched posts again without any news of them.
//!
//! Not every change has a log entry: a corrected count, an emptied Redis, a value that someone
//! wrote by hand. So onetap reads everything watched again now and then. It takes one partition
//! after the other, so that it never reads much at once.

use std::time::{Duration, Instant};

use crate::domain::Partition;

/// The time for one partition; all of them take thirty seconds.
const TURN: Duration = Duration::from_millis(117);

/// The time for one post, if a partition has many. It bounds the load on the store, however much is
/// watched.
const PER_POST: Duration = Duration::from_micros(500);

/// Which partition is next.
#[derive(Debug)]
pub(super) struct Resync {
    turns: u64,
    /// The time of the next turn.
    pub(super) at: Instant,
}

impl Resync {
    pub(super) fn new(now: Instant) -> Self {
        Self { turns: 0, at: now }
    }

    /// The next partition, if its time has come and it has watched posts. `watched` counts these.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        watched: impl FnOnce(Partition) -> usize,
    ) -> Option<Partition> {
        if self.at > now {
            return None;
        }
        let partition = Partition::turn(self.turns);
        let posts = watched(partition);
        self.turns += 1;
        let took = PER_POST.saturating_mul(u32::try_from(posts).unwrap_or(u32::MAX));
        // Turns that were missed while nothing was watched are skipped.
        self.at = now.max(self.at + TURN.max(took));
        (posts > 0).then_some(partition)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The times of each partition's turns, with this many watched posts in each.
    fn turns(posts: usize, time: Duration) -> HashMap<Partition, Vec<Duration>> {
        let begun = Instant::now();
        let (mut resync, mut turns) = (Resync::new(begun), HashMap::new());
        while resync.at < begun + time {
            let now = resync.at;
            let partition = resync.turn(now, |_| posts).expect("it is time");
            assert_eq!(resync.turn(now, |_| posts), None, "one at a time");
            turns.entry(partition).or_insert_with(Vec::new).push(now - begun);
        }
        turns
    }

    #[test]
    fn every_partition_has_its_turn_within_thirty_seconds() {
        let turns = turns(1, Duration::from_secs(60));
        assert_eq!(turns.len(), Partition::all().count());
        for times in turns.values() {
            assert!(times[1] - times[0] <= Duration::from_secs(30), "{times:?}");
        }
    }

    #[test]
    fn much_that_is_watched_takes_longer_and_costs_no_more() {
        // Half a million posts, two thousand a second.
        let turns = turns(2000, Duration::from_secs(500));
        let times = &turns[&Partition::FIRST];
        assert_eq!(times[1] - times[0], Duration::from_secs(256));
    }

    #[test]
    fn after_a_long_time_without_watchers_there_is_no_burst() {
        let begun = Instant::now();
        let mut resync = Resync::new(begun);
        let later = begun + Duration::from_secs(3600);
        assert!(resync.turn(later, |_| 1).is_some());
        assert!(resync.turn(later, |_| 1).is_some());
        assert!(resync.turn(later, |_| 1).is_none());
    }
}
