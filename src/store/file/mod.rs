//! The store in one file: a transactional engine (`redb`) behind one writer thread.
//!
//! The writer answers a tap when the disk has synced it. Taps that arrive meanwhile share the next
//! sync. Reads see the last commit. They wait for the commit in progress only if one of its taps
//! has passed its deadline: that tap must not appear after a read that did not see it.

mod backend;
mod backup;
mod file_error;
mod keys;
mod log;
mod open;
mod place;
mod read;
mod records;
mod step;
mod writer;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use backend::Source;
use backup::Holder;
pub use backup::{BackupError, BackupProgress, back_up, unfinished};
use file_error::{FileError, FileResult};
use open::Opener;
pub use open::{FileCheck, OpenError, check};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
pub use place::GONE;
use place::Place;
use redb::{Database, ReadTransaction, ReadableDatabase as _, StorageBackend};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout_at;
use writer::{Job, TapResult, Writer};

use super::follow::{self, EmbeddedLog, Written};
use super::record_budget::RecordBudget;
use super::{
    ChangeLog, Deadline, FileStats, LogCursor, LogEntry, LogPage, LogPosition, News, ReactorsQuery,
    Retention, Severity, Store, StoreError, SummaryQuery, ThrottledWarnings, WatchedPartitions,
};
use crate::domain::{Outcome, Partition, ReactorsPage, Summary, Tap};

/// The most large reads that run at a time.
const READERS: usize = 2;

/// The most large reads that wait for their turn; more are [`StoreError::Overloaded`].
const MOST_WAITING_READS: usize = 256;

/// Settings of a store file.
#[derive(Clone, Copy, Debug)]
pub struct FileOptions {
    /// The most taps that wait for the writer; more are [`StoreError::Overloaded`].
    pub queue_bound: usize,
    /// The engine's cache, in bytes.
    pub cache_bytes: usize,
    /// How long the store keeps the change log and the records.
    pub retention: Retention,
}

/// Reactions in a file. Clones share the file; dropping the last one closes it.
#[derive(Clone)]
pub struct FileStore(Arc<Inner>);

struct Inner {
    shared: Arc<FileCore>,
    /// None only while the store is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// The socket that gives copies, for a file at a path.
    holder: Mutex<Option<Holder>>,
}

/// What the writer and the readers share.
struct FileCore {
    /// None while the file cannot be opened. Locked for writing only to take or put it.
    database: RwLock<Option<Database>>,
    /// None for storage that is at no path.
    place: Option<Arc<Place>>,
    stats: Arc<FileStats>,
    /// Reports the partitions that the last commits wrote.
    written: Arc<Written>,
    /// During a commit, the earliest deadline of its taps.
    committing: watch::Sender<Option<Instant>>,
    /// Permits for large reads, which run on threads of their own.
    readers: Arc<Semaphore>,
    /// How many large reads wait for a permit.
    waiting: AtomicUsize,
    records: RecordBudget,
}

