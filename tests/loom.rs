//! The memory store's own code under concurrency, the pieces of `sync`, and broken twins of both that
//! the same scenarios have to catch.
//!
//! `make loom` (`--cfg onetap_loom`) runs every interleaving of the threads of each scenario. An
//! ordinary `cargo test` runs the same scenarios on threads of the system, some thousand times.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use onetap::domain::{Form, IdempotencyKey, Keyed, Outcome, PostId, Revision, Summary, Tap, Verb};
use onetap::store::memory::MemoryStore;
use onetap::store::{Deadline, Retention, Store as _, SummaryQuery};
use onetap::sync::{Gate, Sharded, Stamped, Versions, WakeCell};
use threads::{Meeting, gap, model, spawn};

#[cfg(onetap_loom)]
mod threads {
    //! Loom's threads: it switches between them wherever they touch a lock, so that nothing has to
    //! be done for them to meet.

    pub(super) use loom::thread::spawn;

    /// Three involuntary switches find what two threads can do to each other here, and stay quick.
    pub(super) fn model(body: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(body);
    }

    pub(super) fn gap() {}

    #[derive(Default)]
    pub(super) struct Meeting {}

    impl Meeting {
        pub(super) fn wait(&self) {}
    }
}

#[cfg(not(onetap_loom))]
mod threads {
    //! The system's threads.

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    pub(super) use thread::spawn;

    pub(super) fn model(body: impl Fn() + Sync + Send + 'static) {
        (0..2000).for_each(|_| body());
    }

    /// Where a twin has a gap it stays in it, or two threads would hardly ever meet there.
    pub(super) fn gap() {
        thread::sleep(Duration::from_millis(1));
    }

    /// Where two threads wait for each other, since starting one takes longer than a tap.
    #[derive(Default)]
    pub(super) struct Meeting(AtomicUsize);

    impl Meeting {
        pub(super) fn wait(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            while self.0.load(Ordering::SeqCst) < 2 {
                thread::yield_now();
            }
        }
    }
}

/// Runs a model that has to fail.
fn must_fail(name: &str, body: impl Fn() + Sync + Send + 'static) {
    let failed = catch_unwind(AssertUnwindSafe(|| model(body))).is_err();
    assert!(failed, "the model did not catch its broken twin: {name}");
}

/// A request to turn a flag, or to leave it so.
#[derive(Clone, Copy)]
struct Asked {
    verb: Verb,
    user: u64,
    /// With an idempotency key, of which each user has one.
    keyed: bool,
}

fn toggle(user: u64) -> Asked {
    Asked { verb: Verb::Toggle, user, keyed: false }
}

fn set(user: u64) -> Asked {
    Asked { verb: Verb::Set, user, keyed: false }
}

fn unset(user: u64) -> Asked {
    Asked { verb: Verb::Unset, user, keyed: false }
}

/// What the models ask of every implementation of a toggle.
trait Reactions: Send + Sync + 'static {
    fn tap(&self, asked: Asked) -> Outcome;
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
    fn tap(&self, asked: Asked) -> Outcome {
        let (user, reaction) = (asked.user.try_into().unwrap(), "like".parse().unwrap());
        let keyed = asked.keyed.then(|| {
            let key = IdempotencyKey::new("once", post(), user).unwrap();
            Keyed { key, form: Form::Toggle }
        });
        let tap = Tap { keyed, ..Tap::new(post(), user, asked.verb, reaction) };
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

/// How a twin is broken: what it does under a hold of the lock of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The look, before the write.
    ReadThenWrite,
    /// The count, after the write.
    CountOutside,
    /// The revision, before the write.
    RevisionBefore,
    /// The look at the record of a key, before the write.
    RecordBefore,
}

#[derive(Default)]
struct TwinState {
    users: HashSet<u64>,
    records: HashMap<u64, Outcome>,
    count: u64,
    revision: u64,
}

impl TwinState {
    fn raise(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    fn replay(&self, asked: Asked) -> Option<Outcome> {
        let kept = self.records.get(&asked.user).filter(|_| asked.keyed);
        kept.map(|outcome| Outcome { replayed: true, ..outcome.clone() })
    }
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

    /// Does a part of a tap early, if that is the twin's fault.
    fn early<R>(&self, fault: Fault, part: impl FnOnce(&mut TwinState) -> R) -> Option<R> {
        (self.fault == fault).then(|| {
            let done = self.state.with(0, part);
            gap();
            done
        })
    }
}

impl Reactions for Twin {
    fn tap(&self, asked: Asked) -> Outcome {
        let Asked { verb, user, keyed } = asked;
        let early_revision = self.early(Fault::RevisionBefore, TwinState::raise);
        let early_look = self.early(Fault::ReadThenWrite, |s| s.users.contains(&user));
        let early_replay = self.early(Fault::RecordBefore, |s| s.replay(asked));
        let outcome = self.state.with(0, |s| {
            if let Some(answered) = early_replay.unwrap_or_else(|| s.replay(asked)) {
                return answered;
            }
            let was = early_look.unwrap_or_else(|| s.users.contains(&user));
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
            let changed = active != was;
            if changed && early_revision.is_none() {
                s.raise();
            }
            if self.fault != Fault::CountOutside {
                s.count = s.users.len() as u64;
            }
            let revision = Revision(early_revision.unwrap_or(s.revision));
            let outcome = Outcome {
                active,
                changed,
                count: s.count,
                revision,
                replayed: false,
                details: None,
            };
            if keyed {
                s.records.insert(user, outcome.clone());
            }
            outcome
        });
        if self.fault != Fault::CountOutside || !outcome.changed {
            return outcome;
        }
        gap();
        self.state.with(0, |s| {
            let count = outcome.count;
            s.count = if outcome.active { count + 1 } else { count.saturating_sub(1) };
            Outcome { count: s.count, ..outcome }
        })
    }

