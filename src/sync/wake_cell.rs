//! A value that one task waits for and others change.

use std::task::{Context, Poll, Waker};

use super::prim::Mutex;

/// The value and the waiting task's waker behind one lock. A task that finds the value not ready
/// stores its waker under the same hold of the lock, so it misses no change in between.
#[derive(Debug)]
pub struct WakeCell<T>(Mutex<(T, Option<Waker>)>);

impl<T> WakeCell<T> {
    /// A cell without a waiting task.
    pub fn new(value: T) -> Self {
        Self(Mutex::new((value, None)))
    }

    /// Reads or changes the value without a wake-up.
    pub fn with<R>(&self, step: impl FnOnce(&mut T) -> R) -> R {
        step(&mut self.0.lock().0)
    }

    /// Changes the value. Wakes the waiting task if the step also returns true.
    pub fn change<R>(&self, step: impl FnOnce(&mut T) -> (R, bool)) -> R {
        let mut held = self.0.lock();
        let (result, wakes) = step(&mut held.0);
        let waker = if wakes { held.1.take() } else { None };
        drop(held);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// Polls the value for a task. If it is not ready, the next change that wakes wakes this task.
    pub fn poll<R>(&self, cx: &Context<'_>, look: impl FnOnce(&mut T) -> Poll<R>) -> Poll<R> {
        let mut held = self.0.lock();
        let polled = look(&mut held.0);
        if polled.is_pending() && held.1.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            held.1 = Some(cx.waker().clone());
        }
        polled
    }
}
