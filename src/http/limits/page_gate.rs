//! The page gate bounds how many posts a worker reads and writes out for pages at a time. So one
//! client's pages leave the worker time for the taps of others.

use tokio::sync::SemaphorePermit;

use super::super::problem::{Code, Problem};
use super::queue::Queue;
use crate::store::Deadline;

/// The most posts at a time: two of the largest pages. Each takes about 2 MB while it is written.
const POSTS: u32 = 200;

/// The gate of one worker.
#[derive(Debug)]
pub(in crate::http) struct PageGate(Queue);

impl Default for PageGate {
    fn default() -> Self {
        Self(Queue::new(POSTS))
    }
}

impl PageGate {
    /// Lets a page with this many posts in, in the order of arrival. A single post does not wait.
    ///
    /// # Errors
    ///
    /// `overloaded`, if the queue is full or the deadline passes.
    pub(in crate::http) async fn enter(
        &self,
        posts: usize,
        deadline: Deadline,
    ) -> Result<Option<SemaphorePermit<'_>>, Problem> {
        if posts <= 1 {
            return Ok(None);
        }
        let posts = u32::try_from(posts).unwrap_or(POSTS).min(POSTS);
        self.0.enter(posts, deadline).await.map(Some).ok_or_else(overloaded)
    }
}

fn overloaded() -> Problem {
    let detail = "too many pages are being read; ask for fewer posts, or try again";
    Problem::new(Code::Overloaded, detail)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::super::queue::WAITING;
    use super::*;

    #[tokio::test]
    async fn pages_wait_in_order_until_their_deadline_and_posts_do_not() {
        let gate = PageGate::default();
        let (soon, later) = (Duration::from_millis(50), Duration::from_secs(20));
        let full = gate.enter(200, Deadline::after(later)).await.expect("there is room");
        assert!(gate.enter(1, Deadline::after(soon)).await.is_ok(), "a post does not wait");
        assert!(gate.enter(2, Deadline::after(soon)).await.is_err());
        let (large, small) = (gate.enter(200, Deadline::after(later)), async {
            let small = gate.enter(2, Deadline::after(soon)).await;
            assert!(small.is_err(), "it came after the large one");
            drop(full);
        });
        assert!(tokio::join!(large, small).0.is_ok());
        assert!(gate.enter(100, Deadline::after(soon)).await.is_ok(), "all was given back");
    }

    #[tokio::test]
    async fn a_queue_that_is_too_long_is_refused_at_once() {
        let gate = PageGate::default();
        let _full = gate.enter(200, Deadline::after(Duration::from_secs(20))).await;
        gate.0.waiting.store(WAITING, Ordering::Relaxed);
        let asked = std::time::Instant::now();
        let late = gate.enter(2, Deadline::after(Duration::from_secs(20))).await;
        assert!(late.is_err() && asked.elapsed() < Duration::from_secs(10));
    }
}
