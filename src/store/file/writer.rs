//! The one thread that writes: everything that waits travels in one transaction, with one sync.
//!
//! The hand-over is tokio's: a bounded queue to the thread, and for each tap two one-shot channels
//! back. There is no concurrent code of our own in it. The first channel says that the tap's turn
//! has come. A caller whose time is up closes it; as a closed channel takes nothing more, either
//! the tap is never applied, or the caller knows that it may have been.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::file_error::FileResult;
use super::open::{OpenError, Opener, STALE, Top, judge_io};
use super::place::GONE;
use super::step::Tables;
use super::{Deadline, FileCore, Retention, Severity, StoreError, ThrottledWarnings};
use crate::domain::{KeyReused, Outcome, Partition, Tap};

/// The most that travels in one transaction: an answer should not wait for thousands of others.
const MOST_PER_COMMIT: usize = 1000;
/// For how long nothing is tried after a failure: opening the file again may mean reading it all.
const PAUSE: Duration = Duration::from_secs(1);

/// Something to write, and who waits for it.
pub(super) struct Job {
    /// A tap, or the probe.
    pub(super) tap: Option<Tap>,
    pub(super) deadline: Deadline,
    pub(super) turn: oneshot::Sender<()>,
    pub(super) answer: oneshot::Sender<TapResult>,
}

/// What a job comes to. The probe has no outcome.
pub(super) type TapResult = Result<Option<Outcome>, StoreError>;

/// Jobs whose turn has come, with what they come to if the transaction is committed.
type Done = Vec<(oneshot::Sender<TapResult>, TapResult)>;

pub(super) struct Writer {
    pub(super) shared: Arc<FileCore>,
    pub(super) opener: Opener,
    pub(super) retention: Retention,
    pub(super) top: Top,
    /// What failed, and when it was last tried.
    failed: Option<(String, Instant)>,
    warnings: ThrottledWarnings,
}

/// What a transaction comes to when it is committed.
struct Applied {
    top: Top,
    /// How many jobs wrote something.
    written: usize,
    /// The partitions whose logs have grown.
    logs: Vec<Partition>,
}

/// How a transaction ended that was not committed.
enum Failed {
    /// Before the commit began: nothing was applied.
    Applying(String),
    /// In the commit.
    Committing(String),
}

impl Writer {
    pub(super) fn new(
        shared: Arc<FileCore>,
        opener: Opener,
        retention: Retention,
        top: Top,
    ) -> Self {
        let warnings = ThrottledWarnings::new(Severity::Error);
        Self { shared, opener, retention, top, failed: None, warnings }
    }

