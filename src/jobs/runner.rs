//! The runner: takes turns among the open jobs, a step each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::book::{JobBook, now};
use super::job::{Job, JobId, Lease, Lists, State};
use super::look::{Look, patience};
use super::perform::{Did, Perform};
use super::plan::{Plan, short};
use super::sampling::sample;
use super::stats::{AuditStats, JobStats};
use super::task::Task;
use crate::domain::{Micros, Palettes};
use crate::store::{AnyStore, DocumentWrite, Maintenance as _, StoreError, USER_INDEX};

/// How long a runner of another process leaves a job alone that this one works on.
const LEASE: Duration = Duration::from_secs(3);

/// How long the runner waits when there is nothing to do, and after an error.
const REST: Duration = Duration::from_secs(1);

/// The longest wait of a job after a step that failed. The first is [`REST`], and the wait doubles
/// with each failure.
const MOST_REST: Duration = Duration::from_secs(60);

/// The document that names the audit which completes the index.
const INDEX_JOB: &str = "jobs/index";

/// How long after an audit that could not complete the index the next one begins.
const AUDIT_AGAIN: Duration = Duration::from_secs(3600);

/// How fast jobs may go.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Reactions and posts that jobs look at or change, a second.
    pub jobs: u32,
    /// Posts that the background audit compares, a second.
    pub audit: u32,
}

/// A job whose last steps failed.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    rest: Duration,
    until: Instant,
}

/// Runs the jobs of a store.
#[derive(Debug)]
pub struct Runner {
    book: JobBook,
    /// A reload replaces them.
    palettes: Arc<ArcSwap<Palettes>>,
    rates: Rates,
    stats: (Arc<JobStats>, Arc<AuditStats>),
    /// What leases name.
    name: String,
    /// Whether the index of what users gave is complete.
    indexed: bool,
    lists: HashMap<JobId, Arc<Lists>>,
    backoffs: HashMap<JobId, Backoff>,
}

impl Runner {
    /// A runner of the jobs of this store. `wake` tells it about new ones.
    pub fn new(
        store: AnyStore,
        wake: Arc<Notify>,
        palettes: Arc<ArcSwap<Palettes>>,
        rates: Rates,
        stats: (Arc<JobStats>, Arc<AuditStats>),
    ) -> Self {
        let (book, name) = (JobBook::new(store, wake), Uuid::new_v4().simple().to_string());
        let (lists, backoffs) = (HashMap::new(), HashMap::new());
        Self { book, palettes, rates, stats, name, indexed: false, lists, backoffs }
    }

