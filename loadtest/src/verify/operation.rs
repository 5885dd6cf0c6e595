//! Turns the attempts on one post into operations: changes, reads, and unknown outcomes.

use std::collections::HashMap;

use super::Violation;
use super::ruled::Ruled;
use super::told::{is_replay_of, told};
use super::when::{When, Window};
use crate::history::{Attempt, History, Outcome, Reading, TapAnswer, Verb};

/// One reaction of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    pub(super) reaction: usize,
    pub(super) user: u64,
}

/// An operation that changed a cell, as its answer says.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) line: u64,
    pub(super) cell: usize,
    pub(super) active: bool,
    pub(super) count: u64,
    pub(super) revision: u64,
    pub(super) changes: Option<u64>,
    pub(super) when: When,
    /// The number of the operation, if it took effect more than once: all effects but one must be
    /// lost.
    pub(super) repeated: Option<usize>,
    /// The cells that the same step turned off, each with the count of its reaction afterwards.
    pub(super) replaced: Vec<(usize, u64)>,
}

impl Change {
    /// All cells that it flips.
    pub(super) fn cells(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.cell).chain(self.replaced.iter().map(|(cell, _)| *cell))
    }

    /// What it makes of a cell, if it flips it.
    pub(super) fn makes(&self, cell: usize) -> Option<bool> {
        let is_replaced = self.replaced.iter().any(|(other, _)| *other == cell);
        if cell == self.cell { Some(self.active) } else { is_replaced.then_some(false) }
    }

    /// The count that it shows of a reaction, if one of its cells is of that reaction.
    pub(super) fn counted(&self, is_of: impl Fn(usize) -> bool) -> Option<u64> {
        let replaced = self.replaced.iter().copied();
        let all = std::iter::once((self.cell, self.count)).chain(replaced);
        all.into_iter().find(|(cell, _)| is_of(*cell)).map(|(_, count)| count)
    }

    /// How many changes of the post it is. Each has a revision; this one has the highest.
    pub(super) fn size(&self) -> u64 {
        1 + self.replaced.len() as u64
    }
}

/// The part of the state that an answer shows.
#[derive(Clone, Debug)]
pub(super) enum Sight {
    /// From a tap that changed nothing: its cell, and the count of the reaction.
    Cell { cell: usize, active: bool, count: u64 },
    /// From a read: all counts above zero.
    Counts(Vec<(usize, u64)>),
    /// From the final read: all counts, and all active cells in order.
    Final(Vec<(usize, u64)>, Vec<usize>),
}

/// An answer that changed nothing and shows the state at its revision.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: u64,
    pub(super) revision: u64,
    pub(super) changes: Option<u64>,
    pub(super) sight: Sight,
    pub(super) when: When,
    /// As in [`Change`].
    pub(super) repeated: Option<usize>,
}

/// An attempt without an answer that may have been applied.
#[derive(Clone, Debug)]
pub(super) struct Filler {
    pub(super) line: u64,
    pub(super) cell: usize,
    pub(super) verb: Verb,
    pub(super) from: u64,
    pub(super) to: u64,
    /// Of the attempts of one operation, at most one is applied.
    pub(super) group: usize,
    /// As in [`Change`].
    pub(super) repeated: Option<usize>,
}

/// Which operations may take effect again because their first effect was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Repeats {
    /// None: nothing is lost.
    #[default]
    Never,
    /// Those that got more than one answer that is not a replay.
    Answered,
    /// Attempts without an answer, too.
    Unanswered,
}

/// Everything known of one post.
#[derive(Debug, Default)]
pub(super) struct Operations {
    pub(super) cells: Vec<Cell>,
    numbers: HashMap<Cell, usize>,
    pub(super) reactions: Vec<u32>,
    pub(super) changes: Vec<Change>,
    pub(super) seen: Vec<Seen>,
    pub(super) fillers: Vec<Filler>,
    pub(super) groups: usize,
    /// The palette in the numbers of this post, if it is known.
    pub(super) ruled: Option<Ruled>,
    repeats: Repeats,
    /// The time spans of stages that the replay could not reach. A tap in flight during one may
    /// have taken effect twice.
    twice_within: Vec<Window>,
}

pub(super) fn violation<T>(lines: &[u64], problem: &str) -> Result<T, Violation> {
    Err(Violation { lines: lines.to_vec(), problem: problem.to_owned(), ..Violation::default() })
}

