use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use super::*;
use crate::domain::{Exclusive, PaletteSpec, Palettes};

/// A post as a table: per reaction the number of members, the count shown, and whether the user of
/// the tap is among them.
#[derive(Clone, Default)]
struct Table {
    kinds: BTreeMap<Reaction, (u64, u64, bool)>,
    rules: Rules,
}

impl Table {
    fn with(rows: &[(&str, u64, bool)]) -> Self {
        let row =
            |(name, members, has): &(&str, u64, bool)| (reaction(name), (*members, *members, *has));
        Self { kinds: rows.iter().map(row).collect(), rules: Rules::default() }
    }

    fn of(&self, reaction: &Reaction) -> (u64, u64, bool) {
        self.kinds.get(reaction).copied().unwrap_or_default()
    }
}

impl Look for Table {
    type Error = Infallible;

    fn revision(&self) -> Result<Revision, Infallible> {
        Ok(Revision(10))
    }

    fn rules(&self) -> Result<Rules, Infallible> {
        Ok(self.rules.clone())
    }

    fn kinds(&self) -> Result<Vec<Reaction>, Infallible> {
        let shown = self.kinds.iter().filter(|(_, (_, shown, _))| *shown > 0);
        Ok(shown.map(|(reaction, _)| reaction.clone()).collect())
    }

    fn count_kinds(&self, _: usize) -> Result<usize, Infallible> {
        self.kinds().map(|kinds| kinds.len())
    }

    fn has(&self, reaction: &Reaction) -> Result<bool, Infallible> {
        Ok(self.of(reaction).2)
    }

    fn members(&self, reaction: &Reaction) -> Result<u64, Infallible> {
        Ok(self.of(reaction).0)
    }

    fn shown(&self, reaction: &Reaction) -> Result<u64, Infallible> {
        Ok(self.of(reaction).1)
    }
}

fn reaction(name: &str) -> Reaction {
    name.parse().expect("a reaction")
}

fn names(names: &[&str]) -> Vec<Reaction> {
    names.iter().map(|name| reaction(name)).collect()
}

fn tap(act: Act, palettes: &Arc<Palettes>) -> Tap {
    let post = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
    let user = 1.try_into().expect("a user id");
    let palettes = Arc::clone(palettes);
    Tap { palettes, act, ..Tap::new(post, user, Verb::Set, reaction("like")) }
}

fn asked(table: &Table, act: Act, palettes: &Arc<Palettes>) -> Result<Decision, Refusal> {
    let Ok(decided) = decide(table, &tap(act, palettes), Micros(50));
    decided
}

fn one(table: &Table, verb: Verb, name: &str) -> Result<Decision, Refusal> {
    asked(table, Act::One(verb, reaction(name)), &Palettes::unconfigured())
}

/// The default palette of a service with these settings.
fn palettes(spec: PaletteSpec) -> Arc<Palettes> {
    let name = "default".parse().expect("a name");
    Arc::new(Palettes::new([Palette::new(name, spec).expect("a palette")]))
}

/// (active, changed, count, revision), the write, and the number of entries.
fn told(decided: Result<Decision, Refusal>) -> ((bool, bool, u64, u64), PostWrite, usize) {
    let Decision { outcome, changes, post, .. } = decided.expect("a decision");
    let Outcome { active, changed, count, revision, .. } = outcome;
    ((active, changed, count, revision.0), post, changes.len())
}

#[test]
fn a_flag_that_flips_moves_the_count_and_the_revision() {
    let none = Table::default();
    let on = ((true, true, 1, 50), PostWrite::Write, 1);
    assert_eq!(told(one(&none, Verb::Toggle, "like")), on);
    assert_eq!(told(one(&none, Verb::Set, "like")), on);
    let held = Table::with(&[("like", 3, true)]);
    let off = ((false, true, 2, 50), PostWrite::Write, 1);
    assert_eq!(told(one(&held, Verb::Toggle, "like")), off);
    assert_eq!(told(one(&held, Verb::Unset, "like")), off);
}

