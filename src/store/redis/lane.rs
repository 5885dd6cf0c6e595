//! A lane: one pipelined connection that many requests share, and that heals itself.
//!
//! Calls queue up while the lane's task is busy elsewhere, and travel together in the next batch,
//! so that batches grow with the load and a single call waits for nobody. A call that never was
//! handed to a connection is answered `Unavailable`, which promises that nothing was applied; one
//! that was is answered by its batch. Sent again, within its deadline, is only what can do no harm:
//! what Redis provably did not run, a tap whose record makes the second run a replay, a read.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::address::Node;
use super::batch::{Back, Batch};
use super::call::Call;
use super::connection::{Broken, Connection};
use super::routes::WayBack;
use super::script::Script;
use crate::store::StoreError;

/// The most items of one script call. Redis does nothing else meanwhile: about 0.3 ms.
const MAX_BATCH: usize = 64;

/// The wait between attempts to connect: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// The wait before a call is sent again the second time, and the longest: doubled from one to the
/// other. Its deadline ends it.
const FIRST_DELAY: Duration = Duration::from_millis(10);
const LAST_DELAY: Duration = Duration::from_millis(320);

/// The lane's task. It ends when the last sender of `incoming` is gone.
pub(super) struct Lane {
    shared: Arc<Shared>,
    incoming: mpsc::Receiver<Call>,
    /// For calls that come back later, perhaps to another lane.
    way_back: WayBack,
    /// Which node of a cluster it goes to, if it is one.
    node: Option<Node>,
    /// Taken from `incoming`, not yet handed to a connection.
    queue: VecDeque<Call>,
    /// A reused buffer between `incoming` and `queue`.
    taken: Vec<Call>,
    /// How many calls travel in the next batch at most.
    at_once: usize,
    /// Nobody holds the lane any more.
    closed: bool,
    /// Looks out for another primary for as long as there is this lane.
    _lookout: Option<AbortOnDropHandle<()>>,
}

/// Nobody holds the lane any more.
struct Closed;

impl Lane {
    pub(super) fn new(
        shared: Arc<Shared>,
        incoming: mpsc::Receiver<Call>,
        way_back: WayBack,
        node: Option<Node>,
    ) -> Self {
        let (queue, taken) = (VecDeque::new(), Vec::new());
        let lookout = node.is_none().then(|| {
            let shared = Arc::clone(&shared);
            AbortOnDropHandle::new(tokio::spawn(async move { shared.look_out().await }))
        });
        let (at_once, closed) = (MAX_BATCH, false);
        Self { shared, incoming, way_back, node, queue, taken, at_once, closed, _lookout: lookout }
    }

    pub(super) async fn run(mut self) {
        while !self.closed {
            // Ends early only when nobody holds the lane any more.
            let _ = self.connect_and_serve().await;
        }
        // What was not sent belongs to another lane, if there is one.
        for call in std::mem::take(&mut self.queue) {
            match self.way_back.upgrade() {
                Some(way_in) => way_in.send(call),
                None => call.fail(StoreError::Unavailable("the service is stopping".into())),
            }
        }
    }

    async fn connect_and_serve(&mut self) -> Result<(), Closed> {
        let connection = self.connect().await?;
        self.shared.stats.connected.add(1);
        let end = self.serve(&connection).await;
        self.shared.stats.connected.sub(1);
        let Broken { reason, by_refusal } = end?;
        let what = format!("lost the connection to Redis at {}", self.place());
        self.shared.warnings.about(&format!("{what}: {reason}"));
        // A server that lets everybody in and throws everybody out is not asked all the time.
        if by_refusal {
            let replaced = connection.standing.until_lost();
            self.refuse_until(Instant::now() + LAST_PAUSE, &reason, replaced).await?;
        }
        Ok(())
    }

    /// Where it goes, for people.
    fn place(&self) -> String {
        match &self.node {
            Some(node) => node.to_string(),
            None => self.shared.connector.place.clone(),
        }
    }