impl Operations {
    pub(super) fn gather(
        history: &History,
        post: &super::Post,
        repeats: Repeats,
        twice_within: &[Window],
    ) -> Result<Self, Violation> {
        let twice_within = twice_within.to_vec();
        let mut all = Self { repeats, twice_within, ..Self::default() };
        let mut keyed: Vec<&Attempt> = Vec::new();
        for attempt in post.attempts.iter().map(|i| &history.attempts[*i]) {
            match attempt.key {
                Some(_) => keyed.push(attempt),
                None => all.operation(&[attempt])?,
            }
        }
        keyed.sort_by_key(|attempt| (attempt.key, attempt.user, attempt.sent));
        for attempts in keyed.chunk_by(|a, b| (a.key, a.user) == (b.key, b.user)) {
            all.operation(attempts)?;
        }
        for reading in post.readings.iter().map(|i| &history.readings[*i]) {
            all.reading(reading)?;
        }
        if let Some(palette) = &history.palette {
            all.ruled = Some(Ruled::new(palette, &all, history)?);
        }
        Ok(all)
    }

    fn reaction(&mut self, name: u32) -> usize {
        // Linear, because a post has few reactions.
        self.reactions.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.reactions.push(name);
            self.reactions.len() - 1
        })
    }

    fn cell(&mut self, reaction: u32, user: u64) -> usize {
        let cell = Cell { reaction: self.reaction(reaction), user };
        *self.numbers.entry(cell).or_insert_with(|| {
            self.cells.push(cell);
            self.cells.len() - 1
        })
    }

    /// Takes all attempts of one operation.
    fn operation(&mut self, attempts: &[&Attempt]) -> Result<(), Violation> {
        let live: Vec<&Attempt> =
            attempts.iter().copied().filter(|a| !a.outcome.is_refusal()).collect();
        let Some(first) = live.first() else { return Ok(()) };
        let cell = self.cell(first.reaction, first.user);
        if let Some(other) =
            live.iter().find(|a| (a.reaction, a.verb) != (first.reaction, first.verb))
        {
            let problem = "one key, two different taps, and neither was refused";
            return violation(&[first.line, other.line], problem);
        }
        let is_original = |attempt: &&Attempt| match &attempt.outcome {
            Outcome::Answered { answer, .. } => !answer.replayed,
            Outcome::Refused | Outcome::RuledOut { .. } | Outcome::Unknown { .. } => false,
        };
        if self.repeats == Repeats::Never {
            return self.effect(cell, &live, None);
        }
        let operation = Some(self.groups);
        self.groups += 1;
        self.lost_within(cell, &live, operation);
        if !live.iter().any(is_original) {
            return self.effect(cell, &live, operation);
        }
        let (originals, mut rest): (Vec<&Attempt>, Vec<&Attempt>) =
            live.into_iter().partition(is_original);
        for original in originals {
            let (mut own, others): (Vec<&Attempt>, Vec<&Attempt>) =
                rest.into_iter().partition(|attempt| is_replay_of(attempt, original));
            own.push(original);
            self.effect(cell, &own, operation)?;
            rest = others;
        }
        let is_answered = |a: &&Attempt| matches!(a.outcome, Outcome::Answered { .. });
        if self.repeats == Repeats::Answered && !rest.iter().any(is_answered) {
            return Ok(());
        }
        self.effect(cell, &rest, operation)
    }

    /// The service retries a tap with a key when its outcome is unknown. So a tap in flight during
    /// a failover may have had an effect that others saw and that was lost, before the effect in
    /// its answer. No answer shows that first effect.
    fn lost_within(&mut self, cell: usize, attempts: &[&Attempt], operation: Option<usize>) {
        for attempt in attempts.iter().filter(|attempt| attempt.key.is_some()) {
            let Outcome::Answered { at_micros: to, .. } = attempt.outcome else { continue };
            let from = attempt.sent;
            if self.twice_within.iter().any(|window| window.from <= to && from <= window.to) {
                self.fillers.push(Filler {
                    line: attempt.line,
                    cell,
                    verb: attempt.verb,
                    from,
                    to,
                    group: self.groups,
                    repeated: operation,
                });
                self.groups += 1;
            }
        }
    }

    /// One effect of an operation, from the answers of its attempts.
    fn effect(
        &mut self,
        cell: usize,
        attempts: &[&Attempt],
        repeated: Option<usize>,
    ) -> Result<(), Violation> {
        let Some(first) = attempts.first() else { return Ok(()) };
        let Some((line, answer, when)) = told(attempts)? else {
            self.unknown(cell, attempts, repeated);
            return Ok(());
        };
        let TapAnswer { active, changed, count, revision, changes, .. } = *answer;
        let replaced = self.replaced(line, cell, attempts)?;
        let fits = match first.verb {
            Verb::Toggle => changed,
            Verb::Set => active,
            Verb::Unset => !active,
        };
        if !fits {
            return violation(&[line], "the answer does not fit the verb");
        }
        if changed {
            self.changes.push(Change {
                line,
                cell,
                active,
                count,
                revision,
                changes,
                when,
                repeated,
                replaced,
            });
        } else {
            let sight = Sight::Cell { cell, active, count };
            self.seen.push(Seen { line, revision, changes, sight, when, repeated });
        }
        Ok(())
    }

    /// The cells that an answered operation turned off besides its own.
    fn replaced(
        &mut self,
        line: u64,
        cell: usize,
        attempts: &[&Attempt],
    ) -> Result<Vec<(usize, u64)>, Violation> {
        let Some((attempt, answer)) = attempts.iter().find_map(|attempt| match &attempt.outcome {
            Outcome::Answered { answer, .. } if !answer.replaced.is_empty() => {
                Some((attempt, answer))
            }
            _ => None,
        }) else {
            return Ok(Vec::new());
        };
        if !(answer.changed && answer.active) {
            return violation(&[line], "it added nothing, so it can have replaced nothing");
        }
        let mut replaced: Vec<(usize, u64)> = Vec::new();
        for (name, count) in &attempt.replaced {
            let other = self.cell(*name, attempt.user);
            if other == cell || replaced.iter().any(|(known, _)| *known == other) {
                return violation(&[line], "it replaced its own reaction, or one of them twice");
            }
            replaced.push((other, *count));
        }
        Ok(replaced)
    }

    fn unknown(&mut self, cell: usize, attempts: &[&Attempt], repeated: Option<usize>) {
        for attempt in attempts {
            let Outcome::Unknown { not_after_micros } = attempt.outcome else { continue };
            self.fillers.push(Filler {
                line: attempt.line,
                cell,
                verb: attempt.verb,
                from: attempt.sent,
                to: not_after_micros.unwrap_or(u64::MAX),
                group: self.groups,
                repeated,
            });
        }
        self.groups += 1;
    }

    fn reading(&mut self, reading: &Reading) -> Result<(), Violation> {
        let sum: u64 = reading.counts.iter().map(|(_, count)| count).sum();
        if reading.total.is_some_and(|total| total != sum) {
            return violation(&[reading.line], "the total is not the sum of the counts");
        }
        if reading.counts.iter().any(|(_, count)| *count == 0) {
            return violation(&[reading.line], "a reaction is listed that nobody has");
        }
        let counts: Vec<(usize, u64)> =
            reading.counts.iter().map(|(name, count)| (self.reaction(*name), *count)).collect();
        let sight = match &reading.reactors {
            None => Sight::Counts(counts),
            Some(reactors) => {
                let mut active = Vec::new();
                for (name, users) in reactors {
                    active.extend(users.iter().map(|user| self.cell(*name, *user)));
                    let reaction = self.reaction(*name);
                    let count = counts.iter().find(|(r, _)| *r == reaction).map_or(0, |(_, n)| *n);
                    if count != users.len() as u64 {
                        let problem = "as many users must be listed as the count says";
                        return violation(&[reading.line], problem);
                    }
                }
                active.sort_unstable();
                if active.windows(2).any(|pair| pair[0] == pair[1]) {
                    return violation(&[reading.line], "a user is listed twice");
                }
                if active.len() as u64 != sum {
                    return violation(&[reading.line], "a counted reaction has no list of users");
                }
                Sight::Final(counts, active)
            }
        };
        self.seen.push(Seen {
            line: reading.line,
            revision: reading.revision,
            changes: reading.changes,
            sight,
            when: When::one(reading.sent, reading.answered),
            repeated: None,
        });
        Ok(())
    }
}
