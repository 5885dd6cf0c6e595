//! Taking connections in, and spreading them over workers.
//!
//! Each worker is a thread with a runtime and a lane of its own, so that a request never crosses
//! threads. One acceptor deals connections out in turn, which spreads a few long connections more
//! evenly than the kernel's hashing would.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::limits::{ByteBudget, Limits};
use super::listener::{Accepted, Listener, Listening};
use super::places::{Place, Places};
use super::stats::ConnectionStats;
use super::watch::End;
use crate::live::LiveStats;
use crate::store::ThrottledWarnings;

/// After an accept that failed for want of descriptors or memory.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// At a stop: how long to wait for one more connection from the backlog.
const LAST_CALL: Duration = Duration::from_millis(5);

/// What a listener gives, with the permit for it.
type Next = (io::Result<Accepted>, OwnedSemaphorePermit);

/// Deals connections out to workers.
#[derive(Debug)]
pub struct Acceptor {
    workers: Vec<mpsc::Sender<(Accepted, Place)>>,
    places: Places,
    turn: AtomicUsize,
    warnings: ThrottledWarnings,
}

/// Where a worker gets its connections from.
#[derive(Debug)]
pub struct Worker {
    accepted: mpsc::Receiver<(Accepted, Place)>,
}

impl Acceptor {
    /// An acceptor and its workers, with room for so many connections altogether, and for so many
    /// bytes of requests that have not been answered.
    pub fn with_workers(
        count: usize,
        max_connections: usize,
        max_request_bytes: usize,
    ) -> (Self, Vec<Worker>) {
        let ends = (0..count).map(|_| mpsc::channel(max_connections.min(1024)));
        let (workers, accepted): (Vec<_>, Vec<_>) = ends.unzip();
        let budget = Arc::new(ByteBudget::new(max_request_bytes));
        let places = Places::new(max_connections, budget);
        (
            Self {
                workers,
                places,
                turn: AtomicUsize::new(0),
                warnings: ThrottledWarnings::default(),
            },
            accepted.into_iter().map(|accepted| Worker { accepted }).collect(),
        )
    }

    /// Accepts until `stop`, then closes the listeners. When places become few, the connections
    /// that have been idle for longest are closed; beyond the bound, clients wait in the kernel's
    /// backlog.
    pub async fn run(self, listeners: Vec<Listener>, stop: CancellationToken) -> io::Result<()> {
        let listeners = listeners.into_iter().map(Listener::start);
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        join_all(listeners.iter().map(|listener| self.accept_all(listener, &stop))).await;
        // Who came before the stop is still served.
        for listener in &listeners {
            while let Ok(accepted) = tokio::time::timeout(LAST_CALL, listener.accept()).await {
                let Some(permit) = self.places.try_free() else { break };
                if let Ok(stream) = accepted {
                    self.deal(stream, permit).await;
                }
            }
        }
        Ok(())
    }

    /// Accepts until `stop`. Only waiting for a connection ends then: one that has been taken in is
    /// dealt out, whenever the task is interrupted in between.
    async fn accept_all(&self, listener: &Listening, stop: &CancellationToken) {
        while let Some((accepted, permit)) =
            stop.run_until_cancelled(self.next(listener)).await.flatten()
        {
            match accepted {
                Ok(stream) => {
                    self.warnings.settled("connections are accepted again");
                    self.deal(stream, permit).await;
                }
                Err(error) => {
                    self.warnings.about(&format!("cannot accept connections: {error}"));
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// The next connection, once there is room for it. Dropped while it waits, it loses nothing.
    async fn next(&self, listener: &Listening) -> Option<Next> {
        let permit = self.places.free().await?;
        Some((listener.accept().await, permit))
    }

    /// Gives a connection to the next worker.
    async fn deal(&self, stream: Accepted, permit: OwnedSemaphorePermit) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        let place = self.places.take(permit);
        // A worker is only gone when all is over.
        let _ = self.workers[turn].send((stream, place)).await;
    }
}

impl Worker {
    /// Serves its connections on the current runtime. After `stop` it lets what is in flight be
    /// answered, for `grace` at most.
    pub async fn run(
        mut self,
        router: Router,
        limits: Limits,
        stats: (Arc<ConnectionStats>, Arc<LiveStats>),
        stop: CancellationToken,
        grace: Duration,
    ) {
        let (stats, live) = stats;
        let connections = TaskTracker::new();
        // Ends when the acceptor is gone and what it dealt out is taken.
        while let Some((stream, place)) = self.accepted.recv().await {
            let Ok(stream) = stream.taken(&limits) else { continue };
            let (router, stop) = (router.clone(), stop.clone());
            let (counted, live) = (Counted::new(&stats, place), Arc::clone(&live));
            connections.spawn(async move {
                let watch = Arc::clone(&counted.place.watch);
                match super::connection::serve(stream, watch, router, limits, stop).await {
                    End::Done => {}
                    End::SlowReader => live.cut_slow.add(1),
                    End::MadeRoom => counted.stats.closed_for_room.add(1),
                    End::GaveUp => counted.stats.answers_given_up.add(1),
                }
                if counted.place.watch.is_refused() {
                    counted.stats.refused_for_bytes.add(1);
                }
                drop(counted);
            });
        }
        connections.close();
        if tokio::time::timeout(grace, connections.wait()).await.is_err() {
            tracing::warn!(
                left = connections.len(),
                "connections cut at the end of the grace time"
            );
        }
    }
}

/// A connection that is counted for as long as this lives, however it ends.
struct Counted {
    stats: Arc<ConnectionStats>,
    place: Place,
}

impl Counted {
    fn new(stats: &Arc<ConnectionStats>, place: Place) -> Self {
        stats.open.add(1);
        Self { stats: Arc::clone(stats), place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.stats.open.sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A task that has taken in some forty connections at a stretch is interrupted by the runtime
    /// wherever it would wait next, also with a connection in its hands.
    #[tokio::test]
    async fn a_stop_loses_no_connection_that_was_taken_in() {
        for _ in 0..20 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
            let (acceptor, mut workers) = Acceptor::with_workers(1, 1000, 0);
            let stop = CancellationToken::new();
            let running = tokio::spawn(acceptor.run(vec![listener.into()], stop.clone()));
            while workers[0].accepted.is_empty() {
                tokio::task::yield_now().await;
            }
            stop.cancel();
            running.await.unwrap().unwrap();
            let mut dealt = 0;
            while workers[0].accepted.recv().await.is_some() {
                dealt += 1;
            }
            assert_eq!(dealt, clients.len());
        }
    }
}
