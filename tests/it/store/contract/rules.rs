//! Laws 15 to 17: palettes and rules, whole sets, forgetting.

use onetap::domain::{
    Act, Add, Edit, Exclusive, Forget, Forgotten, PaletteName, PaletteSpec, Palettes, Refusal,
    Ruled, Rules, RulesEdit, Tap, What,
};

use super::*;
use crate::support::palettes::palettes;

fn named(name: &str) -> PaletteName {
    name.parse().unwrap()
}

/// A palette for each law: up to three kinds, one vote of two, an alias.
fn offered() -> Arc<Palettes> {
    let reactions = ["👍", "up", "down", "sad", "love"].map(reaction).to_vec();
    let votes = PaletteSpec {
        reactions: Some(reactions),
        exclusive: Exclusive::Groups(vec![["up", "down"].map(reaction).to_vec()]),
        aliases: vec![(reaction("+1"), reaction("👍"))],
        max_kinds_per_post: Some(3),
        max_per_user_and_post: Some(2),
    };
    palettes(&[("votes", votes)])
}

fn judged(verb: Verb, post: PostId, id: u64, name: &str) -> Tap {
    Tap { palettes: offered(), ..tap(verb, post, id, name) }
}

fn exactly(post: PostId, id: u64, names: &[&str]) -> Tap {
    let act = Act::Exactly(names.iter().map(|name| reaction(name)).collect());
    Tap { act, ..judged(Verb::Set, post, id, "like") }
}

async fn rule(store: &AnyStore, post: PostId, edit: Edit) -> Ruled {
    store.rule(RulesEdit { post, edit, actor: Some(user(9)) }, soon()).await.unwrap()
}

async fn votes(store: &AnyStore, post: PostId, add: Add) -> Ruled {
    rule(store, post, Edit::Rules(Some(named("votes")), add)).await
}

async fn forget(store: &AnyStore, post: PostId, name: Option<&str>) -> Forgotten {
    let forget = Forget { post, reaction: name.map(reaction), actor: Some(user(9)) };
    store.forget(forget, soon()).await.unwrap()
}

/// Asserts that the store refuses a tap, and that the tap wrote nothing.
async fn refused(store: &AnyStore, tap: Tap, why: Refusal) {
    let before = (summary(store, tap.post, None, 9).await, changes(store, tap.post).await);
    let post = tap.post;
    assert_eq!(store.tap(tap, soon()).await, Err(StoreError::Refused(why)));
    assert_eq!((summary(store, post, None, 9).await, changes(store, post).await), before);
}

/// Counts by name.
async fn counts(store: &AnyStore, post: PostId) -> Vec<(String, u64)> {
    let reactions = summary(store, post, None, 0).await.reactions.into_iter();
    let mut counts: Vec<_> = reactions.map(|r| (r.reaction.to_string(), r.count)).collect();
    counts.sort();
    counts
}

fn expected(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    counts.sort();
    counts
}

pub(super) async fn law_15_rules_are_kept_and_show(store: AnyStore) {
    let post = post();
    let before = summary(&store, post, None, 0).await.revision;
    let ruled = votes(&store, post, Add::Existing).await;
    assert!(ruled.changed && ruled.revision > before);
    let locked = rule(&store, post, Edit::Lock(true)).await;
    assert!(locked.changed && locked.revision > ruled.revision);
    let rules = Rules { palette: Some(named("votes")), add: Add::Existing, locked: true };
    assert_eq!(locked.rules, rules);
    for edit in [Edit::Lock(true), Edit::Rules(Some(named("votes")), Add::Existing)] {
        let again = rule(&store, post, edit).await;
        let same = Ruled { rules: rules.clone(), changed: false, revision: locked.revision };
        assert_eq!(again, same);
    }
    let shown = summary(&store, post, None, 0).await;
    assert_eq!((&shown.rules, shown.revision, shown.total()), (&rules, locked.revision, 0));
    // Unlocking restores what may be added.
    let open = rule(&store, post, Edit::Lock(false)).await;
    assert_eq!(open.rules.add, Add::Existing);
    let reset = rule(&store, post, Edit::Rules(Some(named("default")), Add::All)).await;
    assert!(reset.changed && reset.rules.is_default() && reset.revision > open.revision);
    // A post without rules and reactions has no state, and its revisions go on.
    let shown = summary(&store, post, None, 0).await;
    assert!(shown.is_blank() && shown.revision == reset.revision);
    let first = act(&store, Verb::Set, post, 1, "like").await;
    assert!(first.revision > reset.revision);
    let logged = changes(&store, post).await;
    let what: Vec<_> = logged.iter().take(4).map(|change| change.what.clone()).collect();
    let palette = Some(named("votes"));
    let all = [
        What::Rules(palette, Add::Existing),
        What::Locked(true),
        What::Locked(false),
        What::Rules(None, Add::All),
    ];
    assert_eq!(what, all);
    assert!(logged[..4].iter().all(|change| change.actor == Some(user(9))));
    let revisions: Vec<_> = logged.iter().map(|change| change.revision).collect();
    let told = [ruled.revision, locked.revision, open.revision, reset.revision, first.revision];
    assert_eq!(revisions, told);
}

