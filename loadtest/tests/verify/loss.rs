//! Failovers: the newest changes may be lost, and nothing else.

use onetap_loadtest::history::{Outcome, Read, Tap};
use onetap_loadtest::verify::{Rules, Verdict};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::simulate::{Act, Fate, Plan, plans, run};
use crate::{Line, judge};

const LOSSY: Rules = Rules { allow_lost_suffix: true };

/// What the first plans came to, of which all but the first `kept` attempts are lost, and then the
/// others on top of what was kept.
fn failover(first: &[Plan], kept: usize, second: &[Plan]) -> (Vec<Line>, usize) {
    let old = run(first, false, false);
    let mut order: Vec<&Plan> = first.iter().collect();
    order.sort_by_key(|plan| plan.times.0 + plan.times.1);
    // The new primary has seen the first few only; it tells the same up to there.
    let both: Vec<Plan> =
        order[..kept].iter().copied().cloned().chain(second.iter().map(later)).collect();
    let new = run(&both, false, true);
    let is_change = |line: &Line| match line {
        Line::Tap(Tap { outcome: Outcome::Answered { answer, .. }, .. }) => answer.changed,
        Line::Tap(_) | Line::Read(_) => false,
    };
    let lost = old[kept..].iter().filter(|line| is_change(line)).count();
    let mut lines = old;
    lines.extend(new[kept..].iter().cloned().map(with_later_revision));
    (lines, lost)
}

/// Long after everything of the first.
fn later(plan: &Plan) -> Plan {
    let (sent, wait, back) = plan.times;
    Plan { times: (sent + 500, wait, back), ..plan.clone() }
}

/// The new primary's clock has gone on meanwhile, whatever it has kept.
fn with_later_revision(mut line: Line) -> Line {
    match &mut line {
        Line::Tap(Tap { outcome: Outcome::Answered { answer, .. }, .. }) if answer.changed => {
            answer.revision += 1000;
        }
        Line::Tap(_) | Line::Read(_) => {}
    }
    line
}

fn tap(user: u64, at: u64) -> Plan {
    let act = Act::Tap {
        reaction: 0,
        user,
        verb: onetap_loadtest::history::Verb::Toggle,
        fates: vec![Fate::Answered],
        grace: Some(0),
    };
    Plan { act, times: (at, 0, 1), leap: 0, risen: 0 }
}

/// The final state has the revision of the last change that an answer shows.
fn with_ending(mut lines: Vec<Line>) -> Vec<Line> {
    let told = |line: &Line| match line {
        Line::Tap(Tap { outcome: Outcome::Answered { answer, .. }, .. }) => answer.revision,
        Line::Tap(_) | Line::Read(_) => 0,
    };
    let last = lines.iter().map(told).max().unwrap_or(0);
    if let Some(Line::Read(Read { revision, sent_micros, answered_micros, .. })) = lines.last_mut()
    {
        (*revision, *sent_micros, *answered_micros) = (last, 9000, 9001);
    }
    lines
}

fn verdict(lines: &[Line]) -> Verdict {
    judge(lines, LOSSY)
}

#[test]
fn a_lost_suffix_is_counted() {
    let first: Vec<Plan> = (0..20).map(|n| tap(1 + n, 3 * n)).collect();
    let second: Vec<Plan> = (0..20).map(|n| tap(1 + n % 3, 3 * n)).collect();
    for kept in 1..20 {
        let (lines, lost) = failover(&first, kept, &second);
        let lines = with_ending(lines);
        assert!(!judge(&lines, Rules::default()).is_right(), "kept {kept}");
        let verdict = verdict(&lines);
        assert!(verdict.is_right(), "kept {kept}: {:?}", verdict.violations);
        assert_eq!((verdict.lost, verdict.losses), (lost, 1));
    }
    // Nothing lost, nothing counted.
    let (lines, _) = failover(&first, 20, &second);
    let verdict = verdict(&with_ending(lines));
    assert!(verdict.is_right(), "{:?}", verdict.violations);
    assert_eq!((verdict.lost, verdict.losses), (0, 0));
}

