//! Every store compared with the machine, the model of a post in `domain`: the same sequence of
//! taps, whole sets, rules and forgetting must give the same answers and leave the same state. A
//! failure shrinks to the shortest sequence that shows it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use onetap::domain::machine::Post;
use onetap::domain::{
    Act, Add, Amended, Change, Edit, EditOutcome, Exclusive, Forget, Forgotten, Form,
    IdempotencyKey, ImportMark, ImportOutcome, KeyReused, Keyed, MarkWrite, Micros, Once, Outcome,
    PaletteName, PaletteSpec, Palettes, Partition, PostId, Reaction, Reactor, Records, Refusal,
    Revision, Ruled, Rules, RulesEdit, StepToken, Summary, Tap, UserId, What,
};
use onetap::store::memory::MemoryStore;
use onetap::store::{
    AnyStore, Maintenance, ReactorsQuery, Retention, Store, StoreError, SummaryQuery,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::amending::{Amending, amendments};
use crate::support::file::fresh;
use crate::support::palettes::palettes;
use crate::support::redis_server::{Kind, shared};
use crate::support::{changes, keyed_tap, post, reaction, soon, user};

/// A step of a sequence. The ranges are small, so that steps meet.
#[derive(Clone, Debug)]
enum Step {
    Tap(Tapped),
    Rule { post: usize, edit: Edit },
    Forget { post: usize, name: Option<&'static str> },
    Amend(Amending),
}

#[derive(Clone, Debug)]
struct Tapped {
    post: usize,
    user: &'static str,
    /// The first one alone counts, unless the form is that of a whole set.
    names: Vec<&'static str>,
    form: Form,
    key: Option<&'static str>,
    by_moderator: bool,
}

pub(super) const POSTS: usize = 3;
/// Integers and texts: a store takes both, and the service lets only one kind in.
pub(super) const USERS: [&str; 8] =
    ["1", "9", "10", "9007199254740993", "9223372036854775807", "=", "A|b@c:d~e", "a"];
pub(super) const MODERATOR: &str = "=";
pub(super) const NAMES: [&str; 4] = ["like", "+1", "👍", "❤️"];

/// One palette with a group, an alias and few kinds, and one of which a user has one.
static PALETTES: LazyLock<Arc<Palettes>> = LazyLock::new(|| {
    let few = PaletteSpec {
        reactions: Some(["like", "👍", "❤️"].map(reaction).to_vec()),
        exclusive: Exclusive::Groups(vec![["like", "👍"].map(reaction).to_vec()]),
        aliases: vec![(reaction("+1"), reaction("👍"))],
        max_kinds_per_post: Some(2),
        max_per_user_and_post: None,
    };
    let one = PaletteSpec { exclusive: Exclusive::Everything, ..PaletteSpec::default() };
    let own = PaletteSpec { max_per_user_and_post: Some(1), ..PaletteSpec::default() };
    palettes(&[("few", few), ("one", one), ("own", own)])
});

fn edits() -> impl Strategy<Value = Edit> {
    // No palette has the last name.
    let palette = prop_oneof![
        Just(None),
        prop::sample::select(&["few", "one", "own", "gone"][..])
            .prop_map(|name| Some(name.parse::<PaletteName>().unwrap()))
    ];
    let add = prop_oneof![3 => Just(Add::All), 1 => Just(Add::Existing), 1 => Just(Add::None)];
    prop_oneof![
        3 => (palette, add).prop_map(|(palette, add)| Edit::Rules(palette, add)),
        1 => prop::bool::weighted(0.3).prop_map(Edit::Lock),
    ]
}

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let form = prop_oneof![
        5 => prop::sample::select(
            &[Form::Toggle, Form::Set, Form::Unset, Form::ToggleFrom(false), Form::ToggleFrom(true)][..],
        ),
        2 => Just(Form::Exactly),
    ];
    // Few keys, so that they are used again, for the same request and for others.
    let key = prop_oneof![3 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b"))];
    let names = prop::collection::vec(prop::sample::select(&NAMES[..]), 1..4);
    let by_moderator = prop::bool::weighted(0.1);
    let user = prop::sample::select(&USERS[..]);
    let tap = (0..POSTS, user, names, form, key, by_moderator).prop_map(
        |(post, user, names, form, key, by_moderator)| {
            Step::Tap(Tapped { post, user, names, form, key, by_moderator })
        },
    );
    let rule = (0..POSTS, edits()).prop_map(|(post, edit)| Step::Rule { post, edit });
    let amend = amendments().prop_map(Step::Amend);
    let name = prop_oneof![Just(None), prop::sample::select(&NAMES[..]).prop_map(Some)];
    let forget = (0..POSTS, name).prop_map(|(post, name)| Step::Forget { post, name });
    prop::collection::vec(prop_oneof![16 => tap, 2 => rule, 1 => forget, 4 => amend], 1..length)
}

/// What a step answered. The number is that of the change that has the answer's revision.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    KeyReused,
    Refused(Refusal),
    Tapped {
        active: bool,
        changed: bool,
        replayed: bool,
        count: u64,
        counted: Vec<Reaction>,
        replaced: Vec<(Reaction, u64)>,
        number: Option<usize>,
    },
    Ruled(Rules, bool, Option<usize>),
    Forgotten(u64, Option<usize>),
    Amended(Vec<EditOutcome>, EditOutcome, ImportOutcome, bool, Option<usize>),
}

impl Tapped {
    fn tap(&self, ids: &[PostId]) -> Tap {
        let (post, key) = (ids[self.post], self.key.unwrap_or("none"));
        let keyed = keyed_tap(self.form, post, 1, self.names[0], key);
        let user = self.user.parse().unwrap();
        let key = IdempotencyKey::new(key, post, user).unwrap();
        let act = match keyed.act {
            Act::Exactly(_) => Act::Exactly(self.names.iter().map(|name| reaction(name)).collect()),
            one @ Act::One(..) => one,
        };
        Tap {
            act,
            user,
            keyed: self.key.map(|_| Keyed { key, form: self.form }),
            palettes: Arc::clone(&PALETTES),
            actor: self.by_moderator.then(|| MODERATOR.parse().unwrap()),
            ..keyed
        }
    }
}

fn rules_edit(post: PostId, edit: &Edit) -> RulesEdit {
    RulesEdit { post, edit: edit.clone(), actor: MODERATOR.parse().ok() }
}

fn forgetting(post: PostId, name: Option<&str>) -> Forget {
    Forget { post, reaction: name.map(reaction), actor: None }
}

/// What can be compared. Revisions and times come from different clocks, so only their order
/// counts.
#[derive(Debug, PartialEq)]
struct Seen {
    answers: Vec<Answer>,
    posts: Vec<SeenPost>,
    /// For each post: what changed, and the moderator.
    changes: Vec<Vec<(What, Option<UserId>)>>,
    /// What each user gave, newest first.
    given: [Vec<(PostId, Reaction)>; USERS.len()],
}

#[derive(Debug, PartialEq)]
struct SeenPost {
    rules: Rules,
    /// Each reaction with its count, and whether user 1 has it.
    reactions: Vec<(String, u64, Option<bool>)>,
    /// Newest first.
    reactors: Vec<(String, String)>,
}

impl SeenPost {
    fn new(summary: Summary, listed: Vec<Reactor>) -> Self {
        let reactions = summary.reactions.into_iter();
        let listed = listed.into_iter();
        Self {
            rules: summary.rules,
            reactions: reactions.map(|r| (r.reaction.to_string(), r.count, r.mine)).collect(),
            reactors: listed.map(|r| (r.user.to_string(), r.reaction.to_string())).collect(),
        }
    }
}

/// A log without what the laws leave open: the order in which one step takes several reactions from
/// a user.
fn in_order(mut log: Vec<(What, Option<UserId>)>) -> Vec<(What, Option<UserId>)> {
    let taken = |what: &What| match what {
        What::Reaction { user, active: false, .. } => Some(*user),
        _ => None,
    };
    let runs = log.chunk_by_mut(|(a, _), (b, _)| taken(a).is_some() && taken(a) == taken(b));
    runs.for_each(|run| run.sort_by_key(|(what, _)| format!("{what:?}")));
    log
}

/// The revisions of the changes of each post.
#[derive(Default)]
struct Order(HashMap<usize, Vec<Revision>>);

impl Order {
    /// The comparable part of an outcome. A revision from before the first change has no number.
    fn tapped(&mut self, post: usize, outcome: &Outcome) -> Answer {
        let number = self.number(post, outcome.changed && !outcome.replayed, outcome.revision);
        let (counted, mut replaced) = (outcome.counted().to_vec(), outcome.replaced().to_vec());
        replaced.sort();
        let Outcome { active, changed, count, replayed, .. } = *outcome;
        Answer::Tapped { active, changed, replayed, count, counted, replaced, number }
    }

    fn ruled(&mut self, post: usize, ruled: Ruled) -> Answer {
        let number = self.number(post, ruled.changed, ruled.revision);
        Answer::Ruled(ruled.rules, ruled.changed, number)
    }

    fn forgotten(&mut self, post: usize, forgotten: Forgotten) -> Answer {
        let Forgotten { removed, revision } = forgotten;
        Answer::Forgotten(removed, self.number(post, removed > 0, revision))
    }

    fn amended(&mut self, amending: &Amending, amended: Amended) -> Answer {
        let Amended { outcomes, rules, revision, import, replayed } = amended;
        let changes = [EditOutcome::Added, EditOutcome::Moved, EditOutcome::Removed];
        let writes = !replayed && !amending.dry_run;
        let changed = writes && outcomes.iter().chain([&rules]).any(|it| changes.contains(it));
        let number = self.number(amending.post, changed, revision);
        Answer::Amended(outcomes, rules, import, replayed, number)
    }

    fn number(&mut self, post: usize, changed: bool, revision: Revision) -> Option<usize> {
        let changes = self.0.entry(post).or_default();
        if changed {
            assert!(changes.last().is_none_or(|last| revision > *last));
            changes.push(revision);
        }
        changes.iter().position(|known| *known == revision)
    }
}

/// The machine, with what a store keeps around it.
struct Model<'a> {
    ids: &'a [PostId],
    posts: Vec<Post>,
    changes: Vec<Vec<(What, Option<UserId>)>>,
    order: Order,
    records: Records,
    floors: HashMap<Partition, Revision>,
    marks: HashMap<usize, ImportMark>,
    tokens: HashMap<StepToken, Amended>,
}

