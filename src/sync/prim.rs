//! The primitives under our own algorithms: loom's under its cfg, so that the algorithms contain no
//! `cfg`.

#[cfg(onetap_loom)]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(onetap_loom))]
pub(super) use parking_lot::Mutex;
#[cfg(not(onetap_loom))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// Loom's lock. It panics in a model that panicked while it held the lock.
#[cfg(onetap_loom)]
#[derive(Debug, Default)]
pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

#[cfg(onetap_loom)]
impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(super) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("the model has failed")
    }
}
