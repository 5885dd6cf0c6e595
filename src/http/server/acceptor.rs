//! The acceptor takes connections in and deals them out to the workers.
//!
//! A worker is a thread with its own runtime and its own lanes, so a request never crosses threads.
//! The one acceptor deals to the workers in turn. With few long connections that is more even than
//! the kernel's hashing (`SO_REUSEPORT`).

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
use super::connection::Peer;
use super::listener::{Accepted, Listener, Listening};
use super::places::{Place, Places};
use super::stats::ConnectionStats;
use super::watch::End;
use crate::live::LiveStats;
use crate::telemetry::ThrottledWarnings;

/// The pause after an accept that failed for lack of descriptors or memory.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// At a stop, how long to wait for one more connection from the backlog.
const LAST_CALL: Duration = Duration::from_millis(5);

/// A connection from a listener, with the permit for its place.
type Next = (io::Result<Accepted>, OwnedSemaphorePermit);

/// Deals connections out to workers.
#[derive(Debug)]
pub struct Acceptor {
    workers: Vec<mpsc::Sender<(Accepted, Place)>>,
    places: Places,
    turn: AtomicUsize,
    warnings: ThrottledWarnings,
}

/// A worker's end of the acceptor.
#[derive(Debug)]
pub struct Worker {
    accepted: mpsc::Receiver<(Accepted, Place)>,
}

impl Acceptor {
    /// An acceptor and its workers, with room for `max_connections` connections and for
    /// `max_request_bytes` of requests without a response, all workers together.
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

    /// Accepts until `stop`, then closes the listeners. When places run low, the acceptor asks the
    /// connections that have been idle for longest to close. Beyond the limit, clients wait in the
    /// kernel's backlog.
    pub async fn run(self, listeners: Vec<Listener>, stop: CancellationToken) -> io::Result<()> {
        let listeners = listeners.into_iter().map(Listener::start);
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        join_all(listeners.iter().map(|listener| self.accept_all(listener, &stop))).await;
        // We still serve clients that connected before the stop.
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

    /// Accepts until `stop`. The stop interrupts only the wait for a connection: an accepted one is
    /// always dealt out, even if the runtime suspends the task in between.
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

    /// The next connection, once there is a place for it. Cancel safe.
    async fn next(&self, listener: &Listening) -> Option<Next> {
        let permit = self.places.free().await?;
        Some((listener.accept().await, permit))
    }

    /// Gives a connection to the next worker.
    async fn deal(&self, stream: Accepted, permit: OwnedSemaphorePermit) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        let place = self.places.take(permit);
        // Sending fails only when the worker has ended, and then the process ends too.
        let _ = self.workers[turn].send((stream, place)).await;
    }
}

impl Worker {
    /// Serves its connections on the current runtime. After `stop` it waits for the requests in
    /// flight, for `grace` at most.
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
        // Ends when the acceptor is gone and the worker has taken all that was dealt to it.
        while let Some((stream, place)) = self.accepted.recv().await {
            let peer = limits.note_peers.then(|| Peer(stream.peer()));
            let Ok(stream) = stream.taken(&limits) else { continue };
            let (router, stop) = (router.clone(), stop.clone());
            let (counted, live) = (Counted::new(&stats, place), Arc::clone(&live));
            connections.spawn(async move {
                let watch = Arc::clone(&counted.place.watch);
                match super::connection::serve((stream, peer), watch, router, limits, stop).await {
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

/// Counts a connection for as long as this lives, however the connection ends.
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

    /// After about forty accepts in a row the runtime suspends the task at its next await, even
    /// while it has a connection to deal out.
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
