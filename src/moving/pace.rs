//! How many rows go together to a target, and how much is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::gentle::Gentle;

/// How many rows go together while others use the store. They hold Redis for about 0.1 ms.
const GENTLE_ROWS: usize = 8;

/// If rows took less than this, more go together. If they took more than the other, fewer do.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(4);

/// How many rows go together. A file writes much less for each row if many share a commit, so the
/// number grows while the commits are fast. On a slow disk it stays small: Ctrl-C waits for what is
/// on its way.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// While this is on, few rows go together, and nothing else is on its way.
    pub(super) gentle: Gentle,
    rows: Arc<AtomicUsize>,
    least: usize,
    most: usize,
}

impl Pace {
    /// Begins with the least.
    pub(crate) fn between(least: usize, most: usize) -> Self {
        let (gentle, rows) = (Gentle::default(), Arc::new(AtomicUsize::new(least)));
        Self { gentle, rows, least, most }
    }

    /// The same for a store that others may use.
    pub(crate) fn beginning_gently(self) -> Self {
        self.gentle.turn(true);
        self
    }

    /// How many rows go together now.
    pub(crate) fn rows(&self) -> usize {
        if self.gentle.is_on() { GENTLE_ROWS } else { self.rows.load(Ordering::Relaxed) }
    }

    /// How many groups of rows may be on their way now, of at most so many.
    pub(crate) fn in_flight(&self, most: usize) -> usize {
        if self.gentle.is_on() { 1 } else { most }
    }

    /// So many rows were answered after this time.
    pub(crate) fn took(&self, rows: usize, took: Duration) {
        let now = self.rows.load(Ordering::Relaxed);
        let next = match () {
            () if took > LONG => now / 2,
            // Rows of an earlier, lower number say nothing about this one.
            () if took < SHORT && rows * 2 > now => now * 2,
            () => now,
        };
        self.rows.store(next.clamp(self.least, self.most), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_answers_make_it_more_and_slow_ones_fewer() {
        let pace = Pace::between(100, 1000);
        let gently = Pace::between(100, 1000).beginning_gently();
        assert_eq!((gently.rows(), gently.in_flight(6)), (8, 1));
        assert_eq!(pace.in_flight(6), 6);
        let after = |rows, took| {
            pace.took(rows, took);
            pace.rows()
        };
        assert_eq!(pace.rows(), 100);
        assert_eq!(after(100, SHORT / 2), 200);
        assert_eq!(after(100, SHORT / 2), 200, "of an earlier call");
        assert_eq!(after(200, SHORT * 2), 200);
        assert_eq!((after(150, SHORT / 2), after(400, SHORT / 2)), (400, 800));
        assert_eq!(after(800, SHORT / 2), 1000);
        assert_eq!(after(1000, LONG * 2), 500);
        for _ in 0..8 {
            after(1, LONG * 2);
        }
        assert_eq!(after(1, LONG * 2), 100);
    }
}