    /// Opens a connection, however long it takes. Calls wait for the first attempt; once it is
    /// known that Redis cannot be reached they are told so at once.
    async fn connect(&mut self) -> Result<Arc<Connection>, Closed> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (shared, node, place) = (Arc::clone(&self.shared), self.node.clone(), self.place());
            // Before the attempt, so that news which come while it fails are not missed.
            let mut reachable = shared.reachable.subscribe();
            let opened = self.minding_the_queue(shared.connector.open(node.as_ref())).await;
            if self.closed {
                return Err(Closed);
            }
            match opened {
                Ok(connection) => {
                    self.shared.stats.connections_opened.add(1);
                    self.shared.reachable.send_replace(());
                    self.shared.warnings.settled(&format!("connected to Redis at {place}"));
                    return Ok(Arc::new(connection));
                }
                Err(error) => {
                    self.shared.stats.connect_failures.add(1);
                    let problem = error.to_string();
                    self.shared.warnings.about(&format!(
                        "cannot use Redis at {place}: {problem}; trying again, answering 503"
                    ));
                    let news = async { drop(reachable.changed().await) };
                    self.refuse_until(Instant::now() + pause, &problem, news).await?;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Sends batches until the connection breaks; says why it did.
    async fn serve(&mut self, connection: &Arc<Connection>) -> Result<Broken, Closed> {
        loop {
            if self.queue.is_empty() {
                tokio::select! {
                    biased;
                    taken = self.incoming.recv_many(&mut self.taken, MAX_BATCH) => {
                        if taken == 0 {
                            self.closed = true;
                            return Err(Closed);
                        }
                        self.take_in();
                    }
                    reason = connection.until_broken() => return Ok(reason),
                }
            }
            if let Some(reason) = connection.broken() {
                return Ok(reason);
            }
            self.fill_up();
            let batches = self.next_batches(connection);
            let sent = join_all(batches.into_iter().map(Batch::run));
            let back = self.minding_the_queue(sent).await;
            // Last first, so that the first is at the front.
            for Back { next, again, read } in back.into_iter().rev() {
                again.into_iter().rev().for_each(|call| self.send_again(call));
                next.into_iter().rev().for_each(|call| self.queue.push_front(call));
                // A call of reads that costs much has few of them, so that few are sent in vain.
                self.at_once = read.unwrap_or(self.at_once.saturating_mul(2)).clamp(1, MAX_BATCH);
            }
            if self.closed {
                return Err(Closed);
            }
        }
    }

    /// Takes in a call that came back: at once the first time, after a while from then on. In a
    /// cluster it may belong to another lane by then.
    fn send_again(&mut self, mut call: Call) {
        call.returns = call.returns.saturating_add(1);
        self.shared.stats.calls_sent_again.add(1);
        if call.returns == 1 && self.node.is_none() {
            return self.queue.push_front(call);
        }
        // What is sent in the last moment comes to nothing but doubt.
        let left = Instant::from_std(call.deadline.0).saturating_duration_since(Instant::now());
        if left < FIRST_DELAY {
            return call.fail(StoreError::Unavailable("refused until its time was up".into()));
        }
        let doubled = 2_u32.saturating_pow(call.returns.saturating_sub(2).into());
        let delay = FIRST_DELAY.saturating_mul(doubled).min(LAST_DELAY).min(left / 2);
        let way_back = self.way_back.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            match way_back.upgrade() {
                Some(way_in) => way_in.send(call),
                None => call.fail(StoreError::Unavailable("the service is stopping".into())),
            }
        });
    }

    /// Takes the next calls from the queue, as one script call for each verb among them; in a
    /// cluster also for each partition, since the keys of a script call share a slot.
    fn next_batches(&mut self, connection: &Arc<Connection>) -> Vec<Batch> {
        let mut by_script = Script::ALL.map(|_| Vec::new());
        let mut left = self.at_once;
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
        let batch = |script, calls| Batch {
            script,
            calls,
            shared: Arc::clone(&self.shared),
            connection: Arc::clone(connection),
        };
        let filled = Script::ALL.into_iter().zip(by_script).filter(|(_, calls)| !calls.is_empty());
        if self.node.is_none() {
            return filled.map(|(script, calls)| batch(script, calls)).collect();
        }
        let apart = filled.flat_map(|(script, calls)| {
            by_partition(calls).into_iter().map(move |calls| (script, calls))
        });
        apart.map(|(script, calls)| batch(script, calls)).collect()
    }

    /// Takes what has come in meanwhile, as far as one batch has room.
    fn fill_up(&mut self) {
        while self.queue.len() < MAX_BATCH
            && let Ok(call) = self.incoming.try_recv()
        {
            self.taken.push(call);
            self.take_in();
        }
    }

    /// Lines up what was taken. Calls that come back are the oldest: their deadlines come first.
    fn take_in(&mut self) {
        for call in self.taken.drain(..) {
            if call.returns > 0 {
                self.queue.push_front(call);
            } else {
                self.queue.push_back(call);
            }
        }
    }

    /// Runs `work` to its end, and meanwhile takes in calls and answers those whose deadline comes.
    async fn minding_the_queue<F: Future>(&mut self, work: F) -> F::Output {
        tokio::pin!(work);
        loop {
            let first = self.queue.front().map(|call| Instant::from_std(call.deadline.0));
            let expiry = tokio::time::sleep_until(first.unwrap_or_else(Instant::now));
            let bound = self.shared.queue_bound;
            let free = (bound / 2).max(1).saturating_sub(self.queue.len());
            tokio::select! {
                biased;
                output = &mut work => return output,
                taken = self.incoming.recv_many(&mut self.taken, free),
                    if free > 0 && !self.closed =>
                {
                    self.closed = taken == 0;
                    self.take_in();
                }
                () = expiry, if first.is_some() => {
                    self.expire();
                }
            }
        }
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

    /// Answers everything that is queued or comes in that the store is not available; until then,
    /// or until there are news.
    async fn refuse_until(
        &mut self,
        until: Instant,
        problem: &str,
        news: impl Future<Output = ()>,
    ) -> Result<(), Closed> {
        for call in std::mem::take(&mut self.queue) {
            self.refuse(call, problem);
        }
        tokio::pin!(news);
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = &mut news => return Ok(()),
                call = self.incoming.recv() => match call {
                    Some(call) => self.refuse(call, problem),
                    None => {
                        self.closed = true;
                        return Err(Closed);
                    }
                },
            }
        }
    }

    /// A call that has come back goes on trying: its answer may depend on it.
    fn refuse(&mut self, call: Call, problem: &str) {
        if call.returns > 0 {
            self.send_again(call);
        } else {
            call.fail(StoreError::Unavailable(problem.to_owned()));
        }
    }
}

/// The calls of each partition by themselves, in the order in which they came.
fn by_partition(mut calls: Vec<Call>) -> Vec<Vec<Call>> {
    calls.sort_by_key(|call| call.partition().index());
    let mut apart: Vec<Vec<Call>> = Vec::new();
    for call in calls {
        match apart.last_mut() {
            Some(last) if last[0].partition() == call.partition() => last.push(call),
            _ => apart.push(vec![call]),
        }
    }
    apart
}