impl Model<'_> {
    fn step(&mut self, step: &Step, now: Micros) -> Answer {
        match step {
            Step::Tap(tapped) => self.tap(tapped, now),
            Step::Rule { post, edit } => {
                let edit = rules_edit(self.ids[*post], edit);
                let (ruled, change) = self.on_post(*post, |it, floor| it.rule(&edit, now, floor));
                self.log(*post, change);
                self.order.ruled(*post, ruled)
            }
            Step::Forget { post, name } => {
                let forget = forgetting(self.ids[*post], *name);
                if name.is_none() {
                    self.marks.remove(post);
                }
                let (forgotten, change, _) =
                    self.on_post(*post, |it, floor| it.forget(&forget, now, floor));
                self.log(*post, change);
                self.order.forgotten(*post, forgotten)
            }
            Step::Amend(amending) => self.amend(amending, now),
        }
    }

    fn amend(&mut self, amending: &Amending, now: Micros) -> Answer {
        let (amendment, post) = (amending.amendment(self.ids), amending.post);
        let token = match amendment.once {
            Once::Step(token) => Some(token),
            _ => None,
        };
        if let Some(first) = token.and_then(|token| self.tokens.get(&token)) {
            return self.order.amended(amending, Amended { replayed: true, ..first.clone() });
        }
        let mark = self.marks.get(&post).copied();
        let decided =
            self.on_post(post, |it, floor| it.amend(&amendment, mark.as_ref(), now, floor));
        self.log(post, decided.changes);
        match decided.mark {
            MarkWrite::Keep => {}
            MarkWrite::Write(mark) => drop(self.marks.insert(post, mark)),
            MarkWrite::Delete => drop(self.marks.remove(&post)),
        }
        let token = token.filter(|_| !amending.dry_run);
        self.tokens.extend(token.map(|token| (token, decided.amended.clone())));
        self.order.amended(amending, decided.amended)
    }

    fn tap(&mut self, tapped: &Tapped, now: Micros) -> Answer {
        let (tap, post) = (tapped.tap(self.ids), tapped.post);
        match self.records.find(&tap, now) {
            Ok(None) => {}
            Ok(Some(outcome)) => return self.order.tapped(post, &outcome),
            Err(KeyReused) => return Answer::KeyReused,
        }
        match self.on_post(post, |it, floor| it.apply(&tap, now, floor)) {
            Err(refusal) => Answer::Refused(refusal),
            Ok((outcome, changes)) => {
                self.records.keep(&tap, outcome.clone(), now);
                self.log(post, changes);
                self.order.tapped(post, &outcome)
            }
        }
    }

    fn on_post<R>(&mut self, post: usize, step: impl FnOnce(&mut Post, Revision) -> R) -> R {
        let floor = self.floors.entry(self.ids[post].partition()).or_default();
        let result = step(&mut self.posts[post], *floor);
        // As every store does: nothing is kept of a post without state but its revision.
        if self.posts[post].is_empty() {
            *floor = self.posts[post].revision_or(*floor).max(*floor);
            self.posts[post] = Post::default();
        }
        result
    }

    fn log(&mut self, post: usize, changes: impl IntoIterator<Item = Change>) {
        self.changes[post].extend(changes.into_iter().map(|change| (change.what, change.actor)));
    }
}