/// The second loss begins where the first one ended, also with the very state, or a few changes later.
#[test]
fn two_failovers_may_follow_each_other_closely() {
    let first: Vec<Plan> = (0..20).map(|n| tap(1 + n, 3 * n)).collect();
    let second: Vec<Plan> = (0..12).map(|n| tap(30 + n, 3 * n)).collect();
    let third: Vec<Plan> = (0..8).map(|n| later(&tap(50 + n, 3 * n))).collect();
    for (kept, kept_of_second) in [(5, 0), (5, 1), (5, 2), (10, 6), (19, 11), (1, 3)] {
        let (mut lines, lost) = failover(&first, kept, &second);
        // Without the final state.
        lines.pop();
        let both: Vec<Plan> =
            first[..kept].iter().cloned().chain(second.iter().map(later)).collect();
        let (last, lost_again) = failover(&both, kept + kept_of_second, &third);
        let of_third = last.len() - third.len() - 1;
        let later = last[of_third..].iter().cloned().map(with_later_revision);
        lines.extend(later);
        let verdict = verdict(&with_ending(lines));
        assert!(verdict.is_right(), "{kept}, {kept_of_second}: {:?}", verdict.violations);
        assert_eq!((verdict.lost, verdict.losses), (lost + lost_again, 2));
    }
}

#[test]
fn a_state_that_came_back_is_seen_in_a_read() {
    let first: Vec<Plan> = (0..9).map(|n| tap(1 + n, 3 * n)).collect();
    let (mut lines, _) = failover(&first, 5, &[]);
    let Some(Line::Read(end)) = lines.last_mut() else { panic!("no final state") };
    (end.sent_micros, end.answered_micros) = (900, 901);
    assert!(!judge(&lines, Rules::default()).is_right());
    let found = verdict(&lines);
    assert!(found.is_right(), "{:?}", found.violations);
    assert_eq!((found.lost, found.losses), (4, 1));
    // It has the revision that it had.
    let Some(Line::Read(end)) = lines.last_mut() else { panic!("no final state") };
    end.revision -= 1;
    assert!(!verdict(&lines).is_right());
}

#[test]
fn only_a_suffix_may_be_lost() {
    let first: Vec<Plan> = (0..12).map(|n| tap(1 + n % 6, 3 * n)).collect();
    let (lines, _) = failover(&first, 12, &[tap(1, 0), tap(9, 3)]);
    let lines = with_ending(lines);
    assert!(verdict(&lines).is_right());
    // A hole: one change is gone, and those after it are not.
    for at in 1..10 {
        let mut holed = lines.clone();
        holed.remove(at);
        assert!(!verdict(&holed).is_right(), "hole at {at}");
    }
    let mut doubled = lines.clone();
    doubled.push(lines[3].clone());
    assert!(!verdict(&doubled).is_right());
}

fn keyed(lines: &mut [Line], user: u64) {
    for line in lines.iter_mut() {
        if let Line::Tap(tap) = line
            && tap.user_id == user
        {
            tap.key = Some("again".into());
        }
    }
}

#[test]
fn a_lost_tap_may_be_applied_again_with_its_key_and_no_other() {
    let first: Vec<Plan> = (0..12).map(|n| tap(1 + n, 3 * n)).collect();
    // User 12's tap is lost, and sent again; user 3's is kept.
    let (lines, _) = failover(&first, 8, &[tap(20, 0), tap(12, 3)]);
    let mut lines = with_ending(lines);
    keyed(&mut lines, 12);
    assert!(!judge(&lines, Rules::default()).is_right());
    let found = verdict(&lines);
    assert!(found.is_right(), "{:?}", found.violations);
    assert_eq!((found.lost, found.losses), (4, 1));
    // A key whose first effect was not lost has none again.
    let (lines, _) = failover(&first, 8, &[tap(20, 0), tap(3, 3)]);
    let mut lines = with_ending(lines);
    assert!(verdict(&lines).is_right());
    keyed(&mut lines, 3);
    assert!(!verdict(&lines).is_right());
}

