//! The hub: one task that follows the log, reads posts that are due, and gives events to the
//! streams.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::yield_now;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::mailbox::Event;
use super::refused::Refused;
use super::registry::{Arrivals, SubscriptionRegistry};
use super::scheduler::{Outcome, Scheduler, Started};
use super::stats::LiveStats;
use super::subscription::{STALE, Subscription, Topic};
use crate::domain::{PostId, Summary};
use crate::store::{Deadline, Store, StoreError, SummaryQuery};

/// The timeout of a read.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// The capacity of the hub's news channel.
const NEWS: usize = 64;

/// The most items of one kind that the hub takes before it turns to the others.
const AT_ONCE: usize = 64;

/// Encodes a summary with this many of its newest users as the text of an event.
type Encode = fn(Summary, usize) -> Bytes;

/// Connects streams to the posts that they watch. One for the whole process; clones share it.
#[derive(Clone, Debug)]
pub struct Hub {
    registry: Arc<SubscriptionRegistry>,
    /// Taken when the hub runs.
    arrivals: Arc<Mutex<Option<Arrivals>>>,
}

impl Hub {
    /// A hub for at most `most_streams` streams.
    pub fn new(most_streams: usize) -> Self {
        let (registry, arrivals) = SubscriptionRegistry::new(most_streams);
        Self { registry: Arc::new(registry), arrivals: Arc::new(Mutex::new(Some(arrivals))) }
    }

    /// The counters of the streams.
    pub fn stats(&self) -> Arc<LiveStats> {
        Arc::clone(&self.registry.stats)
    }

    /// Watches posts: at most 256, none twice.
    ///
    /// # Errors
    ///
    /// If there is no room, the store is away, or the service is stopping.
    pub async fn watch(&self, posts: Vec<PostId>, recent: usize) -> Result<Watching, Refused> {
        let recent = u8::try_from(recent).unwrap_or(u8::MAX);
        let topics = posts.into_iter().map(|post| Topic { post, recent }).collect();
        let (subscription, permit) = self.registry.join_in_time(topics).await?;
        let registry = Arc::clone(&self.registry);
        registry.stats.streams.add(1);
        let progress = registry.progress();
        Ok(Watching { registry, subscription, progress, permit: Some(permit) })
    }

    /// Runs until `stop`, then ends all streams. Attaches the store when the first stream begins.
    pub async fn run<S: Store>(
        &self,
        attach: impl FnOnce() -> S,
        encode: Encode,
        stop: CancellationToken,
    ) {
        let arrivals = self.arrivals.lock().take();
        if let Some(arrivals) = arrivals {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.registry.until_moved() => {
                    self.serve(attach(), encode, arrivals, &stop).await;
                }
            }
        }
        self.registry.close();
    }

    async fn serve<S: Store>(
        &self,
        store: S,
        encode: Encode,
        mut arrivals: Arrivals,
        stop: &CancellationToken,
    ) {
        let (watch, watched) = watch::channel(BTreeSet::new());
        let (teller, mut news) = mpsc::channel(NEWS);
        let mut following = pin!(store.follow(watched, teller));
        let reader = Reader { store: &store, encode, hasher: RandomState::new() };
        let mut reads = FuturesUnordered::new();
        let mut scheduler = Scheduler::new(Arc::clone(&self.registry), Instant::now());
        loop {
            let now = Instant::now();
            let next = scheduler.tick(now);
            scheduler.followed.take_anew().map(|followed| watch.send_replace(followed));
            while let Some(started) = scheduler.next_read(now) {
                reads.push(reader.read(started));
            }
            let next = next.into_iter().chain(scheduler.next_change()).min();
            let next = next.unwrap_or_else(|| now + Duration::from_secs(3600));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.registry.until_moved() => {}
                Some(stream) = arrivals.recv() => {
                    scheduler.arrived(stream);
                    let more = std::iter::from_fn(|| arrivals.try_recv().ok());
                    more.take(AT_ONCE).for_each(|stream| scheduler.arrived(stream));
                }
                Some(news) = news.recv() => scheduler.hear(news, Instant::now()),
                Some(first) = reads.next() => {
                    let more = std::iter::from_fn(|| reads.next().now_or_never().flatten());
                    let done: Vec<_> = std::iter::once(first).chain(more.take(AT_ONCE)).collect();
                    let now = Instant::now();
                    done.iter().for_each(|(read, outcome)| scheduler.done(read, outcome, now));
                    if done.len() > AT_ONCE {
                        // Yields, since a store that answers at once would starve the timers.
                        yield_now().await;
                    }
                }
                // It ends only when the receiver is closed.
                () = &mut following => return,
                () = sleep_until(next.into()) => {}
            }
        }
    }
}

/// Reads posts one by one, so that a post that cannot be read does not block the others.
struct Reader<'a, S> {
    store: &'a S,
    encode: Encode,
    hasher: RandomState,
}

impl<S: Store> Reader<'_, S> {
    async fn read(&self, started: Started) -> (Started, Outcome) {
        let Topic { post, recent } = started.read.topic;
        let recent = usize::from(recent);
        let query = SummaryQuery { posts: vec![post], viewer: None, recent };
        let found = self.store.summaries(query, Deadline::after(READ_TIMEOUT)).await;
        let outcome = match found.map(|mut found| found.pop()) {
            Ok(Some(summary)) => Outcome::Found(self.event(summary, recent)),
            Ok(None) | Err(StoreError::Damaged(_)) => Outcome::Damaged,
            Err(_) => Outcome::Away,
        };
        (started, outcome)
    }

    fn event(&self, summary: Summary, recent: usize) -> Event {
        let (revision, blank) = (summary.revision, summary.is_blank());
        let text = (self.encode)(summary, recent);
        Event { revision, hash: self.hasher.hash_one(&text), blank, text }
    }
}

/// A stream's subscription at the hub. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watching {
    registry: Arc<SubscriptionRegistry>,
    subscription: Arc<Subscription>,
    /// The registry's progress at the last check.
    progress: u64,
    /// None only while this is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

impl Watching {
    /// Whether there is an event to send, or the stream has ended.
    pub fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        self.subscription.mailbox.poll_ready(cx)
    }

    /// The next event to send, encoded; None at the end of the stream.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let next = self.subscription.mailbox.poll_next(cx);
        if let Poll::Ready(Some(_)) = next {
            self.registry.stats.sent.add(1);
        }
        next
    }

    /// The delay before the client reconnects; it differs between streams.
    pub fn retry(&self) -> Duration {
        self.subscription.retry()
    }

    /// Ends the stream if it still lacks snapshots after its patience, unless some stream got one
    /// meanwhile. Returns when to check again; None if it has all snapshots or has ended.
    pub fn look(&mut self, now: Instant) -> Option<Instant> {
        if self.subscription.mailbox.is_complete() {
            return None;
        }
        let first = self.subscription.since + self.subscription.patience();
        if now < first {
            return Some(first);
        }
        let progress = self.registry.progress();
        if std::mem::replace(&mut self.progress, progress) != progress {
            return Some(now + STALE);
        }
        if self.subscription.mailbox.close() {
            self.registry.stats.closed_stale.add(1);
        }
        None
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.registry.leave(&self.subscription);
        // The place is free before the count falls, so a client that sees room can join.
        drop(self.permit.take());
        self.registry.stats.streams.sub(1);
    }
}
