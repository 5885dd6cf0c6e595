//! A long history that is right, and everything that can be falsified in it.

use onetap_loadtest::history::{Outcome, Read, Tap, TapAnswer, Verb};

use crate::simulate::{Act, Fate, Plan, run};
use crate::{Line, verdict};

/// Taps of three users on two reactions, one after the other, with a read after each. Some taps have
/// a key, and one tap of unknown outcome was applied.
fn history(numbered: bool, reads: bool) -> Vec<Line> {
    let tap = |n: u64, fates: Vec<Fate>| Act::Tap {
        reaction: u8::try_from(n / 3 % 2).unwrap(),
        user: 1 + n % 3,
        verb: [Verb::Toggle, Verb::Set, Verb::Unset, Verb::Toggle][n as usize % 4],
        fates,
        grace: Some(0),
    };
    let mut plans = Vec::new();
    for n in 0..60 {
        let fates = match n {
            20 | 40 => vec![Fate::LostAnswer],
            n if n % 7 == 0 => vec![Fate::LostAnswer, Fate::Answered, Fate::Answered],
            _ => vec![Fate::Answered],
        };
        plans.push(Plan { act: tap(n, fates), times: (100 * n, 2, 3), leap: n % 3, risen: n % 2 });
        if reads {
            // Two reads: a single one could decide the revision of a change of unknown outcome.
            plans.push(Plan { act: Act::Read, times: (100 * n + 50, 2, 3), leap: 0, risen: 0 });
            plans.push(Plan { act: Act::Read, times: (100 * n + 60, 2, 3), leap: 0, risen: 1 });
        }
    }
    let mut lines = run(&plans, numbered, true);
    let Some(Line::Read(end)) = lines.last_mut() else { panic!("no final state") };
    (end.sent_micros, end.answered_micros) = (10_000, 10_001);
    lines
}

fn is_right(lines: &[Line]) -> bool {
    verdict(lines).is_right()
}

fn answer_of(line: &Line) -> Option<&TapAnswer> {
    match line {
        Line::Tap(Tap { outcome: Outcome::Answered { answer, .. }, .. }) => Some(answer),
        Line::Tap(_) | Line::Read(_) => None,
    }
}

/// The answered taps that changed something and stand alone.
fn changes(lines: &[Line]) -> Vec<usize> {
    let alone = |line: &Line| {
        let no_key = matches!(line, Line::Tap(Tap { key: None, .. }));
        no_key && answer_of(line).is_some_and(|answer| answer.changed)
    };
    (0..lines.len()).filter(|at| alone(&lines[*at])).collect()
}

#[test]
fn a_dropped_doubled_or_exchanged_tap_is_found() {
    for (numbered, reads) in [(true, true), (true, false), (false, true), (false, false)] {
        let lines = history(numbered, reads);
        assert!(is_right(&lines), "{:?}", verdict(&lines));
        let changes = changes(&lines);
        assert!(changes.len() > 25);
        for (i, at) in changes.iter().enumerate() {
            let mut dropped = lines.clone();
            dropped.remove(*at);
            assert!(!is_right(&dropped), "dropped {at}");
            let mut doubled = lines.clone();
            doubled.push(lines[*at].clone());
            assert!(!is_right(&doubled), "doubled {at}");
            for other in &changes[i + 1..] {
                let mut exchanged = lines.clone();
                let (a, b) = (outcome(&lines[*at]).clone(), outcome(&lines[*other]).clone());
                *outcome_mut(&mut exchanged[*at]) = b;
                *outcome_mut(&mut exchanged[*other]) = a;
                // A tap whose answer comes before its sending makes the file no history.
                assert!(!is_right(&exchanged), "exchanged {at} and {other}");
            }
        }
    }
}

fn outcome(line: &Line) -> &Outcome {
    let Line::Tap(tap) = line else { panic!("not a tap") };
    &tap.outcome
}

fn outcome_mut(line: &mut Line) -> &mut Outcome {
    let Line::Tap(tap) = line else { panic!("not a tap") };
    &mut tap.outcome
}

