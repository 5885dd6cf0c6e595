//! Whether the store can count taps, by the last check: one by `/readyz`, or one by a scrape.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::store::{AnyStore, Deadline, Store as _, StoreError};
use crate::telemetry::{Collector, DescriptorEncoder, Figure, Kind, encode_figures};

/// How long `/metrics` shows the result of a check before it makes one itself.
const FRESH: Duration = Duration::from_secs(10);

/// How long a scrape waits for a store that does not answer.
const SCRAPE_WAIT: Duration = Duration::from_millis(500);

/// When a worker last checked, and whether the store could count a tap.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<Option<(Instant, bool)>>);

impl Readiness {
    /// Runs the real write path on a post that no caller can reach.
    pub(super) async fn check(
        &self,
        store: &AnyStore,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let checked = store.probe(deadline).await;
        *self.0.lock() = Some((Instant::now(), checked.is_ok()));
        checked
    }

    /// Checks, unless a worker has checked within [`FRESH`].
    pub(super) async fn refresh(self: &Arc<Self>, store: &AnyStore) {
        let last = *self.0.lock();
        if last.is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            // `check` keeps the result, errors too.
            let _ = self.check(store, Deadline::after(SCRAPE_WAIT)).await;
        }
    }
}

impl Collector for Readiness {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let ready = self.0.lock().is_some_and(|(_, ready)| ready);
        let figure = Figure {
            name: "ready",
            help: "1 if the last readiness check could count a tap, else 0.",
            kind: Kind::Gauge,
            value: ready.into(),
        };
        encode_figures(encoder, &[figure])
    }
}
