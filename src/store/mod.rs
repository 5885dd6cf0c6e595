//! Where the state lives: one trait with its laws, and the stores that keep them.
//!
//! The laws are run against every store by `tests/it/contract.rs`, by their numbers.

mod change_log;
mod error;
pub mod file;
mod follow;
pub mod memory;
mod record_budget;
pub mod redis;
mod stats;
mod throttled;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use change_log::{ChangeLog, LogCursor, LogPage};
pub use error::StoreError;
pub use follow::{News, WatchedPartitions};
pub use stats::{Counter, FileStats, LaneStats};
pub use throttled::{Severity, ThrottledWarnings};
use tokio::sync::mpsc;

use crate::domain::{
    Change, Micros, Outcome, Partition, Position, PostId, Reaction, ReactorsPage, Summary, Tap,
    UserId,
};

/// The time by which a question must be answered. A write that has not been applied by then is
/// never applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline that far from now.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// Whether it has gone by.
    pub fn has_passed(&self) -> bool {
        Instant::now() > self.0
    }
}

/// The clock of the embedded stores. A Redis has its own.
fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// How long, and how much, a store keeps of what is not state.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How long an entry of the change log is kept.
    pub change_log: Duration,
    /// How many entries the log of a partition keeps at most, give or take a hundred.
    pub change_log_entries: u32,
    /// How long the record is kept of what was answered to a tap with an idempotency key.
    pub records: Duration,
    /// How many records the taps of this process keep alive at most.
    pub most_records: u32,
}

impl Default for Retention {
    /// An hour and 10,000 entries a partition; ten minutes and two million records.
    fn default() -> Self {
        Self {
            change_log: Duration::from_secs(3600),
            change_log_entries: 10_000,
            records: Duration::from_secs(600),
            most_records: 2_000_000,
        }
    }
}

/// Which summaries, and with what.
#[derive(Clone, Debug)]
pub struct SummaryQuery {
    /// The posts, in the order in which they are to be answered.
    pub posts: Vec<PostId>,
    /// Whose flags to answer as `mine`.
    pub viewer: Option<UserId>,
    /// How many of the newest users of each reaction to add.
    pub recent: usize,
}

/// Which reactors.
#[derive(Clone, Debug)]
pub struct ReactorsQuery {
    /// On which post.
    pub post: PostId,
    /// Of which reaction; of all if there is none.
    pub reaction: Option<Reaction>,
    /// Behind which place; from the newest if there is none.
    pub after: Option<Position>,
    /// At most how many.
    pub limit: usize,
}

/// A place in the change log of one partition. Later entries have greater places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// Milliseconds of the store's clock since 1970.
    pub millis: u64,
    /// The number of the entry within that millisecond.
    pub sequence: u64,
}

/// An entry of the change log at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it is.
    pub position: LogPosition,
    /// What it says.
    pub change: Change,
}

/// Keeps reactions, and counts every tap exactly once.
///
/// The laws, for every store:
///
/// 1. **One step.** A tap is one atomic step: flag, count, revision and change-log entry move
///    together or not at all.
/// 2. **Right verb.** `Toggle` flips, `Set` turns on, `Unset` turns off; `changed` is true exactly
///    if the flag is not what it was, and only then is anything written (but see 3).
/// 3. **True count.** `count` is the number of users that have the reaction when the step ends, at
///    least 0. If something else has falsified what is kept of it, the next tap heals that and
///    raises the revision, also if it changes no flag; the log has no entry for that.
/// 4. **Order.** The revisions of one post's changes rise strictly, in the order in which they took
///    place, also within one microsecond and when the clock goes back. A tap without effect answers
///    the revision as it is. A post without state answers the *floor* of its partition: the
///    greatest revision of any of its posts that became empty, 0 at first. The first change of a
///    post lies above the floor; a floor never falls.
/// 5. **Reads see writes.** What is read after a tap's answer contains that tap. A summary's counts
///    and its revision are of one moment.
/// 6. **Order of answers.** Summaries come in the order asked, every post present; reactions by
///    count descending, then by name; no zero counts. `mine` is the viewer's own.
/// 7. **Newest first.** Reactors are listed as [`Reactor`](crate::domain::Reactor) orders them, and
///    pages meet without a gap or a double, also across equal times.
/// 8. **Change log.** Every change has one entry in its partition's log, in the order of the
///    revisions of its post; what changed nothing has none.
/// 9. **Deadline.** A write whose deadline has passed before its step is refused as
///    [`StoreError::Unavailable`] and never applied. An answer comes by the deadline.
/// 10. **Honest errors.** Only [`StoreError::OutcomeUnknown`] leaves open whether the tap was
///     applied; every other error means that nothing was.
/// 11. **Batches.** Taps that travel together fail or succeed each by itself.
/// 12. **Keys.** Of all taps with one idempotency key, one at the most is applied for as long as
///     records are kept; the others answer what it answered, as `replayed`, and write nothing. The
///     record is written in the tap's own step, and only for a success, also one without a change.
///     A key that was used for another verb, body or reaction is refused as
///     [`StoreError::KeyReused`].
/// 13. **News.** Who follows a partition hears that it is [`Following`](News::Following), or that
///     it is [`Lost`](News::Lost). Between the two every change in it is told: its post as
///     [`Changed`](News::Changed), or, where that would be too much or may have been missed, the
///     partition as `Following` anew. What is told can be read. Partitions that are not watched
///     are silent.
pub trait Store: Clone + Send + Sync + 'static {
    /// Applies one tap.
    fn tap(
        &self,
        tap: Tap,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + Send;

    /// Reads the summaries of some posts.
    fn summaries(
        &self,
        query: SummaryQuery,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Vec<Summary>, StoreError>> + Send;

    /// Reads a page of reactors.
    fn reactors(
        &self,
        query: ReactorsQuery,
        deadline: Deadline,
    ) -> impl Future<Output = Result<ReactorsPage, StoreError>> + Send;

    /// Follows the logs of the watched partitions and tells what it hears, until nobody listens.
    fn follow(
        &self,
        watched: WatchedPartitions,
        news: mpsc::Sender<News>,
    ) -> impl Future<Output = ()> + Send;

    /// Runs the real write path on something that no caller can reach, and leaves nothing behind.
    fn probe(&self, deadline: Deadline) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The store that the configuration chose.
#[derive(Clone, Debug)]
pub enum AnyStore {
    /// State of this process.
    Memory(memory::MemoryStore),
    /// State in a file.
    File(file::FileStore),
    /// State in a Redis.
    Redis(redis::RedisStore),
}

impl AnyStore {
    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::File(_) => "file",
            Self::Redis(_) => "redis",
        }
    }
}

