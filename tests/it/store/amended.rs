//! Random amendments mixed with taps, rules and forgetting, compared with a table of who has what
//! since when. A failure shrinks to the shortest sequence that shows it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onetap::domain::{
    Amendment, Cause, Edit, EditAct, EditOutcome, Forget, ImportOutcome, ImportStep, MemberEdit,
    Micros, Once, PostId, Reaction, Rules, RulesEdit, SourceId, StepToken, Summary, Tap, UserId,
    Verb,
};
use onetap::store::{
    AnyStore, Given, Maintenance as _, ReactorsQuery, Store as _, SummaryQuery, WalkedPost,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::each;
use crate::support::{changes, post, reaction, soon, tap};

/// A step of a sequence. The ranges are small, so that steps meet.
#[derive(Clone, Debug)]
enum Step {
    Tap { post: usize, user: &'static str, name: &'static str, verb: Verb },
    Amend { post: usize, edits: Vec<(&'static str, &'static str, Act)>, once: Kind, how: How },
    Lock { post: usize, locked: bool },
    Forget { post: usize, name: Option<&'static str> },
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Put(u64),
    Restore(u64),
    Merge(u64),
    RemoveUpTo(u64),
    RemoveAt(u64),
}

/// The lock that the amendment states, and whether it only answers.
#[derive(Clone, Copy, Debug)]
struct How {
    locked: Option<bool>,
    dry_run: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Free,
    Step(u8),
    Import { source: u8, from: u64, merge: bool },
}

const POSTS: usize = 2;
const USERS: [&str; 4] = ["1", "10", "a|b", "a"];
const NAMES: [&str; 3] = ["like", "👍", "-1"];
/// Later than every tap.
const LATE: u64 = 1 << 52;

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let of = |names: &'static [&'static str]| prop::sample::select(names);
    let at = || prop_oneof![8 => 1..6_u64, 1 => LATE..LATE + 3];
    let act = prop_oneof![
        3 => at().prop_map(Act::Put),
        1 => at().prop_map(Act::Restore),
        2 => at().prop_map(Act::Merge),
        1 => at().prop_map(Act::RemoveUpTo),
        1 => at().prop_map(Act::RemoveAt),
    ];
    let edits = prop::collection::vec((of(&USERS), of(&NAMES), act), 0..6);
    let import = (0..3_u8, 0..9_u64, any::<bool>())
        .prop_map(|(source, from, merge)| Kind::Import { source, from, merge });
    let once = prop_oneof![2 => Just(Kind::Free), 1 => (0..3_u8).prop_map(Kind::Step), 3 => import];
    let verb = prop::sample::select(&[Verb::Set, Verb::Unset, Verb::Toggle][..]);
    let tap = (0..POSTS, of(&USERS), of(&NAMES), verb)
        .prop_map(|(post, user, name, verb)| Step::Tap { post, user, name, verb });
    let locked = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let how = (locked, prop::bool::weighted(0.1));
    let amend = (0..POSTS, edits, once, how).prop_map(|(post, edits, once, (locked, dry_run))| {
        // No job states rules.
        let locked = locked.filter(|_| !matches!(once, Kind::Step(_)));
        Step::Amend { post, edits, once, how: How { locked, dry_run } }
    });
    let lock = (0..POSTS, any::<bool>()).prop_map(|(post, locked)| Step::Lock { post, locked });
    let name = prop_oneof![Just(None), of(&NAMES).prop_map(Some)];
    let forget = (0..POSTS, name).prop_map(|(post, name)| Step::Forget { post, name });
    let step = prop_oneof![3 => tap, 10 => amend, 1 => lock, 1 => forget];
    prop::collection::vec(step, 1..length)
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    source: u8,
    done: u64,
    revision: u64,
    live: u64,
}

type Members = BTreeMap<(Reaction, UserId), u64>;

/// The edit, and its time.
fn edit_of((user, name, act): &(&str, &str, Act)) -> (MemberEdit, u64) {
    let user: UserId = user.parse().unwrap();
    let excluded: Arc<[Reaction]> = NAMES.iter().map(|name| reaction(name)).collect();
    let (act, at) = match *act {
        Act::Put(at) => (EditAct::Put(Micros(at)), at),
        Act::Restore(at) => (EditAct::Restore(Micros(at)), at),
        Act::Merge(at) => (EditAct::Merge { at: Micros(at), excluded }, at),
        Act::RemoveUpTo(at) => (EditAct::RemoveUpTo(Micros(at)), at),
        Act::RemoveAt(at) => (EditAct::RemoveAt(Micros(at)), at),
    };
    (MemberEdit { user, reaction: reaction(name), act }, at)
}

