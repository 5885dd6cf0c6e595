//! Every store compared with the machine, the model of a post in `domain`: the same sequence of
//! taps must give the same outcomes and leave the same state. A failure shrinks to the shortest
//! sequence that shows it.

use std::collections::HashMap;
use std::time::Duration;

use onetap::domain::machine::Post;
use onetap::domain::{
    Form, KeyReused, Micros, Outcome, Partition, PostId, Reactor, Records, Revision, Tap,
};
use onetap::store::memory::MemoryStore;
use onetap::store::{AnyStore, ReactorsQuery, Retention, Store, StoreError, SummaryQuery};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::support::file::fresh;
use crate::support::redis_server::{Kind, shared};
use crate::support::{changes, keyed_tap, post, soon, tap, user};

/// A tap of a sequence. The ranges are small, so that taps meet.
#[derive(Clone, Debug)]
struct Step {
    post: usize,
    user: u64,
    reaction: &'static str,
    form: Form,
    key: Option<&'static str>,
}

const POSTS: usize = 3;
const USERS: [u64; 6] = [1, 2, 9, 10, 9_007_199_254_740_993, (1 << 63) - 1];

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let form = prop::sample::select(
        &[Form::Toggle, Form::Set, Form::Unset, Form::ToggleFrom(false), Form::ToggleFrom(true)][..],
    );
    // Few keys, so that they are used again, for the same request and for others.
    let key = prop_oneof![3 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b"))];
    let reaction = prop_oneof![Just("like"), Just("+1"), Just("👍"), Just("❤️")];
    let step = (0..POSTS, prop::sample::select(&USERS[..]), reaction, form, key)
        .prop_map(|(post, user, reaction, form, key)| Step { post, user, reaction, form, key });
    prop::collection::vec(step, 1..length)
}

/// Active, changed, replayed, count, and the number of the change that has its revision. None if
/// the key was used for another request.
type Answer = Option<(bool, bool, bool, u64, Option<usize>)>;

impl Step {
    fn tap(&self, ids: &[PostId]) -> Tap {
        match self.key {
            None => tap(self.form.verb(), ids[self.post], self.user, self.reaction),
            Some(key) => keyed_tap(self.form, ids[self.post], self.user, self.reaction, key),
        }
    }
}

/// What can be compared. Revisions and times come from different clocks, so only their order
/// counts.
#[derive(Debug, PartialEq)]
struct Seen {
    answers: Vec<Answer>,
    posts: Vec<SeenPost>,
    /// For each post: the user, the reaction, and the new state of each change.
    changes: Vec<Vec<(u64, String, bool)>>,
}

#[derive(Debug, PartialEq)]
struct SeenPost {
    /// Each reaction with its count, and whether user 1 has it.
    reactions: Vec<(String, u64, Option<bool>)>,
    /// Newest first.
    reactors: Vec<(u64, String)>,
}

/// The revisions of the changes of each post.
#[derive(Default)]
struct Order(HashMap<usize, Vec<Revision>>);

impl Order {
    /// The comparable part of an outcome. A revision from before the first change has no number.
    fn answer(&mut self, post: usize, outcome: Outcome) -> Answer {
        let number = self.number(post, &outcome);
        let Outcome { active, changed, count, replayed, .. } = outcome;
        Some((active, changed, replayed, count, number))
    }

    fn number(&mut self, post: usize, outcome: &Outcome) -> Option<usize> {
        let changes = self.0.entry(post).or_default();
        if outcome.changed && !outcome.replayed {
            assert!(changes.last().is_none_or(|last| outcome.revision > *last));
            changes.push(outcome.revision);
        }
        changes.iter().position(|revision| *revision == outcome.revision)
    }
}

fn reactors(found: Vec<Reactor>) -> Vec<(u64, String)> {
    found.into_iter().map(|r| (r.user.get(), r.reaction.to_string())).collect()
}

