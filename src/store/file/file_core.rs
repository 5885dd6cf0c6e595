//! What the writer and the readers of a store file share, and how reads wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{RwLock, RwLockReadGuard};
use redb::{Database, ReadTransaction, ReadableDatabase as _};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout_at;

use super::file_error::{FileError, FileResult};
use super::place::Place;
use super::{Deadline, FileStats, RecordBudget, StoreError, Written, stopped};

/// The most large reads that run at a time.
const READERS: usize = 2;

/// The most large reads that wait for their turn; more are [`StoreError::Overloaded`].
const MOST_WAITING_READS: usize = 256;

/// What the writer and the readers share.
pub(super) struct FileCore {
    /// None while the file cannot be opened. Locked for writing only to take or put it.
    pub(super) database: RwLock<Option<Database>>,
    /// None for storage that is at no path.
    pub(super) place: Option<Arc<Place>>,
    pub(super) stats: Arc<FileStats>,
    /// Reports the partitions that the last commits wrote.
    pub(super) written: Arc<Written>,
    /// During a commit, the earliest deadline of its taps.
    pub(super) committing: watch::Sender<Option<Instant>>,
    /// Permits for large reads, which run on threads of their own.
    pub(super) readers: Arc<Semaphore>,
    /// How many large reads wait for a permit.
    pub(super) waiting: AtomicUsize,
    pub(super) records: RecordBudget,
}

impl FileCore {
    pub(super) fn new(
        database: Database,
        place: Option<Arc<Place>>,
        stats: Arc<FileStats>,
        records: RecordBudget,
    ) -> Self {
        Self {
            database: RwLock::new(Some(database)),
            written: place.as_ref().map(|place| Arc::clone(&place.written)).unwrap_or_default(),
            place,
            stats,
            committing: watch::Sender::new(None),
            readers: Arc::new(Semaphore::new(READERS)),
            waiting: AtomicUsize::new(0),
            records,
        }
    }

    pub(super) fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read()
    }

    pub(super) fn take_database(&self) -> Option<Database> {
        let taken = self.database.write().take();
        self.written.tell_all();
        taken
    }

    pub(super) fn put_database(&self, database: Database) {
        *self.database.write() = Some(database);
        self.written.tell_all();
    }

    /// Waits while the commit in progress has a tap whose deadline has passed.
    pub(super) async fn until_none_is_overdue(&self, deadline: Deadline) -> Result<(), StoreError> {
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

    pub(super) async fn read_in_time<R>(
        &self,
        deadline: Deadline,
        look: impl FnOnce(&ReadTransaction) -> FileResult<R>,
    ) -> Result<R, StoreError> {
        self.until_none_is_overdue(deadline).await?;
        self.read(look)
    }

    /// Runs a large read on a thread that answers no taps. Few run at a time, and few wait.
    pub(super) async fn read_much<R: Send + 'static>(
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

    pub(super) fn read<R>(
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
