//! Jobs with the longest lists, ids and reactions, and the most reactions on a post. A document has
//! a bound, so a plan must not grow with them.

use onetap::domain::{
    Amendment, Cause, EditAct, Exclusive, MemberEdit, Micros, Once, PaletteSpec, Palettes, PostId,
    Reaction, UserId,
};
use onetap::jobs::{Job, Lists, State, Task};
use onetap::store::{AnyStore, Maintenance as _, Store as _, SummaryQuery};

use super::Jobs;
use crate::store::each::on_stores;
use crate::support::palettes::palettes;
use crate::support::{post, posts, soon, user};

on_stores! { [memory, file, redis] {
    a_step_with_the_longest_ids_fits_into_its_document,
    many_reactions_that_exclude_each_other_fit_into_a_document,
} }

/// Over Redis, each user is asked for in each partition, and each page of a walk reads the post:
/// that takes minutes.
mod lists {
    use super::{a_post_with_very_many_reactions_is_audited, the_longest_lists_are_worked_through};
    use crate::store::each::on_stores;

    on_stores! { [memory, file] {
        a_post_with_very_many_reactions_is_audited,
        the_longest_lists_are_worked_through,
    } }
}

/// The longest name.
fn long_name(n: usize) -> Reaction {
    format!("{n:0>6}{}", "a".repeat(26)).parse().unwrap()
}

/// The longest text id.
fn long_id(n: usize) -> UserId {
    format!("{}{n:0>8}", "u".repeat(56)).parse().unwrap()
}

async fn put_all(
    store: &AnyStore,
    post: PostId,
    members: impl Iterator<Item = (UserId, Reaction)>,
) {
    let put = |(user, reaction)| MemberEdit { user, reaction, act: EditAct::Put(Micros(1_000)) };
    let edits: Vec<MemberEdit> = members.map(put).collect();
    for part in edits.chunks(1_000) {
        let edits = part.to_vec();
        let amendment = Amendment::new(post, Cause::Import, edits, Once::No);
        store.amend(vec![amendment], soon()).await.remove(0).unwrap();
    }
}

async fn total(store: &AnyStore, post: PostId) -> u64 {
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    store.summaries(query, soon()).await.unwrap()[0].total()
}

/// Waits until the job is done.
async fn ends(jobs: &Jobs, job: &Job) -> Job {
    let job = jobs.ended(job).await;
    assert_eq!((job.state, &job.error), (State::Done, &None), "{job:?}");
    job
}

async fn a_post_with_very_many_reactions_is_audited(store: AnyStore) {
    let (jobs, post) = (Jobs::over(&store), post());
    put_all(&store, post, (0..9_000).map(|n| (user(7), long_name(n)))).await;
    let job = jobs.start(Task::Audit { repair: true }, Lists::default()).await;
    let job = ends(&jobs, &job).await;
    assert_eq!(job.numbers.get("drifted"), 0);
    assert!(job.numbers.get("members") >= 9_000, "{job:?}");
}

async fn a_step_with_the_longest_ids_fits_into_its_document(store: AnyStore) {
    let (jobs, from, to) = (Jobs::over(&store), post(), post());
    put_all(&store, from, (0..1_200).map(|n| (long_id(n), long_name(n % 20)))).await;
    let job = jobs.start(Task::MovePost { from, to }, Lists::default()).await;
    assert_eq!(ends(&jobs, &job).await.numbers.get("removed"), 1_200);
    assert_eq!((total(&store, from).await, total(&store, to).await), (0, 1_200));
    let task = Task::Retract { reaction: None, since: None, until: None, listed: true };
    let users = (0..600).map(long_id).collect();
    let job = jobs.start(task, Lists { users, posts: vec![to] }).await;
    let job = ends(&jobs, &job).await;
    assert_eq!(job.numbers.get("removed"), 600);
    assert_eq!(jobs.lines(&job).await.len(), 600);
    assert_eq!(total(&store, to).await, 600);
}

async fn many_reactions_that_exclude_each_other_fit_into_a_document(store: AnyStore) {
    let spec = PaletteSpec { exclusive: Exclusive::Everything, ..PaletteSpec::default() };
    let jobs = Jobs::with(&store, palettes(&[("default", spec)]), 1_000_000);
    let (from, to) = (post(), post());
    let members = || (0..300).map(|n| (long_id(n), long_name(n % 100)));
    put_all(&store, from, members()).await;
    put_all(&store, to, members()).await;
    let job = jobs.start(Task::MovePost { from, to }, Lists::default()).await;
    assert_eq!(ends(&jobs, &job).await.numbers.get("there_already"), 300);
}

async fn the_longest_lists_are_worked_through(store: AnyStore) {
    let jobs = Jobs::with(&store, Palettes::unconfigured(), 1_000_000);
    let mut posts = posts(10_000);
    posts.sort();
    put_all(&store, posts[9_999], (0..10_000).map(|n| (long_id(n), long_name(n % 20)))).await;
    let task = Task::Retract { reaction: None, since: None, until: None, listed: true };
    let lists = Lists { users: (0..10_000).map(long_id).collect(), posts: posts.clone() };
    let job = jobs.start(task, lists).await;
    let job = ends(&jobs, &job).await;
    assert_eq!((job.numbers.get("removed"), job.done), (10_000, 10_000));
    assert_eq!(jobs.lines(&job).await.len(), 10_000);
    assert_eq!(total(&store, posts[9_999]).await, 0);
}
