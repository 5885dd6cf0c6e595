//! Model checking with loom: every interleaving of two or three threads on the memory store's own
//! code, and on broken twins of it that the same models have to catch.
//!
//! Run with `make loom`; without `--cfg onetap_loom` this file is empty.

#![cfg(onetap_loom)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use loom::model::Builder;
use loom::thread;
use onetap::domain::{Outcome, PostId, Summary, Tap, Verb};
use onetap::store::memory::MemoryStore;
use onetap::store::{Deadline, Retention, Store as _, SummaryQuery};
use onetap::sync::Sharded;

/// Three involuntary switches find what two threads can do to each other here, and stay quick.
fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

/// Runs a model that has to fail.
fn must_fail(name: &str, body: impl Fn() + Sync + Send + 'static) {
    let failed = catch_unwind(AssertUnwindSafe(|| model(body))).is_err();
    assert!(failed, "the model did not catch its broken twin: {name}");
}

/// What the models ask of a toggle, whoever implements it.
trait Reactions: Send + Sync + 'static {
    fn tap(&self, verb: Verb, user: u64) -> Outcome;
    /// Revision and count.
    fn summary(&self) -> (u64, u64);
}

fn post() -> PostId {
    "0192f0c1-2345-7890-abcd-ef0123456789".parse().unwrap()
}

/// The real thing. Nothing in it waits, so its futures are ready at once.
struct Real(MemoryStore);

impl Real {
    fn new() -> Self {
        Self(MemoryStore::new(Retention::default()))
    }
}

impl Reactions for Real {
    fn tap(&self, verb: Verb, user: u64) -> Outcome {
        let (user, reaction) = (user.try_into().unwrap(), "like".parse().unwrap());
        let tap = Tap { post: post(), user, reaction, verb, keyed: None };
        let deadline = Deadline::after(Duration::from_secs(600));
        self.0.tap(tap, deadline).now_or_never().unwrap().unwrap()
    }

    fn summary(&self) -> (u64, u64) {
        let query = SummaryQuery { posts: vec![post()], viewer: None, recent: 0 };
        let deadline = Deadline::after(Duration::from_secs(600));
        let mut found = self.0.summaries(query, deadline).now_or_never().unwrap().unwrap();
        let summary: Summary = found.remove(0);
        (summary.revision.0, summary.total())
    }
}

/// How a twin is broken.
#[derive(Clone, Copy)]
enum Fault {
    None,
    /// The lock is given back between the look and the write.
    ReadThenWrite,
    /// The count is moved under a second hold of the lock.
    CountOutside,
    /// The revision is taken under a first hold of the lock.
    RevisionBefore,
}

#[derive(Default)]
struct TwinState {
    users: HashSet<u64>,
    count: u64,
    revision: u64,
}

/// The same promises in a few lines, so that each way to break them is a few lines too.
struct Twin {
    fault: Fault,
    state: Sharded<TwinState>,
}

impl Twin {
    fn new(fault: Fault) -> Self {
        Self { fault, state: Sharded::new(1, |_| TwinState::default()) }
    }
}

impl Reactions for Twin {
    fn tap(&self, verb: Verb, user: u64) -> Outcome {
        let early = match self.fault {
            Fault::RevisionBefore => self.state.with(0, |s| {
                s.revision += 1;
                Some(s.revision)
            }),
            Fault::None | Fault::ReadThenWrite | Fault::CountOutside => None,
        };
        let seen = match self.fault {
            Fault::ReadThenWrite => Some(self.state.with(0, |s| s.users.contains(&user))),
            Fault::None | Fault::CountOutside | Fault::RevisionBefore => None,
        };
        let (active, changed, revision, count) = self.state.with(0, |s| {
            let was = seen.unwrap_or_else(|| s.users.contains(&user));
            let active = match verb {
                Verb::Toggle => !was,
                Verb::Set => true,
                Verb::Unset => false,
            };
            if active {
                s.users.insert(user)
            } else {
                s.users.remove(&user)
            };
            if active != was && early.is_none() {
                s.revision += 1;
            }
            if !matches!(self.fault, Fault::CountOutside) {
                s.count = s.users.len() as u64;
            }
            (active, active != was, early.unwrap_or(s.revision), s.count)
        });
        let count = if changed && matches!(self.fault, Fault::CountOutside) {
            self.state.with(0, |s| {
                s.count = if active { count + 1 } else { count.saturating_sub(1) };
                s.count
            })
        } else {
            count
        };
        let revision = onetap::domain::Revision(revision);
        Outcome { active, changed, count, revision, replayed: false }
    }

