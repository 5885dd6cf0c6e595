//! The one thread that writes. Everything that waits shares one transaction and one sync.
//!
//! The hand-over uses tokio's channels: a bounded queue to the thread, and two one-shot channels
//! back for each tap. The writer uses the first to say that the tap's turn has come. A caller whose
//! deadline passes closes it, and a closed channel accepts nothing. So the writer never applies the
//! tap, or the caller knows that it may have.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redb::Database;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::audit::Asked;
use super::file_core::FileCore;
use super::file_error::FileResult;
use super::open::{OpenError, Opener, STALE, Top, judge_io};
use super::place::GONE;
use super::step::Tables;
use super::{Deadline, Retention, StoreError};
use crate::domain::{
    Amended, Amendment, Forget, Forgotten, Micros, Outcome, Partition, Ruled, RulesEdit, Tap,
};
use crate::store::{Audited, DocumentWrite};
use crate::telemetry::{Severity, ThrottledWarnings};

/// The most taps in one transaction: no answer should wait for thousands of others.
const MOST_PER_COMMIT: usize = 1000;
/// The pause after a failure: opening the file again may mean reading all of it.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the writer waits for jobs before it makes a commit that only drops forgotten members.
/// So a tap seldom meets such a commit.
const QUIET: Duration = Duration::from_millis(20);

/// What a caller wants written.
pub(super) enum Write {
    Tap(Tap),
    Rules(RulesEdit),
    Forget(Forget),
    /// Steps of their own, in one commit.
    Amend(Vec<Amendment>),
    /// An audit with repair.
    Repair(Asked),
    Document(DocumentWrite),
    Probe,
}

/// What the step of a write answered.
pub(super) enum Answer {
    Tap(Outcome),
    Rules(Ruled),
    Forgotten(Forgotten),
    Amended(Vec<Result<Amended, StoreError>>),
    Audited(Audited),
    Document(bool),
    Probe,
}

/// A write, and the channels to its caller.
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) deadline: Deadline,
    pub(super) turn: oneshot::Sender<()>,
    pub(super) answer: oneshot::Sender<WriteResult>,
}

/// The result of a job.
pub(super) type WriteResult = Result<Answer, StoreError>;

/// Jobs that the transaction has applied, with their answers if it is committed.
type Done = Vec<(oneshot::Sender<WriteResult>, WriteResult)>;

pub(super) struct Writer {
    pub(super) shared: Arc<FileCore>,
    pub(super) opener: Opener,
    pub(super) retention: Retention,
    pub(super) top: Top,
    /// The last failure, and when it occurred.
    failed: Option<(String, Instant)>,
    warnings: ThrottledWarnings,
}

/// The result of a transaction, valid once it is committed.
struct Applied {
    top: Top,
    /// How many jobs wrote something.
    written: usize,
    /// The partitions whose logs grew.
    logs: Vec<Partition>,
}

/// Where a transaction failed.
enum Failed {
    /// Before the commit began: the store applied nothing.
    Applying(String),
    /// During the commit.
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

