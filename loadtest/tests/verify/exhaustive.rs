//! The same question as the checker's, answered by trying every order of a small history.
//!
//! After Wing and Gong: pick any operation that no other has to precede, apply it to a model of the
//! service, go on; what failed once from a state is not tried again. Which taps of unknown outcome
//! were applied is picked beforehand, in every combination. It shares no code with the checker but
//! the types of a history.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use onetap_loadtest::history::{Outcome, Read, Tap, TapAnswer, Verb};

use crate::Line;

/// What is known of a post's revision. While nobody has a reaction it may rise by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Revision {
    /// No change yet, and nothing was shown.
    Any,
    Known(u64),
    /// A change of unknown outcome made it.
    AtLeast(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Post {
    active: BTreeSet<(String, u64)>,
    revision: Revision,
    changes: u64,
    /// The operations with a key that have been applied.
    records: BTreeSet<(u64, String)>,
}

struct Event<'a> {
    line: &'a Line,
    from: u64,
    to: u64,
    /// The answer that this operation has according to any of its attempts.
    told: Option<&'a TapAnswer>,
}

/// Whether every post's history is possible.
pub(crate) fn is_possible(lines: &[Line]) -> bool {
    let posts: BTreeSet<&str> = lines.iter().map(post_of).collect();
    posts.into_iter().all(|post| {
        let lines: Vec<&Line> = lines.iter().filter(|line| post_of(line) == post).collect();
        is_post_possible(&lines)
    })
}

fn post_of(line: &Line) -> &str {
    match line {
        Line::Tap(tap) => &tap.post_id,
        Line::Read(read) => &read.post_id,
    }
}

/// Whether a key was used for two different taps, neither of which was refused.
fn reuses_a_key(lines: &[&Line]) -> bool {
    let mut taps = BTreeMap::new();
    lines.iter().any(|line| match line {
        Line::Tap(Tap { key: Some(key), outcome, user_id, reaction, verb, .. })
            if *outcome != Outcome::Refused =>
        {
            let tap = (reaction, format!("{verb:?}"));
            *taps.entry((user_id, key)).or_insert(tap.clone()) != tap
        }
        Line::Tap(_) | Line::Read(_) => false,
    })
}

fn is_post_possible(lines: &[&Line]) -> bool {
    if reuses_a_key(lines) {
        return false;
    }
    let (mut must, mut may) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Read(read) => {
                must.push(event(line, lines, read.sent_micros, read.answered_micros))
            }
            Line::Tap(tap) => match tap.outcome {
                Outcome::Refused => {}
                Outcome::Answered { at_micros, .. } => {
                    must.push(event(line, lines, tap.sent_micros, at_micros));
                }
                Outcome::Unknown { not_after_micros } => {
                    let to = not_after_micros.unwrap_or(u64::MAX);
                    may.push(event(line, lines, tap.sent_micros, to));
                }
            },
        }
    }
    (0..1_u32 << may.len()).any(|picked| {
        let picked = may.iter().enumerate().filter(|(i, _)| picked >> i & 1 == 1).map(|(_, e)| e);
        let events: Vec<&Event<'_>> = must.iter().chain(picked).collect();
        let start = Post {
            active: BTreeSet::new(),
            revision: Revision::Any,
            changes: 0,
            records: BTreeSet::new(),
        };
        linearize(&events, 0, &start, &mut HashSet::new())
    })
}

