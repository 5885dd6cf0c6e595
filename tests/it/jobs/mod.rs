//! Jobs: what each kind does, beside people who tap, with two runners, and through crashes.

mod api;
mod beside_taps;
mod crash;
mod drift;
mod kinds;
mod largest;
mod text_ids;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onetap::domain::{Amendment, Cause, EditAct, MemberEdit, Micros, Once, Palettes, PostId};
use onetap::jobs::{Job, JobBook, JobStats, Lists, Rates, Runner, Task};
use onetap::store::{AnyStore, Maintenance as _, ReactorsQuery, Store as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{reaction, soon, user};

/// A store with a runner of its jobs.
struct Jobs {
    book: JobBook,
    stats: Arc<JobStats>,
    stop: CancellationToken,
    _running: JoinHandle<()>,
}

impl Jobs {
    fn over(store: &AnyStore) -> Self {
        Self::with(store, Palettes::unconfigured(), 1_000_000)
    }

    fn with(store: &AnyStore, palettes: Arc<Palettes>, rate: u32) -> Self {
        Self::at_rates(store, palettes, Rates { jobs: rate, audit: 0 })
    }

    fn at_rates(store: &AnyStore, palettes: Arc<Palettes>, rates: Rates) -> Self {
        let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let (palettes, stats) = (Arc::new(palettes.into()), Arc::<JobStats>::default());
        let both = (Arc::clone(&stats), Arc::default());
        let runner = Runner::new(store.clone(), Arc::clone(&wake), palettes, rates, both);
        let running = tokio::spawn(runner.run(stop.clone()));
        Self { book: JobBook::new(store.clone(), wake), stats, stop, _running: running }
    }

    async fn start(&self, task: Task, lists: Lists) -> Job {
        self.book.start(task, lists, Some(user(9)), false, soon()).await.unwrap()
    }

    /// Starts a job and waits for its end.
    async fn done(&self, task: Task) -> Job {
        self.done_with(task, Lists::default()).await
    }

    async fn done_with(&self, task: Task, lists: Lists) -> Job {
        let job = self.start(task, lists).await;
        let job = self.ended(&job).await;
        assert_eq!(job.state.word(), "done", "{job:?}");
        job
    }

    /// Waits for the end of a job.
    async fn ended(&self, job: &Job) -> Job {
        let started = Instant::now();
        loop {
            let job = self.book.job(&job.id, soon()).await.unwrap().unwrap();
            if job.has_ended() {
                return job;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "it goes on: {job:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The lines of a receipt without the last one, sorted.
    async fn lines(&self, job: &Job) -> Vec<String> {
        let mut lines = Vec::new();
        for part in 0..job.receipts {
            let part = self.book.receipt(&job.id, part, soon()).await.unwrap();
            lines.extend(String::from_utf8(part).unwrap().lines().map(str::to_owned));
        }
        lines.sort();
        lines
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Gives users reactions, each with a time in µs.
async fn put(store: &AnyStore, post: PostId, members: &[(u64, &str, u64)]) {
    let edit = |(id, name, at): &(u64, &str, u64)| MemberEdit {
        user: user(*id),
        reaction: reaction(name),
        act: EditAct::Put(Micros(*at)),
    };
    for part in members.chunks(1000) {
        let edits = part.iter().map(edit).collect();
        let amendment = Amendment::new(post, Cause::Import, edits, Once::No);
        store.amend(vec![amendment], soon()).await.remove(0).unwrap();
    }
}

/// The members of a post: user and reaction with the time.
async fn held(store: &AnyStore, post: PostId) -> BTreeMap<(String, String), u64> {
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 100_000 };
    let listed = store.reactors(query, soon()).await.unwrap().reactors;
    let entry = |it: onetap::domain::Reactor| {
        ((it.user.to_string(), it.reaction.to_string()), it.reacted_at.0)
    };
    listed.into_iter().map(entry).collect()
}

/// The same, written down.
fn are(members: &[(u64, &str, u64)]) -> BTreeMap<(String, String), u64> {
    let entry = |(id, name, at): &(u64, &str, u64)| ((id.to_string(), (*name).to_owned()), *at);
    members.iter().map(entry).collect()
}
