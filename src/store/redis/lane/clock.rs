//! What time it is at the store: how a deadline of ours becomes a `not_after` of its clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use crate::store::Deadline;

/// How far the two clocks may drift apart between two replies without a refusal.
const TOLERANCE_MICROS: i64 = 50_000;

/// Learns the offset between this process's monotonic clock and the store's from its replies.
///
/// A reply that says `s` and arrives at `t` was written at or before `t`, so the store's clock is
/// at least `s` then. Taking exactly `s` errs towards an earlier `not_after`: a tap may be refused
/// a round trip too early, never run too late.
#[derive(Debug)]
pub(super) struct StoreClock {
    base: Instant,
    /// The store's microseconds minus ours since `base`.
    offset: AtomicI64,
}

impl StoreClock {
    /// The clock of a store that said `store_micros` in a reply that has just arrived.
    pub(super) fn new(store_micros: i64) -> Self {
        Self { base: Instant::now(), offset: AtomicI64::new(store_micros) }
    }

    /// Takes the store's time from a reply that has just arrived.
    pub(super) fn learn(&self, store_micros: i64) {
        self.offset.store(store_micros - self.micros(Instant::now()), Ordering::Relaxed);
    }

    /// The deadline on the store's clock, in µs since 1970.
    pub(super) fn not_after(&self, deadline: Deadline) -> i64 {
        self.micros(deadline.0) + self.offset.load(Ordering::Relaxed)
    }

    /// What the store's clock shows now at the least, unless it is put back; in µs since 1970.
    pub(super) fn not_before(&self) -> i64 {
        self.micros(Instant::now()) + self.offset.load(Ordering::Relaxed) - TOLERANCE_MICROS
    }

    fn micros(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.base).as_micros()).unwrap_or(i64::MAX / 2)
    }
}