impl FileCore {
    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read()
    }

    fn take_database(&self) -> Option<Database> {
        let taken = self.database.write().take();
        self.written.tell_all();
        taken
    }

    fn put_database(&self, database: Database) {
        *self.database.write() = Some(database);
        self.written.tell_all();
    }

    /// Waits while the commit in progress has a tap whose deadline has passed.
    async fn until_none_is_overdue(&self, deadline: Deadline) -> Result<(), StoreError> {
        let is_timely = |first: &Option<Instant>| first.is_none_or(|first| Instant::now() < first);
        if is_timely(&self.committing.borrow()) {
            return Ok(());
        }
        let mut committing = self.committing.subscribe();
        match timeout_at(deadline.0.into(), committing.wait_for(is_timely)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                Err(StoreError::Unavailable("the disk is slow to sync the store file".into()))
            }
        }
    }

    async fn read_in_time<R>(
        &self,
        deadline: Deadline,
        look: impl FnOnce(&ReadTransaction) -> FileResult<R>,
    ) -> Result<R, StoreError> {
        self.until_none_is_overdue(deadline).await?;
        self.read(look)
    }

    /// Runs a large read on a thread that answers no taps. Few run at a time, and few wait.
    async fn read_much<R: Send + 'static>(
        self: &Arc<Self>,
        deadline: Deadline,
        look: impl FnOnce(&ReadTransaction) -> FileResult<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.until_none_is_overdue(deadline).await?;
        let waiting = Waiting::begin(&self.waiting).ok_or(StoreError::Overloaded)?;
        let turn = Arc::clone(&self.readers).acquire_owned();
        let turn = timeout_at(deadline.0.into(), turn).await;
        drop(waiting);
        let Ok(Ok(turn)) = turn else { return Err(StoreError::Overloaded) };
        let shared = Arc::clone(self);
        // The read keeps its permit until it ends, even if its caller leaves.
        let read = tokio::task::spawn_blocking(move || {
            let read = shared.read(look);
            drop(turn);
            read
        });
        read.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn read<R>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> FileResult<R>,
    ) -> Result<R, StoreError> {
        if let Some(gone) = self.place.as_ref().and_then(|place| place.refusal()) {
            return Err(gone);
        }
        let database = self.database();
        let closed = || StoreError::Unavailable("the store file is closed".into());
        let txn = database.as_ref().ok_or_else(closed)?.begin_read().map_err(FileError::from)?;
        Ok(look(&txn)?)
    }
}

