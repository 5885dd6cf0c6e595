//! A lane: one pipelined connection that many requests share, and that heals itself.
//!
//! Calls queue up while the lane's task is busy elsewhere, and travel together in the next batch,
//! so that batches grow with the load and a single call waits for nobody. A call that never was
//! handed to a connection is answered `Unavailable`, which promises that nothing was applied; one
//! that was is answered by its batch. No write is ever sent twice.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::Shared;
use super::batch::Batch;
use super::call::Call;
use super::connect::ConnectError;
use super::connection::Connection;
use super::script::Script;
use crate::store::StoreError;

/// The most items of one script call. Redis does nothing else meanwhile: about 0.3 ms.
const MAX_BATCH: usize = 64;

/// The most script calls in flight on a lane: one runs while the next waits in the socket. The next
/// is sent only once it is worth it; until then calls gather, which is cheaper than many small ones.
const MAX_IN_FLIGHT: usize = 2;
const WORTH_SENDING: usize = 8;

/// The wait between attempts to connect: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// The lane's task. It ends when the last sender of `incoming` is gone.
pub(super) struct Lane {
    shared: Arc<Shared>,
    incoming: mpsc::Receiver<Call>,
    /// Taken from `incoming`, not yet handed to a connection.
    queue: VecDeque<Call>,
    in_flight: Arc<Semaphore>,
    /// A reused buffer between `incoming` and `queue`.
    taken: Vec<Call>,
}

