//! Histories of a service that counts exactly once, with delays, losses and retries; and how to
//! falsify them.

use std::collections::{BTreeMap, BTreeSet};

use onetap_loadtest::history::{Outcome, Read, Tap, TapAnswer, Verb};
use proptest::prelude::*;

use crate::Line;

/// What becomes of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    Refused,
    /// Applied, but nobody knows.
    LostAnswer,
    /// Never applied, and nobody knows.
    LostRequest,
}

/// What a client does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// `grace`: how long after its end it may still be applied, for all that the client knows; none:
    /// for ever.
    Tap {
        reaction: u8,
        user: u64,
        verb: Verb,
        fates: Vec<Fate>,
        grace: Option<u64>,
    },
    Read,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) act: Act,
    /// Sent, from there to taking place, from there to the end.
    pub(crate) times: (u64, u64, u64),
    /// By how much the revision leaps with a change.
    pub(crate) leap: u64,
    /// By how much other posts have raised the revision since then, while nobody has a reaction.
    pub(crate) risen: u64,
}

pub(crate) fn plans(most: usize) -> impl Strategy<Value = (Vec<Plan>, bool, bool)> {
    let fate = prop_oneof![
        5 => Just(Fate::Answered),
        1 => Just(Fate::Refused),
        2 => Just(Fate::LostAnswer),
        2 => Just(Fate::LostRequest),
    ];
    let verb = prop_oneof![3 => Just(Verb::Toggle), 1 => Just(Verb::Set), 1 => Just(Verb::Unset)];
    let fates = prop_oneof![
        6 => fate.clone().prop_map(|fate| vec![fate]),
        1 => prop::collection::vec(fate, 2..4),
    ];
    let grace = prop_oneof![2 => Just(Some(0)), 2 => (0..60_u64).prop_map(Some), 1 => Just(None)];
    let tap =
        (0..2_u8, 1..4_u64, verb, fates, grace).prop_map(|(reaction, user, verb, fates, grace)| {
            Act::Tap { reaction, user, verb, fates, grace }
        });
    let act = prop_oneof![6 => tap, 1 => Just(Act::Read)];
    let risen = prop_oneof![2 => Just(0), 1 => 1..4_u64];
    let plan = (act, (0..40_u64, 0..8_u64, 0..8_u64), 0..3_u64, risen)
        .prop_map(|(act, times, leap, risen)| Plan { act, times, leap, risen });
    (prop::collection::vec(plan, 1..=most), any::<bool>(), any::<bool>())
}

#[derive(Default)]
struct Service {
    active: BTreeSet<(u8, u64)>,
    /// That of the last change; what was raised since, while the post has no state.
    revision: u64,
    changes: u64,
    records: BTreeMap<String, TapAnswer>,
}

fn name(reaction: u8) -> &'static str {
    ["like", "+1"][usize::from(reaction)]
}

impl Service {
    /// Other posts become empty: that shows in this one if it has no state.
    fn rise(&mut self, by: u64) {
        if self.active.is_empty() {
            self.revision += by;
        }
    }

    fn tap(&mut self, reaction: u8, user: u64, verb: Verb, leap: u64) -> TapAnswer {
        let was = self.active.contains(&(reaction, user));
        let active = match verb {
            Verb::Toggle => !was,
            Verb::Set => true,
            Verb::Unset => false,
        };
        let changed = was != active;
        if changed {
            self.changes += 1;
            self.revision += 1 + leap;
            if active {
                self.active.insert((reaction, user));
            } else {
                self.active.remove(&(reaction, user));
            }
        }
        let count = self.active.iter().filter(|(r, _)| *r == reaction).count() as u64;
        let revision = self.revision;
        TapAnswer {
            active,
            changed,
            count,
            revision,
            changes: Some(self.changes),
            replayed: false,
            replaced: Vec::new(),
        }
    }

    fn read(&self) -> Read<'static> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (reaction, _) in &self.active {
            *counts.entry(name(*reaction)).or_default() += 1;
        }
        Read {
            post_id: "p".into(),
            sent_micros: 0,
            answered_micros: 0,
            revision: self.revision,
            changes: Some(self.changes),
            total: Some(self.active.len() as u64),
            reactions: counts.into_iter().map(|(name, count)| (name.into(), count)).collect(),
            reactors: None,
        }
    }
}

