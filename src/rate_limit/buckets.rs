//! Buckets by caller, of a bounded number.
//!
//! Where all are taken, newcomers share one bucket. Eviction instead would give each evicted caller
//! a full bucket again: a flood under many ids would lift the limits of all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use parking_lot::Mutex;

use super::RateStats;

/// So many locks, that two workers rarely want the same one.
const SHARDS: usize = 16;

/// How often we look for buckets that have become full again.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

type Shard = Mutex<HashMap<u64, InMemoryState>>;

/// The buckets that are not full, by a hash of the caller. A full one needs no memory: it is as if
/// its caller had never come.
#[derive(Clone, Debug)]
pub(super) struct Buckets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shards: [Shard; SHARDS],
    /// How many there are in all shards, and how many there may be.
    kept: AtomicUsize,
    most: usize,
    shared: InMemoryState,
    began: Instant,
    swept: Mutex<Instant>,
    stats: Arc<RateStats>,
}

impl Buckets {
    pub(super) fn new(most: usize, stats: Arc<RateStats>) -> Self {
        let began = Instant::now();
        Self(Arc::new(Inner {
            shards: Default::default(),
            kept: AtomicUsize::new(0),
            most,
            shared: InMemoryState::default(),
            began,
            swept: Mutex::new(began),
            stats,
        }))
    }

    /// Puts back what was taken out of a bucket; `time`: in which so much comes back by itself. A
    /// bucket that is full again by now, and the shared one, get nothing.
    pub(super) fn give_back(&self, key: u64, time: Duration) {
        let shard = self.0.shard(key).lock();
        let Some(bucket) = shard.get(&key) else { return };
        let (back, none) = (Nanos::from(time), Nanos::new(0));
        let earlier =
            |at: Option<Nanos>| Ok::<_, ()>(((), at.unwrap_or(none).saturating_sub(back)));
        let _: Result<(), ()> = bucket.measure_and_replace(&NotKeyed::NonKey, earlier);
    }
}

impl Inner {
    fn shard(&self, key: u64) -> &Shard {
        &self.shards[key as usize % SHARDS]
    }

    /// Takes a place for one more bucket, if there is one.
    fn reserve(&self) -> bool {
        let more = |kept: usize| (kept < self.most).then_some(kept + 1);
        self.kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Drops the buckets that have become full again, at most once a second.
    fn sweep(&self) {
        let Some(mut swept) = self.swept.try_lock() else { return };
        if swept.elapsed() < SWEEP_EVERY {
            return;
        }
        let now = self.began.elapsed().as_nanos();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.len();
            shard.retain(|_, bucket| full_at(bucket) > now);
            self.kept.fetch_sub(before - shard.len(), Ordering::Relaxed);
        }
        *swept = Instant::now();
    }
}

/// When a bucket becomes full, in nanoseconds since the limiter began.
fn full_at(bucket: &InMemoryState) -> u128 {
    let look = |at: Option<Nanos>| Err::<((), Nanos), _>(at);
    let seen = bucket.measure_and_replace(&NotKeyed::NonKey, look);
    seen.err().flatten().map_or(0, |at| at.as_u64().into())
}

impl StateStore for Buckets {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        for swept in [false, true] {
            let mut shard = self.0.shard(*key).lock();
            if let Some(bucket) = shard.get(key) {
                return bucket.measure_and_replace(&NotKeyed::NonKey, judge);
            }
            if self.0.reserve() {
                let bucket = shard.entry(*key).or_default();
                return bucket.measure_and_replace(&NotKeyed::NonKey, judge);
            }
            drop(shard);
            if !swept {
                self.0.sweep();
            }
        }
        self.0.stats.shared.add(1);
        self.0.shared.measure_and_replace(&NotKeyed::NonKey, judge)
    }
}

#[cfg(test)]
impl Buckets {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let counted: usize = self.0.shards.iter().map(|shard| shard.lock().len()).sum();
        assert_eq!(counted, self.0.kept.load(Ordering::Relaxed));
        counted
    }
}
