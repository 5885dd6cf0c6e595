//! Taking connections in, and spreading them over workers.
//!
//! Each worker is a thread with a runtime and a lane of its own, so that a request never crosses
//! threads. One acceptor deals connections out in turn, which spreads a few long connections more
//! evenly than the kernel's hashing would.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::state::Limits;
use crate::telemetry::Metrics;

/// After an accept that failed for want of descriptors or memory.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// A connection on its way to a worker. The permit is given back when it ends.
type Accepted = (TcpStream, OwnedSemaphorePermit);

/// Deals connections out to workers.
#[derive(Debug)]
pub struct Acceptor {
    workers: Vec<mpsc::Sender<Accepted>>,
    room: Arc<Semaphore>,
}

/// Where a worker gets its connections from.
#[derive(Debug)]
pub struct Worker {
    accepted: mpsc::Receiver<Accepted>,
}

impl Acceptor {
    /// An acceptor and its workers, with room for so many connections altogether.
    pub fn with_workers(count: usize, max_connections: usize) -> (Self, Vec<Worker>) {
        let ends = (0..count).map(|_| mpsc::channel(max_connections.min(1024)));
        let (workers, accepted): (Vec<_>, Vec<_>) = ends.unzip();
        let room = Arc::new(Semaphore::new(max_connections));
        (Self { workers, room }, accepted.into_iter().map(|accepted| Worker { accepted }).collect())
    }

    /// Accepts until `stop`, then closes the listeners. Beyond the bound on connections, clients
    /// wait in the kernel's backlog.
    pub async fn run(self, listeners: Vec<TcpListener>, stop: CancellationToken) -> io::Result<()> {
        let accepting = listeners.into_iter().map(|listener| {
            listener.set_nonblocking(true)?;
            Ok(self.accept_all(tokio::net::TcpListener::from_std(listener)?))
        });
        let accepting = accepting.collect::<io::Result<Vec<_>>>()?;
        tokio::select! {
            () = stop.cancelled() => {}
            _ = join_all(accepting) => {}
        }
        Ok(())
    }

    async fn accept_all(&self, listener: tokio::net::TcpListener) {
        let mut turn = 0;
        loop {
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
            match listener.accept().await.and_then(|(stream, _)| {
                // An answer is small; held back by Nagle it would wait for an acknowledgement.
                stream.set_nodelay(true)?;
                stream.into_std()
            }) {
                Ok(stream) => {
                    turn = (turn + 1) % self.workers.len();
                    if self.workers[turn].send((stream, permit)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }
}

impl Worker {
    /// Serves its connections on the current runtime. After `stop` it lets what is in flight be
    /// answered, for `grace` at most.
    pub async fn run(
        mut self,
        router: Router,
        limits: Limits,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
        grace: Duration,
    ) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accepted.recv() => accepted,
            };
            let Some((stream, permit)) = accepted else { break };
            let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { continue };
            metrics.connection_opened();
            let (router, metrics, stop) = (router.clone(), Arc::clone(&metrics), stop.clone());
            connections.spawn(async move {
                super::connection::serve(stream, router, limits, stop).await;
                metrics.connection_closed();
                drop(permit);
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