pub(super) async fn law_15_rules_and_palette_refuse_what_they_say(store: AnyStore) {
    let post = post();
    act(&store, Verb::Set, post, 1, "like").await;
    votes(&store, post, Add::All).await;
    let set = |id, name| judged(Verb::Set, post, id, name);
    refused(&store, set(1, "angry"), Refusal::NotInPalette(reaction("angry"))).await;
    let toggle = judged(Verb::Toggle, post, 2, "like");
    refused(&store, toggle, Refusal::NotInPalette(reaction("like"))).await;
    // What is held stays legal: nothing to add. Removing is always allowed, also without a palette.
    assert!(!store.tap(set(1, "like"), soon()).await.unwrap().changed);
    store.tap(set(2, "up"), soon()).await.unwrap();
    store.tap(set(2, "sad"), soon()).await.unwrap();
    // Of the post and of the user, whichever is reached.
    refused(&store, set(3, "love"), Refusal::TooManyKinds(3)).await;
    assert!(store.tap(judged(Verb::Toggle, post, 1, "like"), soon()).await.unwrap().changed);
    refused(&store, set(2, "love"), Refusal::TooManyOfUser(2)).await;
    assert!(store.tap(set(3, "love"), soon()).await.unwrap().changed);
    votes(&store, post, Add::Existing).await;
    refused(&store, set(3, "👍"), Refusal::NobodyHas(reaction("👍"))).await;
    assert!(store.tap(set(3, "sad"), soon()).await.unwrap().changed);
    votes(&store, post, Add::None).await;
    refused(&store, set(4, "sad"), Refusal::Locked).await;
    votes(&store, post, Add::All).await;
    rule(&store, post, Edit::Lock(true)).await;
    refused(&store, set(4, "sad"), Refusal::Locked).await;
    for (id, name) in [(2, "up"), (2, "sad"), (3, "sad"), (3, "love")] {
        let gone = store.tap(judged(Verb::Unset, post, id, name), soon()).await.unwrap();
        assert!(gone.changed, "{id} {name}");
    }
    // The rules stay when nobody has a reaction any more.
    let empty = summary(&store, post, None, 0).await;
    assert!(empty.rules.locked && empty.total() == 0);
    refused(&store, set(4, "sad"), Refusal::Locked).await;
    // A palette that the configuration does not have offers nothing.
    rule(&store, post, Edit::Lock(false)).await;
    rule(&store, post, Edit::Rules(Some(named("gone")), Add::All)).await;
    refused(&store, set(4, "sad"), Refusal::NotInPalette(reaction("sad"))).await;
}