    /// Writes until all senders of the queue are gone, then closes the file.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        // Without a clock, only the commits of jobs drop forgotten members.
        let clock = Builder::new_current_thread().enable_time().build().ok();
        while self.wait(&mut jobs, &mut batch, clock.as_ref()) {
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

    /// Waits for jobs. Returns false when all senders are gone. If there are forgotten members to
    /// drop, it also returns without jobs, after a while.
    fn wait(
        &self,
        jobs: &mut mpsc::Receiver<Job>,
        batch: &mut Vec<Job>,
        clock: Option<&Runtime>,
    ) -> bool {
        let Some(clock) = clock.filter(|_| self.top.has_forgotten) else {
            return jobs.blocking_recv_many(batch, MOST_PER_COMMIT) > 0;
        };
        let came = async { timeout(QUIET, jobs.recv_many(batch, MOST_PER_COMMIT)).await };
        !clock.block_on(came).is_ok_and(|came| came == 0)
    }

    /// Why the writer cannot write now. After a pause it tries to open a file that failed.
    fn refusal(&mut self) -> Option<String> {
        if self.opener.sync_failed.load(Ordering::Acquire) {
            // After a failed sync the system forgets which pages it did not write, so they may look
            // written. onetap builds nothing on them.
            return Some(
                "the disk failed to sync the store file; restart onetap on a sound disk".into(),
            );
        }
        // Checked before each commit: onetap would lose what it writes to an unlinked file.
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

    /// Remembers a failure and logs it.
    fn failing(&mut self, why: String) -> String {
        self.warnings.about(&format!("taps are refused, the store file cannot be written: {why}"));
        self.failed = Some((why.clone(), Instant::now()));
        why
    }

    /// Writes a batch in one commit and answers its jobs.
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
        // The engine applies a transaction whole or not at all. The reopened file shows which.
        let unknown = committing && !reopened.is_ok_and(|commits| commits < attempted);
        let error =
            if unknown { StoreError::OutcomeUnknown } else { StoreError::Unavailable(what) };
        // The jobs after the one that failed have not had their turn.
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
            // Nothing was written, so there is nothing to sync.
            return txn.abort().map_err(|error| applying(&error));
        };
        txn.commit().map_err(|error| Failed::Committing(error.to_string()))?;
        // Only after a commit: a batch that changes nothing shows nothing about the disk.
        self.warnings.settled("taps are counted again, the store file can be written");
        self.top = top;
        logs.into_iter().for_each(|partition| self.shared.written.tell(partition));
        self.shared.stats.commits.add(1);
        self.shared.stats.taps_committed.add(written as u64);
        Ok(())
    }

    /// Applies the jobs of a batch whose deadlines have not passed. Returns the result if any of
    /// them wrote something.
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
                // The caller gave up and answered that nothing was applied.
                continue;
            }
            match run(&mut tables, &job.write, now) {
                Ok(answer) => done.push((job.answer, answer)),
                Err(super::FileError::Damaged(what)) => {
                    done.push((job.answer, Err(StoreError::Damaged(what))));
                }
                Err(engine) => {
                    done.push((job.answer, Ok(Answer::Probe)));
                    return Err(engine);
                }
            }
        }
        if tables.written == 0 && !self.top.has_forgotten {
            return Ok(None);
        }
        let (written, logs) = (tables.written, tables.grown.keys().copied().collect());
        let commits = self.top.commits + 1;
        tables.sweep(Partition::turn(commits), now)?;
        let has_forgotten = tables.free()?;
        let lengths = tables.end(commits)?;
        Ok(Some(Applied { top: Top { commits, lengths, has_forgotten }, written, logs }))
    }

    /// Closes the file and opens it again, which undoes an incomplete commit.
    fn reopen(&mut self) -> Result<u64, OpenError> {
        drop(self.shared.take_database());
        let (database, top) = self.opener.open(false)?;
        // Rejects an older copy or another store. The inode alone proves nothing: the system reuses
        // it.
        if !(self.top.commits..=self.top.commits + 1).contains(&top.commits) {
            return Err(judge_io(&STALE.into()));
        }
        self.shared.put_database(database);
        self.top = top;
        Ok(self.top.commits)
    }
}

/// Runs the step of a write.
fn run(tables: &mut Tables<'_>, write: &Write, now: Micros) -> FileResult<WriteResult> {
    match write {
        Write::Tap(tap) => tables.tap(tap, now).map(|answer| answer.map(Answer::Tap)),
        Write::Rules(edit) => tables.rule(edit, now).map(|ruled| Ok(Answer::Rules(ruled))),
        Write::Forget(forget) => tables.forget(forget, now).map(|it| Ok(Answer::Forgotten(it))),
        Write::Amend(amendments) => {
            tables.amend_all(amendments, now).map(|all| Ok(Answer::Amended(all)))
        }
        Write::Repair(asked) => tables.repair(asked, now).map(|it| Ok(Answer::Audited(it))),
        Write::Document(write) => {
            tables.write_document(write, now).map(|it| Ok(Answer::Document(it)))
        }
        Write::Probe => tables.probe().map(|()| Ok(Answer::Probe)),
    }
}