/// User 9 turns it on, and off again, both of which is lost: only the key that is sent again shows it.
#[test]
fn a_loss_that_leaves_the_state_as_it_was_is_told_by_a_key() {
    let mut first: Vec<Plan> = (0..8).map(|n| tap(1 + n, 3 * n)).collect();
    first.extend([tap(9, 30), tap(9, 40)]);
    let second = [tap(20, 0), tap(9, 3), tap(21, 6)];
    for kept in [8, 10] {
        let mut lines = with_ending(failover(&first, kept, &second).0);
        let mut taps_of_9 = 0;
        for line in &mut lines {
            if let Line::Tap(tap) = line
                && tap.user_id == 9
            {
                taps_of_9 += 1;
                // The second has another key.
                tap.key = (taps_of_9 != 2).then(|| "again".into());
            }
        }
        assert_eq!(taps_of_9, 3);
        assert!(!judge(&lines, Rules::default()).is_right());
        let found = verdict(&lines);
        assert!(found.is_right(), "kept {kept}: {:?}", found.violations);
        assert_eq!((found.lost, found.losses), (2, 1));
    }
    // A change in between that is seen later was not lost, and so neither was what came before it.
    first.insert(9, tap(15, 35));
    let mut lines = with_ending(failover(&first, 11, &second).0);
    assert!(verdict(&lines).is_right());
    keyed(&mut lines[..9], 9);
    keyed(&mut lines[11..], 9);
    assert!(!verdict(&lines).is_right());
}

/// User 10's tap takes effect on the old primary; only the answers to others show it. Then it takes
/// effect on the new primary too, which answers it.
fn applied_on_both(kept: usize, key: Option<&'static str>) -> Vec<Line> {
    let first: Vec<Plan> = (0..12).map(|n| tap(1 + n, 3 * n)).collect();
    let (mut lines, _) = failover(&first, kept, &[tap(20, 0), tap(10, 3)]);
    let Line::Tap(told) = lines.remove(9) else { panic!("no tap") };
    assert_eq!(told.user_id, 10);
    for line in &mut lines {
        if let Line::Tap(tap) = line
            && tap.user_id == 10
        {
            tap.key = key.map(Into::into);
            tap.sent_micros = told.sent_micros;
        }
    }
    with_ending(lines)
}

#[test]
fn a_tap_with_a_key_may_be_applied_again_within_one_answer_if_its_first_effect_was_lost() {
    for kept in 2..10 {
        let lines = applied_on_both(kept, Some("sent again by the service"));
        assert!(!judge(&lines, Rules::default()).is_right());
        let found = verdict(&lines);
        assert!(found.is_right(), "kept {kept}: {:?}", found.violations);
        // All but that one were answered.
        assert_eq!((found.lost, found.losses), (12 - kept - 1, 1));
        // Nobody sends a tap without a key again.
        assert!(!verdict(&applied_on_both(kept, None)).is_right(), "kept {kept}");
    }
    for kept in 10..12 {
        let lines = applied_on_both(kept, Some("sent again by the service"));
        assert!(!verdict(&lines).is_right(), "kept {kept}: its first effect was not lost");
    }
}

/// A read was sent while the last but one of the old primary was on its way, and answered by the new
/// one.
fn shows_what_came_back(mut lines: Vec<Line>) {
    let end = lines.pop().unwrap();
    lines.push(Line::Read(Read {
        post_id: "p".into(),
        sent_micros: 23,
        answered_micros: 400,
        revision: 5,
        changes: None,
        total: Some(5),
        reactions: vec![("like".into(), 5)],
        reactors: None,
    }));
    lines.push(end);
    let found = verdict(&with_ending(lines));
    assert!(found.is_right(), "{:?}", found.violations);
    assert_eq!((found.lost, found.losses), (4, 1));
}

#[test]
fn what_waited_through_a_failover_shows_the_state_that_came_back() {
    let first: Vec<Plan> = (0..9).map(|n| tap(1 + n, 3 * n)).collect();
    let (lines, _) = failover(&first, 5, &[tap(30, 0)]);
    shows_what_came_back(lines);
}

#[test]
fn a_state_need_not_have_come_back_in_the_longest_pause() {
    let first: Vec<Plan> = (0..9).map(|n| tap(1 + n, 3 * n)).collect();
    let (mut lines, _) = failover(&first, 5, &[tap(30, 0)]);
    // The longest pause is before the last change of the old primary.
    for line in &mut lines[8..] {
        if let Line::Tap(Tap { outcome: Outcome::Answered { answer, .. }, .. }) = line {
            answer.revision += 5000;
        }
    }
    shows_what_came_back(lines);
}

#[test]
fn without_a_failover_nothing_is_lost() {
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng)
        .run(&plans(20), |(plans, numbered, ending)| {
            let found = verdict(&run(&plans, numbered, ending));
            prop_assert!(found.is_right(), "{:?}", found.violations);
            prop_assert_eq!(found.lost, 0);
            Ok(())
        })
        .unwrap();
}
