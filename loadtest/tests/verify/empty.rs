//! A post without any reaction: other posts raise its revision, and its next change lies above that.

use onetap_loadtest::history::{Outcome, Read, Tap, TapAnswer, Verb};
use onetap_loadtest::verify::Rules;

use crate::exhaustive::is_possible;
use crate::{Line, judge, verdict};

fn tap(verb: Verb, reaction: &'static str, user_id: u64, sent_micros: u64, told: Told) -> Line {
    let (active, changed, count, revision) = told;
    let answer = TapAnswer {
        active,
        changed,
        count,
        revision,
        changes: None,
        replayed: false,
        replaced: Vec::new(),
    };
    let outcome = Outcome::Answered { at_micros: sent_micros + 1, answer };
    Line::Tap(Tap {
        post_id: "p".into(),
        reaction: reaction.into(),
        user_id,
        verb,
        sent_micros,
        key: None,
        outcome,
    })
}

/// Active, changed, count, revision.
type Told = (bool, bool, u64, u64);

fn on(user: u64, sent: u64, revision: u64) -> Line {
    tap(Verb::Set, "like", user, sent, (true, true, 1, revision))
}

fn off(user: u64, sent: u64, revision: u64) -> Line {
    tap(Verb::Unset, "like", user, sent, (false, true, 0, revision))
}

/// A tap that changed nothing: nobody has the reaction.
fn idle(sent: u64, revision: u64) -> Line {
    tap(Verb::Unset, "like", 9, sent, (false, false, 0, revision))
}

fn read(sent_micros: u64, revision: u64, count: u64) -> Line {
    let reactions = if count > 0 { vec![("like".into(), count)] } else { Vec::new() };
    Line::Read(Read {
        post_id: "p".into(),
        sent_micros,
        answered_micros: sent_micros + 1,
        revision,
        changes: None,
        total: Some(count),
        reactions,
        reactors: None,
    })
}

fn unknown(verb: Verb, user: u64, sent: u64, not_after: u64) -> Line {
    let Line::Tap(tap) = tap(verb, "like", user, sent, (false, false, 0, 0)) else {
        unreachable!()
    };
    Line::Tap(Tap { outcome: Outcome::Unknown { not_after_micros: Some(not_after) }, ..tap })
}

/// Asserts that both checkers agree.
#[track_caller]
fn assert_right(lines: &[Line], right: bool) {
    let found = verdict(lines);
    assert_eq!(found.is_right(), right, "{:?}\n{lines:?}", found.violations);
    assert_eq!(is_possible(lines), right, "the exhaustive one\n{lines:?}");
}

/// Empty at 0 and 7, changes at 100 and 200, empty until 300, and from 400 on.
fn history() -> Vec<Line> {
    vec![
        read(0, 0, 0),
        read(10, 7, 0),
        on(1, 20, 100),
        read(30, 100, 1),
        off(1, 40, 200),
        read(50, 200, 0),
        read(60, 230, 0),
        idle(70, 240),
        on(2, 80, 300),
        off(2, 90, 400),
        read(100, 450, 0),
    ]
}

#[test]
fn the_revision_of_a_post_without_any_reaction_rises_by_itself() {
    assert_right(&history(), true);
    // Every answer may be missing, but no change.
    for at in [0, 1, 3, 5, 6, 7, 10] {
        let mut lines = history();
        lines.remove(at);
        assert_right(&lines, true);
    }
}

#[test]
fn what_rises_too_far_goes_back_or_shows_too_much_is_found() {
    let replaced = |at: usize, line: Line| {
        let mut lines = history();
        lines[at] = line;
        lines
    };
    for (what, lines) in [
        ("it goes back, before the first change", replaced(0, read(0, 8, 0))),
        ("above a later change", replaced(1, read(10, 101, 0))),
        ("as high as a later change", replaced(1, read(10, 100, 0))),
        ("with a reaction it does not rise", replaced(3, read(30, 101, 1))),
        ("with a reaction that it does not show", replaced(3, read(30, 101, 0))),
        ("nor for a tap that changes nothing", replaced(3, idle(30, 150))),
        ("below the change that emptied it", replaced(5, read(50, 199, 0))),
        ("it goes back", replaced(7, idle(70, 229))),
        ("as high as the next change", replaced(7, idle(70, 300))),
        ("above the next change", replaced(6, read(60, 301, 0))),
        ("below the change that emptied it, at the end", replaced(10, read(100, 399, 0))),
    ] {
        assert!(!verdict(&lines).is_right(), "{what}");
        assert_right(&lines, false);
    }
}