/// Whether more rows follow a step with so many before it: now the one, now the other.
fn more(from: u64) -> bool {
    from % 2 == 1
}

fn once_of(once: Kind, post: PostId) -> Once {
    match once {
        Kind::Free => Once::No,
        Kind::Step(token) => {
            let mut bytes = *post.as_uuid().as_bytes();
            bytes[0] ^= token;
            Once::Step(StepToken(bytes))
        }
        Kind::Import { source, from, merge } => Once::Import(ImportStep {
            source: SourceId([source; 16]),
            from,
            more: more(from),
            merge,
        }),
    }
}

/// A post as a table.
#[derive(Clone, Debug, Default)]
struct Table {
    members: Members,
    locked: bool,
    mark: Option<Mark>,
    answered: BTreeMap<u8, Vec<EditOutcome>>,
}

/// What the rule of imports says of a step.
struct Judged {
    expected: ImportOutcome,
    /// How many of its rows are done.
    skip: usize,
    /// The revision that its rows must be newer than.
    live: u64,
    /// The mark's revision, if the step goes on over a change of somebody else.
    over: Option<u64>,
}

impl Table {
    fn judge(&self, once: Kind, dry_run: bool, rows: u64, present: u64, blank: bool) -> Judged {
        let Kind::Import { source, from, merge } = once else {
            return Judged { expected: ImportOutcome::Applied, skip: 0, live: 0, over: None };
        };
        let own = self.mark.filter(|mark| mark.source == source);
        let done = own.map_or(0, |mark| mark.done);
        let goes_on = |own: &Mark| from > 0 && own.live == 0 && own.revision != present;
        let over = own.filter(goes_on).map(|own| own.revision);
        let live = match self.mark {
            _ if over.is_some() => 0,
            Some(mark) if mark.revision == present => mark.live,
            None if blank => 0,
            _ => present,
        };
        let expected = match () {
            () if own.is_some() && done >= from + rows => ImportOutcome::Done,
            () if live > 0 && !merge => ImportOutcome::LiveTaps,
            () if done < from && !dry_run => ImportOutcome::Behind,
            () => ImportOutcome::Applied,
        };
        let skip = usize::try_from(done.saturating_sub(from).min(rows)).unwrap();
        Judged { expected, skip, live, over }
    }

    /// States whether the post is locked.
    fn lock(&mut self, locked: Option<bool>, judged: &Judged) -> EditOutcome {
        match locked {
            Some(locked) if locked != self.locked => {
                if judged.live > 0 || judged.over.is_some() && self.locked {
                    return EditOutcome::Lost;
                }
                self.locked = locked;
                EditOutcome::Moved
            }
            _ => EditOutcome::Unchanged,
        }
    }

    fn edit(&mut self, user: UserId, name: &Reaction, act: Act) -> EditOutcome {
        let own = (name.clone(), user);
        let before = self.members.get(&own).copied();
        let after = match act {
            Act::Put(at) => Some(before.map_or(at, |since| since.max(at))),
            Act::Restore(at) => before.or(Some(at)),
            Act::Merge(at) => {
                let others: Vec<_> = NAMES.iter().map(|other| (reaction(other), user)).collect();
                let others = others.into_iter().filter(|other| *other != own);
                let held: Vec<_> = others.filter(|it| self.members.contains_key(it)).collect();
                if held.iter().any(|it| self.members[it] > at) {
                    return EditOutcome::Lost;
                }
                self.members.retain(|own, _| !held.contains(own));
                Some(before.unwrap_or(at).min(at))
            }
            Act::RemoveUpTo(at) => before.filter(|since| *since > at),
            Act::RemoveAt(at) => before.filter(|since| *since != at),
        };
        match after {
            Some(at) => drop(self.members.insert(own, at)),
            None => drop(self.members.remove(&own)),
        }
        match (before, after) {
            (None, Some(_)) => EditOutcome::Added,
            (Some(_), None) => EditOutcome::Removed,
            (before, after) if before == after => EditOutcome::Unchanged,
            _ => EditOutcome::Moved,
        }
    }
}

/// A store and the tables that it must agree with.
struct Run<'a> {
    store: &'a AnyStore,
    ids: Vec<PostId>,
    tables: Vec<Table>,
}