    fn summary(&self) -> (u64, u64) {
        self.state.with(0, |s| (s.revision, s.count))
    }
}

/// Runs two taps at one moment.
fn both(reactions: &Arc<impl Reactions>, asked: [Asked; 2]) -> [Outcome; 2] {
    let meeting = Arc::new(Meeting::default());
    let [first, second] = asked.map(|asked| {
        let (reactions, meeting) = (Arc::clone(reactions), Arc::clone(&meeting));
        spawn(move || {
            meeting.wait();
            reactions.tap(asked)
        })
    });
    [first.join().unwrap(), second.join().unwrap()]
}

/// Two toggles of one user: one on, one off, in the order of their revisions; nothing is left.
fn double_tap(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let mut taps = both(&reactions, [toggle(1), toggle(1)]);
    taps.sort_by_key(|tap| tap.revision);
    assert!(taps[0].revision < taps[1].revision, "revisions rise strictly");
    assert!(taps[0].changed && taps[1].changed);
    assert_eq!((taps[0].active, taps[1].active), (true, false), "no tap is lost");
    assert_eq!(reactions.summary(), (taps[1].revision.0, 0));
}

/// Two users: the later revision has the count of both, and the summary shows it.
fn two_users(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let mut taps = both(&reactions, [set(1), toggle(2)]);
    taps.sort_by_key(|tap| tap.revision);
    assert!(taps[0].revision < taps[1].revision, "revisions rise strictly");
    assert_eq!(reactions.summary().1, 2, "the count is the number of users");
}

/// The same, with the answers held against the revisions as well.
fn two_users_counted(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let mut taps = both(&reactions, [toggle(1), toggle(2)]);
    taps.sort_by_key(|tap| tap.revision);
    assert_eq!((taps[0].count, taps[1].count), (1, 2), "counts follow the revisions");
}

/// A set and an unset of one user, in whichever order: the last one decides, repeats change nothing.
fn set_against_unset(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let [set, unset] = both(&reactions, [set(1), unset(1)]);
    assert!(set.active && set.changed && !unset.active);
    let left = u64::from(!unset.changed);
    assert_eq!(reactions.summary().1, left);
    assert!(!unset.changed || unset.revision > set.revision);
}

/// One request that arrives twice: it is applied once, and both answers say so.
fn repeat(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let keyed = Asked { keyed: true, ..toggle(1) };
    let [first, second] = both(&reactions, [keyed, keyed]);
    assert!(first.replayed != second.replayed, "one is applied, the other replayed");
    assert_eq!(Outcome { replayed: second.replayed, ..first }, second);
    assert_eq!(reactions.summary(), (first.revision.0, 1));
}

/// A reader sees the state before, between or after, and the revision that goes with it.
fn reader(reactions: impl Reactions) {
    let reactions = Arc::new(reactions);
    let meeting = Arc::new(Meeting::default());
    let reading = {
        let (reactions, meeting) = (Arc::clone(&reactions), Arc::clone(&meeting));
        spawn(move || {
            meeting.wait();
            reactions.summary()
        })
    };
    meeting.wait();
    let first = reactions.tap(set(1));
    let second = reactions.tap(set(2));
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

#[test]
fn a_repeat_is_applied_once() {
    model(|| repeat(Real::new()));
    model(|| repeat(Twin::new(Fault::None)));
    must_fail("record before the write", || repeat(Twin::new(Fault::RecordBefore)));
}

/// How a writer and a follower of what it writes are broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gossip {
    Sound,
    /// The writer tells before it has written.
    ToldBefore,
    /// The follower reads before it asks what has changed.
    ReadBefore,
}

/// A writer announces each write, and a follower reads only what the writer has announced. At its
/// last read the follower has everything.
fn followed(gossip: Gossip) {
    let state = Arc::new((Sharded::new(1, |_| 0_u64), Versions::new(1)));
    let meeting = Arc::new(Meeting::default());
    let writer = {
        let (state, meeting) = (Arc::clone(&state), Arc::clone(&meeting));
        spawn(move || {
            meeting.wait();
            let (shard, versions) = &*state;
            if gossip == Gossip::ToldBefore {
                versions.raise(0);
                gap();
            }
            shard.with(0, |value| *value += 1);
            if gossip != Gossip::ToldBefore {
                versions.raise(0);
            }
        })
    };
    let (mut seen, mut known) = ([0], 0);
    let mut look = || {
        let (shard, versions) = &*state;
        let read = || shard.with(0, |value| *value);
        let early = (gossip == Gossip::ReadBefore).then(|| {
            let early = read();
            gap();
            early
        });
        if !versions.changed(&mut seen).is_empty() {
            known = early.unwrap_or_else(read);
        }
        known
    };
    meeting.wait();
    look();
    writer.join().unwrap();
    assert_eq!(look(), 1, "something was written unheard");
}

#[test]
fn a_follower_misses_nothing_that_was_written() {
    model(|| followed(Gossip::Sound));
    must_fail("told before it is written", || followed(Gossip::ToldBefore));
    must_fail("read before the question", || followed(Gossip::ReadBefore));
}

/// How a task that waits and a task that changes what it waits for are broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Sound,
    /// The waiting task looks, and leaves its waker afterwards.
    WakerLeftAfter,
    /// The other task wakes it, and makes the change afterwards.
    WokenBefore,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A task finds nothing and waits, while another makes the change: it is woken, or has found it.
fn waited(waiting: Waiting) {
    let cell = Arc::new(WakeCell::new(false));
    let meeting = Arc::new(Meeting::default());
    let changing = {
        let (cell, meeting) = (Arc::clone(&cell), Arc::clone(&meeting));
        spawn(move || {
            meeting.wait();
            if waiting == Waiting::WokenBefore {
                cell.change(|_| ((), true));
                gap();
                cell.with(|value| *value = true);
            } else {
                cell.change(|value| (*value = true, true));
            }
        })
    };
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let cx = Context::from_waker(&waker);
    let ready = |value: &mut bool| if *value { Poll::Ready(()) } else { Poll::Pending };
    meeting.wait();
    let polled = if waiting == Waiting::WakerLeftAfter {
        let polled = cell.with(ready);
        gap();
        if polled.is_pending() {
            let _ = cell.poll(&cx, |_| Poll::<()>::Pending);
        }
        polled
    } else {
        cell.poll(&cx, ready)
    };
    changing.join().unwrap();
    assert!(polled.is_ready() || woken.0.load(Ordering::SeqCst), "it sleeps for ever");
    assert!(cell.poll(&cx, ready).is_ready());
}

#[test]
fn a_task_that_waits_is_woken() {
    model(|| waited(Waiting::Sound));
    must_fail("the waker is left after the look", || waited(Waiting::WakerLeftAfter));
    must_fail("woken before the change", || waited(Waiting::WokenBefore));
}

/// A reader sees a value with the time since when it holds; a twin reads them one after the other.
fn stamped(twice: bool) {
    let stamped = Arc::new(Stamped::new(0));
    let meeting = Arc::new(Meeting::default());
    let writing = {
        let (stamped, meeting) = (Arc::clone(&stamped), Arc::clone(&meeting));
        spawn(move || {
            meeting.wait();
            if twice {
                gap();
            }
            stamped.set(5, 1);
        })
    };
    meeting.wait();
    let seen = if twice {
        let millis = stamped.get().0;
        gap();
        gap();
        (millis, stamped.get().1)
    } else {
        stamped.get()
    };
    writing.join().unwrap();
    assert!([(0, 0), (5, 1)].contains(&seen), "{seen:?}");
    assert_eq!(stamped.get(), (5, 1));
}

#[test]
fn a_value_and_its_time_are_of_one_moment() {
    model(|| stamped(false));
    must_fail("time and value read one after the other", || stamped(true));
}

/// Two writers, and somebody who closes the gate and then waits until nobody is inside. A twin looks
/// whether the gate is open, and goes in afterwards.
fn gate(looks_first: bool) {
    let gate = Arc::new(Gate::new());
    let writes = Arc::new(Sharded::new(1, |_| 0));
    let meeting = Arc::new(Meeting::default());
    let writer = {
        let (gate, writes, meeting) =
            (Arc::clone(&gate), Arc::clone(&writes), Arc::clone(&meeting));
        spawn(move || {
            meeting.wait();
            let inside = gate.enter();
            if inside.is_none() {
                return;
            }
            let _inside = if looks_first {
                drop(inside);
                gap();
                None
            } else {
                inside
            };
            writes.with(0, |writes| *writes += 1);
        })
    };
    meeting.wait();
    gate.close();
    let at_the_end = gate.is_empty().then(|| writes.with(0, |writes| *writes));
    writer.join().unwrap();
    assert!(gate.is_empty());
    if let Some(seen) = at_the_end {
        assert_eq!(seen, writes.with(0, |writes| *writes), "a write after the gate was closed");
    }
    assert!(gate.enter().is_none());
    gate.open();
    assert!(gate.enter().is_some());
}

#[test]
fn nobody_writes_once_a_closed_gate_is_empty() {
    model(|| gate(false));
    must_fail("the look and the entry are two steps", || gate(true));
}
