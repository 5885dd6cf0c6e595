//! A connection of a lane, and the signal that it must not be used any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::lease::Lease;

/// The lane and its batches in flight share it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) multiplexed: MultiplexedConnection,
    /// The server's clock when the connection was opened, in µs since 1970.
    pub(crate) server_micros: i64,
    pub(crate) health: Arc<Health>,
    /// Whether onetap may still use this server's replies.
    pub(crate) lease: Lease,
    /// Asks whether the server still takes writes, while the connection exists.
    pub(crate) _role: AbortOnDropHandle<()>,
}

impl Connection {
    /// Why onetap must not use the connection again, if so.
    pub(crate) fn broken(&self) -> Option<Broken> {
        self.health.broken().or_else(|| (!self.lease.holds()).then(|| Broken::left(&self.lease)))
    }

    /// Waits until onetap must not use the connection again. Only the lane waits.
    pub(crate) async fn until_broken(&self) -> Broken {
        tokio::select! {
            broken = self.health.until_broken() => broken,
            () = self.lease.until_lost() => Broken::left(&self.lease),
        }
    }
}

/// Whether a connection may be used. Whichever task finds it broken marks it. The lane then opens
/// another, and each call in flight gets its own error.
#[derive(Debug, Default)]
pub(crate) struct Health {
    broken: Mutex<Option<Broken>>,
    /// When the oldest request without a reply was sent.
    asked_at: Mutex<Option<Instant>>,
    news: Notify,
}

/// Why a connection must not be used any more.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) reason: String,
    /// The server is there but refuses: another connection may be refused too.
    pub(crate) by_refusal: bool,
}

impl Broken {
    fn left(lease: &Lease) -> Self {
        Self { reason: lease.why_lost().into(), by_refusal: false }
    }
}

impl Health {
    /// Marks the connection as broken. The first reason stays.
    pub(crate) fn mark_broken(&self, reason: &str, by_refusal: bool) {
        let mut broken = self.broken.lock();
        broken.get_or_insert_with(|| Broken { reason: reason.to_owned(), by_refusal });
        self.news.notify_one();
    }

    /// Notes a request.
    pub(crate) fn asked(&self) {
        self.asked_at().get_or_insert_with(Instant::now);
    }

    /// Notes a reply.
    pub(crate) fn answered(&self) {
        *self.asked_at() = None;
    }

    /// How long the oldest request has waited for a reply.
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
