//! Jobs that cannot get on for a while: what they say, how often they try, and that they go on.

use std::time::{Duration, Instant};

use onetap::jobs::{Job, Lists, State, Task};
use onetap::store::redis::RedisSource;
use onetap::store::{AnyStore, ReadOnly, StoreError};

use super::{Jobs, are, held, put};
use crate::store::each::on_stores;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{post, posts, prefix, soon, user};

on_stores! { [memory, file, redis] {
    in_a_read_only_window_a_job_waits_and_goes_on_afterwards,
} }

async fn config(server: &RedisServer, bytes: &str) {
    let mut limit = ::redis::cmd("CONFIG");
    let limit = limit.arg(&["SET", "maxmemory", bytes]);
    let _: () = limit.query_async(&mut server.client().await).await.unwrap();
}

/// Waits until the job is as it should be.
async fn until(jobs: &Jobs, job: &Job, is_so: impl Fn(&Job) -> bool) -> Job {
    let started = Instant::now();
    loop {
        let job = jobs.book.job(&job.id, soon()).await.unwrap().unwrap();
        if is_so(&job) {
            return job;
        }
        assert!(started.elapsed() < Duration::from_secs(100), "{job:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// While memory is full, Redis takes no new members and lets others go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_steps_fail_says_why_and_keeps_no_other_job_waiting() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let source = RedisSource::new(&server.options(&prefix())).unwrap();
    let store = AnyStore::Redis(source.attach());
    let (jobs, from, to) = (Jobs::over(&store), post(), post());
    put(&store, from, &[(1, "like", 10)]).await;
    put(&store, post(), &[(3, "like", 10), (4, "like", 10), (5, "like", 10)]).await;
    config(&server, "1").await;
    let stuck = jobs.start(Task::CopyPost { from, to }, Lists::default()).await;
    let failing = until(&jobs, &stuck, |job| job.error.is_some()).await;
    assert_eq!(failing.state, State::Running);
    let why = failing.error.unwrap();
    assert!(why.contains("not available"), "{why}");
    let began = Instant::now();
    let tried = || jobs.stats.retried.get();
    let before = tried();
    for id in 3..=5 {
        let job = jobs.done(Task::Erase { user: user(id) }).await;
        assert_eq!(job.numbers.get("removed"), 1);
    }
    until(&jobs, &stuck, |_| began.elapsed() > Duration::from_secs(8)).await;
    // After 1 s, 2 s, 4 s, and so on; each try may take a while.
    assert!((1..=4).contains(&(tried() - before)), "{} tries", tried() - before);
    config(&server, "0").await;
    let job = jobs.ended(&stuck).await;
    assert_eq!((job.state, job.error, job.numbers.get("added")), (State::Done, None, 1));
    assert_eq!(held(&store, to).await, are(&[(1, "like", 10)]));
}

async fn in_a_read_only_window_a_job_waits_and_goes_on_afterwards(store: AnyStore) {
    // So slow that it has not got far when the window begins.
    let jobs = Jobs::with(&store, onetap::domain::Palettes::unconfigured(), 500);
    let posts = posts(1_500);
    for post in &posts {
        put(&store, *post, &[(7, "like", 10)]).await;
    }
    let started = jobs.start(Task::Erase { user: user(7) }, Lists::default()).await;
    until(&jobs, &started, |job| job.done > 0).await;
    store.set_read_only(true).await.unwrap();
    let left = async || {
        let mut left = 0;
        for post in &posts {
            left += held(&store, *post).await.len();
        }
        left
    };
    let (job, before) = (jobs.book.job(&started.id, soon()).await.unwrap().unwrap(), left().await);
    assert!(before > 0 && !job.has_ended(), "the job was too fast: {job:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(jobs.book.job(&started.id, soon()).await.unwrap().unwrap(), job, "it went on");
    assert_eq!(left().await, before);
    // No job begins or is cancelled either.
    let refused = Err(StoreError::ReadOnly(ReadOnly::Window));
    let task = Task::Erase { user: user(7) };
    let start = jobs.book.start(task, Lists::default(), None, false, soon()).await;
    assert_eq!(start.map(|_| ()), refused);
    assert_eq!(jobs.book.cancel(&started.id, soon()).await.map(|_| ()), refused);
    store.set_read_only(false).await.unwrap();
    let job = jobs.ended(&started).await;
    assert_eq!((job.state, job.numbers.get("removed"), job.error), (State::Done, 1_500, None));
    assert_eq!(left().await, 0);
}