    fn summary(&self) -> (u64, u64) {
        self.state.with(0, |s| (s.revision, s.count))
    }
}

/// Runs two taps at one moment.
fn both(reactions: &Arc<impl Reactions>, taps: [(Verb, u64); 2]) -> [Outcome; 2] {
    let [first, second] = taps.map(|(verb, user)| {
        let reactions = Arc::clone(reactions);
        thread::spawn(move || reactions.tap(verb, user))
    });
    [first.join().unwrap(), second.join().unwrap()]
}

/// Two toggles of one user: one on, one off, in the order of their revisions; nothing is left.
fn double_tap(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let mut taps = both(&reactions, [(Verb::Toggle, 1), (Verb::Toggle, 1)]);
    taps.sort_by_key(|tap| tap.revision);
    assert!(taps[0].revision < taps[1].revision, "revisions rise strictly");
    assert!(taps[0].changed && taps[1].changed);
    assert_eq!((taps[0].active, taps[1].active), (true, false), "no tap is lost");
    assert_eq!(reactions.summary(), (taps[1].revision.0, 0));
}

/// Two users: the later revision has the count of both, and the summary shows it.
fn two_users(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let mut taps = both(&reactions, [(Verb::Set, 1), (Verb::Toggle, 2)]);
    taps.sort_by_key(|tap| tap.revision);
    assert!(taps[0].revision < taps[1].revision, "revisions rise strictly");
    assert_eq!(reactions.summary().1, 2, "the count is the number of users");
}

/// The same, with the answers held against the revisions as well.
fn two_users_counted(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let mut taps = both(&reactions, [(Verb::Toggle, 1), (Verb::Toggle, 2)]);
    taps.sort_by_key(|tap| tap.revision);
    assert_eq!((taps[0].count, taps[1].count), (1, 2), "counts follow the revisions");
}

/// A set and an unset of one user, in whichever order: the last one decides, repeats change nothing.
fn set_against_unset(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let [set, unset] = both(&reactions, [(Verb::Set, 1), (Verb::Unset, 1)]);
    assert!(set.active && set.changed && !unset.active);
    let left = u64::from(!unset.changed);
    assert_eq!(reactions.summary().1, left);
    assert!(!unset.changed || unset.revision > set.revision);
}

/// A reader sees the state before, between or after, and the revision that goes with it.
fn reader(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let reading = {
        let reactions = Arc::clone(&reactions);
        thread::spawn(move || reactions.summary())
    };
    let first = reactions.tap(Verb::Set, 1);
    let second = reactions.tap(Verb::Set, 2);
    let (revision, count) = reading.join().unwrap();
    let expected = match revision {
        r if r == second.revision.0 => 2,
        r if r == first.revision.0 => 1,
        r => {
            assert!(r < first.revision.0);
            0
        }
    };
    assert_eq!(count, expected, "counts and revision are of one moment");
}

#[test]
fn a_double_tap_is_on_then_off() {
    model(|| double_tap(Real::new()));
    model(|| double_tap(Twin::new(Fault::None)));
    must_fail("read, then write", || double_tap(Twin::new(Fault::ReadThenWrite)));
}

#[test]
fn the_count_is_the_number_of_users() {
    model(|| two_users(Real::new()));
    model(|| two_users(Twin::new(Fault::None)));
    must_fail("count outside the lock", || two_users(Twin::new(Fault::CountOutside)));
}

#[test]
fn counts_follow_the_revisions() {
    model(|| two_users_counted(Real::new()));
    model(|| two_users_counted(Twin::new(Fault::None)));
    must_fail("revision before the lock", || two_users_counted(Twin::new(Fault::RevisionBefore)));
}

#[test]
fn of_set_and_unset_the_last_decides() {
    model(|| set_against_unset(Real::new()));
    model(|| set_against_unset(Twin::new(Fault::None)));
    must_fail("read, then write", || set_against_unset(Twin::new(Fault::ReadThenWrite)));
}

#[test]
fn a_reader_sees_one_moment() {
    model(|| reader(Real::new()));
    model(|| reader(Twin::new(Fault::None)));
    must_fail("count outside the lock", || reader(Twin::new(Fault::CountOutside)));
}