fn by_machine(stream: &[Step], ids: &[PostId]) -> Seen {
    let mut model = Model {
        ids,
        posts: ids.iter().map(|_| Post::default()).collect(),
        changes: vec![Vec::new(); ids.len()],
        order: Order::default(),
        records: Records::new(Duration::from_secs(600)),
        floors: HashMap::new(),
        marks: HashMap::new(),
        tokens: HashMap::new(),
    };
    let moments = (1_000_000..).map(Micros);
    let answers = stream.iter().zip(moments).map(|(step, now)| model.step(step, now)).collect();
    let posts = model.posts.iter().zip(ids).map(|(post, id)| {
        let summary = post.summary(*id, Some(user(1)), 0, Revision::default());
        SeenPost::new(summary, post.reactors(None, None, 1000))
    });
    let given = USERS.map(|user| {
        let of = |(post, id): (&Post, &PostId)| {
            let given = post.given(user.parse().unwrap());
            given.map(|(name, at)| (at, *id, name.clone())).collect::<Vec<_>>()
        };
        let mut given: Vec<_> = model.posts.iter().zip(ids).flat_map(of).collect();
        given.sort();
        given.into_iter().rev().map(|(_, post, name)| (post, name)).collect()
    });
    let posts = posts.collect();
    let changes = model.changes.into_iter().map(in_order).collect();
    Seen { answers, posts, changes, given }
}