impl Run<'_> {
    async fn summary(&self, n: usize) -> Summary {
        let query = SummaryQuery { posts: vec![self.ids[n]], viewer: None, recent: 0 };
        self.store.summaries(query, soon()).await.unwrap().remove(0)
    }

    async fn members(&self, n: usize) -> Members {
        let query = ReactorsQuery { post: self.ids[n], reaction: None, after: None, limit: 1000 };
        let page = self.store.reactors(query, soon()).await.unwrap();
        page.reactors.into_iter().map(|it| ((it.reaction, it.user), it.reacted_at.0)).collect()
    }

    async fn amend(&mut self, n: usize, edits: &[(&str, &str, Act)], once: Kind, how: How) {
        let before = self.summary(n).await;
        let present = before.revision.0;
        let mut table = self.tables[n].clone();
        let rows = edits.len() as u64;
        let judged = table.judge(once, how.dry_run, rows, present, before.is_blank());
        let Judged { expected, skip, live, over } = judged;
        let mut rules = EditOutcome::Unchanged;
        let replayed = match once {
            Kind::Step(token) => table.answered.get(&token).cloned(),
            _ => None,
        };
        let members: Vec<_> = edits.iter().map(edit_of).collect();
        let mut outcomes = vec![EditOutcome::Unchanged; edits.len()];
        if let Some(answered) = &replayed {
            outcomes.clone_from(answered);
        } else if expected == ImportOutcome::Applied {
            for (i, (edit, at)) in members.iter().enumerate().skip(skip) {
                outcomes[i] = match live {
                    0 => table.edit(edit.user, &edit.reaction, edits[i].2),
                    live if *at <= live => EditOutcome::Lost,
                    _ => table.edit(edit.user, &edit.reaction, edits[i].2),
                };
            }
            rules = table.lock(how.locked, &judged);
        }
        let own = members.into_iter().map(|(edit, _)| edit).collect();
        let once_of_it = once_of(once, self.ids[n]);
        let request = Amendment {
            rules: how.locked.map(|locked| Rules { locked, ..Rules::default() }),
            dry_run: how.dry_run,
            ..Amendment::new(self.ids[n], Cause::Import, own, once_of_it)
        };
        let amended = self.store.amend(vec![request], soon()).await.remove(0).unwrap();
        assert_eq!((amended.import, amended.replayed), (expected, replayed.is_some()));
        assert_eq!((&amended.outcomes, amended.rules), (&outcomes, rules));
        let now = self.summary(n).await.revision.0;
        assert!(now >= present);
        if how.dry_run {
            assert_eq!(now, present);
            assert!(amended.replayed || amended.revision.0 == now);
            return;
        }
        match once {
            Kind::Step(token) if !amended.replayed => {
                table.answered.insert(token, amended.outcomes.clone());
            }
            _ => {}
        }
        if !amended.replayed {
            assert_eq!(amended.revision.0, now);
        }
        if let (Kind::Import { source, from, .. }, ImportOutcome::Applied) = (once, expected) {
            let revision = over.unwrap_or(now);
            let mark = Mark { source, done: from + rows, revision, live };
            let is_blank = self.summary(n).await.is_blank();
            let is_untouched = is_blank && !more(from) && live == 0 && over.is_none();
            table.mark = (!is_untouched).then_some(mark);
        }
        self.tables[n] = table;
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Tap { post, user, name, verb } => {
                let user: UserId = user.parse().unwrap();
                let request = Tap { user, ..tap(*verb, self.ids[*post], 1, name) };
                match self.store.tap(request, soon()).await {
                    Ok(outcome) => {
                        let own = (reaction(name), user);
                        let has = self.tables[*post].members.contains_key(&own);
                        assert_eq!(
                            (outcome.changed, outcome.active),
                            (has != outcome.active, verb.turns(has))
                        );
                        if outcome.changed && outcome.active {
                            let at = self.members(*post).await[&own];
                            self.tables[*post].members.insert(own, at);
                        } else if outcome.changed {
                            self.tables[*post].members.remove(&own);
                        }
                    }
                    Err(refused) => assert!(self.summary(*post).await.rules.locked, "{refused:?}"),
                }
            }
            Step::Amend { post, edits, once, how } => self.amend(*post, edits, *once, *how).await,
            Step::Lock { post: n, locked } => {
                let (n, edit) = (*n, Edit::Lock(*locked));
                let post = self.ids[n];
                self.store.rule(RulesEdit { post, edit, actor: None }, soon()).await.unwrap();
                self.tables[n].locked = *locked;
            }
            Step::Forget { post, name } => {
                let name = name.map(reaction);
                let request = Forget { post: self.ids[*post], reaction: name.clone(), actor: None };
                let removed = self.store.forget(request, soon()).await.unwrap().removed;
                if name.is_none() {
                    self.tables[*post].mark = None;
                }
                let members = &mut self.tables[*post].members;
                let before = members.len() as u64;
                members.retain(|(own, _), _| name.as_ref().is_some_and(|name| name != own));
                assert_eq!(removed, before - members.len() as u64);
            }
        }
    }

    /// Lists, counts, the log, what users gave, and an audit agree with the tables.
    async fn agrees(&self) {
        let mut given: BTreeMap<UserId, BTreeSet<Given>> = BTreeMap::new();
        for (n, table) in self.tables.iter().enumerate() {
            let (post, members) = (self.ids[n], self.members(n).await);
            assert_eq!(members, table.members);
            assert_eq!(self.summary(n).await.rules.locked, table.locked);
            let counts: BTreeMap<_, _> = self
                .summary(n)
                .await
                .reactions
                .into_iter()
                .map(|it| (it.reaction, it.count))
                .collect();
            let mut sizes: BTreeMap<_, u64> = BTreeMap::new();
            members.keys().for_each(|(name, _)| *sizes.entry(name.clone()).or_default() += 1);
            assert_eq!(counts, sizes);
            let mut logged = BTreeSet::new();
            for entry in changes(self.store, post.partition(), 100_000).await.unwrap() {
                match (entry.change.flag(), &entry.change.what) {
                    _ if entry.change.post != post => {}
                    (Some((user, name, true)), _) => drop(logged.insert((name.clone(), user))),
                    (Some((user, name, _)), _) => assert!(logged.remove(&(name.clone(), user))),
                    (None, onetap::domain::What::Forgotten(gone)) => {
                        logged.retain(|(name, _)| gone.as_ref().is_some_and(|gone| gone != name))
                    }
                    (None, _) => {}
                }
            }
            assert_eq!(logged, members.keys().cloned().collect());
            let walked = WalkedPost { post, own: true, seen: NAMES.map(reaction).to_vec() };
            let indexed = members.keys().cloned().collect();
            let audited = self.store.audit(walked, indexed, false, soon()).await.unwrap();
            assert_eq!(audited.drift, []);
            for ((name, user), at) in members {
                let own = Given { reacted_at: Micros(at), post, reaction: name };
                given.entry(user).or_default().insert(own);
            }
        }
        for user in USERS.map(|user| user.parse().unwrap()) {
            let expected = given.remove(&user).unwrap_or_default();
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = self.store.given(user, after, 2, soon()).await.unwrap();
                found.extend(page.given);
                after = found.last().cloned();
                if !page.more {
                    break;
                }
            }
            // Other sequences have left reactions on other posts.
            found.retain(|it: &Given| self.ids.contains(&it.post));
            assert!(found.iter().eq(expected.iter().rev()), "{user}: {found:?}");
        }
    }
}

