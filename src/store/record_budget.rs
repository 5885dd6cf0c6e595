//! Bounds how many idempotency records taps leave behind, in number and in rate.
//!
//! A store keeps a record for minutes, so one client that invents keys could fill it. All records
//! of the process share a bucket, and each partition has a smaller one: a client that taps one post
//! cannot use up everyone's records. A bucket grants half of its records at once and the other half
//! over the retention time, so there are never more than all.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Retention, StoreError};
use crate::domain::{Outcome, PARTITIONS, Partition};

/// A partition may use one in `SHARE` of all records.
const SHARE: u32 = 8;

/// The buckets, as a tap's step uses them.
#[derive(Debug)]
pub(super) struct RecordBudget {
    began: Instant,
    /// The bucket of all records, then one for each partition.
    buckets: Mutex<Vec<Bucket>>,
}

/// A rate limit: one event per `interval` on average, and a burst of as many as fit into `burst`
/// (the generic cell rate algorithm).
#[derive(Clone, Debug)]
struct Bucket {
    interval: Duration,
    burst: Duration,
    /// When the bucket will be full again, as time since the budget began.
    full_at: Duration,
}

impl Bucket {
    fn new(records: u32, retention: Duration) -> Self {
        let half = (records / 2).max(1);
        Self { interval: retention / half, burst: retention, full_at: Duration::ZERO }
    }

    fn has_room(&self, now: Duration, units: u32) -> bool {
        self.full_at.saturating_sub(now) + self.interval * units <= self.burst
    }

    fn take(&mut self, now: Duration, units: u32) {
        self.full_at = self.full_at.max(now) + self.interval * units;
    }

    fn give_back(&mut self, units: u32) {
        self.full_at = self.full_at.saturating_sub(self.interval * units);
    }
}

impl RecordBudget {
    pub(super) fn new(retention: &Retention) -> Self {
        let Retention { records, most_records, .. } = *retention;
        let mut buckets = vec![Bucket::new(most_records, records)];
        buckets.resize(1 + PARTITIONS, Bucket::new(most_records / SHARE, records));
        Self { began: Instant::now(), buckets: Mutex::new(buckets) }
    }

    /// Runs the step of a tap if there is room for the record that it may leave. `charge` is the
    /// partition and the size of that record; None for a tap without an idempotency key.
    pub(super) async fn around(
        &self,
        charge: Option<(Partition, u32)>,
        step: impl Future<Output = Result<Outcome, StoreError>>,
    ) -> Result<Outcome, StoreError> {
        let Some((partition, units)) = charge else { return step.await };
        let own = 1 + partition.index();
        if !self.take(own, units) {
            return Err(StoreError::Overloaded);
        }
        let result = step.await;
        // Only a success leaves a record; a tap of unknown outcome may have left one.
        let left = match &result {
            Ok(outcome) => !outcome.replayed,
            Err(error) => *error == StoreError::OutcomeUnknown,
        };
        if !left {
            self.with(own, |all, own| {
                all.give_back(units);
                own.give_back(units);
            });
        }
        result
    }

    fn take(&self, own: usize, units: u32) -> bool {
        let now = self.began.elapsed();
        self.with(own, |all, own| {
            let room = all.has_room(now, units) && own.has_room(now, units);
            if room {
                all.take(now, units);
                own.take(now, units);
            }
            room
        })
    }

    fn with<R>(&self, own: usize, step: impl FnOnce(&mut Bucket, &mut Bucket) -> R) -> R {
        let mut buckets = self.buckets.lock();
        let (all, partitions) = buckets.split_at_mut(1);
        step(&mut all[0], &mut partitions[own - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Duration = Duration::from_secs(600);

    /// How many requests a bucket grants, at `asked_a_second` for so many seconds.
    fn passed(bucket: &mut Bucket, seconds: u64, asked_a_second: u64) -> u64 {
        let mut passed = 0;
        for second in 0..seconds {
            for _ in 0..asked_a_second {
                if bucket.has_room(Duration::from_secs(second), 1) {
                    bucket.take(Duration::from_secs(second), 1);
                    passed += 1;
                }
            }
        }
        passed
    }

    #[test]
    fn never_more_records_are_kept_than_there_may_be() {
        let mut bucket = Bucket::new(10_000, RETENTION);
        assert_eq!(passed(&mut bucket, 1, 20_000), 5_000, "half of them at once");
        let mut bucket = Bucket::new(10_000, RETENTION);
        let all = passed(&mut bucket, 600, 1_000);
        assert!((9_900..=10_000).contains(&all), "{all}");
    }

    #[test]
    fn what_is_given_back_is_there_for_the_next() {
        let mut bucket = Bucket::new(4, RETENTION);
        let now = Duration::from_secs(1);
        bucket.take(now, 2);
        assert!(!bucket.has_room(now, 1));
        bucket.give_back(1);
        assert!(bucket.has_room(now, 1) && !bucket.has_room(now, 2));
    }

    #[test]
    fn one_post_does_not_use_up_what_the_others_have() {
        let budget = RecordBudget::new(&Retention { most_records: 800, ..Retention::default() });
        let taken = |own| (0..1000).filter(|_| budget.take(own, 1)).count();
        assert_eq!(taken(1), 50);
        assert_eq!(taken(2), 50);
        assert!(!budget.take(3, 51), "a record of 51 units is as large as 51 others");
        let others: usize = (3..=256).map(taken).sum();
        assert_eq!(others, 300, "400 in all");
    }
}
