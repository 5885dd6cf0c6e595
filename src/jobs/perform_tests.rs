use super::super::job::JobId;
use super::super::look::Look;
use super::super::{Job, Lists};
use super::*;
use crate::domain::{Palettes, Tap, UserId, Verb};
use crate::store::memory::MemoryStore;
use crate::store::{ReactorsQuery, Retention, Store as _};

fn user(id: u64) -> UserId {
    id.try_into().expect("a user id")
}

fn reaction(name: &str) -> Reaction {
    name.parse().expect("a reaction")
}

fn post(last: u8) -> PostId {
    format!("0192f0c1-2345-7890-abcd-ef01234567{last:02}").parse().expect("a post id")
}

async fn tap(store: &AnyStore, verb: Verb, post: PostId, id: u64, name: &str) {
    let tap = Tap::new(post, user(id), verb, reaction(name));
    store.tap(tap, patience()).await.expect("a tap");
}

async fn held(store: &AnyStore, post: PostId) -> Vec<String> {
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 100 };
    let listed = store.reactors(query, patience()).await.expect("a list").reactors;
    let mut names: Vec<String> =
        listed.iter().map(|it| format!("{} {}", it.user, it.reaction)).collect();
    names.sort();
    names
}

fn job(task: Task) -> Job {
    let now = super::super::book::now();
    Job::new(JobId::new(now), task, &Lists::default(), None, false, now)
}

/// What the next step of a job would do.
async fn plan(store: &AnyStore, job: &Job) -> Plan {
    let (lists, palettes) = (Lists::default(), Palettes::unconfigured());
    let look = Look { store, palettes: &palettes, job, lists: &lists, most: 1_000 };
    look.plan().await.expect("a plan")
}

async fn perform(store: &AnyStore, job: &Job, plan: &Plan) -> Did {
    Perform { store, job, plan }.run().await.expect("a step")
}

/// Plans a step, lets users tap, then does the step, twice. User 1 has taken the reaction back, and
/// user 2 has given it again. User 3 has done nothing.
async fn stale(task: Task, from: PostId, name: &str) -> (AnyStore, Numbers) {
    let store = AnyStore::Memory(MemoryStore::new(Retention::default()));
    for id in 1..=3 {
        tap(&store, Verb::Set, from, id, name).await;
    }
    let job = job(task);
    let plan = plan(&store, &job).await;
    assert_eq!(plan.items.len(), 3);
    tap(&store, Verb::Unset, from, 1, name).await;
    tap(&store, Verb::Unset, from, 2, name).await;
    tap(&store, Verb::Set, from, 2, name).await;
    let did = perform(&store, &job, &plan).await;
    let again = perform(&store, &job, &plan).await;
    assert_eq!((&again.numbers, &again.lines), (&did.numbers, &did.lines), "a repetition");
    (store, did.numbers)
}

#[tokio::test]
async fn a_stale_renaming_gives_nobody_what_they_have_taken_back() {
    let task = Task::Rename { from: reaction("heart"), to: reaction("love"), listed: false };
    let (store, numbers) = stale(task, post(1), "heart").await;
    assert_eq!(held(&store, post(1)).await, ["2 heart", "3 love"]);
    assert_eq!((numbers.get("removed"), numbers.get("changed_meanwhile")), (1, 2));
    // Neither user 1 nor user 2 ever got the new one, so there is nothing to take back.
    assert_eq!((numbers.get("newer_one_kept"), numbers.get("taken_back")), (0, 0));
}

#[tokio::test]
async fn a_stale_move_gives_nobody_what_they_have_taken_back() {
    let task = Task::MovePost { from: post(1), to: post(2) };
    let (store, numbers) = stale(task, post(1), "like").await;
    assert_eq!(held(&store, post(1)).await, ["2 like"]);
    assert_eq!(held(&store, post(2)).await, ["3 like"]);
    assert_eq!((numbers.get("removed"), numbers.get("taken_back")), (1, 2));
}

#[tokio::test]
async fn a_stale_erasure_leaves_what_was_given_since() {
    for task in [Task::Erase { user: user(2) }, Task::MergeUser { from: user(2), to: user(9) }] {
        let store = AnyStore::Memory(MemoryStore::new(Retention::default()));
        tap(&store, Verb::Set, post(1), 2, "like").await;
        let job = job(task);
        let plan = plan(&store, &job).await;
        tap(&store, Verb::Unset, post(1), 2, "like").await;
        tap(&store, Verb::Set, post(1), 2, "like").await;
        perform(&store, &job, &plan).await;
        assert_eq!(held(&store, post(1)).await, ["2 like"]);
    }
}

/// After the look of an erasure, a renaming gives the reaction another name and its old time.
#[tokio::test]
async fn what_is_renamed_under_an_erasure_is_erased_by_another_pass() {
    let store = AnyStore::Memory(MemoryStore::new(Retention::default()));
    tap(&store, Verb::Set, post(1), 2, "heart").await;
    let mut erasure = job(Task::Erase { user: user(2) });
    while !erasure.has_ended() {
        let look = plan(&store, &erasure).await;
        if erasure.step == 0 {
            assert_eq!(look.items.len(), 1);
            let (from, to) = (reaction("heart"), reaction("love"));
            let renaming = job(Task::Rename { from, to, listed: false });
            perform(&store, &renaming, &plan(&store, &renaming).await).await;
            assert_eq!(held(&store, post(1)).await, ["2 love"]);
        }
        let did = perform(&store, &erasure, &look).await;
        erasure.advance(&look, &did.numbers, 0, super::super::book::now());
    }
    assert_eq!(held(&store, post(1)).await, Vec::<String>::new());
    // The last pass finds nothing.
    assert_eq!((erasure.numbers.get("removed"), erasure.pass), (1, 3));
}
