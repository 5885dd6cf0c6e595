//! The documents of jobs: starting, reading and cancelling them, and their receipts.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use tokio::sync::Notify;

use super::Task;
use super::job::{Job, JobId, Lists, State};
use crate::domain::{Micros, UserId};
use crate::store::{
    AnyStore, Deadline, DocumentWrite, MAX_DOCUMENT_BYTES, Maintenance as _, ReadOnly, StoreError,
};

/// How long a job and its receipt are kept after its last step.
const KEPT_DAYS: u64 = 30;

/// The jobs that have not ended.
const OPEN: &str = "jobs/open";

/// How often a write of a document is tried when others write it, too.
const MOST_TRIES: usize = 50;

/// Receipts and lists are kept longer, since a job writes them before it ends.
pub(super) fn kept() -> Option<Duration> {
    Some(Duration::from_secs(2 * KEPT_DAYS * 86_400))
}

/// Our clock. The times of reactions are those of the store's clock.
pub(super) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// A document of a job is not what we wrote.
pub(super) fn damaged(id: &JobId, why: impl Display) -> StoreError {
    StoreError::Damaged(format!("the documents of job {id}: {why}"))
}

/// The error of a job that does not exist, and so never runs.
fn nothing_begun(error: StoreError) -> StoreError {
    match error {
        StoreError::OutcomeUnknown => StoreError::Unavailable("no job has begun".into()),
        other => other,
    }
}

/// A page of jobs.
#[derive(Debug)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<Job>,
    /// Where the next page begins; None at the end.
    pub next: Option<JobId>,
}

/// The jobs of a store.
#[derive(Clone, Debug)]
pub struct JobBook {
    pub(super) store: AnyStore,
    pub(super) wake: Arc<Notify>,
}

impl JobBook {
    /// The jobs of this store. `wake` tells the runner of this process about new ones.
    pub fn new(store: AnyStore, wake: Arc<Notify>) -> Self {
        Self { store, wake }
    }

    /// Starts a job.
    ///
    /// # Errors
    ///
    /// If the store does not answer, or too many jobs are open, or this process takes no writes.
    /// After [`StoreError::OutcomeUnknown`] alone the job may run.
    pub async fn start(
        &self,
        task: Task,
        lists: Lists,
        actor: Option<UserId>,
        dry_run: bool,
        deadline: Deadline,
    ) -> Result<Job, StoreError> {
        if self.store.takes_no_writes() {
            return Err(StoreError::ReadOnly(ReadOnly::Process));
        }
        let now = now();
        let id = JobId::new(now);
        self.prepare(&id, &lists, deadline).await.map_err(nothing_begun)?;
        let job = Job::new(id, task, &lists, actor, dry_run, now);
        if !self.save(&job, 0, deadline).await? {
            return Err(StoreError::Overloaded);
        }
        // Last: from here on a runner sees the job.
        if let Err(error) = self.add_name(OPEN, &job.id, None, deadline).await {
            return Err(self.withdraw(&job.id, error, deadline).await);
        }
        self.wake.notify_one();
        Ok(job)
    }

    /// Writes what a job needs that does not exist yet. Without the job it does no harm.
    async fn prepare(
        &self,
        id: &JobId,
        lists: &Lists,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let day = Duration::from_secs((KEPT_DAYS + 1) * 86_400);
        self.add_name(&day_of(id.day()), id, Some(day), deadline).await?;
        self.write_lists(id, lists, deadline).await
    }

    /// Takes back a job that did not get onto the list of open ones. Without its document it never
    /// runs. Returns the error to answer.
    async fn withdraw(&self, id: &JobId, error: StoreError, deadline: Deadline) -> StoreError {
        let (name, body) = (format!("job/{id}"), None);
        let write = DocumentWrite { name, expected: 1, body, keep: None };
        match self.store.write_document(write, deadline).await {
            Ok(true) => nothing_begun(error),
            Ok(false) | Err(_) => StoreError::OutcomeUnknown,
        }
    }

