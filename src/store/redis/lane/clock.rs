//! The time at the store: turns a deadline of ours into a `not_after` of the store's clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use crate::store::Deadline;

/// How far the two clocks may drift apart between two replies before the script refuses a tap.
const TOLERANCE_MICROS: i64 = 50_000;

/// Learns from replies the offset between this process's monotonic clock and the store's.
///
/// The store wrote a reply with time `s` at or before its arrival at `t`, so the store's clock
/// shows at least `s` at `t`. Taking exactly `s` makes `not_after` early rather than late. The
/// script may refuse a tap a round trip too early, but never runs it too late.
#[derive(Debug)]
pub(super) struct StoreClock {
    base: Instant,
    /// The store's clock minus the time since `base`, in µs.
    offset: AtomicI64,
}

impl StoreClock {
    /// The clock of a store that sent `store_micros` in a reply that has just arrived.
    pub(super) fn new(store_micros: i64) -> Self {
        Self { base: Instant::now(), offset: AtomicI64::new(store_micros) }
    }

    /// Learns the offset from a reply that has just arrived.
    pub(super) fn learn(&self, store_micros: i64) {
        self.offset.store(store_micros - self.micros(Instant::now()), Ordering::Relaxed);
    }

    /// The deadline on the store's clock, in µs since 1970.
    pub(super) fn not_after(&self, deadline: Deadline) -> i64 {
        self.micros(deadline.0) + self.offset.load(Ordering::Relaxed)
    }

    /// The least that the store's clock shows now unless someone puts it back, in µs since 1970.
    pub(super) fn not_before(&self) -> i64 {
        self.micros(Instant::now()) + self.offset.load(Ordering::Relaxed) - TOLERANCE_MICROS
    }

    fn micros(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.base).as_micros()).unwrap_or(i64::MAX / 2)
    }
}