    /// Works until `stop`. It may stop anywhere: what is under way is repeated by the next runner.
    pub async fn run(mut self, stop: CancellationToken) {
        let (store, rate) = (self.book.store.clone(), self.rates.audit);
        let audits = Arc::clone(&self.stats.1);
        tokio::select! {
            () = stop.cancelled() => {}
            () = sample(&store, rate, &audits) => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let mut warned = false;
        loop {
            match self.round().await {
                Ok(true) => warned = false,
                Ok(false) => {
                    warned = false;
                    let wake = self.book.wake.notified();
                    let _ = tokio::time::timeout(REST, wake).await;
                }
                Err(error) => {
                    self.stats.0.retried.add(1);
                    if !std::mem::replace(&mut warned, true) {
                        tracing::warn!("jobs wait until the store takes their steps");
                        tracing::debug!("a job waits: {error}");
                    }
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// Gives each open job a turn. Returns whether any of them got on.
    async fn round(&mut self) -> Result<bool, StoreError> {
        // In a read-only window no job begins a step.
        self.book.store.takes_writes(patience()).await?;
        self.complete_index().await?;
        let open = self.book.open(patience()).await?;
        self.lists.retain(|id, _| open.contains(id));
        self.backoffs.retain(|id, _| open.contains(id));
        self.stats.0.open.sub(self.stats.0.open.get());
        self.stats.0.open.add(open.len() as u64);
        let mut worked = false;
        for id in open {
            if self.backoffs.get(&id).is_some_and(|backoff| Instant::now() < backoff.until) {
                continue;
            }
            match self.turn(&id).await {
                Ok(on) => {
                    worked |= on;
                    self.backoffs.remove(&id);
                }
                // No repetition helps here, and the other jobs need not wait for it.
                Err(StoreError::Damaged(why)) => self.fail(&id, why).await?,
                // A window is no failure of a job.
                Err(error @ StoreError::ReadOnly(_)) => return Err(error),
                Err(error) => self.put_off(&id, &error).await?,
            }
        }
        Ok(worked)
    }

    /// Tries a job again later, the later the more of its steps fail. The others go on meanwhile.
    async fn put_off(&mut self, id: &JobId, error: &StoreError) -> Result<(), StoreError> {
        self.stats.0.retried.add(1);
        let before = self.backoffs.get(id);
        let rest = before.map_or(REST, |before| (2 * before.rest).min(MOST_REST));
        if before.is_none() {
            tracing::warn!("a step of job {id} failed, and is tried again: {error}");
        }
        self.backoffs.insert(id.clone(), Backoff { rest, until: Instant::now() + rest });
        // `GET /v1/jobs/{id}` shows why the job does not get on.
        let Some((mut job, version)) = self.book.load(id, patience()).await? else { return Ok(()) };
        let error = short(&error.to_string());
        if !job.has_ended() && job.error.as_ref() != Some(&error) {
            job.error = Some(error);
            self.book.save(&job, version, patience()).await?;
        }
        Ok(())
    }

    /// Ends a job that cannot go on.
    async fn fail(&mut self, id: &JobId, why: String) -> Result<(), StoreError> {
        tracing::warn!("job {id} cannot go on: {why}");
        match self.book.load(id, patience()).await {
            Ok(Some((mut job, version))) if !job.has_ended() => {
                job.error = Some(short(&why));
                job.end(State::Failed, now());
                if self.book.save(&job, version, patience()).await? {
                    self.ended(&job).await?;
                }
                Ok(())
            }
            Ok(_) | Err(StoreError::Damaged(_)) => self.book.close(id, patience()).await,
            Err(error) => Err(error),
        }
    }

    /// Takes a job a step further. Returns whether it did.
    async fn turn(&mut self, id: &JobId) -> Result<bool, StoreError> {
        let Some((mut job, version)) = self.book.load(id, patience()).await? else {
            self.book.close(id, patience()).await?;
            return Ok(false);
        };
        if job.has_ended() {
            self.lists.remove(id);
            self.book.close(id, patience()).await?;
            return Ok(false);
        }
        if self.others_work_on(&job) || (job.task.needs_index() && !self.indexed) {
            return Ok(false);
        }
        let lists = self.lists_of(&job).await?;
        if let Some(plan) = job.plan.take() {
            let did = Perform { store: &self.book.store, job: &job, plan: &plan }.run().await?;
            self.note(&mut job, &plan, did).await?;
            self.stats.0.steps.add(1);
            self.stats.0.members.add(plan.cost());
            // Before the next plan, not behind it: a plan should be fresh when it is done.
            tokio::time::sleep(self.pause(plan.cost())).await;
        }
        job.error = None;
        if job.cancelled && !job.has_ended() {
            job.end(State::Cancelled, now());
        }
        if !job.has_ended() {
            self.plan(&mut job, &lists).await?;
        }
        if self.book.save(&job, version, patience()).await? {
            self.ended(&job).await?;
        }
        Ok(true)
    }

    /// Plans the next step.
    async fn plan(&self, job: &mut Job, lists: &Lists) -> Result<(), StoreError> {
        let most = (self.rates.jobs as usize).clamp(100, 1_000);
        let (store, palettes) = (&self.book.store, self.palettes.load_full());
        let look = Look { store, palettes: &palettes, job, lists, most };
        let first = job.step == 0;
        let extent = if first { Some(look.extent().await?) } else { None };
        let plan = look.plan().await?;
        if let Some((total, newest)) = extent {
            job.total = total;
            // If the store's clock is ahead of ours, this is the time that counts.
            job.until = job.until.max(newest);
        }
        let until = now().later(LEASE + self.pause(plan.cost())).0 / 1000;
        job.lease = Some(Lease { runner: self.name.clone(), until });
        job.plan = Some(plan);
        Ok(())
    }

    /// Writes the receipt of a step, and its numbers into the job.
    async fn note(&self, job: &mut Job, plan: &Plan, did: Did) -> Result<(), StoreError> {
        let mut parts = 0;
        if !did.lines.is_empty() {
            self.book.write_receipt(&job.id, job.receipts, did.lines, patience()).await?;
            parts = 1;
        }
        job.advance(plan, &did.numbers, parts, now());
        Ok(())
    }

    /// What follows the end of a job.
    async fn ended(&mut self, job: &Job) -> Result<(), StoreError> {
        if !job.has_ended() {
            return Ok(());
        }
        let stats = &self.stats.0;
        let count = if job.state == State::Failed { &stats.failed } else { &stats.done };
        count.add(1);
        tracing::info!("job {} ({}): {}", job.id, job.task.kind(), job.state.word());
        self.lists.remove(&job.id);
        self.book.close(&job.id, patience()).await
    }

    async fn lists_of(&mut self, job: &Job) -> Result<Arc<Lists>, StoreError> {
        if let Some(lists) = self.lists.get(&job.id) {
            return Ok(Arc::clone(lists));
        }
        let lists = Arc::new(self.book.lists(job, patience()).await?);
        self.lists.insert(job.id.clone(), Arc::clone(&lists));
        Ok(lists)
    }

    /// Whether the runner of another process works on this job. A file and the memory of a process
    /// have one runner; after a crash it need not wait for the lease of the one before.
    fn others_work_on(&self, job: &Job) -> bool {
        let other = |lease: &Lease| lease.runner != self.name && Micros(lease.until * 1000) > now();
        self.book.store.kind() == "redis" && job.lease.as_ref().is_some_and(other)
    }

    /// How long after a step the next one begins.
    fn pause(&self, cost: u64) -> Duration {
        Duration::from_micros(cost * 1_000_000 / u64::from(self.rates.jobs))
    }

    /// Sees to it that the index of what users gave gets complete. A store that is older than the
    /// index gets an audit of all posts, which writes it.
    pub(super) async fn complete_index(&mut self) -> Result<(), StoreError> {
        let store = &self.book.store;
        let was = std::mem::take(&mut self.indexed);
        let whole = store.document(USER_INDEX, patience()).await?.is_some();
        if whole && was {
            self.indexed = true;
            return Ok(());
        }
        let named = store.document(INDEX_JOB, patience()).await?;
        let version = named.as_ref().map_or(0, |document| document.version);
        if whole {
            // If somebody removes `user-index`, an audit of today says nothing about that day.
            if named.is_some() {
                self.name_index_job(None, version).await?;
            }
            self.indexed = true;
            return Ok(());
        }
        let id = named.and_then(|it| String::from_utf8_lossy(&it.body).parse::<JobId>().ok());
        let job = match &id {
            Some(id) => self.book.job(id, patience()).await?,
            None => None,
        };
        match job {
            Some(job) if !job.has_ended() => return Ok(()),
            Some(job) if completes_index(&job) => {
                // Only who removes the name of the audit may go by it.
                if self.name_index_job(None, version).await? {
                    let (name, body) = (USER_INDEX.to_owned(), Some(job.id.to_string().into()));
                    let write = DocumentWrite { name, expected: 0, body, keep: None };
                    self.book.store.write_document(write, patience()).await?;
                    self.indexed = true;
                }
                return Ok(());
            }
            // Somebody has to repair or remove what is damaged.
            Some(job) if Micros(job.ended.unwrap_or_default()).later(AUDIT_AGAIN) > now() => {
                return Ok(());
            }
            _ => {}
        }
        let task = Task::Audit { repair: true };
        let job = self.book.start(task, Lists::default(), None, false, patience()).await?;
        tracing::info!(
            "the index of what users gave is not complete: job {} completes it; jobs of the kinds \
             erase, retract and merge_user wait for it",
            job.id
        );
        if !self.name_index_job(Some(&job.id), version).await? {
            // Another process was faster.
            self.book.cancel(&job.id, patience()).await?;
        }
        Ok(())
    }

    /// Writes which audit completes the index. Returns whether nobody else has.
    async fn name_index_job(&self, id: Option<&JobId>, version: u64) -> Result<bool, StoreError> {
        let (name, body) = (INDEX_JOB.to_owned(), id.map(|id| id.to_string().into_bytes()));
        let write = DocumentWrite { name, expected: version, body, keep: None };
        self.book.store.write_document(write, patience()).await
    }
}

/// Whether the index is complete behind this audit: it has gone through all posts, and found none
/// whose members it could not read.
fn completes_index(job: &Job) -> bool {
    let left = job.numbers.get("damaged") + job.numbers.get("not_repaired");
    job.state == State::Done && left == 0
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