fn by_machine(stream: &[Step], ids: &[PostId]) -> Seen {
    let mut posts: Vec<Post> = ids.iter().map(|_| Post::default()).collect();
    let mut changes = vec![Vec::new(); ids.len()];
    let (mut answers, mut order) = (Vec::new(), Order::default());
    let mut records = Records::new(Duration::from_secs(600));
    let mut floors: HashMap<Partition, Revision> = HashMap::new();
    for (now, step) in (1_000_000..).zip(stream) {
        let (tap, now) = (step.tap(ids), Micros(now));
        match records.find(&tap, now) {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                answers.push(order.answer(step.post, outcome));
                continue;
            }
            Err(KeyReused) => {
                answers.push(None);
                continue;
            }
        }
        let floor = floors.entry(tap.post.partition()).or_default();
        let (outcome, change) = posts[step.post].apply(&tap, now, *floor);
        // As every store does: nothing is kept of a post without reactions but its revision.
        if posts[step.post].is_empty() {
            *floor = outcome.revision.max(*floor);
            posts[step.post] = Post::default();
        }
        records.keep(&tap, outcome, now);
        answers.push(order.answer(step.post, outcome));
        changes[step.post].extend(change.map(|c| (c.user.get(), c.reaction.to_string(), c.active)));
    }
    let posts = posts.iter().zip(ids).map(|(post, id)| {
        let summary = post.summary(*id, Some(user(1)), 0, Revision::default());
        let listed = summary.reactions.into_iter();
        let reactions = listed.map(|r| (r.reaction.to_string(), r.count, r.mine)).collect();
        SeenPost { reactions, reactors: reactors(post.reactors(None, None, 1000)) }
    });
    Seen { answers, posts: posts.collect(), changes }
}

async fn by_store(store: &AnyStore, stream: &[Step], ids: &[PostId]) -> Seen {
    let (mut answers, mut order) = (Vec::new(), Order::default());
    for step in stream {
        answers.push(match store.tap(step.tap(ids), soon()).await {
            Err(StoreError::KeyReused) => None,
            result => order.answer(step.post, result.unwrap()),
        });
    }
    let query = SummaryQuery { posts: ids.to_vec(), viewer: Some(user(1)), recent: 0 };
    let summaries = store.summaries(query, soon()).await.unwrap();
    let (mut posts, mut logs) = (Vec::new(), Vec::new());
    for (summary, id) in summaries.into_iter().zip(ids) {
        let listed = summary.reactions.into_iter();
        let reactions = listed.map(|r| (r.reaction.to_string(), r.count, r.mine)).collect();
        let query = ReactorsQuery { post: *id, reaction: None, after: None, limit: 1000 };
        let page = store.reactors(query, soon()).await.unwrap();
        posts.push(SeenPost { reactions, reactors: reactors(page.reactors) });
        let log = changes(store, id.partition(), 100_000).await.unwrap();
        let own = log.into_iter().map(|entry| entry.change).filter(|change| change.post == *id);
        logs.push(own.map(|c| (c.user.get(), c.reaction.to_string(), c.active)).collect());
    }
    Seen { answers, posts, changes: logs }
}

/// Compares a store with the machine on sequences from a fixed seed, so that a failure repeats.
fn compare(cases: u32, length: usize, store: impl Fn() -> AnyStore) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(async { store() });
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let checked = TestRunner::new(config).run(&steps(length), |stream| {
        let ids: Vec<PostId> = (0..POSTS).map(|_| post()).collect();
        let expected = by_machine(&stream, &ids);
        let seen = runtime.block_on(by_store(&store, &stream, &ids));
        prop_assert_eq!(seen, expected);
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

#[test]
fn memory_is_the_machine() {
    compare(200, 200, || AnyStore::Memory(MemoryStore::new(Retention::default())));
}

#[test]
fn file_is_the_machine() {
    let folder = std::cell::OnceCell::new();
    compare(60, 150, || {
        let (store, own) = fresh();
        folder.set(own).unwrap();
        AnyStore::File(store)
    });
}

#[test]
fn redis_is_the_machine() {
    compare(60, 150, || AnyStore::Redis(shared(Kind::Redis).store()));
}

#[test]
fn valkey_is_the_machine() {
    compare(60, 150, || AnyStore::Redis(shared(Kind::Valkey).store()));
}