/// A slot in the queue of large reads.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Option<Self> {
        let own = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING_READS).then_some(own)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FileStore {
    /// Opens the file at a path, and creates it if there is none.
    ///
    /// # Errors
    ///
    /// If the file cannot be used, is damaged, belongs to another program, or is in use.
    pub fn open(path: &Path, options: FileOptions) -> Result<Self, OpenError> {
        let place = Place::at(path);
        let file = open::StoreFile(Arc::clone(&place));
        let store = Self::begin(Box::new(move || file.open()), Some(Arc::clone(&place)), options)?;
        let no_thread = |error| OpenError::Unusable(format!("no thread for it: {error}"));
        place.watch().map_err(no_thread)?;
        Ok(store)
    }

    /// Checks whether a store file could be at the path. Opens and creates nothing.
    ///
    /// # Errors
    ///
    /// If [`FileStore::open`] could keep no file there.
    pub fn look(path: &Path) -> Result<(), OpenError> {
        open::look(path)
    }

    /// Opens a store on storage of the caller's. The store calls `source` again whenever it reopens
    /// the engine after a failure. The tests cut the power of such storage. The store is only as
    /// durable as the storage's `sync_data`.
    ///
    /// # Errors
    ///
    /// As [`FileStore::open`].
    pub fn with_backend(
        source: impl Fn() -> io::Result<Box<dyn StorageBackend>> + Send + 'static,
        options: FileOptions,
    ) -> Result<Self, OpenError> {
        Self::begin(Box::new(source), None, options)
    }

    fn begin(
        source: Source,
        place: Option<Arc<Place>>,
        options: FileOptions,
    ) -> Result<Self, OpenError> {
        let FileOptions { queue_bound, cache_bytes, retention } = options;
        let stats = Arc::new(FileStats::default());
        let sync_failed = Arc::new(AtomicBool::new(false));
        let opener = Opener { source, cache_bytes, stats: Arc::clone(&stats), sync_failed };
        let (database, top) = opener.open(true)?;
        let shared = Arc::new(FileCore {
            database: RwLock::new(Some(database)),
            stats,
            written: place.as_ref().map(|place| Arc::clone(&place.written)).unwrap_or_default(),
            place,
            committing: watch::Sender::new(None),
            readers: Arc::new(Semaphore::new(READERS)),
            waiting: AtomicUsize::new(0),
            records: RecordBudget::new(&retention),
        });
        let (jobs, queue) = mpsc::channel(queue_bound);
        let writer = Writer::new(Arc::clone(&shared), opener, retention, top);
        let thread = std::thread::Builder::new().name("store-file".into());
        let writer = thread
            .spawn(move || writer.run(queue))
            .map_err(|error| OpenError::Unusable(format!("no thread for it: {error}")))?;
        let holder = Mutex::default();
        Ok(Self(Arc::new(Inner { shared, jobs: Some(jobs), writer: Some(writer), holder })))
    }

    /// From now on gives a copy of the file to each process that asks at the socket beside it.
    ///
    /// # Errors
    ///
    /// If onetap cannot create the socket.
    pub fn give_copies(&self) -> io::Result<()> {
        let Some(place) = &self.0.shared.place else { return Ok(()) };
        let holder = Holder::begin(place.path(), Arc::clone(&self.0.shared))?;
        *self.0.holder.lock() = Some(holder);
        Ok(())
    }

    /// The counters of the writer.
    pub fn stats(&self) -> Arc<FileStats> {
        Arc::clone(&self.0.shared.stats)
    }

    /// Queues a write and waits for its answer until the deadline.
    async fn write(&self, tap: Option<Tap>, deadline: Deadline) -> TapResult {
        let ((turn, mut came), (answer, mut answered)) = (oneshot::channel(), oneshot::channel());
        let job = Job { tap, deadline, turn, answer };
        let jobs = self.0.jobs.as_ref().ok_or_else(StoreError::too_late)?;
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.0.shared.stats.overloads.add(1);
                return Err(StoreError::Overloaded);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(stopped()),
        }
        match timeout_at(deadline.0.into(), &mut answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => {
                came.close();
                match (answered.try_recv(), came.try_recv()) {
                    (Ok(answer), _) => answer,
                    (Err(_), Ok(())) => Err(StoreError::OutcomeUnknown),
                    (Err(_), Err(_)) => Err(StoreError::too_late()),
                }
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A copy in progress would keep the file open.
        drop(self.holder.get_mut().take());
        // With the queue closed, the writer writes what waits, and ends.
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the store file panicked");
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").finish_non_exhaustive()
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the writer of the store file has stopped".into())
}

impl Store for FileStore {
    async fn tap(&self, tap: Tap, deadline: Deadline) -> Result<Outcome, StoreError> {
        let keyed = tap.record_partition();
        let step =
            async { self.write(Some(tap), deadline).await?.ok_or(StoreError::OutcomeUnknown) };
        self.0.shared.records.around(keyed, step).await
    }

    async fn summaries(
        &self,
        query: SummaryQuery,
        deadline: Deadline,
    ) -> Result<Vec<Summary>, StoreError> {
        let shared = &self.0.shared;
        let small = query.posts.len() == 1;
        let look = move |txn: &ReadTransaction| read::summaries(txn, &query);
        match small {
            true => shared.read_in_time(deadline, look).await,
            false => shared.read_much(deadline, look).await,
        }
    }

    async fn reactors(
        &self,
        query: ReactorsQuery,
        deadline: Deadline,
    ) -> Result<ReactorsPage, StoreError> {
        let (limit, small) = (query.limit, query.reaction.is_some());
        let shared = &self.0.shared;
        let look = move |txn: &ReadTransaction| read::reactors(txn, &query, limit + 1);
        let found = match small {
            true => shared.read_in_time(deadline, look).await?,
            false => shared.read_much(deadline, look).await?,
        };
        Ok(ReactorsPage::cut(found, limit))
    }

    async fn follow(&self, watched: WatchedPartitions, news: mpsc::Sender<News>) {
        follow::follow(self, &self.0.shared.written, watched, news).await;
    }

    async fn probe(&self, deadline: Deadline) -> Result<(), StoreError> {
        self.write(None, deadline).await.map(|_| ())
    }
}

impl ChangeLog for FileStore {
    async fn read(
        &self,
        partition: Partition,
        after: Option<LogCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<LogPage, StoreError> {
        let look = |txn: &ReadTransaction| read::log_page(txn, partition, after, limit);
        self.0.shared.read_in_time(deadline, look).await
    }
}

impl EmbeddedLog for FileStore {
    fn end(&self, partition: Partition) -> Result<Option<LogPosition>, StoreError> {
        self.0.shared.read(|txn| read::log_end(txn, partition))
    }

    fn behind(
        &self,
        partition: Partition,
        place: Option<LogPosition>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.0.shared.read(|txn| read::changes(txn, partition, place, limit))
    }
}