#[test]
fn a_reaction_beside_keeps_the_revision_as_it_is() {
    let beside = tap(Verb::Set, "tada", 3, 35, (true, true, 1, 150));
    let away = tap(Verb::Unset, "tada", 3, 75, (false, true, 0, 260));
    for (shown, right) in [(200, true), (230, false)] {
        let lines = [
            on(1, 20, 100),
            beside.clone(),
            off(1, 40, 200),
            // Nobody has this reaction. The answer says nothing about the other one.
            idle(60, shown),
            away.clone(),
            idle(80, 270),
        ];
        assert_right(&lines, right);
    }
}

#[test]
fn a_tap_of_unknown_outcome_may_have_emptied_it() {
    let seen = [on(1, 20, 100), read(50, 230, 0), read(60, 240, 0), on(2, 80, 300)];
    assert_right(&seen, false);
    for (filler, right) in [
        (unknown(Verb::Unset, 1, 30, 40), true),
        (unknown(Verb::Toggle, 1, 30, 90), true),
        (unknown(Verb::Set, 1, 30, 90), false),
        (unknown(Verb::Unset, 1, 52, 90), false),
        (unknown(Verb::Unset, 2, 30, 90), false),
    ] {
        assert_right(&[&seen[..], &[filler]].concat(), right);
    }
    // The tap takes effect between the two, if somebody has the reaction until then.
    let seen = [on(1, 20, 100), read(50, 100, 1), read(60, 101, 0), on(2, 80, 102)];
    assert_right(&[&seen[..], &[unknown(Verb::Unset, 1, 30, 90)]].concat(), true);
    // One change fills the gap. There is no room for two more.
    let seen = [read(10, 5, 0), read(20, 6, 0), on(1, 30, 7), off(1, 40, 8), read(50, 9, 0)];
    let twice = [unknown(Verb::Set, 4, 0, 60), unknown(Verb::Unset, 4, 0, 60)];
    assert_right(&seen, true);
    assert_right(&[&seen[..], &twice].concat(), true);
    assert_right(
        &[&seen[..], &[tap(Verb::Unset, "like", 4, 0, (false, true, 0, 6))]].concat(),
        false,
    );
}

/// A failover may lose a revision that other posts raised, just as it may lose changes. The post goes
/// on from what is left.
#[test]
fn a_revision_that_others_raised_may_be_lost() {
    let lossy = |lines: &[Line]| judge(lines, Rules { allow_lost_suffix: true });
    let before = [on(1, 20, 100), off(1, 40, 200), read(50, 230, 0), read(60, 290, 0)];
    for (shown, right) in [(200, true), (215, true), (230, true), (260, true), (199, false)] {
        let lines = [&before[..], &[read(70, shown, 0), on(1, 80, 300)]].concat();
        assert_right(&lines, false);
        let found = lossy(&lines);
        assert_eq!(found.is_right(), right, "{shown}: {:?}", found.violations);
        assert_eq!(found.lost, 0);
    }
    // The failover also lost the change that emptied the post, or one that filled it.
    let lines = [&before[..], &[read(70, 100, 1), off(1, 80, 300)]].concat();
    let found = lossy(&lines);
    assert!(found.is_right(), "{:?}", found.violations);
    assert_eq!((found.lost, found.losses), (1, 1));
    let filled = [&before[..], &[on(1, 70, 300), read(80, 250, 0), on(1, 90, 400)]].concat();
    let found = lossy(&filled);
    assert!(found.is_right(), "{:?}", found.violations);
    assert_eq!((found.lost, found.losses), (1, 1));
    // Below the change that emptied it, the post shows the state before the lost changes.
    let twice = [on(1, 5, 10), off(1, 10, 20), on(1, 20, 100), off(1, 40, 200)];
    let found = lossy(&[&twice[..], &[read(70, 50, 0), on(1, 80, 300)]].concat());
    assert!(found.is_right(), "{:?}", found.violations);
    assert_eq!((found.lost, found.losses), (2, 1));
    // A post with a reaction has the revision of a change.
    let lines = [&before[..], &[read(70, 101, 1), off(1, 80, 300)]].concat();
    assert!(!lossy(&lines).is_right());
}