/// Nobody holds the lane any more.
struct Closed;

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, incoming: mpsc::Receiver<Call>) -> Self {
        Self {
            shared,
            incoming,
            queue: VecDeque::new(),
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            taken: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut was_lost = false;
        loop {
            let Ok(connection) = self.connect(was_lost).await else { return };
            self.shared.stats.connected.add(1);
            let end = self.serve(&connection).await;
            self.shared.stats.connected.sub(1);
            match end {
                Ok(reason) => tracing::warn!(reason, "lost the connection to Redis"),
                Err(Closed) => return,
            }
            was_lost = true;
        }
    }

    /// Opens a connection, however long it takes. Calls wait for the first attempt; once it is
    /// known that Redis cannot be reached they are told so at once.
    async fn connect(&mut self, was_lost: bool) -> Result<Arc<Connection>, Closed> {
        let mut pause = FIRST_PAUSE;
        let mut last_problem = None;
        loop {
            let shared = Arc::clone(&self.shared);
            match self.minding_the_queue(shared.connector.open(), usize::MAX).await? {
                None => {}
                Some(Ok(connection)) => {
                    self.shared.stats.connections_opened.add(1);
                    if was_lost || last_problem.is_some() {
                        tracing::info!("connected to Redis");
                    }
                    return Ok(Arc::new(connection));
                }
                Some(Err(error)) => {
                    self.shared.stats.connect_failures.add(1);
                    let problem = error.to_string();
                    if last_problem.as_ref() != Some(&problem) {
                        report(&error);
                    }
                    self.refuse_until(Instant::now() + pause, &problem).await?;
                    last_problem = Some(problem);
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Sends batches until the connection breaks; says why it did.
    async fn serve(&mut self, connection: &Arc<Connection>) -> Result<String, Closed> {
        loop {
            if self.queue.is_empty() {
                tokio::select! {
                    biased;
                    taken = self.incoming.recv_many(&mut self.taken, MAX_BATCH) => {
                        if taken == 0 {
                            return Err(Closed);
                        }
                        self.queue.extend(self.taken.drain(..));
                    }
                    reason = connection.health.until_broken() => return Ok(reason),
                }
            }
            self.gather().await?;
            if let Some(reason) = connection.health.broken() {
                return Ok(reason);
            }
            self.send(connection);
        }
    }

    /// Waits until nothing is in flight, or until there is room and enough to send.
    async fn gather(&mut self) -> Result<(), Closed> {
        self.fill_up();
        while self.in_flight.available_permits() < MAX_IN_FLIGHT {
            let room = self.in_flight.available_permits() > 0;
            if room && self.queue.len() >= WORTH_SENDING {
                return Ok(());
            }
            let all = u32::try_from(MAX_IN_FLIGHT).unwrap_or(1);
            let wanted = if room { all } else { 1 };
            let in_flight = Arc::clone(&self.in_flight);
            // The permits taken here are given back at once: batches take their own.
            let freed = async { drop(in_flight.acquire_many(wanted).await) };
            self.minding_the_queue(freed, if room { WORTH_SENDING } else { usize::MAX }).await?;
        }
        Ok(())
    }

    /// Hands the next batch over, as one script call for each verb in it.
    fn send(&mut self, connection: &Arc<Connection>) {
        let mut by_script = Script::ALL.map(|_| Vec::new());
        let mut left = MAX_BATCH;
        while left > 0
            && let Some(call) = self.queue.pop_front()
        {
            if call.deadline.has_passed() {
                self.miss(call);
            } else if !call.is_abandoned() {
                by_script[call.script() as usize].push(call);
                left -= 1;
            }
        }
        for (script, calls) in Script::ALL.into_iter().zip(by_script) {
            if calls.is_empty() {
                continue;
            }
            // A mixed batch may go over the bound by the number of verbs in it.
            let permit = Arc::clone(&self.in_flight).try_acquire_owned().ok();
            let shared = Arc::clone(&self.shared);
            let connection = Arc::clone(connection);
            tokio::spawn(Batch { script, calls, shared, connection, permit }.run());
        }
    }

    /// Takes what has come in meanwhile, as far as one batch has room.
    fn fill_up(&mut self) {
        while self.queue.len() < MAX_BATCH
            && let Ok(call) = self.incoming.try_recv()
        {
            self.queue.push_back(call);
        }
    }

    /// Runs `work` and meanwhile takes in calls and answers those whose deadline comes. Gives up on
    /// `work` once `enough` calls are queued.
    async fn minding_the_queue<F: Future>(
        &mut self,
        work: F,
        enough: usize,
    ) -> Result<Option<F::Output>, Closed> {
        tokio::pin!(work);
        while self.queue.len() < enough {
            let first = self.queue.front().map(|call| Instant::from_std(call.deadline.0));
            let expiry = tokio::time::sleep_until(first.unwrap_or_else(Instant::now));
            let bound = self.shared.queue_bound;
            let free = bound.saturating_sub(self.queue.len());
            tokio::select! {
                biased;
                output = &mut work => return Ok(Some(output)),
                taken = self.incoming.recv_many(&mut self.taken, free), if free > 0 => {
                    if taken == 0 {
                        return Err(Closed);
                    }
                    self.queue.extend(self.taken.drain(..));
                }
                () = expiry, if first.is_some() => {
                    self.expire();
                }
            }
        }
        Ok(None)
    }

    fn expire(&mut self) {
        while self.queue.front().is_some_and(|call| call.deadline.has_passed())
            && let Some(call) = self.queue.pop_front()
        {
            self.miss(call);
        }
    }

    fn miss(&self, call: Call) {
        self.shared.stats.deadlines_missed.add(1);
        call.fail(StoreError::Unavailable("no connection was free in time".into()));
    }

    /// Answers everything that is queued or comes in that the store is not available.
    async fn refuse_until(&mut self, until: Instant, problem: &str) -> Result<(), Closed> {
        let refuse = |call: Call| call.fail(StoreError::Unavailable(problem.to_owned()));
        self.queue.drain(..).for_each(refuse);
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return Ok(()),
                call = self.incoming.recv() => match call {
                    Some(call) => refuse(call),
                    None => return Err(Closed),
                },
            }
        }
    }
}

fn report(error: &ConnectError) {
    match error {
        ConnectError::Unreachable(reason) => {
            tracing::warn!(reason, "no connection to Redis; trying again until there is one");
        }
        ConnectError::Foreign(reason) => {
            tracing::error!(reason, "this Redis is not usable; answering 503 until it is");
        }
    }
}
