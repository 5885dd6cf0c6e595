//! Jobs on the posts that 50 users tap all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onetap::domain::{Palettes, PostId, Verb};
use onetap::jobs::{Job, Lists, Task};
use onetap::store::{AnyStore, Maintenance as _, Store as _};
use tokio::task::JoinHandle;

use super::Jobs;
use crate::store::each::on_stores;
use crate::support::judge::{Answered, assert_explained, members_of};
use crate::support::power::random;
use crate::support::{posts, reaction, soon, tap, user};

on_stores! { [memory, file, redis] {
    erasing_beside_taps,
    retracting_beside_taps,
    renaming_beside_taps,
    merging_users_beside_taps,
    moving_a_post_beside_taps,
    copying_a_post_beside_taps,
    auditing_beside_taps,
} }

const USERS: u64 = 50;

/// Between two taps of a user. So fewer taps than the log keeps go on beside a job.
const PAUSE: Duration = Duration::from_millis(5);

/// How many posts: `ONETAP_JOB_POSTS=10000` for the figure in docs/figures.md.
fn size() -> usize {
    std::env::var("ONETAP_JOB_POSTS").ok().map_or(200, |text| text.parse().unwrap())
}

/// Users who tap on posts until they are stopped.
struct Crowd {
    stop: Arc<AtomicBool>,
    users: Vec<JoinHandle<Vec<Answered>>>,
}

impl Crowd {
    fn start(store: &AnyStore, posts: &[PostId]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let one = |id: u64| {
            let (store, posts, stop) = (store.clone(), posts.to_vec(), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut seed, mut answers) = (id, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let mut below =
                        |bound: usize| usize::try_from(random(&mut seed) % bound as u64).unwrap();
                    let post = posts[below(posts.len())];
                    let verb = [Verb::Toggle, Verb::Set, Verb::Unset][below(3)];
                    let tap = tap(verb, post, id, ["heart", "love"][below(2)]);
                    let outcome = store.tap(tap.clone(), soon()).await.unwrap();
                    answers.push((tap, outcome));
                    // A store in memory answers at once: without a pause nobody else would run.
                    tokio::time::sleep(PAUSE).await;
                }
                answers
            })
        };
        Self { users: (1..=USERS).map(one).collect(), stop }
    }

    async fn stop(self) -> Vec<Answered> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers = Vec::new();
        for user in self.users {
            answers.extend(user.await.unwrap());
        }
        answers
    }
}

/// Fills the posts by taps, so that the log explains what is there.
async fn fill(store: &AnyStore, posts: &[PostId]) -> Vec<Answered> {
    let part = |posts: &[PostId]| {
        let (store, posts) = (store.clone(), posts.to_vec());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for (post, n) in posts.iter().zip(0..) {
                for (id, name) in [(1, "heart"), (2, "heart"), (2, "love"), (60 + n % 5, "heart")] {
                    let tap = tap(Verb::Set, *post, id, name);
                    answers.push((tap.clone(), store.tap(tap, soon()).await.unwrap()));
                }
            }
            answers
        })
    };
    let mut answers = Vec::new();
    for part in posts.chunks(posts.len().div_ceil(32)).map(part).collect::<Vec<_>>() {
        answers.extend(part.await.unwrap());
    }
    answers
}

/// Runs a job beside taps, and judges. Returns the job, and how many changes it made by the log.
async fn run(store: &AnyStore, posts: &[PostId], task: Task, lists: Lists) -> (Job, usize) {
    let mut answers = fill(store, posts).await;
    let filled = answers.len();
    // So slow that the job lasts a while.
    let rate = if posts.len() > 200 { 5_000 } else { 400 };
    let jobs = Jobs::with(store, Palettes::unconfigured(), rate);
    let crowd = Crowd::start(store, posts);
    let job = jobs.done_with(task, lists).await;
    answers.extend(crowd.stop().await);
    let causes = assert_explained(store, posts, &answers).await;
    assert!(answers.len() > filled + 100, "hardly anybody tapped: {}: {causes:?}", answers.len());
    println!(
        "{} on {} posts beside {} taps: {:?} in {} ms, 0 violations",
        job.task.kind(),
        posts.len(),
        answers.len(),
        job.numbers,
        (job.ended.unwrap() - job.created) / 1000
    );
    (job, causes.erased + causes.moderated)
}

/// Nothing of a user that was given before the job is left.
async fn nothing_old_is_left(store: &AnyStore, job: &Job, id: u64) {
    let mut after = None;
    loop {
        let page = store.given(user(id), after, 1_000, soon()).await.unwrap();
        for given in &page.given {
            assert!(given.reacted_at.0 > job.created, "{given:?} is older than {job:?}");
        }
        after = page.given.last().cloned();
        if !page.more {
            return;
        }
    }
}

async fn erasing_beside_taps(store: AnyStore) {
    let posts = posts(size());
    let (job, changes) = run(&store, &posts, Task::Erase { user: user(2) }, Lists::default()).await;
    assert_eq!(changes as u64, job.numbers.get("removed"));
    nothing_old_is_left(&store, &job, 2).await;
}

async fn retracting_beside_taps(store: AnyStore) {
    let posts = posts(size());
    let task = Task::Retract { reaction: None, since: None, until: None, listed: false };
    let lists = Lists { users: (1..=20).map(user).collect(), ..Lists::default() };
    let (job, changes) = run(&store, &posts, task, lists).await;
    assert_eq!(changes as u64, job.numbers.get("removed"));
    for id in 1..=20 {
        nothing_old_is_left(&store, &job, id).await;
    }
    let jobs = Jobs::over(&store);
    assert_eq!(jobs.lines(&job).await.len(), changes);
}

async fn renaming_beside_taps(store: AnyStore) {
    let posts = posts(size());
    let task = Task::Rename { from: reaction("heart"), to: reaction("love"), listed: false };
    run(&store, &posts, task, Lists::default()).await;
    // These users did not tap meanwhile.
    for post in &posts {
        let old = members_of(&store, *post).await;
        for id in 60..=64 {
            assert!(!old.contains(&(reaction("heart"), user(id))), "{post} {id}");
        }
    }
}

async fn merging_users_beside_taps(store: AnyStore) {
    let posts = posts(size());
    let task = Task::MergeUser { from: user(2), to: user(70) };
    let (job, _) = run(&store, &posts, task, Lists::default()).await;
    nothing_old_is_left(&store, &job, 2).await;
}

async fn moving_a_post_beside_taps(store: AnyStore) {
    let posts = posts(2);
    let task = Task::MovePost { from: posts[0], to: posts[1] };
    run(&store, &posts, task, Lists::default()).await;
    assert!(!members_of(&store, posts[0]).await.contains(&(reaction("heart"), user(60))));
    assert!(members_of(&store, posts[1]).await.contains(&(reaction("heart"), user(60))));
}

async fn copying_a_post_beside_taps(store: AnyStore) {
    let posts = posts(2);
    let task = Task::CopyPost { from: posts[0], to: posts[1] };
    run(&store, &posts, task, Lists::default()).await;
    for post in posts {
        assert!(members_of(&store, post).await.contains(&(reaction("heart"), user(60))));
    }
}

async fn auditing_beside_taps(store: AnyStore) {
    let posts = posts(size());
    let (job, changes) = run(&store, &posts, Task::Audit { repair: true }, Lists::default()).await;
    assert_eq!((job.numbers.get("drifted"), changes), (0, 0), "{job:?}");
}
