//! Histories under a palette: what a tap replaces, the limits, and refusals with and without cause.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use onetap_loadtest::history::{
    AllOr, Limit, Outcome, Palette, Read, Replaced, Star, Tap, TapAnswer, Verb,
};
use onetap_loadtest::verify::Rules;
use proptest::prelude::*;

use crate::exhaustive::is_possible_by;
use crate::random::{runner, text};
use crate::simulate::falsify;
use crate::{Line, judge_by};

const NAMES: [&str; 4] = ["up", "down", "like", "tada"];

fn palette(kinds: u64, each: u64) -> Palette {
    Palette {
        reactions: AllOr::These(NAMES.map(str::to_owned).to_vec()),
        exclusive: AllOr::These(vec![vec!["up".to_owned(), "down".to_owned()]]),
        aliases: BTreeMap::from([("+1".to_owned(), "up".to_owned())]),
        max_kinds_per_post: kinds,
        max_per_user_and_post: each,
    }
}

fn tap(verb: Verb, reaction: &str, user_id: u64, sent_micros: u64, outcome: Outcome) -> Line {
    Line::Tap(Tap {
        post_id: "p".into(),
        reaction: reaction.to_owned().into(),
        user_id,
        verb,
        sent_micros,
        key: None,
        outcome,
    })
}

/// A PUT that turned the reaction on, sent at ten times its revision.
fn on(reaction: &str, user: u64, count: u64, revision: u64, replaced: &[(&str, u64)]) -> Line {
    let replaced = replaced
        .iter()
        .map(|(name, count)| Replaced { reaction: (*name).to_owned(), count: *count });
    let answer = TapAnswer {
        active: true,
        changed: true,
        count,
        revision,
        changes: None,
        replayed: false,
        replaced: replaced.collect(),
    };
    let at_micros = 10 * revision + 1;
    tap(Verb::Set, reaction, user, 10 * revision, Outcome::Answered { at_micros, answer })
}

fn off(reaction: &str, user: u64, count: u64, revision: u64) -> Line {
    let Line::Tap(mut tap) = on(reaction, user, count, revision, &[]) else { unreachable!() };
    tap.verb = Verb::Unset;
    if let Outcome::Answered { answer, .. } = &mut tap.outcome {
        answer.active = false;
    }
    Line::Tap(tap)
}

fn refused(reaction: &str, user: u64, sent: u64, at_micros: u64, limit: Limit) -> Line {
    tap(Verb::Set, reaction, user, sent, Outcome::RuledOut { at_micros, limit })
}

