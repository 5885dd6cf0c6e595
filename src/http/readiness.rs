//! Whether taps can be counted, as `/readyz` found it the last time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::store::{AnyStore, Deadline, Store as _, StoreError};
use crate::telemetry::{Collector, DescriptorEncoder, Figure, Kind, encode_figures};

/// For so long `/metrics` shows what a check found, before it makes one itself.
const FRESH: Duration = Duration::from_secs(10);

/// A scrape waits no longer than this for a store that does not answer.
const SCRAPE_WAIT: Duration = Duration::from_millis(500);

/// The last check, of whichever worker.
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

    /// Checks, unless somebody has a moment ago.
    pub(super) async fn refresh(self: &Arc<Self>, store: &AnyStore) {
        let last = *self.0.lock();
        if last.is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            // What it found is kept.
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