    /// Writes until nobody can ask any more, then closes the file.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while jobs.blocking_recv_many(&mut batch, MOST_PER_COMMIT) > 0 {
            match self.refusal() {
                None => {
                    let timely = batch.iter().filter(|job| !job.deadline.has_passed());
                    let first = timely.map(|job| job.deadline.0).min();
                    self.shared.committing.send_replace(first);
                    self.write(&mut batch);
                    self.shared.committing.send_replace(None);
                }
                Some(why) => {
                    let refuse =
                        |job: Job| job.answer.send(Err(StoreError::Unavailable(why.clone())));
                    batch.drain(..).for_each(|job| drop(refuse(job)));
                }
            }
        }
        if let Some(Err(error)) = self.shared.take_database().map(Database::close) {
            tracing::error!("the store file was not closed cleanly: {error}");
        }
    }

    /// Why nothing can be written now. Tries to open a file that failed before.
    fn refusal(&mut self) -> Option<String> {
        if self.opener.sync_failed.load(Ordering::Acquire) {
            // What the disk did not take may look as if it had: the system forgets about it. So
            // nothing more is built upon it.
            return Some(
                "the disk failed to sync the store file; restart onetap on a sound disk".into(),
            );
        }
        // Looked at before each commit: what is written to a file without a name is lost.
        if self.shared.place.as_ref().is_some_and(|place| place.is_gone()) {
            return Some(GONE.into());
        }
        let (why, since) = self.failed.as_ref()?;
        if since.elapsed() < PAUSE {
            return Some(why.clone());
        }
        if self.shared.database().is_some() {
            return None;
        }
        self.reopen().err().map(|error| self.failing(error.to_string()))
    }

    /// Remembers a failure, and says so.
    fn failing(&mut self, why: String) -> String {
        self.warnings.about(&format!("taps are refused, the store file cannot be written: {why}"));
        self.failed = Some((why.clone(), Instant::now()));
        why
    }

    /// Writes a batch with one commit, and answers it.
    fn write(&mut self, batch: &mut Vec<Job>) {
        let mut done = Done::new();
        let Err(failed) = self.transaction(batch, &mut done) else {
            self.failed = None;
            done.into_iter().for_each(|(caller, answer)| drop(caller.send(answer)));
            return;
        };
        self.shared.stats.commits_failed.add(1);
        let (what, committing) = match failed {
            Failed::Applying(what) => (what, false),
            Failed::Committing(what) => (what, true),
        };
        let what = self.failing(what);
        let attempted = self.top.commits + 1;
        let reopened = self.reopen();
        // The engine applies a transaction whole or not at all. Which it was, the file says.
        let unknown = committing && !reopened.is_ok_and(|commits| commits < attempted);
        let error =
            if unknown { StoreError::OutcomeUnknown } else { StoreError::Unavailable(what) };
        // Those that came after the one that failed have not had their turn.
        let waiting = batch.drain(..).map(|job| job.answer);
        let callers = done.into_iter().map(|(caller, _)| caller).chain(waiting);
        callers.for_each(|caller| drop(caller.send(Err(error.clone()))));
    }

    fn transaction(&mut self, batch: &mut Vec<Job>, done: &mut Done) -> Result<(), Failed> {
        let applying = |error: &dyn std::fmt::Display| Failed::Applying(error.to_string());
        let shared = Arc::clone(&self.shared);
        let database = shared.database();
        let database = database.as_ref().ok_or_else(|| applying(&"it is closed"))?;
        let txn = database.begin_write().map_err(|error| applying(&error))?;
        let next = self.apply(&txn, batch, done).map_err(|trouble| applying(&trouble))?;
        let Some(Applied { top, written, logs }) = next else {
            // Nothing is to be written, so nothing has to be synced.
            return txn.abort().map_err(|error| applying(&error));
        };
        txn.commit().map_err(|error| Failed::Committing(error.to_string()))?;
        // Not sooner: a batch that changes nothing says nothing of the disk.
        self.warnings.settled("taps are counted again, the store file can be written");
        self.top = top;
        logs.into_iter().for_each(|partition| self.shared.written.tell(partition));
        self.shared.stats.commits.add(1);
        self.shared.stats.taps_committed.add(written as u64);
        Ok(())
    }

    /// Applies all jobs of a batch whose time is not up. Says what that comes to, if any of them
    /// wrote something.
    fn apply(
        &self,
        txn: &redb::WriteTransaction,
        batch: &mut Vec<Job>,
        done: &mut Done,
    ) -> FileResult<Option<Applied>> {
        let now = crate::store::now();
        let mut tables = Tables::open(txn, self.retention, self.top.lengths.clone())?;
        for job in batch.drain(..) {
            if job.deadline.has_passed() {
                drop(job.answer.send(Err(StoreError::too_late())));
                continue;
            }
            if job.turn.send(()).is_err() {
                // The caller has given up, and has said that nothing was applied.
                continue;
            }
            let found = match &job.tap {
                Some(tap) => tables.tap(tap, now).map(|outcome| outcome.map(Some)),
                None => tables.probe().map(|()| Ok(None)),
            };
            match found {
                Ok(outcome) => {
                    let answer = outcome.map_err(|KeyReused| StoreError::KeyReused);
                    done.push((job.answer, answer));
                }
                Err(super::FileError::Damaged(what)) => {
                    done.push((job.answer, Err(StoreError::Damaged(what))));
                }
                Err(engine) => {
                    done.push((job.answer, Ok(None)));
                    return Err(engine);
                }
            }
        }
        if tables.written == 0 {
            return Ok(None);
        }
        let (written, logs) = (tables.written, tables.grown.keys().copied().collect());
        let commits = self.top.commits + 1;
        tables.sweep(Partition::turn(commits), now)?;
        let lengths = tables.end(commits)?;
        Ok(Some(Applied { top: Top { commits, lengths }, written, logs }))
    }

    /// Closes the file and opens it again, which undoes what was not committed whole.
    fn reopen(&mut self) -> Result<u64, OpenError> {
        drop(self.shared.take_database());
        let (database, top) = self.opener.open(false)?;
        // A copy from before, or another store: the number of the file alone may be given again.
        if !(self.top.commits..=self.top.commits + 1).contains(&top.commits) {
            return Err(judge_io(&STALE.into()));
        }
        self.shared.put_database(database);
        self.top = top;
        Ok(self.top.commits)
    }
}