    /// Reads a job; None if there is none of this name.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn job(&self, id: &JobId, deadline: Deadline) -> Result<Option<Job>, StoreError> {
        Ok(self.load(id, deadline).await?.map(|(job, _)| job))
    }

    /// Reads a page of jobs, newest first, of those created before `before`.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn page(
        &self,
        before: Option<&JobId>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<JobPage, StoreError> {
        let today = now().0 / 86_400_000_000;
        let days = (0..=KEPT_DAYS).map(|ago| async move {
            let name = day_of(today.saturating_sub(ago));
            self.names(&name, deadline).await.map(|(names, _)| names)
        });
        let mut ids: Vec<JobId> = try_join_all(days).await?.concat();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.retain(|id| before.is_none_or(|before| id < before));
        let next = ids.get(limit).and(ids.get(limit.saturating_sub(1))).cloned();
        let found = ids.iter().take(limit).map(|id| self.job(id, deadline));
        let jobs = try_join_all(found).await?.into_iter().flatten().collect();
        Ok(JobPage { jobs, next })
    }

    /// Ends a job after the step that is under way. Returns it as it is now; one that has ended
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn cancel(&self, id: &JobId, deadline: Deadline) -> Result<Option<Job>, StoreError> {
        for _ in 0..MOST_TRIES {
            let Some((mut job, version)) = self.load(id, deadline).await? else { return Ok(None) };
            if job.has_ended() || job.cancelled {
                return Ok(Some(job));
            }
            job.cancelled = true;
            if job.plan.is_none() {
                job.end(State::Cancelled, now());
            }
            if self.save(&job, version, deadline).await? {
                self.wake.notify_one();
                return Ok(Some(job));
            }
        }
        Err(StoreError::Overloaded)
    }

    /// A part of a job's receipt, from 0 below [`Job::receipts`]: lines of JSON.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn receipt(
        &self,
        id: &JobId,
        part: u64,
        deadline: Deadline,
    ) -> Result<Vec<u8>, StoreError> {
        let found = self.store.document(&receipt_of(id, part), deadline).await?;
        Ok(found.map(|document| document.body).unwrap_or_default())
    }

    /// Writes a part of a receipt, unless an earlier run of the step has written it.
    pub(super) async fn write_receipt(
        &self,
        id: &JobId,
        part: u64,
        lines: Vec<u8>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        if lines.len() > MAX_DOCUMENT_BYTES {
            return Err(damaged(id, format!("{} bytes of a receipt are too many", lines.len())));
        }
        let (name, body) = (receipt_of(id, part), Some(lines));
        let write = DocumentWrite { name, expected: 0, body, keep: kept() };
        self.store.write_document(write, deadline).await.map(|_| ())
    }

    /// The job, and the version of its document.
    pub(super) async fn load(
        &self,
        id: &JobId,
        deadline: Deadline,
    ) -> Result<Option<(Job, u64)>, StoreError> {
        let Some(found) = self.store.document(&format!("job/{id}"), deadline).await? else {
            return Ok(None);
        };
        let job = serde_json::from_slice(&found.body).map_err(|error| damaged(id, error))?;
        Ok(Some((job, found.version)))
    }

    /// Writes a job if its document has this version. Returns whether it had.
    pub(super) async fn save(
        &self,
        job: &Job,
        version: u64,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let body = serde_json::to_vec(job).map_err(|error| damaged(&job.id, error))?;
        // Plans are bounded, so this is a bug of ours. To try again would not help.
        if body.len() > MAX_DOCUMENT_BYTES {
            return Err(damaged(&job.id, format!("{} bytes are too many", body.len())));
        }
        let write = DocumentWrite {
            name: format!("job/{}", job.id),
            expected: version,
            body: Some(body),
            keep: Some(Duration::from_secs(KEPT_DAYS * 86_400)),
        };
        self.store.write_document(write, deadline).await
    }

    /// The jobs that have not ended, oldest first.
    pub(super) async fn open(&self, deadline: Deadline) -> Result<Vec<JobId>, StoreError> {
        self.names(OPEN, deadline).await.map(|(names, _)| names)
    }

    /// Takes a job that has ended off the list of open ones.
    pub(super) async fn close(&self, id: &JobId, deadline: Deadline) -> Result<(), StoreError> {
        self.edit_names(OPEN, None, deadline, |names| names.retain(|name| name != id)).await
    }

    async fn add_name(
        &self,
        list: &str,
        id: &JobId,
        keep: Option<Duration>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let add = |names: &mut Vec<JobId>| {
            if !names.contains(id) {
                names.push(id.clone());
            }
        };
        self.edit_names(list, keep, deadline, add).await
    }

    async fn edit_names(
        &self,
        list: &str,
        keep: Option<Duration>,
        deadline: Deadline,
        edit: impl Fn(&mut Vec<JobId>),
    ) -> Result<(), StoreError> {
        for _ in 0..MOST_TRIES {
            let (was, version) = self.names(list, deadline).await?;
            let mut names = was.clone();
            edit(&mut names);
            if names == was {
                return Ok(());
            }
            let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
            let body = texts.join(" ").into_bytes();
            if body.len() > MAX_DOCUMENT_BYTES {
                return Err(StoreError::Overloaded);
            }
            let write =
                DocumentWrite { name: list.into(), expected: version, body: Some(body), keep };
            if self.store.write_document(write, deadline).await? {
                return Ok(());
            }
        }
        Err(StoreError::Overloaded)
    }

    /// The names of a list, and the version of its document.
    async fn names(&self, list: &str, deadline: Deadline) -> Result<(Vec<JobId>, u64), StoreError> {
        let Some(found) = self.store.document(list, deadline).await? else {
            return Ok((Vec::new(), 0));
        };
        let text = String::from_utf8_lossy(&found.body);
        let names = text.split(' ').filter_map(|name| name.parse().ok()).collect();
        Ok((names, found.version))
    }
}

/// The list of the jobs that were created on a day.
fn day_of(day: u64) -> String {
    format!("jobs/{day}")
}

fn receipt_of(id: &JobId, part: u64) -> String {
    format!("job/{id}/receipt/{part}")
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