fn read(sent: u64, revision: u64, counts: &[(&'static str, u64)]) -> Line {
    Line::Read(Read {
        post_id: "p".into(),
        sent_micros: sent,
        answered_micros: sent + 1,
        revision,
        changes: None,
        total: None,
        reactions: counts.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
        reactors: None,
    })
}

/// Both checkers agree, and the verdict names the problem; an empty one is right.
#[track_caller]
fn assert_found(lines: &[Line], palette: &Palette, problem: &str) {
    let verdict = judge_by(lines, Rules::default(), Some(palette));
    let found = verdict.violations.first().map_or("", |violation| &violation.problem);
    let lines: Vec<Line> = lines.iter().cloned().map(counted).collect();
    let lines = lines.as_slice();
    assert_eq!(problem.is_empty(), found.is_empty(), "{found}\n{}", text(lines));
    assert!(found.contains(problem), "{found}\n{}", text(lines));
    assert_eq!(problem.is_empty(), is_possible_by(lines, Some(palette)), "the exhaustive one");
}

#[test]
fn what_a_tap_replaced_is_a_change_of_its_own() {
    let palette = palette(20, 20);
    let history = |last: Line| {
        let mut lines = vec![on("up", 1, 1, 10, &[]), on("up", 2, 2, 20, &[])];
        lines.push(last);
        lines
    };
    for (last, problem) in [
        (on("down", 1, 1, 30, &[("up", 1)]), ""),
        (on("down", 1, 1, 22, &[("up", 1)]), ""),
        // Between 20 and 21 is no revision for what it replaced.
        (on("down", 1, 1, 21, &[("up", 1)]), "no room"),
        (on("down", 1, 1, 30, &[("up", 2)]), "it shows a count of 2"),
        (on("down", 1, 1, 30, &[("up", 0)]), "it shows a count of 0"),
        (on("down", 1, 1, 30, &[]), "which excludes it"),
        (on("down", 3, 1, 30, &[("up", 1)]), "was not active"),
        (on("down", 1, 1, 30, &[("up", 1), ("up", 1)]), "twice"),
        (on("down", 1, 1, 30, &[("down", 1)]), "its own reaction"),
        (on("like", 1, 1, 30, &[("up", 1)]), "does not exclude"),
        (off("up", 1, 1, 30), ""),
    ] {
        assert_found(&history(last), &palette, problem);
    }
    let lines = |shown: &[(&'static str, u64)]| {
        let mut lines = history(on("down", 1, 1, 30, &[("up", 1)]));
        lines.push(read(400, 30, shown));
        lines
    };
    assert_found(&lines(&[("up", 1), ("down", 1)]), &palette, "");
    assert_found(&lines(&[("up", 2), ("down", 1)]), &palette, "it shows a count of 2");
    // The revision of what was replaced is nobody's to see.
    let mut between = lines(&[("up", 1), ("down", 1)]);
    between.push(read(290, 29, &[("up", 1)]));
    assert_found(&between, &palette, "no room");
    // An alias counts as what it names.
    assert_found(&history(on("+1", 3, 3, 30, &[])), &palette, "");
}

#[test]
fn a_count_of_changes_includes_what_was_replaced() {
    let palette = palette(20, 20);
    let mut lines = vec![on("up", 1, 1, 10, &[]), on("down", 1, 1, 30, &[("up", 0)])];
    for (changes, problem) in [(3, ""), (2, "2 changes of the post, but 3"), (4, "4 changes")] {
        let Line::Tap(Tap { outcome: Outcome::Answered { answer, .. }, .. }) = &mut lines[1] else {
            unreachable!()
        };
        answer.changes = Some(changes);
        assert_found(&lines, &palette, problem);
    }
}

#[test]
fn one_kind_or_one_reaction_too_many_is_found() {
    let many = |n: u64, user: fn(u64) -> u64| -> Vec<Line> {
        let name = |i: u64| format!("r{i}");
        (1..=n).map(|i| on(&name(i), user(i), 1, i, &[])).collect()
    };
    let twenty = Palette {
        reactions: AllOr::All(Star::Star),
        exclusive: AllOr::These(Vec::new()),
        ..palette(20, 20)
    };
    let found = |lines: &[Line], palette: &Palette| {
        let verdict = judge_by(lines, Rules::default(), Some(palette));
        verdict.violations.first().map_or("right", |v| &*v.problem.clone().leak())
    };
    assert_eq!(found(&many(20, |i| i), &twenty), "right");
    let problem = "it makes 21 different reactions of the post; 20 are allowed";
    assert_eq!(found(&many(21, |i| i), &twenty), problem);
    let wide = Palette { max_kinds_per_post: 100, ..twenty.clone() };
    assert_eq!(found(&many(20, |_| 1), &wide), "right");
    let problem = "it makes 21 reactions of the user; 20 are allowed";
    assert_eq!(found(&many(21, |_| 1), &wide), problem);
    // One goes, another comes.
    let mut lines = many(20, |i| i);
    lines.extend([off("r7", 7, 0, 21), on("r21", 21, 1, 22, &[])]);
    assert_eq!(found(&lines, &twenty), "right");
    // A kind that is there already is no new one.
    lines.push(on("r21", 22, 2, 23, &[]));
    assert_eq!(found(&lines, &twenty), "right");
    lines.push(on("r7", 22, 1, 24, &[]));
    assert!(found(&lines, &twenty).starts_with("it makes 21 different"));
    // A read alone shows it, too.
    let names: Vec<String> = (0..21).map(|i| format!("r{i}")).collect();
    let counts: Vec<(&'static str, u64)> =
        names.iter().map(|name| (&*name.clone().leak(), 1)).collect();
    let read = [read(1, 30, &counts)];
    assert_eq!(found(&read, &twenty), "it shows more different reactions than allowed");
}

#[test]
fn two_of_a_group_in_the_final_state_are_found() {
    let lines = |users: [u64; 2]| {
        let Line::Read(end) = read(400, 30, &[("up", 1), ("down", 1)]) else { unreachable!() };
        let [up, down] = users;
        let reactors = BTreeMap::from([("up".into(), vec![up]), ("down".into(), vec![down])]);
        let end = Line::Read(Read { reactors: Some(reactors), ..end });
        vec![on("up", up, 1, 10, &[]), on("down", down, 1, 30, &[]), end]
    };
    assert_found(&lines([1, 2]), &palette(20, 20), "");
    assert_found(&lines([1, 1]), &palette(20, 20), "two reactions that exclude each other");
}

#[test]
fn a_refusal_needs_a_cause_between_its_request_and_its_answer() {
    // Two kinds from 200 on, and one from 301 on at the latest.
    let filled = [on("up", 1, 1, 10, &[]), on("like", 2, 1, 20, &[]), off("like", 2, 0, 30)];
    let many = "it was refused as too many";
    for (reaction, user, sent, answered, limit, problem) in [
        ("tada", 3, 210, 220, Limit::TooManyReactions, ""),
        ("tada", 3, 0, 200, Limit::TooManyReactions, ""),
        ("tada", 3, 301, 900, Limit::TooManyReactions, ""),
        ("tada", 3, 0, 199, Limit::TooManyReactions, many),
        ("tada", 3, 302, 900, Limit::TooManyReactions, many),
        // These would make no new kind.
        ("up", 3, 210, 220, Limit::TooManyReactions, many),
        ("like", 2, 210, 220, Limit::TooManyReactions, many),
        // The one that it excludes would go.
        ("down", 1, 210, 220, Limit::TooManyReactions, many),
        ("down", 3, 210, 220, Limit::TooManyReactions, ""),
        ("heart", 3, 0, 900, Limit::ReactionNotAllowed, ""),
        ("up", 3, 0, 900, Limit::ReactionNotAllowed, "refused as not allowed"),
        ("+1", 3, 0, 900, Limit::ReactionNotAllowed, "refused as not allowed"),
        ("up", 3, 0, 900, Limit::ReactionsLocked, "without a lock"),
    ] {
        let last = refused(reaction, user, sent, answered, limit);
        let lines = [&filled[..], std::slice::from_ref(&last)].concat();
        assert_found(&lines, &palette(2, 20), problem);
        let verdict = judge_by(&lines, Rules::default(), Some(&palette(2, 20)));
        assert_eq!(verdict.is_right(), problem.is_empty(), "{last:?}");
        assert_eq!((verdict.refused, verdict.ruled_out), (0, 1));
    }
    // A user has one already.
    let lines = |user, sent| {
        let last = refused("tada", user, sent, sent + 10, Limit::TooManyReactions);
        [&filled[..], &[last]].concat()
    };
    assert_found(&lines(1, 210), &palette(20, 1), "");
    assert_found(&lines(3, 210), &palette(20, 1), many);
    assert_found(&lines(2, 400), &palette(20, 1), many);
    // Removing is always allowed.
    let Line::Tap(tap) = refused("up", 1, 210, 220, Limit::TooManyReactions) else {
        unreachable!()
    };
    let lines = [&filled[..], &[Line::Tap(Tap { verb: Verb::Unset, ..tap })]].concat();
    assert_found(&lines, &palette(2, 20), "removing a reaction was refused");
}

/// The exhaustive checker knows no aliases.
fn counted(line: Line) -> Line {
    match line {
        Line::Tap(tap) if tap.reaction == "+1" => Line::Tap(Tap { reaction: "up".into(), ..tap }),
        line => line,
    }
}

#[test]
fn a_tap_of_unknown_outcome_replaces_too() {
    let unknown = |reaction: &str, user, sent, end| {
        let outcome = Outcome::Unknown { not_after_micros: Some(end) };
        tap(Verb::Set, reaction, user, sent, outcome)
    };
    let seen = |revision, counts: &[(&'static str, u64)]| {
        vec![on("up", 1, 1, 10, &[]), read(400, revision, counts)]
    };
    let with = |mut lines: Vec<Line>, more: Line| {
        lines.push(more);
        lines
    };
    let palette = palette(20, 20);
    // It turned down on, and up off: two revisions.
    let shown = |revision| with(seen(revision, &[("down", 1)]), unknown("down", 1, 150, 300));
    assert_found(&shown(12), &palette, "");
    assert_found(&shown(11), &palette, "it shows a count of");
    let wrong = with(seen(12, &[("up", 1), ("down", 1)]), unknown("down", 1, 150, 300));
    assert_found(&wrong, &palette, "no tap of unknown outcome explains it");
    let beside = with(seen(12, &[("up", 1), ("down", 1)]), unknown("down", 2, 150, 300));
    assert_found(&beside, &palette, "");
    // A later answer has nothing to replace any more.
    let later = with(shown(12), on("like", 1, 1, 50, &[]));
    assert_found(&later, &palette, "");
    let again = with(shown(12), on("up", 1, 1, 50, &[("down", 0)]));
    assert_found(&again, &palette, "");
    let nothing = with(shown(12), on("up", 1, 1, 50, &[]));
    assert_found(&nothing, &palette, "which excludes it");
}

#[test]
fn two_taps_of_unknown_outcome_on_one_group_have_an_order() {
    let unknown = |reaction: &str, user, sent, end| {
        let outcome = Outcome::Unknown { not_after_micros: Some(end) };
        tap(Verb::Set, reaction, user, sent, outcome)
    };
    for (shown, times, problem) in [
        ("up", [(200, 250), (110, 150)], ""),
        ("down", [(200, 250), (110, 150)], "no tap of unknown outcome explains it"),
        ("up", [(110, 250), (110, 250)], ""),
        ("down", [(110, 250), (110, 250)], ""),
    ] {
        let Line::Read(end) = read(400, 30, &[("like", 1), (shown, 1), ("tada", 1)]) else {
            unreachable!()
        };
        // One turned on, the other on, and the first off again; and one beside.
        let end = Line::Read(Read { changes: Some(5), ..end });
        let [up, down] = times;
        for turn in 0..3 {
            let mut taps = [
                unknown("up", 3, up.0, up.1),
                unknown("down", 3, down.0, down.1),
                unknown("tada", 5, 110, 250),
            ];
            taps.rotate_left(turn);
            let lines =
                [&[on("like", 1, 1, 10, &[])][..], &taps, std::slice::from_ref(&end)].concat();
            assert_found(&lines, &palette(20, 20), problem);
        }
    }
}

#[derive(Clone, Debug)]
struct Plan {
    reaction: usize,
    user: u64,
    verb: Verb,
    times: (u64, u64, u64),
    leap: u64,
    /// Answered; applied, but nobody knows; never applied, and nobody knows.
    fate: u8,
}

fn plans(fates: std::ops::Range<u8>) -> impl Strategy<Value = Vec<Plan>> {
    let verb = prop_oneof![2 => Just(Verb::Toggle), 3 => Just(Verb::Set), 1 => Just(Verb::Unset)];
    let times = (0..60_u64, 0..8_u64, 0..8_u64);
    let plan = (0..4_usize, 1..3_u64, verb, times, 0..3_u64, fates).prop_map(
        |(reaction, user, verb, times, leap, fate)| Plan {
            reaction,
            user,
            verb,
            times,
            leap,
            fate,
        },
    );
    prop::collection::vec(plan, 1..8)
}

/// What a service with this palette answers.
fn run(plans: &[Plan], palette: &Palette) -> Vec<Line> {
    let mut plans: Vec<&Plan> = plans.iter().collect();
    plans.sort_by_key(|plan| plan.times.0 + plan.times.1);
    let mut active: BTreeSet<(&str, u64)> = BTreeSet::new();
    let (mut revision, mut lines) = (0, Vec::new());
    let count = |active: &BTreeSet<(&str, u64)>, name: &str| {
        active.iter().filter(|(other, _)| *other == name).count() as u64
    };
    let kinds = |active: &BTreeSet<(&str, u64)>| {
        active.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>().len() as u64
    };
    for plan in plans {
        let (name, user) = (NAMES[plan.reaction], plan.user);
        let (sent, wait, back) = plan.times;
        let at_micros = sent + wait + back;
        let unknown = Outcome::Unknown { not_after_micros: Some(at_micros) };
        if plan.fate == 2 {
            lines.push(tap(plan.verb, name, user, sent, unknown));
            continue;
        }
        let was = active.contains(&(name, user));
        let on = match plan.verb {
            Verb::Toggle => !was,
            Verb::Set => true,
            Verb::Unset => false,
        };
        let mut after = active.clone();
        let mut gone = Vec::new();
        if on && !was {
            let own =
                active.iter().filter(|(other, own)| *own == user && palette.excludes(name, other));
            gone = own.copied().collect();
            after.retain(|cell| !gone.contains(cell));
            after.insert((name, user));
        } else if !on {
            after.remove(&(name, user));
        }
        let held = after.iter().filter(|(_, own)| *own == user).count() as u64;
        let too_many = kinds(&after) > palette.max_kinds_per_post && kinds(&after) > kinds(&active)
            || held > palette.max_per_user_and_post && gone.is_empty();
        let outcome = if on && !was && too_many {
            Outcome::RuledOut { at_micros, limit: Limit::TooManyReactions }
        } else {
            let changed = on != was;
            active = after;
            revision += u64::from(changed) * (1 + gone.len() as u64 + plan.leap);
            let replaced = gone.iter().map(|(name, _)| Replaced {
                reaction: (*name).to_owned(),
                count: count(&active, name),
            });
            let answer = TapAnswer {
                active: on,
                changed,
                count: count(&active, name),
                revision,
                changes: None,
                replayed: false,
                replaced: replaced.collect(),
            };
            Outcome::Answered { at_micros, answer }
        };
        let outcome = if plan.fate == 1 { unknown } else { outcome };
        lines.push(tap(plan.verb, name, user, sent, outcome));
    }
    lines
}

fn falsify_more(lines: &mut [Line], at: usize, by: u64) {
    let at = at % lines.len();
    let Line::Tap(tap) = &mut lines[at] else { return };
    match &mut tap.outcome {
        Outcome::Answered { answer, .. } if by.is_multiple_of(3) => {
            answer.replaced.iter_mut().for_each(|one| one.count += 1);
        }
        Outcome::Answered { answer, .. } if by % 3 == 1 => answer.replaced.clear(),
        Outcome::Answered { at_micros, .. } => {
            let at_micros = *at_micros;
            tap.outcome = Outcome::RuledOut { at_micros, limit: Limit::TooManyReactions };
        }
        Outcome::RuledOut { at_micros, .. } => {
            tap.sent_micros += 4 * by;
            *at_micros += 4 * by;
        }
        _ => {}
    }
}

/// How far the two checkers must agree.
fn compare(cases: u32, fates: std::ops::Range<u8>, palettes: Vec<Palette>) -> (u32, u32) {
    let falsehoods = prop::collection::vec((any::<usize>(), 0..22_u8, 1..12_u64), 0..5);
    let (possible, impossible) = (Cell::new(0), Cell::new(0));
    let palettes = prop::sample::select(palettes);
    runner(cases)
        .run(&(plans(fates), falsehoods, palettes), |(plans, falsehoods, palette)| {
            let mut lines = run(&plans, &palette);
            for (at, kind, by) in falsehoods {
                if kind < 18 {
                    falsify(&mut lines, at, kind, by);
                } else if !lines.is_empty() {
                    falsify_more(&mut lines, at, by);
                }
            }
            let by_what_counts: Vec<Line> = lines.iter().cloned().map(counted).collect();
            let expected = is_possible_by(&by_what_counts, Some(&palette));
            let found = judge_by(&lines, Rules::default(), Some(&palette));
            let outcome = |line: &Line| match line {
                Line::Tap(tap) => Some(tap.outcome.clone()),
                Line::Read(_) => None,
            };
            let of = |is: fn(&Outcome) -> bool| lines.iter().filter_map(outcome).filter(is).count();
            let refusals = of(|outcome| matches!(outcome, Outcome::RuledOut { .. }));
            let unknown = of(|outcome| matches!(outcome, Outcome::Unknown { .. }));
            let has_limits = palette.max_kinds_per_post < 4 || palette.max_per_user_and_post < 4;
            // Each refusal is judged by itself, and less strictly beside taps of unknown outcome.
            let is_exact =
                refusals == 0 && !(unknown > 0 && has_limits) || refusals == 1 && unknown == 0;
            let tally = if expected { &possible } else { &impossible };
            tally.set(tally.get() + 1);
            if expected || is_exact {
                let problem = format!("{:?}\n{palette:?}\n{}", found.violations, text(&lines));
                prop_assert_eq!(found.is_right(), expected, "{}", problem);
            }
            Ok(())
        })
        .unwrap();
    (possible.get(), impossible.get())
}

#[test]
fn the_checker_knows_the_rules_as_the_exhaustive_one_does() {
    let all = |palette: Palette| Palette { exclusive: AllOr::All(Star::Star), ..palette };
    let palettes =
        vec![palette(2, 20), palette(20, 1), palette(20, 20), palette(2, 2), all(palette(2, 20))];
    for fates in [0..1, 0..3] {
        let (possible, impossible) = compare(8000, fates, palettes.clone());
        assert!(possible > 1500 && impossible > 1000, "{possible}, {impossible}");
    }
}