#[test]
fn a_flag_that_stays_writes_nothing() {
    let held = Table::with(&[("like", 3, true)]);
    assert_eq!(told(one(&held, Verb::Set, "like")), ((true, false, 3, 10), PostWrite::Keep, 0));
    let none = Table::default();
    assert_eq!(told(one(&none, Verb::Unset, "like")), ((false, false, 0, 10), PostWrite::Keep, 0));
}

#[test]
fn a_count_that_is_false_is_healed_and_has_no_entry_in_the_log() {
    let mut held = Table::with(&[("like", 3, true)]);
    held.kinds.insert(reaction("like"), (3, 9, true));
    assert_eq!(told(one(&held, Verb::Set, "like")), ((true, false, 3, 50), PostWrite::Write, 0));
    held.kinds.insert(reaction("like"), (0, 9, false));
    let healed = ((false, false, 0, 50), PostWrite::Empty, 0);
    assert_eq!(told(one(&held, Verb::Unset, "like")), healed);
}

#[test]
fn the_last_reaction_takes_the_post_with_it_unless_the_post_has_rules() {
    let mut last = Table::with(&[("like", 1, true)]);
    assert_eq!(told(one(&last, Verb::Unset, "like")).1, PostWrite::Empty);
    last.rules.locked = true;
    assert_eq!(told(one(&last, Verb::Unset, "like")).1, PostWrite::Write);
    let others = Table::with(&[("like", 1, true), ("love", 1, false)]);
    assert_eq!(told(one(&others, Verb::Unset, "like")).1, PostWrite::Write);
}

#[test]
fn what_excludes_another_replaces_it_in_the_same_step() {
    let groups = Exclusive::Groups(vec![names(&["up", "down"])]);
    let palettes = palettes(PaletteSpec { exclusive: groups, ..PaletteSpec::default() });
    let table = Table::with(&[("up", 2, true), ("down", 4, false), ("like", 1, true)]);
    let act = Act::One(Verb::Set, reaction("down"));
    let decision = asked(&table, act, &palettes).expect("a decision");
    assert_eq!(decision.outcome.count, 5);
    assert_eq!(decision.outcome.replaced(), [(reaction("up"), 1)]);
    assert_eq!(decision.counts, [(reaction("up"), 1), (reaction("down"), 5)]);
    let changes: Vec<_> = decision.changes.iter().map(|it| (&it.what, it.revision.0)).collect();
    let user = 1.try_into().expect("a user id");
    let (up, down) = (reaction("up"), reaction("down"));
    let removed = What::Reaction { user, reaction: up, active: false, cause: Cause::Replace };
    let added = What::Reaction { user, reaction: down, active: true, cause: Cause::Tap };
    assert_eq!(changes[0], (&removed, 50));
    assert_eq!(changes[1].0, &added);
    assert!(changes[1].1 > 50 && decision.outcome.revision.0 == changes[1].1);
}

#[test]
fn an_alias_counts_as_what_it_names_and_takes_its_older_self_away() {
    let aliases = vec![(reaction("+1"), reaction("👍"))];
    let palettes = palettes(PaletteSpec { aliases, ..PaletteSpec::default() });
    let ask = |table: &Table, verb| {
        asked(table, Act::One(verb, reaction("+1")), &palettes).expect("a decision")
    };
    let on = ask(&Table::default(), Verb::Set);
    assert_eq!((on.outcome.count, on.outcome.counted()), (1, &names(&["👍"])[..]));
    assert_eq!(on.counts, [(reaction("👍"), 1)]);
    let both = Table::with(&[("+1", 3, true), ("👍", 2, true)]);
    let off = ask(&both, Verb::Unset);
    assert_eq!(off.counts, [(reaction("+1"), 2), (reaction("👍"), 1)]);
    assert_eq!(off.outcome.replaced(), [(reaction("+1"), 2)]);
    let older = Table::with(&[("+1", 3, true)]);
    assert_eq!(told(Ok(ask(&older, Verb::Unset))).0, {
        let revision = ask(&older, Verb::Unset).outcome.revision.0;
        (false, true, 0, revision)
    });
}

