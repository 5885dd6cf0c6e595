//! Who watches what: one room for each partition, each behind its own lock.
//!
//! Requests and the hub meet only here. A thread holds a lock for one post, or for one room if
//! something concerns all of it, and never holds two.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout_at;

use super::refused::Refused;
use super::room::Room;
use super::stats::LiveStats;
use super::subscription::{Subscription, Topic};
use crate::domain::{PARTITIONS, Partition};
use crate::sync::{Sharded, Versions};

/// How many streams join at a time.
const AT_ONCE: usize = 2;

/// How long a new stream waits for a store that is away.
const GRACE: Duration = Duration::from_millis(300);

/// The new streams, for the hub.
pub(super) type Arrivals = mpsc::Receiver<Weak<Subscription>>;

#[derive(Debug)]
pub(super) struct SubscriptionRegistry {
    rooms: Sharded<Room>,
    /// Raised for a room when its first topic comes or its last one goes.
    moved: Versions,
    has_moved: Notify,
    /// Whether the hub could follow none of the watched partitions: then the whole store is away.
    is_away: AtomicBool,
    /// Notified when the hub follows a lost log again.
    has_recovered: Notify,
    arrivals: mpsc::Sender<Weak<Subscription>>,
    places: Arc<Semaphore>,
    streams: AtomicU64,
    /// A stream may join a hundred rooms. Taking turns, streams that come together let taps in
    /// between.
    joining: Semaphore,
    /// How many reads gave a stream its first event of a post.
    progress: AtomicU64,
    pub(super) stats: Arc<LiveStats>,
}

impl SubscriptionRegistry {
    /// A registry for at most `most_streams` streams, and the channel at which they arrive.
    pub(super) fn new(most_streams: usize) -> (Self, Arrivals) {
        let most_streams = most_streams.min(Semaphore::MAX_PERMITS / 2);
        // Streams that came and went also take room here until the hub has seen them.
        let (arrivals, arriving) = mpsc::channel((2 * most_streams).max(1));
        let registry = Self {
            rooms: Sharded::new(PARTITIONS, |_| Room::default()),
            moved: Versions::new(PARTITIONS),
            has_moved: Notify::new(),
            is_away: AtomicBool::new(false),
            has_recovered: Notify::new(),
            arrivals,
            places: Arc::new(Semaphore::new(most_streams)),
            streams: AtomicU64::new(0),
            joining: Semaphore::new(AT_ONCE),
            progress: AtomicU64::new(0),
            stats: Arc::default(),
        };
        (registry, arriving)
    }

    /// Lets a stream in. Waits a moment for a store that is away: it may be back before the hub
    /// knows. The caller must [leave](Self::leave).
    pub(super) async fn join_in_time(
        &self,
        topics: Box<[Topic]>,
    ) -> Result<(Arc<Subscription>, OwnedSemaphorePermit), Refused> {
        let until = tokio::time::Instant::now() + GRACE;
        loop {
            // Registered before the check, so that no recovery in between is missed.
            let mut recovered = pin!(self.has_recovered.notified());
            recovered.as_mut().enable();
            let turn = self.joining.acquire().await;
            let joined = self.join(topics.clone());
            drop(turn);
            let is_away = joined.as_ref().is_err_and(|refused| *refused == Refused::Away);
            if !is_away || timeout_at(until, recovered).await.is_err() {
                return joined;
            }
        }
    }

    /// Lets a stream in.
    pub(super) fn join(
        &self,
        topics: Box<[Topic]>,
    ) -> Result<(Arc<Subscription>, OwnedSemaphorePermit), Refused> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Refused::Away);
        }
        let full = || {
            self.stats.refused.add(1);
            Refused::Full
        };
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full())?;
        let id = self.streams.fetch_add(1, Ordering::Relaxed);
        let subscription = Arc::new(Subscription::new(id, topics, Instant::now()));
        let joined = (0_u8..).zip(&subscription.topics).try_for_each(|(slot, topic)| {
            self.in_room(topic.post.partition(), |room| room.join(*topic, slot, &subscription))
        });
        let arrived = joined.and_then(|()| {
            let sent = self.arrivals.try_send(Arc::downgrade(&subscription));
            sent.map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => full(),
                mpsc::error::TrySendError::Closed(_) => Refused::Stopping,
            })
        });
        match arrived {
            Ok(()) => Ok((subscription, permit)),
            Err(refused) => {
                self.leave(&subscription);
                Err(refused)
            }
        }
    }

    /// Ends a stream.
    pub(super) fn leave(&self, subscription: &Subscription) {
        subscription.mailbox.close();
        for &topic in &subscription.topics {
            self.in_room(topic.post.partition(), |room| room.leave(topic, subscription.id));
        }
    }

    /// Runs a step in a room. Wakes the hub if that changes whether the room's log must be
    /// followed.
    pub(super) fn in_room<R>(&self, partition: Partition, step: impl FnOnce(&mut Room) -> R) -> R {
        let (done, moved) = self.rooms.with(partition.index(), |room| {
            let wanted = room.wants_news();
            let done = step(room);
            (done, wanted != room.wants_news())
        });
        if moved {
            self.moved.raise(partition.index());
            self.has_moved.notify_one();
        }
        done
    }

    /// Waits until [`moved`](Self::moved) has changes.
    pub(super) async fn until_moved(&self) {
        self.has_moved.notified().await;
    }

    /// The rooms whose logs must be followed from now on, or no longer, since the last call with
    /// this `seen`, which begins as all zeros.
    pub(super) fn moved(&self, seen: &mut [u64]) -> Vec<(Partition, bool)> {
        let partitions = self.moved.changed(seen).into_iter().map(|index| {
            let partition = Partition::turn(index as u64);
            (partition, self.rooms.with(index, |room| room.wants_news()))
        });
        partitions.collect()
    }

    /// Sets whether the hub could follow none of the watched partitions.
    pub(super) fn set_away(&self, away: bool) {
        self.is_away.store(away, Ordering::Relaxed);
    }

    /// Reports that a lost log is followed again.
    pub(super) fn has_recovered(&self) {
        self.has_recovered.notify_waiters();
    }

    /// How many reads gave a stream its first event of a post.
    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    pub(super) fn has_progressed(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends all streams, and accepts no more.
    pub(super) fn close(&self) {
        Partition::all().for_each(|partition| self.rooms.with(partition.index(), Room::close));
    }
}
