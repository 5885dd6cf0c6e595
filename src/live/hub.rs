//! The hub: one task that follows the log, reads what has changed, and hands it out.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::board::{Board, Read, Topic};
use super::inbox::{Event, Inbox};
use super::stats::LiveStats;
use crate::domain::{PostId, Summary};
use crate::store::{Deadline, Store, StoreError, SummaryQuery};

/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// The news that wait for the hub.
const NEWS: usize = 64;

/// Makes an event's text of a summary with so many of the newest users.
type Encode = fn(Summary, usize) -> Bytes;

/// Where streams are joined to what they watch. One for the whole process; clones are the same.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    board: Mutex<Board>,
    /// Somebody has joined or left.
    moved: Notify,
    stats: Arc<LiveStats>,
    most_streams: usize,
}

/// Why a stream does not begin.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Refused {
    /// There are as many as there may be.
    #[error("as many streams are open as there is room for")]
    Full,
    /// There will be none any more.
    #[error("the service is stopping")]
    Stopping,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// A hub with room for so many streams.
    pub fn new(most_streams: usize) -> Self {
        let stats = Arc::new(LiveStats::default());
        let board = Mutex::new(Board::new(Arc::clone(&stats)));
        Self(Arc::new(Shared { board, moved: Notify::new(), stats, most_streams }))
    }

    /// What the streams have done.
    pub fn stats(&self) -> Arc<LiveStats> {
        Arc::clone(&self.0.stats)
    }

    /// Watches posts, at most 256, each named once.
    ///
    /// # Errors
    ///
    /// When there is no room, or the service is stopping.
    pub fn watch(&self, posts: Vec<PostId>, recent: usize) -> Result<Watching, Refused> {
        let topics: Box<[Topic]> = posts.into_iter().map(|post| Topic { post, recent }).collect();
        let inbox = Arc::new(Inbox::new(topics.len()));
        let mut board = self.0.board();
        if board.closed {
            return Err(Refused::Stopping);
        }
        // Counted under the lock: of two that come at once, one may be too many.
        if self.0.stats.streams.get() >= self.0.most_streams as u64 {
            self.0.stats.refused.add(1);
            return Err(Refused::Full);
        }
        self.0.stats.streams.add(1);
        board.join(&topics, &inbox, Instant::now());
        drop(board);
        self.0.moved.notify_one();
        Ok(Watching { hub: self.clone(), topics, inbox })
    }

    /// Runs until `stop`, then ends all streams. The store is attached when the first one begins.
    pub async fn run<S: Store>(
        &self,
        attach: impl FnOnce() -> S,
        encode: Encode,
        stop: CancellationToken,
    ) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.0.moved.notified() => self.serve(attach(), encode, stop).await,
        }
        self.0.board().close();
    }

    async fn serve<S: Store>(&self, store: S, encode: Encode, stop: CancellationToken) {
        let (watch, watched) = watch::channel(BTreeSet::new());
        let (teller, mut news) = mpsc::channel(NEWS);
        let mut following = pin!(store.follow(watched, teller));
        let mut reads = FuturesUnordered::new();
        loop {
            let round = self.0.board().round(Instant::now());
            round.watched.into_iter().for_each(|watched| drop(watch.send_replace(watched)));
            reads.extend(round.reads.into_iter().map(|due| read(&store, due, encode)));
            let next = round.next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.moved.notified() => {}
                Some(news) = news.recv() => self.0.board().hear(news, Instant::now()),
                Some((read, events)) = reads.next() => {
                    self.0.board().deliver(&read, events.as_deref(), Instant::now());
                }
                // It ends only when nobody listens.
                () = &mut following => return,
                () = sleep_until(next.into()) => {}
            }
        }
    }
}

async fn read<S: Store>(store: &S, read: Read, encode: Encode) -> (Read, Option<Vec<Event>>) {
    let query = SummaryQuery { posts: read.posts.clone(), viewer: None, recent: read.recent };
    let event = |summary: Summary| Event {
        revision: summary.revision,
        blank: summary.is_blank(),
        text: encode(summary, read.recent),
    };
    let found = store.summaries(query, Deadline::after(READ_TIMEOUT)).await;
    let events = found.ok().map(|found| found.into_iter().map(event).collect());
    (read, events)
}

/// A stream's place at the hub; dropped, it watches no more.
#[derive(Debug)]
pub struct Watching {
    hub: Hub,
    topics: Box<[Topic]>,
    inbox: Arc<Inbox>,
}

impl Watching {
    /// Waits until there is a snapshot of every post.
    ///
    /// # Errors
    ///
    /// If there is none by the deadline, or the service stops.
    pub async fn ready(&self, deadline: Deadline) -> Result<(), StoreError> {
        let complete = std::future::poll_fn(|cx| self.inbox.poll_complete(cx));
        match tokio::time::timeout_at(deadline.0.into(), complete).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::Unavailable("the stream was ended".into())),
            Err(_) => Err(StoreError::Unavailable("no snapshot in time".into())),
        }
    }

    /// The next event to send, encoded; none at the end of the stream.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let next = self.inbox.poll_next(cx);
        if let Poll::Ready(Some(_)) = next {
            self.hub.0.stats.sent.add(1);
        }
        next
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.hub.0.board().leave(&self.topics, &self.inbox);
        self.hub.0.stats.streams.sub(1);
        self.hub.0.moved.notify_one();
    }
}
