//! Turns of the streams on one worker: many streams with events to send must not delay the worker's
//! other requests.
//!
//! A worker runs its tasks one after the other. When a thousand streams wake at once, a tap waits
//! for all of them, and again after the store's reply. So only a few streams work before every
//! other task that is ready has run.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// How many streams work in one round of the worker's tasks.
const A_ROUND: usize = 4;

/// How many streams have had a turn in this round, and how many wait. One thread uses it all; the
/// fields are atomics because tasks must be `Send`.
#[derive(Debug, Default)]
pub(in crate::http) struct Turns {
    waiting: AtomicUsize,
    taken: AtomicUsize,
    next: Arc<Notify>,
}

impl Turns {
    /// A place in the queue. A stream keeps it for as long as it is open.
    pub(in crate::http) fn place(self: &Arc<Self>) -> Turn {
        Turn { turns: Arc::clone(self), waiting: None }
    }

    /// Whether this round has a turn left. The first stream of a round starts the task that ends
    /// it.
    fn take(self: &Arc<Self>) -> bool {
        match self.taken.fetch_add(1, Ordering::Relaxed) {
            0 => {
                tokio::spawn(Arc::clone(self).rounds());
                true
            }
            taken if taken < A_ROUND => true,
            _ => false,
        }
    }

    /// Starts a new round for as long as streams wait.
    async fn rounds(self: Arc<Self>) {
        loop {
            // Returns after all tasks that are ready now have run.
            tokio::task::yield_now().await;
            let next = self.waiting.load(Ordering::Relaxed).min(A_ROUND);
            self.taken.store(next, Ordering::Relaxed);
            if next == 0 {
                return;
            }
            (0..next).for_each(|_| self.next.notify_one());
        }
    }
}

/// A place in the queue.
#[derive(Debug)]
pub(in crate::http) struct Turn {
    turns: Arc<Turns>,
    waiting: Option<Pin<Box<OwnedNotified>>>,
}

impl Turn {
    /// Waits for a turn, and takes it.
    pub(in crate::http) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() {
            if self.turns.take() {
                return Poll::Ready(());
            }
            self.turns.waiting.fetch_add(1, Ordering::Relaxed);
            self.waiting = Some(Box::pin(Arc::clone(&self.turns.next).notified_owned()));
        }
        if let Some(next) = &mut self.waiting {
            ready!(next.as_mut().poll(cx));
            self.leave();
        }
        Poll::Ready(())
    }

    fn leave(&mut self) {
        if self.waiting.take().is_some() {
            self.turns.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Mutex;

    use super::*;

    /// Of many streams that are ready at once, few run before a task that becomes ready after them.
    #[tokio::test]
    async fn others_run_between_the_turns_of_a_crowd() {
        let turns = Arc::new(Turns::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let crowd: Vec<_> = (0..100)
            .map(|_| {
                let (mut place, order) = (turns.place(), Arc::clone(&order));
                tokio::spawn(async move {
                    for _ in 0..3 {
                        poll_fn(|cx| place.poll_take(cx)).await;
                        order.lock().expect("not poisoned").push("stream");
                    }
                })
            })
            .collect();
        let tap = tokio::spawn({
            let order = Arc::clone(&order);
            async move {
                for _ in 0..5 {
                    order.lock().expect("not poisoned").push("tap");
                    tokio::task::yield_now().await;
                }
            }
        });
        tap.await.expect("a tap");
        let before = order.lock().expect("not poisoned").clone();
        assert_eq!(before.iter().filter(|who| **who == "tap").count(), 5);
        assert!(before.len() <= 5 + 6 * A_ROUND, "{before:?}");
        for stream in crowd {
            stream.await.expect("a stream");
        }
        assert_eq!(order.lock().expect("not poisoned").len(), 305, "all had all their turns");
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);
    }

    /// A stream that is dropped while it waits passes its turn to the next one.
    #[tokio::test]
    async fn a_place_that_is_given_up_keeps_nobody_waiting() {
        let turns = Arc::new(Turns::default());
        let mut places: Vec<_> = (0..20).map(|_| turns.place()).collect();
        poll_fn(|cx| {
            let had = places.iter_mut().map(|place| place.poll_take(cx)).filter(Poll::is_ready);
            assert_eq!(had.count(), A_ROUND);
            Poll::Ready(())
        })
        .await;
        places.drain(A_ROUND..19);
        let mut last = places.pop().expect("the last");
        poll_fn(|cx| last.poll_take(cx)).await;
        drop((places, last));
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);
    }
}