/// Where a store is, before anybody works with it.
#[derive(Clone, Debug)]
pub enum StoreSource {
    /// This process.
    Memory(memory::MemoryStore),
    /// A file, open, and where it is.
    File(file::FileStore, PathBuf),
    /// A Redis.
    Redis(redis::RedisSource),
}

impl StoreSource {
    /// A store whose work runs on the current runtime. All stores of one source share its state.
    pub fn attach(&self) -> AnyStore {
        match self {
            Self::Memory(store) => AnyStore::Memory(store.clone()),
            Self::File(store, _) => AnyStore::File(store.clone()),
            Self::Redis(source) => AnyStore::Redis(source.attach()),
        }
    }

    /// Where it is, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Memory(_) => "in memory".into(),
            Self::File(_, path) => format!("in the file {}", path.display()),
            Self::Redis(source) => format!("in Redis at {}", source.place()),
        }
    }

    /// What the lanes have done so far; a store without lanes has none.
    pub fn lane_stats(&self) -> Option<Arc<LaneStats>> {
        match self {
            Self::Memory(_) | Self::File(..) => None,
            Self::Redis(source) => Some(source.lane_stats()),
        }
    }

    /// What the writer of the file has done so far, if there is a file.
    pub fn file_stats(&self) -> Option<Arc<FileStats>> {
        match self {
            Self::File(store, _) => Some(store.stats()),
            Self::Memory(_) | Self::Redis(_) => None,
        }
    }
}

/// The same call on whichever store it is.
macro_rules! on_store {
    ($any:ident, $store:ident => $call:expr) => {
        match $any {
            AnyStore::Memory($store) => $call,
            AnyStore::File($store) => $call,
            AnyStore::Redis($store) => $call,
        }
    };
}

impl Store for AnyStore {
    async fn tap(&self, tap: Tap, deadline: Deadline) -> Result<Outcome, StoreError> {
        on_store!(self, store => store.tap(tap, deadline).await)
    }

    async fn summaries(
        &self,
        query: SummaryQuery,
        deadline: Deadline,
    ) -> Result<Vec<Summary>, StoreError> {
        on_store!(self, store => store.summaries(query, deadline).await)
    }

    async fn reactors(
        &self,
        query: ReactorsQuery,
        deadline: Deadline,
    ) -> Result<ReactorsPage, StoreError> {
        on_store!(self, store => store.reactors(query, deadline).await)
    }

    async fn follow(&self, watched: WatchedPartitions, news: mpsc::Sender<News>) {
        on_store!(self, store => store.follow(watched, news).await);
    }

    async fn probe(&self, deadline: Deadline) -> Result<(), StoreError> {
        on_store!(self, store => store.probe(deadline).await)
    }
}

impl ChangeLog for AnyStore {
    async fn read(
        &self,
        partition: Partition,
        after: Option<LogCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<LogPage, StoreError> {
        on_store!(self, store => store.read(partition, after, limit, deadline).await)
    }
}