/// What a token lets its user add, beside the rules of the post.
pub(super) async fn law_15_a_tap_itself_may_add_less(store: AnyStore) {
    let post = post();
    let with = |add, tap| Tap { add, ..tap };
    let existing = |tap| with(Add::Existing, tap);
    let nothing = |tap| with(Add::None, tap);
    refused(
        &store,
        existing(tap(Verb::Set, post, 1, "like")),
        Refusal::NobodyHas(reaction("like")),
    )
    .await;
    refused(&store, nothing(tap(Verb::Toggle, post, 1, "like")), Refusal::Locked).await;
    act(&store, Verb::Set, post, 1, "like").await;
    let second = store.tap(existing(tap(Verb::Toggle, post, 2, "like")), soon()).await.unwrap();
    assert!(second.active && second.count == 2);
    refused(&store, nothing(tap(Verb::Set, post, 3, "like")), Refusal::Locked).await;
    refused(&store, nothing(exactly(post, 3, &["like"])), Refusal::Locked).await;
    refused(
        &store,
        existing(exactly(post, 3, &["like", "up"])),
        Refusal::NobodyHas(reaction("up")),
    )
    .await;
    // It takes no group and no alias to be refused, and none keeps it from being refused.
    votes(&store, post, Add::All).await;
    let up = |id| judged(Verb::Set, post, id, "up");
    refused(&store, existing(up(3)), Refusal::NobodyHas(reaction("up"))).await;
    refused(&store, nothing(judged(Verb::Set, post, 3, "+1")), Refusal::Locked).await;
    // The stricter of the two holds.
    votes(&store, post, Add::None).await;
    refused(&store, existing(up(3)), Refusal::Locked).await;
    // What is held stays, and removing always goes on.
    let kept = store.tap(nothing(tap(Verb::Set, post, 1, "like")), soon()).await.unwrap();
    assert!(kept.active && !kept.changed);
    for (id, verb) in [(1, Verb::Toggle), (2, Verb::Unset)] {
        let gone = store.tap(nothing(tap(verb, post, id, "like")), soon()).await.unwrap();
        assert!(gone.changed && !gone.active, "{id}");
    }
    assert_eq!(summary(&store, post, None, 0).await.total(), 0);
}

pub(super) async fn law_15_one_of_a_group_replaces_the_other(store: AnyStore) {
    let post = post();
    votes(&store, post, Add::All).await;
    let step =
        async |verb, id, name| store.tap(judged(verb, post, id, name), soon()).await.unwrap();
    for id in [1, 2] {
        assert!(step(Verb::Set, id, "up").await.replaced().is_empty());
    }
    let moved = step(Verb::Toggle, 1, "down").await;
    assert_eq!((moved.active, moved.count), (true, 1));
    assert_eq!(moved.replaced(), [(reaction("up"), 1)]);
    assert_eq!(counts(&store, post).await, expected(&[("up", 1), ("down", 1)]));
    // An alias is counted as what it names, and takes an older membership of its own name along.
    assert_eq!(step(Verb::Set, 1, "+1").await.counted(), [reaction("👍")]);
    let other = crate::support::post();
    act(&store, Verb::Set, other, 1, "+1").await;
    act(&store, Verb::Set, other, 1, "👍").await;
    votes(&store, other, Add::All).await;
    let gone = store.tap(judged(Verb::Unset, other, 1, "+1"), soon()).await.unwrap();
    assert_eq!((gone.active, gone.count, gone.changed), (false, 0, true));
    assert_eq!(gone.replaced(), [(reaction("+1"), 0)]);
    assert_eq!(summary(&store, other, None, 0).await.total(), 0);
    let logged = changes(&store, post).await;
    let flags = logged.iter().filter_map(|change| match &change.what {
        What::Reaction { user, reaction, active, cause } => {
            Some((user.integer().unwrap(), reaction.to_string(), *active, *cause))
        }
        _ => None,
    });
    let flags: Vec<_> = flags.collect();
    let told = [
        (1, "up", true, Cause::Tap),
        (2, "up", true, Cause::Tap),
        (1, "up", false, Cause::Replace),
        (1, "down", true, Cause::Tap),
        (1, "👍", true, Cause::Tap),
    ];
    assert_eq!(flags, told.map(|(id, name, on, cause)| (id, name.to_owned(), on, cause)));
    assert_eq!(logged[4].revision, moved.revision);
}