#[test]
fn limits_judge_what_is_added_by_the_state_that_it_leads_to() {
    let few = palettes(PaletteSpec {
        reactions: Some(names(&["a", "b", "c", "d"])),
        max_kinds_per_post: Some(2),
        max_per_user_and_post: Some(1),
        ..PaletteSpec::default()
    });
    let set = |table: &Table, name| asked(table, Act::One(Verb::Set, reaction(name)), &few);
    let full = Table::with(&[("a", 1, false), ("b", 1, false)]);
    assert_eq!(set(&full, "c"), Err(Refusal::TooManyKinds(2)));
    assert!(set(&full, "a").is_ok());
    assert_eq!(set(&full, "z"), Err(Refusal::NotInPalette(reaction("z"))));
    let mine = Table::with(&[("a", 2, true), ("b", 1, false)]);
    assert_eq!(set(&mine, "b"), Err(Refusal::TooManyOfUser(1)));
    assert!(set(&mine, "a").is_ok(), "what is held stays legal");
    // What lies beyond the limits from earlier may be removed and added to.
    let beyond = Table::with(&[("a", 2, false), ("x", 1, true), ("y", 1, false)]);
    assert!(asked(&beyond, Act::One(Verb::Unset, reaction("x")), &few).is_ok());
    let swapped = asked(&beyond, Act::Exactly(names(&["c"])), &few).expect("a decision");
    assert_eq!(swapped.counts, [(reaction("x"), 0), (reaction("c"), 1)]);
}

#[test]
fn the_rules_of_a_post_refuse_additions_and_never_removals() {
    let table = |add, locked| {
        let rules = Rules { add, locked, palette: None };
        Table { rules, ..Table::with(&[("like", 1, false), ("mine", 1, true)]) }
    };
    for (add, locked) in [(Add::All, true), (Add::None, false), (Add::Existing, true)] {
        assert_eq!(one(&table(add, locked), Verb::Set, "like"), Err(Refusal::Locked));
        assert!(one(&table(add, locked), Verb::Toggle, "mine").is_ok());
        assert!(one(&table(add, locked), Verb::Set, "mine").is_ok());
    }
    let existing = table(Add::Existing, false);
    assert!(one(&existing, Verb::Set, "like").is_ok());
    assert_eq!(one(&existing, Verb::Set, "new"), Err(Refusal::NobodyHas(reaction("new"))));
}

#[test]
fn a_whole_set_is_one_step_or_nothing() {
    let table = Table::with(&[("a", 2, true), ("b", 1, true), ("c", 1, false)]);
    let any = Palettes::unconfigured();
    let decision = asked(&table, Act::Exactly(names(&["c", "b", "c", "d"])), &any);
    let decision = decision.expect("a decision");
    let expected = [(reaction("a"), 1), (reaction("c"), 2), (reaction("d"), 1)];
    assert_eq!(decision.counts, expected);
    assert_eq!(decision.outcome.counted(), names(&["c", "b", "d"]));
    assert_eq!(decision.changes.len(), 3);
    let groups = Exclusive::Groups(vec![names(&["a", "b"])]);
    let exclusive = palettes(PaletteSpec { exclusive: groups, ..PaletteSpec::default() });
    let refused = asked(&table, Act::Exactly(names(&["a", "b"])), &exclusive);
    assert_eq!(refused, Err(Refusal::Exclusive(reaction("a"), reaction("b"))));
    let none = asked(&Table::with(&[("a", 1, true)]), Act::Exactly(Vec::new()), &any);
    assert_eq!(told(none).1, PostWrite::Empty);
}