async fn answer(store: &AnyStore, step: &Step, ids: &[PostId], order: &mut Order) -> Answer {
    match step {
        Step::Tap(tapped) => match store.tap(tapped.tap(ids), soon()).await {
            Err(StoreError::KeyReused) => Answer::KeyReused,
            Err(StoreError::Refused(refusal)) => Answer::Refused(refusal),
            result => order.tapped(tapped.post, &result.unwrap()),
        },
        Step::Rule { post, edit } => {
            let ruled = store.rule(rules_edit(ids[*post], edit), soon()).await.unwrap();
            order.ruled(*post, ruled)
        }
        Step::Forget { post, name } => {
            let forgotten = store.forget(forgetting(ids[*post], *name), soon()).await.unwrap();
            order.forgotten(*post, forgotten)
        }
        Step::Amend(amending) => {
            let amended = store.amend(vec![amending.amendment(ids)], soon()).await.remove(0);
            order.amended(amending, amended.unwrap())
        }
    }
}

/// What each user gave on these posts, newest first. The store may have posts of other sequences.
async fn given(store: &AnyStore, ids: &[PostId]) -> [Vec<(PostId, Reaction)>; USERS.len()] {
    let mut all = [const { Vec::new() }; USERS.len()];
    for (name, list) in USERS.iter().zip(&mut all) {
        let (user, mut after) = (name.parse().unwrap(), None);
        loop {
            let page = store.given(user, after, 50, soon()).await.unwrap();
            after = page.given.last().cloned();
            let own = page.given.into_iter().filter(|it| ids.contains(&it.post));
            list.extend(own.map(|it| (it.post, it.reaction)));
            if !page.more {
                break;
            }
        }
    }
    all
}

async fn by_store(store: &AnyStore, stream: &[Step], ids: &[PostId]) -> Seen {
    let (mut answers, mut order) = (Vec::new(), Order::default());
    for step in stream {
        answers.push(answer(store, step, ids, &mut order).await);
    }
    let query = SummaryQuery { posts: ids.to_vec(), viewer: Some(user(1)), recent: 0 };
    let summaries = store.summaries(query, soon()).await.unwrap();
    let (mut posts, mut logs) = (Vec::new(), Vec::new());
    for (summary, id) in summaries.into_iter().zip(ids) {
        let query = ReactorsQuery { post: *id, reaction: None, after: None, limit: 1000 };
        let page = store.reactors(query, soon()).await.unwrap();
        posts.push(SeenPost::new(summary, page.reactors));
        let log = changes(store, id.partition(), 100_000).await.unwrap();
        let own = log.into_iter().map(|entry| entry.change).filter(|change| change.post == *id);
        logs.push(in_order(own.map(|change| (change.what, change.actor)).collect()));
    }
    Seen { answers, posts, changes: logs, given: given(store, ids).await }
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