/// Runs the plans against the service. `numbered`: its answers carry the number of changes;
/// `ending`: the final state is recorded.
pub(crate) fn run(plans: &[Plan], numbered: bool, ending: bool) -> Vec<Line> {
    // Every attempt at its moment.
    let mut moments: Vec<(u64, usize, usize)> = Vec::new();
    for (i, plan) in plans.iter().enumerate() {
        let attempts = if let Act::Tap { fates, .. } = &plan.act { fates.len() } else { 1 };
        let (sent, wait, _) = plan.times;
        moments.extend((0..attempts).map(|n| (sent + wait + 7 * n as u64, i, n)));
    }
    moments.sort_unstable();
    let mut service = Service::default();
    let mut lines = Vec::new();
    for (moment, i, attempt) in moments {
        let Plan { act, times: (_, wait, back), leap, risen } = &plans[i];
        service.rise(*risen);
        let (sent, end) = (moment - wait, moment + back);
        match act {
            Act::Read => {
                let read = service.read();
                lines.push(Line::Read(Read { sent_micros: sent, answered_micros: end, ..read }));
            }
            Act::Tap { reaction, user, verb, fates, grace } => {
                let key = (fates.len() > 1).then(|| format!("key {i}"));
                let fate = fates[attempt];
                let answer = if matches!(fate, Fate::Answered | Fate::LostAnswer) {
                    let record = key.as_ref().and_then(|key| service.records.get(key));
                    Some(match record {
                        Some(first) => TapAnswer { replayed: true, ..first.clone() },
                        None => service.tap(*reaction, *user, *verb, *leap),
                    })
                } else {
                    None
                };
                if let (Some(key), Some(answer)) = (&key, &answer) {
                    service.records.entry(key.clone()).or_insert_with(|| answer.clone());
                }
                let outcome = match (fate, answer) {
                    (Fate::Answered, Some(answer)) => Outcome::Answered { at_micros: end, answer },
                    (Fate::Refused, _) => Outcome::Refused,
                    _ => Outcome::Unknown { not_after_micros: grace.map(|grace| end + grace) },
                };
                lines.push(Line::Tap(Tap {
                    post_id: "p".into(),
                    reaction: name(*reaction).into(),
                    user_id: *user,
                    verb: *verb,
                    sent_micros: sent,
                    key: key.map(Into::into),
                    outcome,
                }));
            }
        }
    }
    if ending {
        let mut reactors: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for (reaction, user) in &service.active {
            reactors.entry(name(*reaction).into()).or_default().push(*user);
        }
        lines.push(Line::Read(Read {
            sent_micros: 100,
            answered_micros: 101,
            reactors: Some(reactors),
            ..service.read()
        }));
    }
    if !numbered {
        lines.iter_mut().for_each(forget_number);
    }
    lines
}

fn forget_number(line: &mut Line) {
    match line {
        Line::Read(read) => read.changes = None,
        Line::Tap(tap) => {
            if let Outcome::Answered { answer, .. } = &mut tap.outcome {
                answer.changes = None;
            }
        }
    }
}

/// Falsifies one line in the `kind`-th way; says whether that was possible.
pub(crate) fn falsify(lines: &mut Vec<Line>, at: usize, kind: u8, by: u64) -> bool {
    if lines.is_empty() {
        return false;
    }
    let at = at % lines.len();
    match kind {
        0 => {
            lines.remove(at);
            return true;
        }
        1 => {
            let again = lines[at].clone();
            lines.push(again);
            return true;
        }
        2 => return exchange(lines, at, at + by as usize),
        _ => {}
    }
    match &mut lines[at] {
        Line::Read(read) => falsify_read(read, kind, by),
        Line::Tap(tap) => falsify_tap(tap, kind, by),
    }
}

fn falsify_read(read: &mut Read<'_>, kind: u8, by: u64) -> bool {
    match kind {
        3 => read.revision += by,
        4 => read.revision = read.revision.saturating_sub(by),
        5 => match read.reactions.first_mut() {
            Some((_, count)) => *count += by,
            None => return false,
        },
        6 => (read.sent_micros, read.answered_micros) = (by, by),
        7 => {
            read.sent_micros += by;
            read.answered_micros += by;
        }
        8 => match &mut read.changes {
            Some(changes) => *changes += by,
            None => return false,
        },
        9 => match read.reactors.as_mut().and_then(|all| all.values_mut().next()) {
            Some(users) => users[0] += by,
            None => return false,
        },
        _ => return false,
    }
    true
}

fn falsify_tap(tap: &mut Tap<'_>, kind: u8, by: u64) -> bool {
    match (kind, &mut tap.outcome) {
        (9, _) => tap.user_id = 1 + (tap.user_id - 1 + by) % 3,
        (10, _) => {
            tap.verb = match tap.verb {
                Verb::Toggle => Verb::Set,
                Verb::Set => Verb::Unset,
                Verb::Unset => Verb::Toggle,
            };
        }
        (11, _) => tap.reaction = if tap.reaction == "like" { "+1" } else { "like" }.into(),
        (12, outcome) => {
            *outcome = Outcome::Unknown { not_after_micros: Some(tap.sent_micros + by) };
        }
        (13, outcome) => *outcome = Outcome::Refused,
        (6, Outcome::Answered { at_micros, .. }) => (tap.sent_micros, *at_micros) = (by, by),
        (7, Outcome::Answered { at_micros, .. }) => {
            tap.sent_micros += by;
            *at_micros += by;
        }
        (_, Outcome::Answered { answer, .. }) => return falsify_answer(answer, kind, by),
        _ => return false,
    }
    true
}

fn falsify_answer(answer: &mut TapAnswer, kind: u8, by: u64) -> bool {
    match kind {
        3 => answer.revision += by,
        4 => answer.revision = answer.revision.saturating_sub(by),
        5 => answer.count += by,
        8 => match &mut answer.changes {
            Some(changes) => *changes += by,
            None => return false,
        },
        14 => answer.active = !answer.active,
        15 => answer.changed = !answer.changed,
        16 => answer.count = answer.count.saturating_sub(by),
        17 => answer.replayed = !answer.replayed,
        _ => return false,
    }
    true
}

/// Exchanges two answers.
fn exchange(lines: &mut [Line], a: usize, b: usize) -> bool {
    let answer = |line: &Line| match line {
        Line::Tap(Tap { outcome: Outcome::Answered { answer, .. }, .. }) => Some(answer.clone()),
        Line::Tap(_) | Line::Read(_) => None,
    };
    let b = b % lines.len();
    let (Some(of_a), Some(of_b)) = (answer(&lines[a]), answer(&lines[b])) else { return false };
    for (at, new) in [(a, of_b), (b, of_a)] {
        if let Line::Tap(Tap { outcome: Outcome::Answered { answer, .. }, .. }) = &mut lines[at] {
            *answer = new;
        }
    }
    a != b
}
