//! A bound on the bytes that clients make the process hold, over all connections together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of free bytes.
#[derive(Debug)]
pub(in crate::http) struct ByteBudget {
    left: AtomicUsize,
}

impl ByteBudget {
    /// A budget of this many bytes, all of them free.
    pub(in crate::http) fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
    }

    /// Takes all of these bytes, or none if fewer are free.
    pub(in crate::http) fn try_take(&self, bytes: usize) -> bool {
        let taken = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Returns bytes that were taken.
    pub(in crate::http) fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}