#[test]
fn every_false_field_is_found() {
    let lines = history(true, true);
    let mut tried = 0;
    for at in 0..lines.len() {
        let falsehoods: [fn(&mut Tap<'_>); 5] = [
            |tap| tap.user_id += 1,
            |tap| tap.reaction = "tada".into(),
            |tap| tap.verb = if tap.verb == Verb::Set { Verb::Unset } else { Verb::Set },
            |tap| tap.sent_micros += 1_000,
            |tap| tap.post_id = "another".into(),
        ];
        let answers: [fn(&mut TapAnswer); 7] = [
            |a| a.active = !a.active,
            |a| a.changed = !a.changed,
            |a| a.count += 1,
            |a| a.count = a.count.wrapping_sub(1),
            |a| a.revision += 1,
            |a| a.revision -= 1,
            |a| a.changes = a.changes.map(|n| n + 1),
        ];
        let reads: [fn(&mut Read<'_>); 5] = [
            |read| read.revision += 1,
            |read| read.revision -= 1,
            |read| read.changes = read.changes.map(|n| n + 1),
            |read| read.total = read.total.map(|n| n + 1),
            |read| read.reactions.push(("tada".into(), 1)),
        ];
        let mut found = |false_lines: Vec<Line>, what: String| {
            assert!(!is_right(&false_lines), "line {}, {what}: {:?}", at + 1, lines[at]);
            tried += 1;
        };
        match &lines[at] {
            Line::Read(_) => {
                for (kind, falsify) in reads.iter().enumerate() {
                    let mut false_lines = lines.clone();
                    let Line::Read(read) = &mut false_lines[at] else { unreachable!() };
                    falsify(read);
                    found(false_lines, format!("read {kind}"));
                }
            }
            Line::Tap(tap) => {
                let Outcome::Answered { answer, .. } = &tap.outcome else { continue };
                for (kind, falsify) in answers.iter().enumerate() {
                    let mut false_lines = lines.clone();
                    let Outcome::Answered { answer, .. } = outcome_mut(&mut false_lines[at]) else {
                        unreachable!()
                    };
                    falsify(answer);
                    found(false_lines, format!("answer {kind}"));
                }
                for (kind, falsify) in falsehoods.iter().enumerate() {
                    // A toggle has the same answer as the absolute form of its effect, and a
                    // repetition may be of any verb.
                    let same = kind == 2 && tap.verb == Verb::Toggle;
                    if same || !answer.changed || tap.key.is_some() {
                        continue;
                    }
                    let mut false_lines = lines.clone();
                    let Line::Tap(tap) = &mut false_lines[at] else { unreachable!() };
                    falsify(tap);
                    if let Outcome::Answered { at_micros, .. } = &mut tap.outcome {
                        *at_micros = (*at_micros).max(tap.sent_micros);
                    }
                    found(false_lines, format!("tap {kind}"));
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn a_key_that_took_effect_twice_is_found() {
    let mut lines = history(false, false);
    let replays: Vec<usize> = (0..lines.len())
        .filter(|at| answer_of(&lines[*at]).is_some_and(|answer| answer.replayed))
        .take(2)
        .collect();
    for at in replays {
        assert!(is_right(&lines));
        let Outcome::Answered { answer, .. } = outcome_mut(&mut lines[at]) else { unreachable!() };
        answer.replayed = false;
    }
    assert!(!is_right(&lines));
}

/// A phantom flips a flag twice. Both flips look right, but nobody asked for them.
fn two_that_cancel(lines: &mut Vec<Line>) {
    let changes = changes(lines);
    let cell = |line: &Line| match line {
        Line::Tap(tap) => (tap.reaction.to_string(), tap.user_id),
        Line::Read(_) => unreachable!(),
    };
    let pair = changes.iter().enumerate().find_map(|(i, a)| {
        let own = changes[i + 1..].iter().find(|b| cell(&lines[*a]) == cell(&lines[**b]))?;
        let between = changes.iter().filter(|c| *c > a && *c < own).count();
        (between == 0).then_some((*a, *own))
    });
    let (a, b) = pair.unwrap();
    lines.remove(b);
    lines.remove(a);
}

/// A history in which a user sometimes taps twice in a row.
fn double_taps(numbered: bool, reads: bool) -> Vec<Line> {
    let mut plans = Vec::new();
    for n in 0..30_u64 {
        let act = Act::Tap {
            reaction: 0,
            user: 1 + n / 2 % 3,
            verb: Verb::Toggle,
            fates: vec![Fate::Answered],
            grace: Some(0),
        };
        plans.push(Plan { act, times: (n * 2, 0, 1), leap: 0, risen: 0 });
        if reads {
            plans.push(Plan { act: Act::Read, times: (n * 2 + 1, 0, 0), leap: 0, risen: 0 });
        }
    }
    run(&plans, numbered, true)
}

/// The same, while somebody else has a reaction all the time.
fn kept_by_another() -> Vec<Line> {
    let tap = |user: u64, at: u64| {
        let fates = vec![Fate::Answered];
        let act = Act::Tap { reaction: 0, user, verb: Verb::Toggle, fates, grace: Some(0) };
        Plan { act, times: (at, 0, 1), leap: 0, risen: 0 }
    };
    let plans: Vec<Plan> = [tap(9, 0), tap(1, 2), tap(1, 4), tap(2, 6), tap(2, 8)].into();
    run(&plans, false, true)
}

#[test]
fn two_flips_that_cancel_are_found_wherever_something_shows_them() {
    // A number of changes shows them, and so does a read between them.
    for (numbered, reads) in [(true, true), (true, false), (false, true)] {
        let mut lines = double_taps(numbered, reads);
        assert!(is_right(&lines), "{:?}", verdict(&lines).violations);
        two_that_cancel(&mut lines);
        assert!(!is_right(&lines), "numbered {numbered}, reads {reads}");
    }
    // The last revision shows them at the end, while anybody has a reaction.
    let mut lines = kept_by_another();
    assert!(is_right(&lines), "{:?}", verdict(&lines).violations);
    let taps = lines.len() - 1;
    lines.drain(taps - 2..taps);
    assert!(!is_right(&lines));
}

#[test]
fn a_tap_of_unknown_outcome_fills_one_break_in_its_time() {
    let unknown = |user: u64, verb: Verb, sent: u64, not_after: u64| {
        Line::Tap(Tap {
            post_id: "p".into(),
            reaction: "like".into(),
            user_id: user,
            verb,
            sent_micros: sent,
            key: None,
            outcome: Outcome::Unknown { not_after_micros: Some(not_after) },
        })
    };
    // Nobody made one of the changes: user 2 had tapped once.
    let mut lines = double_taps(false, true);
    let at = changes(&lines)[2];
    let Line::Tap(gone) = lines.remove(at) else { unreachable!() };
    assert_eq!((gone.user_id, gone.verb), (2, Verb::Toggle));
    assert!(!is_right(&lines));
    let (sent, end) = (gone.sent_micros, gone.sent_micros + 1);
    for (filler, right) in [
        (unknown(2, Verb::Toggle, sent, end), true),
        (unknown(2, Verb::Set, sent, end), true),
        (unknown(2, Verb::Unset, sent, end), false),
        (unknown(1, Verb::Toggle, sent, end), false),
        (unknown(2, Verb::Toggle, 0, sent - 2), false),
        (unknown(2, Verb::Toggle, end + 1, end + 9), false),
    ] {
        let mut filled = lines.clone();
        filled.push(filler.clone());
        let verdict = verdict(&filled);
        assert_eq!(verdict.is_right(), right, "{filler:?}: {:?}", verdict.violations);
        if right {
            assert_eq!(verdict.filled, 1);
        }
    }
    // The tap explains one break, not two.
    let at = changes(&lines)[8];
    lines.remove(at);
    lines.push(unknown(2, Verb::Toggle, 0, 100));
    assert!(!is_right(&lines));
}

/// A toggle whose outcome nobody knows.
fn unknown(user: u64, sent: u64, not_after: u64) -> Line {
    let outcome = Outcome::Unknown { not_after_micros: Some(not_after) };
    Line::Tap(like(user, Verb::Toggle, sent, outcome))
}

/// A tap that finds, or makes, the flag on.
fn on(user: u64, (sent, at): (u64, u64), changed: bool, count: u64, revision: u64) -> Line {
    let answer = TapAnswer {
        active: true,
        changed,
        count,
        revision,
        changes: None,
        replayed: false,
        replaced: Vec::new(),
    };
    Line::Tap(like(user, Verb::Set, sent, Outcome::Answered { at_micros: at, answer }))
}

fn like(user_id: u64, verb: Verb, sent_micros: u64, outcome: Outcome) -> Tap<'static> {
    let (post_id, reaction) = ("p".into(), "like".into());
    Tap { post_id, reaction, user_id, verb, sent_micros, key: None, outcome }
}

/// Two taps flip the same flag. Only one of them may be applied as late as the second change needs.
/// So the checker must not use it for the first change, whatever the order of the lines.
#[test]
fn of_two_taps_of_unknown_outcome_the_one_with_less_time_goes_first() {
    // On before 10 and still at 30; off again before 50.
    let seen = [
        on(1, (10, 10), false, 1, 100),
        on(1, (30, 30), false, 1, 100),
        on(1, (50, 50), true, 1, 200),
    ];
    let judged = |taps: [Line; 2]| is_right(&[&taps[..], &seen].concat());
    let (patient, hurried) = (unknown(1, 0, 90), unknown(1, 0, 20));
    assert!(judged([patient.clone(), hurried.clone()]));
    assert!(judged([hurried.clone(), patient.clone()]));
    assert!(!judged([hurried.clone(), hurried]), "none is left for the second change");
    assert!(!judged([patient, unknown(1, 51, 90)]), "the other is sent after it");
}

/// Two taps, one sent later than the other. If the checker used the later one for the first change,
/// there would be no time for what has to come after it.
#[test]
fn of_two_taps_of_unknown_outcome_the_one_that_was_sent_first_goes_first() {
    // User 1 is on, then user 2, whose tap has to be applied by 20; user 1 is off again before 50.
    let seen = [
        on(1, (0, 40), false, 1, 100),
        on(2, (0, 40), false, 2, 101),
        on(1, (50, 50), true, 2, 200),
        unknown(2, 0, 20),
    ];
    let judged = |taps: [Line; 2]| is_right(&[&taps[..], &seen].concat());
    let (early, late) = (unknown(1, 0, 95), unknown(1, 30, 90));
    assert!(judged([late.clone(), early.clone()]));
    assert!(judged([early, late.clone()]));
    assert!(!judged([late.clone(), late]), "none is left for the first change");
}
