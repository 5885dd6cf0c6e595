//! A lane: one pipelined connection that many requests share, and that reconnects by itself.
//!
//! While a batch is in flight, calls queue up and travel in the next one. So batches grow with the
//! load, and a single call waits for no others. Until the lane hands a call to a connection, it may
//! answer `Unavailable`, which promises that nothing was applied. Afterwards the batch answers. The
//! lane retries, within the deadline, only when a retry is safe: Redis did not run the call, or its
//! record makes the second run a replay, or it reads.

use std::collections::VecDeque;
use std::future::Future;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::batch::{Batch, Returned};
use super::call::Call;
use super::clock::StoreClock;
use super::context::LaneContext;
use super::link::Link;
use super::metrics::Share;
use super::retry_delay;
use crate::store::StoreError;
use crate::store::redis::net::{Broken, Node};

/// The most items of one script call. It blocks Redis for about 0.3 ms.
const MAX_BATCH: usize = 64;

/// The most work of one script call, in that of a tap. It blocks Redis for about 1.5 ms.
const MAX_WORK: usize = 300;

/// The backoff between attempts to connect: doubles from the first value to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// Takes calls for a retry, perhaps on another lane.
pub(super) trait Requeue: Clone + Send + 'static {
    /// Puts a call on the lane that has its partition now. Fails the call if there is none.
    fn requeue(&self, call: Call);
}

/// The lane's task. It ends when the last sender of `incoming` is gone.
pub(super) struct Lane<R> {
    context: Arc<LaneContext>,
    incoming: mpsc::Receiver<Call>,
    requeue: R,
    /// The node that the lane serves, in a cluster.
    node: Option<Node>,
    /// Calls taken from `incoming` and not yet handed to a connection.
    queue: VecDeque<Call>,
    /// A reused buffer between `incoming` and `queue`.
    taken: Vec<Call>,
    /// How many calls wait, at `/metrics`.
    waiting: Share,
    /// The most calls of the next batch.
    at_once: usize,
    /// Whether the last sender of `incoming` is gone.
    closed: bool,
    /// Watches for another primary while this lane exists.
    _primary_watch: Option<AbortOnDropHandle<()>>,
}

/// The last sender of `incoming` is gone.
struct Closed;

impl<R: Requeue> Lane<R> {
    pub(super) fn new(
        context: Arc<LaneContext>,
        incoming: mpsc::Receiver<Call>,
        requeue: R,
        node: Option<Node>,
    ) -> Self {
        let (queue, taken) = (VecDeque::new(), Vec::new());
        let waiting = Share::new(&context.stats, |stats| &stats.waiting);
        let primary_watch = node.is_none().then(|| {
            let context = Arc::clone(&context);
            AbortOnDropHandle::new(tokio::spawn(async move { context.watch_primary().await }))
        });
        Self {
            context,
            incoming,
            requeue,
            node,
            queue,
            taken,
            waiting,
            at_once: MAX_BATCH,
            closed: false,
            _primary_watch: primary_watch,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.closed {
            // Ends early only when the last sender is gone.
            let _ = self.connect_and_serve().await;
        }
        // Another lane may take the calls that were not sent.
        std::mem::take(&mut self.queue).into_iter().for_each(|call| self.requeue.requeue(call));
    }

    async fn connect_and_serve(&mut self) -> Result<(), Closed> {
        let link = self.connect().await?;
        self.context.stats.connected.add(1);
        let end = self.serve(&link).await;
        self.context.stats.connected.sub(1);
        let Broken { reason, by_refusal } = end?;
        let what = format!("lost the connection to Redis at {}", self.place());
        self.context.connection_warnings.about(&format!("{what}: {reason}"));
        // A pause, also for a server that accepts connections and then closes them.
        if by_refusal {
            let replaced = link.connection.lease.until_lost();
            self.refuse_until(Instant::now() + LAST_PAUSE, &reason, replaced).await?;
        }
        Ok(())
    }

    /// The server's place, for people.
    fn place(&self) -> String {
        match &self.node {
            Some(node) => node.to_string(),
            None => self.context.connector.place.clone(),
        }
    }

    /// Opens a connection, however long it takes. Calls wait for the first attempt. After it has
    /// failed, the lane fails them at once.
    async fn connect(&mut self) -> Result<Arc<Link>, Closed> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (context, node, place) =
                (Arc::clone(&self.context), self.node.clone(), self.place());
            // Subscribed before the attempt, so that the lane misses no news meanwhile.
            let mut reachable = context.reachable.subscribe();
            let opened = self.minding_the_queue(context.connector.open(node.as_ref())).await;
            if self.closed {
                return Err(Closed);
            }
            match opened {
                Ok(connection) => {
                    self.context.stats.connections_opened.add(1);
                    self.context.reachable.send_replace(());
                    self.context
                        .connection_warnings
                        .settled(&format!("connected to Redis at {place}"));
                    let clock = StoreClock::new(connection.server_micros);
                    return Ok(Arc::new(Link { connection, clock }));
                }
                Err(error) => {
                    self.context.stats.connect_failures.add(1);
                    let problem = error.to_string();
                    self.context.connection_warnings.about(&format!(
                        "cannot use Redis at {place}: {problem}; trying again, answering 503"
                    ));
                    let news = async { drop(reachable.changed().await) };
                    self.refuse_until(Instant::now() + pause, &problem, news).await?;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Sends batches until the connection breaks; returns why it broke.
    async fn serve(&mut self, link: &Arc<Link>) -> Result<Broken, Closed> {
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
                    reason = link.connection.until_broken() => return Ok(reason),
                }
            }
            if let Some(reason) = link.connection.broken() {
                return Ok(reason);
            }
            self.fill_up();
            let batches = self.next_batches(link);
            self.show_waiting();
            let sent = join_all(batches.into_iter().map(Batch::run));
            let returned = self.minding_the_queue(sent).await;
            // In reverse, so that the first call ends up at the front.
            for Returned { next, again, read } in returned.into_iter().rev() {
                again.into_iter().rev().for_each(|call| self.send_again(call));
                next.into_iter().rev().for_each(|call| self.queue.push_front(call));
                // If reads are expensive, a batch gets few of them, so that few remain unread.
                self.at_once = read.unwrap_or(self.at_once.saturating_mul(2)).clamp(1, MAX_BATCH);
            }
            if self.closed {
                return Err(Closed);
            }
        }
    }