pub(super) async fn law_15_a_replay_tells_what_was_replaced(store: AnyStore) {
    let post = post();
    votes(&store, post, Add::All).await;
    let keyed = |form, name| Tap {
        palettes: offered(),
        ..keyed_tap(form, post, 1, name, &format!("{form:?}"))
    };
    store.tap(judged(Verb::Set, post, 1, "up"), soon()).await.unwrap();
    let mut answered = Vec::new();
    for (form, name) in [(Form::Set, "down"), (Form::Toggle, "+1"), (Form::Exactly, "+1")] {
        let tap = keyed(form, name);
        let outcome = store.tap(tap.clone(), soon()).await.unwrap();
        assert!(!outcome.replayed && outcome.details.is_some(), "{outcome:?}");
        answered.push((tap, outcome));
    }
    // A record survives a change of rules, a lock, and forgetting.
    votes(&store, post, Add::None).await;
    forget(&store, post, None).await;
    let log = changes(&store, post).await;
    for (tap, outcome) in answered {
        let again = store.tap(tap.clone(), soon()).await.unwrap();
        assert_eq!(again, Outcome { replayed: true, ..outcome });
        let named = Act::Exactly(vec![reaction("sad")]);
        let other = store.tap(Tap { act: named, ..tap }, soon()).await;
        assert_eq!(other, Err(StoreError::KeyReused));
    }
    assert_eq!(changes(&store, post).await, log);
    assert_eq!(summary(&store, post, None, 0).await.total(), 0);
}