/// Posts of different partitions: what empties one raises the floor of the others.
fn ids() -> Vec<PostId> {
    let mut ids: Vec<PostId> = Vec::new();
    while ids.len() < POSTS {
        let next = post();
        if ids.iter().all(|id| id.partition() != next.partition()) {
            ids.push(next);
        }
    }
    ids
}

/// Compares stores with the tables on sequences from a fixed seed. Each sequence has a new store, so
/// that no other one has raised a floor.
fn compare(cases: u32, length: usize, fresh: impl AsyncFn() -> each::Fresh) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let taken = RefCell::new([0; 4]);
    let checked = TestRunner::new(config).run(&steps(length), |stream| {
        runtime.block_on(async {
            let (store, _kept) = fresh().await;
            let mut run = Run { store: &store, ids: ids(), tables: vec![Table::default(); POSTS] };
            for step in &stream {
                run.step(step).await;
                let kind = match step {
                    Step::Tap { .. } => 0,
                    Step::Amend { .. } => 1,
                    Step::Lock { .. } => 2,
                    Step::Forget { .. } => 3,
                };
                taken.borrow_mut()[kind] += 1;
            }
            run.agrees().await;
        });
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
    println!("taps, amendments, locks, forgettings: {:?}", taken.borrow());
}

#[test]
fn memory_agrees_with_a_table() {
    compare(300, 80, each::memory);
}

#[test]
fn a_file_agrees_with_a_table() {
    compare(40, 60, each::file);
}

#[test]
fn redis_agrees_with_a_table() {
    compare(40, 60, each::redis);
}

#[test]
fn valkey_agrees_with_a_table() {
    compare(40, 60, each::valkey);
}
