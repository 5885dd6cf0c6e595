//! Places that requests wait for, in the order of their arrival, until their deadlines.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

use crate::store::Deadline;

/// The most requests in a queue. It refuses more at once.
pub(super) const WAITING: usize = 512;

/// Places, and those who wait for one.
#[derive(Debug)]
pub(super) struct Queue {
    places: Semaphore,
    pub(super) waiting: AtomicUsize,
}

impl Queue {
    /// With this many places.
    pub(super) fn new(places: u32) -> Self {
        Self { places: Semaphore::new(places as usize), waiting: AtomicUsize::new(0) }
    }

    /// Takes places. None if the queue is full or the deadline passes.
    pub(super) async fn enter(
        &self,
        places: u32,
        deadline: Deadline,
    ) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.places.try_acquire_many(places) {
            return Some(permit);
        }
        let waiting = Waiting::new(&self.waiting);
        if waiting.before >= WAITING {
            return None;
        }
        let permit = timeout_at(deadline.0.into(), self.places.acquire_many(places)).await;
        permit.ok().and_then(Result::ok)
    }
}

/// Counts a waiting request for as long as this lives.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
