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

/// The result of the last check.
#[derive(Debug, Default)]
pub struct Readiness {
    /// When a worker checked, and whether the store could count a tap.
    last: Mutex<Option<(Instant, bool)>>,
    /// Held by the check of a scrape: many scrapes make one.
    checking: Arc<tokio::sync::Mutex<()>>,
}

impl Readiness {
    /// Runs the real write path on a post that no caller can reach.
    pub(super) async fn check(
        &self,
        store: &AnyStore,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let checked = store.probe(deadline).await;
        *self.last.lock() = Some((Instant::now(), checked.is_ok()));
        checked
    }

    /// Checks, unless a worker has checked within [`FRESH`]. The check has the deadline of a
    /// request, since a lane gives a connection up when a call expires. Only the scrape waits less.
    pub(super) async fn refresh(self: &Arc<Self>, store: &AnyStore, deadline: Deadline) {
        // A process that nobody writes to has not looked for long whether a window is open. An
        // error leaves that figure as it was.
        let _ = store.look_at_window(Deadline::after(SCRAPE_WAIT)).await;
        let last = *self.last.lock();
        if last.is_some_and(|(at, _)| at.elapsed() < FRESH) {
            return;
        }
        let Ok(alone) = Arc::clone(&self.checking).try_lock_owned() else { return };
        let (readiness, store) = (Arc::clone(self), store.clone());
        let check = tokio::spawn(async move {
            // `check` keeps the result, errors too.
            let _ = readiness.check(&store, deadline).await;
            drop(alone);
        });
        let _ = tokio::time::timeout(SCRAPE_WAIT, check).await;
    }
}

impl Collector for Readiness {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let ready = self.last.lock().is_some_and(|(_, ready)| ready);
        let figure = Figure {
            name: "ready",
            help: "1 if the last readiness check could count a tap, else 0.",
            kind: Kind::Gauge,
            value: ready.into(),
        };
        encode_figures(encoder, &[figure])
    }
}
