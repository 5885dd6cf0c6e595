//! A connection of a lane, and the news that it is of no more use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::lease::Lease;

/// Shared by a lane and its batches in flight.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) multiplexed: MultiplexedConnection,
    /// What the server's clock showed when the connection was opened, in µs since 1970.
    pub(crate) server_micros: i64,
    pub(crate) health: Arc<Health>,
    /// Whether that server is still the one to ask.
    pub(crate) lease: Lease,
    /// Asks whether that server still takes writes, for as long as there is this connection.
    pub(crate) _role: AbortOnDropHandle<()>,
}

impl Connection {
    /// Why it must not be used again, if so.
    pub(crate) fn broken(&self) -> Option<Broken> {
        self.health.broken().or_else(|| (!self.lease.holds()).then(|| Broken::left(&self.lease)))
    }

    /// Waits until it must not be used again. Only the lane waits.
    pub(crate) async fn until_broken(&self) -> Broken {
        tokio::select! {
            broken = self.health.until_broken() => broken,
            () = self.lease.until_lost() => Broken::left(&self.lease),
        }
    }
}

/// Whether a connection may be used. Whoever learns that it is broken says so; the lane then opens
/// another, and what was in flight gets its own errors.
#[derive(Debug, Default)]
pub(crate) struct Health {
    broken: Mutex<Option<Broken>>,
    /// When the first was asked of what was asked since the last reply.
    asked_at: Mutex<Option<Instant>>,
    news: Notify,
}

/// Why a connection is of no more use.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) reason: String,
    /// The server is there and refuses: another connection may fare no better.
    pub(crate) by_refusal: bool,
}

impl Broken {
    fn left(lease: &Lease) -> Self {
        Self { reason: lease.why_lost().into(), by_refusal: false }
    }
}

impl Health {
    /// Says that the connection must not be used again. The first reason stays.
    pub(crate) fn mark_broken(&self, reason: &str, by_refusal: bool) {
        let mut broken = self.broken.lock();
        broken.get_or_insert_with(|| Broken { reason: reason.to_owned(), by_refusal });
        self.news.notify_one();
    }

    /// Something is asked.
    pub(crate) fn asked(&self) {
        self.asked_at().get_or_insert_with(Instant::now);
    }

    /// A reply has come.
    pub(crate) fn answered(&self) {
        *self.asked_at() = None;
    }

    /// For how long no reply has come, although there should be one.
    pub(crate) fn unanswered_for(&self) -> Duration {
        self.asked_at().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn asked_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked_at.lock()
    }

    /// Why it is broken, if it is.
    fn broken(&self) -> Option<Broken> {
        self.broken.lock().clone()
    }

    /// Waits until it is broken.
    async fn until_broken(&self) -> Broken {
        loop {
            if let Some(reason) = self.broken() {
                return reason;
            }
            self.news.notified().await;
        }
    }
}
