//! Places for connections: a fixed number, of which some are kept free for new ones.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::limits::ByteBudget;
use super::watch::Watch;

/// One place in this many is kept free.
const ONE_KEPT_IN: usize = 64;

/// The most places kept free. [`Places::make_room`] frees up to twice as many, and streams may
/// leave no more places than that.
const MOST_KEPT: usize = 50;

/// When no connection can be closed, how long to wait before we look again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The places of all connections.
#[derive(Debug)]
pub(super) struct Places {
    room: Arc<Semaphore>,
    /// With fewer free places than this, we close connections that are idle or unfinished.
    kept: usize,
    budget: Arc<ByteBudget>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// Contains ended connections too. They are removed before the list would grow.
    watches: Vec<Weak<Watch>>,
    /// Connections that were asked to end and are still open.
    ending: Vec<Weak<Watch>>,
    /// No connection could be closed. Until this time we do not look again.
    look_again: Option<Instant>,
}

/// A taken place, and the watch of its connection.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) watch: Arc<Watch>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(max_connections: usize, budget: Arc<ByteBudget>) -> Self {
        Self {
            room: Arc::new(Semaphore::new(max_connections)),
            kept: (max_connections / ONE_KEPT_IN).min(MOST_KEPT),
            budget,
            taken: Mutex::default(),
        }
    }

    /// A free place, once there is one. Cancel safe.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            self.make_room();
            let permit = Arc::clone(&self.room).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(LOOK_AGAIN, permit).await {
                return permit.ok();
            }
        }
    }

    /// A free place, if there is one now.
    pub(super) fn try_free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Gives a place to a connection.
    pub(super) fn take(&self, permit: OwnedSemaphorePermit) -> Place {
        let watch = Arc::new(Watch::new(Arc::clone(&self.budget)));
        let mut taken = self.taken.lock();
        if taken.watches.len() == taken.watches.capacity() {
            taken.watches.retain(|watch| watch.strong_count() > 0);
            let length = taken.watches.len();
            taken.watches.reserve(length.max(64));
        }
        taken.watches.push(Arc::downgrade(&watch));
        Place { watch, _permit: permit }
    }

    /// When few places are free, asks connections to end: first those that have been idle for
    /// longest, then those whose requests have been incomplete for longest. It asks enough of them
    /// at once that it need not run again soon.
    fn make_room(&self) {
        let free = self.room.available_permits();
        if free >= self.kept {
            return;
        }
        let mut taken = self.taken.lock();
        let now = Instant::now();
        // A connection that got a request in the meantime goes on.
        taken.ending.retain(|watch| watch.upgrade().is_some_and(|watch| watch.is_told()));
        let coming = free + taken.ending.len();
        if coming >= self.kept || taken.look_again.is_some_and(|then| now < then) {
            return;
        }
        let wanted = 2 * self.kept - coming;
        let mut spare: Vec<_> = (taken.watches.iter().filter_map(Weak::upgrade))
            .filter(|watch| !watch.is_told())
            .filter_map(|watch| Some((watch.spare(now)?, watch)))
            .collect();
        if spare.len() > wanted {
            spare.select_nth_unstable_by_key(wanted, |(spare, _)| *spare);
            spare.truncate(wanted);
        }
        taken.look_again = (spare.len() < wanted).then(|| now + LOOK_AGAIN);
        for (_, watch) in spare {
            watch.tell_to_end();
            taken.ending.push(Arc::downgrade(&watch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::watch::{IDLE_AT_LEAST, Phase};
    use super::*;

    #[tokio::test]
    async fn the_longest_idle_make_room_and_who_is_answered_stays() {
        let places = Places::new(128, Arc::new(ByteBudget::new(0)));
        let mut taken = Vec::new();
        for i in 0..127 {
            let place = places.take(places.free().await.expect("a place"));
            if i < 10 {
                place.watch.enter(Phase::Answering);
            }
            taken.push(place);
            tokio::time::sleep(Duration::from_millis(if i < 20 { 2 } else { 0 })).await;
        }
        assert!(taken.iter().all(|place| !place.watch.is_told()), "two places were free");
        tokio::time::sleep(2 * IDLE_AT_LEAST).await;
        let last = places.free().await.expect("a place");
        let _next = tokio::time::timeout(LOOK_AGAIN / 2, places.free()).await;
        let told: Vec<_> = (0..127).filter(|i| taken[*i].watch.is_told()).collect();
        assert_eq!(told, [10, 11, 12], "the longest idle, as many as to have four free");
        taken.drain(10..13);
        assert!(tokio::time::timeout(LOOK_AGAIN / 2, places.free()).await.is_ok());
        drop(last);
    }

    #[tokio::test]
    async fn few_places_are_all_for_who_has_them() {
        let places = Places::new(4, Arc::new(ByteBudget::new(0)));
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(places.take(places.free().await.expect("a place")));
        }
        let waited = tokio::time::timeout(3 * LOOK_AGAIN, places.free()).await;
        assert!(waited.is_err() && taken.iter().all(|place| !place.watch.is_told()));
    }
}
