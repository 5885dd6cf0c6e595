//! Bytes that clients can make the process hold, bounded over all connections together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes may be held at a time.
#[derive(Debug)]
pub(in crate::http) struct ByteBudget {
    left: AtomicUsize,
}

impl ByteBudget {
    /// A budget of so many bytes, none of them taken.
    pub(in crate::http) fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
    }

    /// Takes so many bytes, or none if there are fewer left.
    pub(in crate::http) fn try_take(&self, bytes: usize) -> bool {
        let taken = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Gives bytes back that were taken.
    pub(in crate::http) fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}
