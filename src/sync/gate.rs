//! A gate that closes once nobody is inside.

use super::prim::{AtomicU64, Ordering};

/// The bit of a closed gate. The bits below count who is inside.
const CLOSED: u64 = 1 << 63;

/// Lets many in at a time until somebody closes it. One word holds both the number inside and
/// whether the gate is closed. So nobody enters between a look at the one and at the other.
#[derive(Debug)]
pub struct Gate(AtomicU64);

impl Gate {
    /// An open gate.
    #[expect(clippy::new_without_default, reason = "loom's atomics have no default")]
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Enters; None if the gate is closed.
    pub fn enter(&self) -> Option<Inside<'_>> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let inside = Inside(self);
        (before & CLOSED == 0).then_some(inside)
    }

    /// Lets nobody in from now on. Who is inside stays.
    pub fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Lets all in again.
    pub fn open(&self) {
        self.0.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    /// Whether nobody is inside. After `close`, what they did is visible to the caller.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) & !CLOSED == 0
    }
}

/// Somebody inside. Leaves on drop.
#[derive(Debug)]
pub struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