fn event<'a>(line: &'a Line, lines: &[&'a Line], from: u64, to: u64) -> Event<'a> {
    let told = match line {
        Line::Read(_) => None,
        Line::Tap(tap) => match (&tap.outcome, &tap.key) {
            (Outcome::Answered { answer, .. }, None) => Some(answer),
            (_, None) => None,
            (_, Some(key)) => lines.iter().find_map(|other| match other {
                Line::Tap(other)
                    if other.user_id == tap.user_id && other.key.as_ref() == Some(key) =>
                {
                    match &other.outcome {
                        Outcome::Answered { answer, .. } => Some(answer),
                        Outcome::Refused | Outcome::Unknown { .. } => None,
                    }
                }
                Line::Tap(_) | Line::Read(_) => None,
            }),
        },
    };
    Event { line, from, to, told }
}

fn linearize(
    events: &[&Event<'_>],
    done: u32,
    post: &Post,
    failed: &mut HashSet<(u32, Post)>,
) -> bool {
    if done.count_ones() as usize == events.len() {
        return true;
    }
    if failed.contains(&(done, post.clone())) {
        return false;
    }
    let left = || events.iter().enumerate().filter(|(i, _)| done >> i & 1 == 0);
    for (i, event) in left() {
        let preceded = left().any(|(_, other)| other.to < event.from);
        if preceded {
            continue;
        }
        let mut next = post.clone();
        if next.apply(event) && linearize(events, done | 1 << i, &next, failed) {
            return true;
        }
    }
    failed.insert((done, post.clone()));
    false
}

impl Post {
    /// Whether the event can take place now, and what comes of it.
    fn apply(&mut self, event: &Event<'_>) -> bool {
        match event.line {
            Line::Read(read) => self.read(read),
            Line::Tap(tap) => self.tap(tap, event.told),
        }
    }

    fn tap(&mut self, tap: &Tap<'_>, told: Option<&TapAnswer>) -> bool {
        if let Some(key) = &tap.key
            && !self.records.insert((tap.user_id, key.to_string()))
        {
            // A repetition: no effect, and the answer of the first.
            return match &tap.outcome {
                Outcome::Answered { answer, .. } => {
                    answer.replayed && told.is_some_and(|told| same(answer, told))
                }
                Outcome::Refused | Outcome::Unknown { .. } => false,
            };
        }
        if let (Outcome::Answered { answer, .. }, Some(told)) = (&tap.outcome, told)
            && !same(answer, told)
        {
            return false;
        }
        let cell = (tap.reaction.to_string(), tap.user_id);
        let was = self.active.contains(&cell);
        let active = match tap.verb {
            Verb::Toggle => !was,
            Verb::Set => true,
            Verb::Unset => false,
        };
        let changed = active != was;
        if active {
            self.active.insert(cell);
        } else {
            self.active.remove(&cell);
        }
        self.changes += u64::from(changed);
        let Some(told) = told else {
            self.revision = Revision::AtLeast(match self.revision {
                Revision::Any => 0,
                Revision::Known(last) | Revision::AtLeast(last) => last + 1,
            });
            return changed;
        };
        let count = self.active.iter().filter(|(name, _)| *name == tap.reaction).count() as u64;
        (told.active, told.changed, told.count) == (active, changed, count)
            && told.changes.is_none_or(|changes| changes == self.changes)
            && if changed { self.advance(told.revision) } else { self.observe(told.revision) }
    }

    fn advance(&mut self, revision: u64) -> bool {
        let later = match self.revision {
            Revision::Any => true,
            Revision::Known(last) | Revision::AtLeast(last) => revision > last,
        };
        self.revision = Revision::Known(revision);
        later
    }

    fn observe(&mut self, revision: u64) -> bool {
        let fits = match self.revision {
            Revision::Any => self.active.is_empty(),
            Revision::Known(known) if !self.active.is_empty() => revision == known,
            Revision::Known(least) | Revision::AtLeast(least) => revision >= least,
        };
        self.revision = Revision::Known(revision);
        fits
    }

    fn read(&mut self, read: &Read<'_>) -> bool {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, _) in &self.active {
            *counts.entry(name).or_default() += 1;
        }
        let shown: BTreeMap<&str, u64> =
            read.reactions.iter().map(|(name, count)| (name.as_ref(), *count)).collect();
        let listed = read.reactors.as_ref().is_none_or(|reactors| {
            let mut all: Vec<(String, u64)> = reactors
                .iter()
                .flat_map(|(name, users)| users.iter().map(|user| (name.to_string(), *user)))
                .collect();
            all.sort();
            all == self.active.iter().cloned().collect::<Vec<_>>()
        });
        shown == counts
            && listed
            && read.total.is_none_or(|total| total == self.active.len() as u64)
            && read.changes.is_none_or(|changes| changes == self.changes)
            && self.observe(read.revision)
    }
}

fn same(a: &TapAnswer, b: &TapAnswer) -> bool {
    TapAnswer { replayed: false, ..a.clone() } == TapAnswer { replayed: false, ..b.clone() }
}
