//! The store in one file: a transactional engine (`redb`) behind one writer thread.
//!
//! The writer answers a tap when the disk has synced it. Taps that arrive meanwhile share the next
//! sync. Reads see the last commit. They wait for the commit in progress only if one of its taps
//! has passed its deadline: that tap must not appear after a read that did not see it.

mod amending;
mod audit;
mod backend;
mod backup;
mod documents;
mod file_core;
mod file_error;
#[cfg(test)]
mod fuzz_tests;
mod keys;
mod listings;
mod log;
mod log_entry;
mod maintenance;
mod open;
mod place;
mod read;
mod records;
mod seen;
mod step;
mod steps;
mod sweep;
mod values;
mod writer;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use backend::Source;
use backup::Holder;
pub use backup::{BackupError, BackupProgress, back_up, unfinished};
use file_core::FileCore;
use file_error::FileError;
use open::Opener;
pub use open::{FileCheck, OpenError, check};
use parking_lot::Mutex;
pub use place::GONE;
use place::Place;
use redb::{ReadTransaction, StorageBackend};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;
use writer::{Answer, Job, Write, WriteResult, Writer};

use super::follow::{self, EmbeddedLog, Written};
use super::record_budget::RecordBudget;
use super::{
    ChangeLog, Deadline, FileStats, Given, LogCursor, LogEntry, LogPage, LogPosition, News,
    ReactorsQuery, Retention, Store, StoreError, SummaryQuery, UserIds, WalkPage,
    WatchedPartitions, WriteGate,
};
use crate::domain::{
    Forget, Forgotten, Outcome, Partition, ReactorsPage, Ruled, RulesEdit, Summary, Tap,
};

/// Settings of a store file.
#[derive(Clone, Copy, Debug)]
pub struct FileOptions {
    /// The most taps that wait for the writer; more are [`StoreError::Overloaded`].
    pub queue_bound: usize,
    /// The engine's cache, in bytes.
    pub cache_bytes: usize,
    /// Which ids users have.
    pub user_ids: UserIds,
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
    gate: Arc<WriteGate>,
}

impl FileStore {
    /// Opens the file at a path, and creates it if there is none.
    ///
    /// # Errors
    ///
    /// If the file cannot be used, is damaged, belongs to another program, or is in use.
    pub fn open(path: &Path, options: FileOptions) -> Result<Self, OpenError> {
        let place = Place::at(path);
        let file = open::StoreFile(Arc::clone(&place), options.user_ids);
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
        let FileOptions { queue_bound, cache_bytes, user_ids, retention } = options;
        let stats = Arc::new(FileStats::default());
        let sync_failed = Arc::new(AtomicBool::new(false));
        let (stats_of, user_ids) = (Arc::clone(&stats), Some(user_ids));
        let opener = Opener { source, cache_bytes, user_ids, stats: stats_of, sync_failed };
        let (database, top) = opener.open(true)?;
        let records = RecordBudget::new(&retention);
        let shared = Arc::new(FileCore::new(database, place, stats, records));
        let (jobs, queue) = mpsc::channel(queue_bound);
        let writer = Writer::new(Arc::clone(&shared), opener, retention, top);
        let thread = std::thread::Builder::new().name("store-file".into());
        let writer = thread
            .spawn(move || writer.run(queue))
            .map_err(|error| OpenError::Unusable(format!("no thread for it: {error}")))?;
        let (holder, gate) = (Mutex::default(), Arc::new(WriteGate::of_one_process(queue_bound)));
        Ok(Self(Arc::new(Inner { shared, jobs: Some(jobs), writer: Some(writer), holder, gate })))
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

    pub(in crate::store) fn gate(&self) -> &Arc<WriteGate> {
        &self.0.gate
    }

    /// The counters of the writer.
    pub fn stats(&self) -> Arc<FileStats> {
        Arc::clone(&self.0.shared.stats)
    }

    /// Queues a write and waits for its answer until the deadline.
    async fn write(&self, write: Write, deadline: Deadline) -> WriteResult {
        let ((turn, mut came), (answer, mut answered)) = (oneshot::channel(), oneshot::channel());
        let job = Job { write, deadline, turn, answer };
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
        let keyed = tap.record_charge();
        let step = async {
            match self.write(Write::Tap(tap), deadline).await? {
                Answer::Tap(outcome) => Ok(outcome),
                _ => Err(StoreError::OutcomeUnknown),
            }
        };
        self.0.shared.records.around(keyed, step).await
    }

    async fn rule(&self, edit: RulesEdit, deadline: Deadline) -> Result<Ruled, StoreError> {
        match self.write(Write::Rules(edit), deadline).await? {
            Answer::Rules(ruled) => Ok(ruled),
            _ => Err(StoreError::OutcomeUnknown),
        }
    }

    async fn forget(&self, forget: Forget, deadline: Deadline) -> Result<Forgotten, StoreError> {
        match self.write(Write::Forget(forget), deadline).await? {
            Answer::Forgotten(forgotten) => Ok(forgotten),
            _ => Err(StoreError::OutcomeUnknown),
        }
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
        self.write(Write::Probe, deadline).await.map(|_| ())
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

    async fn newest(
        &self,
        partition: Partition,
        deadline: Deadline,
    ) -> Result<LogCursor, StoreError> {
        let look = |txn: &ReadTransaction| read::newest_change(txn, partition);
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