pub(super) async fn law_16_a_whole_set_is_exactly_that(store: AnyStore) {
    let post = post();
    votes(&store, post, Add::All).await;
    let put = async |id, names: &[&str]| store.tap(exactly(post, id, names), soon()).await.unwrap();
    let first = put(1, &["up", "+1", "👍"]).await;
    assert!(first.changed && first.active && !first.replayed);
    let counted: BTreeSet<_> = first.counted().iter().cloned().collect();
    assert_eq!(counted, BTreeSet::from(["up", "👍"].map(reaction)));
    let again = put(1, &["👍", "up"]).await;
    assert_eq!((again.changed, again.revision), (false, first.revision));
    put(2, &["up"]).await;
    let entries = changes(&store, post).await.len();
    let second = put(1, &["down", "👍"]).await;
    assert!(second.changed && second.revision > first.revision);
    assert_eq!(counts(&store, post).await, expected(&[("up", 1), ("down", 1), ("👍", 1)]));
    let logged = changes(&store, post).await;
    let told = logged[entries..].iter().map(|change| {
        let (user, reaction, active) = change.flag().unwrap();
        (user.integer().unwrap(), reaction.to_string(), active)
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, [(1, "up".to_owned(), false), (1, "down".to_owned(), true)]);
    assert_eq!(logged.last().unwrap().revision, second.revision);
    // Nothing of a set is written if one of it is refused.
    let both = Refusal::Exclusive(reaction("up"), reaction("down"));
    refused(&store, exactly(post, 1, &["up", "down"]), both).await;
    let odd = Refusal::NotInPalette(reaction("angry"));
    refused(&store, exactly(post, 1, &["angry"]), odd).await;
    refused(&store, exactly(post, 3, &["up", "sad"]), Refusal::TooManyKinds(3)).await;
    rule(&store, post, Edit::Lock(true)).await;
    refused(
        &store,
        exactly(post, 1, &["down", "up"]),
        Refusal::Exclusive(reaction("down"), reaction("up")),
    )
    .await;
    refused(&store, exactly(post, 3, &["up"]), Refusal::Locked).await;
    // A set that only removes goes through a lock.
    assert!(put(1, &["👍"]).await.changed);
    let none = put(1, &[]).await;
    assert!(none.changed && !none.active && none.counted().is_empty());
    assert_eq!(counts(&store, post).await, expected(&[("up", 1)]));
}

pub(super) async fn law_17_afterwards_nobody_has_it(store: AnyStore) {
    let post = post();
    votes(&store, post, Add::All).await;
    for id in 1..=90 {
        act_in(&store, post, id, "up").await;
        act_in(&store, post, id, if id % 2 == 0 { "sad" } else { "love" }).await;
    }
    let before = summary(&store, post, None, 0).await.revision;
    let nothing = forget(&store, post, Some("👍")).await;
    assert_eq!(nothing, Forgotten { removed: 0, revision: before });
    let entries = changes(&store, post).await.len();
    let one = forget(&store, post, Some("up")).await;
    assert!(one.removed == 90 && one.revision > before);
    assert_eq!(counts(&store, post).await, expected(&[("sad", 45), ("love", 45)]));
    assert!(all(&store, post, Some("up"), 100).await.is_empty());
    assert_eq!(all(&store, post, None, 100).await.len(), 90);
    // It begins anew, with other members.
    assert_eq!(act_in(&store, post, 7, "up").await.count, 1);
    let shown = summary(&store, post, Some(user(8)), 5).await;
    let up = shown.reactions.iter().find(|it| it.reaction == reaction("up")).unwrap();
    assert_eq!((up.count, up.mine, up.recent.len()), (1, Some(false), 1));
    let rest = forget(&store, post, None).await;
    assert!(rest.removed == 91 && rest.revision > one.revision);
    let empty = summary(&store, post, Some(user(7)), 5).await;
    assert_eq!((empty.revision, empty.total()), (rest.revision, 0));
    assert_eq!(empty.rules.palette, Some(named("votes")), "the rules stay");
    assert!(all(&store, post, None, 100).await.is_empty());
    let again = forget(&store, post, None).await;
    assert_eq!(again, Forgotten { removed: 0, revision: rest.revision });
    let logged: Vec<_> = changes(&store, post).await.split_off(entries);
    let told = [What::Forgotten(Some(reaction("up"))), What::Forgotten(None)];
    let found: Vec<_> = logged.iter().filter(|change| change.flag().is_none()).collect();
    assert_eq!(found.iter().map(|change| change.what.clone()).collect::<Vec<_>>(), told);
    assert!(found.iter().all(|change| change.actor == Some(user(9))));
    assert_eq!(found[1].revision, rest.revision);
    assert_eq!(logged.len(), 3);
}

async fn act_in(store: &AnyStore, post: PostId, id: u64, name: &str) -> Outcome {
    store.tap(judged(Verb::Set, post, id, name), soon()).await.unwrap()
}

pub(super) async fn law_17_a_forgotten_post_begins_anew(store: AnyStore) {
    let (post, same) = two_posts_of_one_partition();
    let mut last = Revision(0);
    for round in 1..=4_u64 {
        for id in 1..=3 {
            let outcome = act(&store, Verb::Toggle, post, id, "like").await;
            assert_eq!((outcome.active, outcome.count), (true, id), "round {round}");
            assert!(outcome.revision > last);
        }
        let gone = forget(&store, post, None).await;
        assert_eq!(gone.removed, 3);
        last = gone.revision;
        let empty = summary(&store, post, Some(user(1)), 3).await;
        assert!(empty.is_blank() && empty.revision == last, "{empty:?}");
        // It is the floor of the partition now.
        assert_eq!(summary(&store, same, None, 0).await.revision, last);
        assert_eq!(forget(&store, same, None).await, Forgotten { removed: 0, revision: last });
        let unset = act(&store, Verb::Unset, post, 1, "like").await;
        assert_eq!((unset.changed, unset.count, unset.revision), (false, 0, last));
    }
}

/// Users toggle while a moderator forgets. Whatever comes first, counts and members agree.
pub(super) async fn law_17_forgetting_races_with_taps(store: AnyStore) {
    let post = post();
    let taps: Vec<_> = (1..=8_u64)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..300 {
                    let name = ["like", "love"][usize::try_from((n + id) % 2).unwrap()];
                    act(&store, Verb::Toggle, post, id, name).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut removed = 0;
    for round in 0..20 {
        let name = [None, Some("like"), Some("love")][round % 3];
        removed += forget(&store, post, name).await.removed;
        let shown = summary(&store, post, None, 9).await;
        for counted in &shown.reactions {
            assert!(counted.count <= 8 && counted.count == counted.recent.len() as u64);
        }
        tokio::task::yield_now().await;
    }
    for task in taps {
        task.await.unwrap();
    }
    // The log, played from its beginning, leads to what is there.
    let mut members = BTreeSet::new();
    let mut forgotten = 0;
    for change in changes(&store, post).await {
        match change.what {
            What::Reaction { user, reaction, active: true, .. } => {
                assert!(members.insert((reaction, user.integer().unwrap())));
            }
            What::Reaction { user, reaction, .. } => {
                assert!(members.remove(&(reaction, user.integer().unwrap())));
            }
            What::Forgotten(name) => {
                let before = members.len();
                members.retain(|(own, _)| name.as_ref().is_some_and(|name| name != own));
                forgotten += before - members.len();
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(forgotten as u64, removed);
    let listed = all(&store, post, None, 9).await.into_iter();
    let listed: BTreeSet<_> = listed.map(|r| (r.reaction, r.user.integer().unwrap())).collect();
    assert_eq!(listed, members);
    assert_eq!(forget(&store, post, None).await.removed, members.len() as u64);
}