    /// Retries a call: at once the first time, after a delay from then on. In a cluster another
    /// lane may have its partition by then.
    fn send_again(&mut self, mut call: Call) {
        call.returns = call.returns.saturating_add(1);
        self.context.stats.calls_sent_again.add(1);
        if call.returns == 1 && self.node.is_none() {
            return self.queue.push_front(call);
        }
        let left = Instant::from_std(call.deadline.0).saturating_duration_since(Instant::now());
        let Some(delay) = retry_delay::of(call.returns, left) else {
            return call.fail(StoreError::Unavailable("refused until its time was up".into()));
        };
        let requeue = self.requeue.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            requeue.requeue(call);
        });
    }

    /// Takes the next calls from the queue: one batch for each script. In a cluster also one for
    /// each partition, since the keys of a script call must share a slot.
    fn next_batches(&mut self, link: &Arc<Link>) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let (mut left, mut work) = (self.at_once, MAX_WORK);
        while left > 0
            && work > 0
            && let Some(call) = self.queue.pop_front()
        {
            // One that is more work than a batch may be goes alone.
            let weight = call.item.weight();
            if weight > work && work < MAX_WORK {
                self.queue.push_front(call);
                break;
            }
            work = work.saturating_sub(weight);
            if call.deadline.has_passed() {
                self.miss(call);
            } else if !call.item.is_abandoned() {
                let script = call.script();
                let partition = self.node.is_some().then(|| call.partition());
                let fits = |batch: &&mut Batch| {
                    ptr::eq(batch.script, script) && batch.partition == partition
                };
                match batches.iter_mut().find(fits) {
                    Some(batch) => batch.calls.push(call),
                    None => batches.push(Batch {
                        script,
                        partition,
                        calls: vec![call],
                        context: Arc::clone(&self.context),
                        link: Arc::clone(link),
                    }),
                }
                left -= 1;
            }
        }
        batches
    }

    /// Takes calls that came in meanwhile, up to one batch.
    fn fill_up(&mut self) {
        while self.queue.len() < MAX_BATCH
            && let Ok(call) = self.incoming.try_recv()
        {
            self.taken.push(call);
            self.take_in();
        }
    }

    /// Queues the calls taken. Retried calls are the oldest and have the earliest deadlines, so
    /// they go first.
    fn take_in(&mut self) {
        for call in self.taken.drain(..) {
            if call.returns > 0 {
                self.queue.push_front(call);
            } else {
                self.queue.push_back(call);
            }
        }
    }

    /// Runs `work` to its end. Meanwhile takes in calls, and answers those whose deadline passes.
    async fn minding_the_queue<F: Future>(&mut self, work: F) -> F::Output {
        tokio::pin!(work);
        loop {
            self.show_waiting();
            let first = self.queue.front().map(|call| Instant::from_std(call.deadline.0));
            let expiry = tokio::time::sleep_until(first.unwrap_or_else(Instant::now));
            let bound = self.context.queue_bound;
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

    fn show_waiting(&mut self) {
        self.waiting.set(self.queue.len() + self.incoming.len());
    }

    fn expire(&mut self) {
        while self.queue.front().is_some_and(|call| call.deadline.has_passed())
            && let Some(call) = self.queue.pop_front()
        {
            self.miss(call);
        }
    }

    fn miss(&self, call: Call) {
        self.context.stats.deadlines_missed.add(1);
        call.fail(StoreError::Unavailable("no connection was free in time".into()));
    }

    /// Answers every call with "unavailable", until the given time or until there is news.
    async fn refuse_until(
        &mut self,
        until: Instant,
        problem: &str,
        news: impl Future<Output = ()>,
    ) -> Result<(), Closed> {
        for call in std::mem::take(&mut self.queue) {
            self.refuse(call, problem);
        }
        self.show_waiting();
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

    /// The lane goes on retrying a call that came back: a retry may be the only way to learn
    /// whether it ran.
    fn refuse(&mut self, call: Call, problem: &str) {
        if call.returns > 0 {
            self.send_again(call);
        } else {
            call.fail(StoreError::Unavailable(problem.to_owned()));
        }
    }
}
