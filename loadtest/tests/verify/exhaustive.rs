//! The same question as the checker's, answered by trying every order of a small history.
//!
//! After Wing and Gong: pick any operation that no other has to precede, apply it to a model of the
//! service, go on; what failed once from a state is not tried again. Which taps of unknown outcome
//! were applied is picked beforehand, in every combination. It shares no code with the checker but
//! the types of a history.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use onetap_loadtest::history::{Limit, Outcome, Palette, Read, Tap, TapAnswer, Verb};

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

/// What a tap would do to a post.
#[derive(Debug, PartialEq)]
enum Effect {
    None,
    Off,
    /// On, and these of the same user off.
    On(Vec<String>),
    Refused(Limit),
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
    is_possible_by(lines, None)
}

/// The same, if this palette judged the taps.
pub(crate) fn is_possible_by(lines: &[Line], palette: Option<&Palette>) -> bool {
    let posts: BTreeSet<&str> = lines.iter().map(post_of).collect();
    posts.into_iter().all(|post| {
        let lines: Vec<&Line> = lines.iter().filter(|line| post_of(line) == post).collect();
        is_post_possible(&lines, palette)
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
            if !outcome.is_refusal() =>
        {
            let tap = (reaction, format!("{verb:?}"));
            *taps.entry((user_id, key)).or_insert(tap.clone()) != tap
        }
        Line::Tap(_) | Line::Read(_) => false,
    })
}

fn is_post_possible(lines: &[&Line], palette: Option<&Palette>) -> bool {
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
                Outcome::Answered { at_micros, .. } | Outcome::RuledOut { at_micros, .. } => {
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
        linearize(&events, 0, &start, palette, &mut HashSet::new())
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
                        Outcome::Refused | Outcome::RuledOut { .. } | Outcome::Unknown { .. } => {
                            None
                        }
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
    palette: Option<&Palette>,
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
        if next.apply(event, palette) && linearize(events, done | 1 << i, &next, palette, failed) {
            return true;
        }
    }
    failed.insert((done, post.clone()));
    false
}

impl Post {
    /// Whether the event can take place now, and what comes of it.
    fn apply(&mut self, event: &Event<'_>, palette: Option<&Palette>) -> bool {
        match event.line {
            Line::Read(read) => self.read(read),
            Line::Tap(tap) => match tap.outcome {
                Outcome::RuledOut { limit, .. } => {
                    palette.is_none() || self.effect(tap, palette) == Effect::Refused(limit)
                }
                _ => self.tap(tap, event.told, palette),
            },
        }
    }

    fn effect(&self, tap: &Tap<'_>, palette: Option<&Palette>) -> Effect {
        let cell = (tap.reaction.to_string(), tap.user_id);
        let was = self.active.contains(&cell);
        let active = match tap.verb {
            Verb::Toggle => !was,
            Verb::Set => true,
            Verb::Unset => false,
        };
        let Some(palette) = palette.filter(|_| active && !was) else {
            return match (active, was) {
                (true, false) => Effect::On(Vec::new()),
                (false, true) => Effect::Off,
                _ => Effect::None,
            };
        };
        if !palette.offers(&tap.reaction) {
            return Effect::Refused(Limit::ReactionNotAllowed);
        }
        let own = self.active.iter().filter(|(_, user)| *user == tap.user_id);
        let (off, kept): (Vec<_>, Vec<_>) = own
            .map(|(name, _)| name.clone())
            .partition(|name| palette.excludes(&tap.reaction, name));
        let mut after = self.active.clone();
        after.retain(|(name, user)| *user != tap.user_id || !off.contains(name));
        after.insert(cell);
        let kinds = |cells: &BTreeSet<(String, u64)>| {
            cells.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>().len() as u64
        };
        let too_many = kinds(&after) > kinds(&self.active)
            && kinds(&after) > palette.max_kinds_per_post
            || off.is_empty() && kept.len() as u64 + 1 > palette.max_per_user_and_post;
        if too_many { Effect::Refused(Limit::TooManyReactions) } else { Effect::On(off) }
    }

    fn tap(&mut self, tap: &Tap<'_>, told: Option<&TapAnswer>, palette: Option<&Palette>) -> bool {
        if let Some(key) = &tap.key
            && !self.records.insert((tap.user_id, key.to_string()))
        {
            // A repetition: no effect, and the answer of the first.
            return match &tap.outcome {
                Outcome::Answered { answer, .. } => {
                    answer.replayed && told.is_some_and(|told| same(answer, told))
                }
                Outcome::Refused | Outcome::RuledOut { .. } | Outcome::Unknown { .. } => false,
            };
        }
        if let (Outcome::Answered { answer, .. }, Some(told)) = (&tap.outcome, told)
            && !same(answer, told)
        {
            return false;
        }
        let cell = (tap.reaction.to_string(), tap.user_id);
        let effect = self.effect(tap, palette);
        let off = match &effect {
            Effect::Refused(_) => return false,
            Effect::On(off) => off.clone(),
            Effect::None | Effect::Off => Vec::new(),
        };
        let active = match effect {
            Effect::None => self.active.contains(&cell),
            _ => matches!(effect, Effect::On(_)),
        };
        let changed = effect != Effect::None;
        if active {
            self.active.insert(cell);
        } else {
            self.active.remove(&cell);
        }
        self.active.retain(|(name, user)| *user != tap.user_id || !off.contains(name));
        let size = u64::from(changed) + off.len() as u64;
        self.changes += size;
        let Some(told) = told else {
            self.revision = Revision::AtLeast(match self.revision {
                Revision::Any => size.saturating_sub(1),
                Revision::Known(last) | Revision::AtLeast(last) => last + size,
            });
            return changed;
        };
        let replaced: BTreeSet<(String, u64)> =
            off.into_iter().map(|name| (name.clone(), self.count(&name))).collect();
        let said = told.replaced.iter().map(|one| (one.reaction.clone(), one.count));
        (told.active, told.changed, told.count) == (active, changed, self.count(&tap.reaction))
            && told.replaced.len() == replaced.len()
            && said.collect::<BTreeSet<_>>() == replaced
            && told.changes.is_none_or(|changes| changes == self.changes)
            && if changed { self.advance(told.revision, size) } else { self.observe(told.revision) }
    }

    fn count(&self, reaction: &str) -> u64 {
        self.active.iter().filter(|(name, _)| *name == reaction).count() as u64
    }

    /// Goes on by so many changes, the last of which has this revision.
    fn advance(&mut self, revision: u64, size: u64) -> bool {
        let later = match self.revision {
            Revision::Any => revision >= size - 1,
            Revision::Known(last) | Revision::AtLeast(last) => revision >= last + size,
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
