//! Changes that a failover lost: which stages they are, if nothing else explains what came later.
//!
//! The state goes back to that of an earlier stage, and what comes later builds on it. Where that
//! happened is guessed: at one of the longest pauses between revisions, as few changes back as
//! explain most of what follows.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::operation::Seen;
use super::reason::Reason;
use super::search::{Failure, Search};
use super::stage::{Stage, Stages};

/// How far back is looked for a loss, and at how many pauses.
const REACH: [(usize, usize); 2] = [(512, 16), (16_384, 2)];

/// How far what follows is replayed to compare one guess with another.
const AHEAD: usize = 2_000;

/// More failovers than this happen to no post.
const MOST: usize = 100;

/// The changes between two stages are gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// The stage whose state came back.
    pub(super) after: usize,
    /// The first stage that builds on it.
    pub(super) before: usize,
}

/// What a post lost at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    /// Answered changes.
    pub(super) changes: usize,
    /// When that was: not before, and not after.
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Replays a post to its end, with as many losses as that takes.
pub(super) fn replay(stages: &Stages) -> Result<(usize, Vec<Lost>), Failure> {
    let mut search = Search::new(stages, true);
    let mut lost = Vec::new();
    loop {
        let Err(failure) = search.clone().run_until(stages.all.len()) else {
            search.run_until(stages.all.len())?;
            return match twice(&search) {
                None => Ok((search.filled(), lost)),
                Some((at, reason)) => Err(Failure { at, reason, undecided: false }),
            };
        };
        let guess = if lost.len() < MOST { guess(&search, failure.at) } else { None };
        let Some((from, loss)) = guess else { return Err(failure) };
        let changes = stages.all[loss.after + 1..loss.before].iter();
        lost.push(Lost {
            changes: changes.filter(|stage| stage.change.is_some()).count(),
            from,
            to: stages.all[loss.before].until,
        });
        search.losses.push(loss);
    }
}

/// An operation that took effect again although its first effect was not lost.
fn twice(search: &Search<'_>) -> Option<(usize, Reason)> {
    let is_lost = |at: usize| search.losses.iter().any(|loss| loss.after < at && at < loss.before);
    let mut seen = HashMap::new();
    for (at, stage) in search.stages.all.iter().enumerate().filter(|(at, _)| !is_lost(*at)) {
        let Some(change) = &stage.change else { continue };
        let Some(operation) = change.repeated else { continue };
        if let Some(other) = seen.insert(operation, change.line) {
            return Some((at, Reason::Twice { line: change.line, other }));
        }
    }
    search.stages.fillers.iter().filter(|filler| search.used[filler.group]).find_map(|filler| {
        let other = *seen.get(&filler.repeated?)?;
        Some((search.at, Reason::Twice { line: filler.line, other }))
    })
}

/// The loss that explains most of what follows, and the first moment at which it can have been.
fn guess(search: &Search<'_>, failed: usize) -> Option<(u64, Loss)> {
    let first = search.losses.last().map_or(0, |last| last.before);
    REACH.into_iter().find_map(|(reach, pauses)| {
        let back = failed.saturating_sub(reach).max(first);
        let mut start = search.clone();
        start.run_until(back).ok()?;
        start.settle(back);
        let all = &start.stages.all;
        let mut at: Vec<usize> = (back + 1..=failed).collect();
        at.sort_by_key(|at| Reverse(all[*at].revision.saturating_sub(all[at - 1].revision)));
        at.truncate(pauses);
        at.push(failed);
        let best = at
            .into_iter()
            .filter_map(|before| best_at(&start, before, back, failed))
            .max_by_key(|(reached, loss, _)| (*reached, Reverse(loss.before - loss.after)));
        best.map(|(_, loss, from)| (from, loss))
    })
}

/// The best loss before one stage: how far it leads, beyond what failed.
fn best_at(
    start: &Search<'_>,
    before: usize,
    back: usize,
    failed: usize,
) -> Option<(usize, Loss, u64)> {
    let mut there = start.clone();
    there.run_until(before).ok()?;
    let limit = (failed + AHEAD).min(there.stages.all.len());
    let mut best: Option<(usize, Loss, u64)> = None;
    for after in (back..before.saturating_sub(1)).rev() {
        let loss = Loss { after, before };
        let mut trial = there.clone();
        trial.losses.push(loss);
        let reached = trial.run_until(limit).map_or_else(|failure| failure.at, |()| limit);
        if reached > failed && best.is_none_or(|(furthest, ..)| reached > furthest) {
            best = Some((reached, loss, there.now.micros));
        }
        if reached == limit {
            break;
        }
    }
    best
}

/// At least so many moments are needed, if each loss was at one of them.
pub(super) fn moments(mut lost: Vec<Lost>) -> usize {
    lost.sort_by_key(|lost| lost.to);
    let (mut moments, mut last) = (0, None);
    for one in lost {
        if last.is_none_or(|last| last < one.from) {
            moments += 1;
            last = Some(one.to);
        }
    }
    moments
}

/// For each stage the pause before it, and when it began.
struct Pauses(Vec<(u64, u64)>);

impl Pauses {
    fn of(stages: &[Stage]) -> Self {
        let mut before = 0;
        let pauses = stages.iter().map(|stage| {
            let pause = stage.revision.saturating_sub(before);
            before = stage.revision;
            (pause, stage.change.as_ref().map_or(0, |change| change.when.begin()))
        });
        Self(pauses.collect())
    }

    /// The stage with the longest pause before it, of those behind one that may have been made by a
    /// moment, and the first that was not: a state came back in that pause.
    fn longest(&self, behind: usize, moment: u64) -> usize {
        let rest = &self.0[behind + 1..];
        let open = rest.iter().take_while(|(_, begin)| *begin <= moment).count();
        let longest = (0..(open + 1).min(rest.len())).max_by_key(|i| (rest[*i].0, Reverse(*i)));
        behind + 1 + longest.unwrap_or(0)
    }
}

impl Stages {
    /// What shows a state that must have passed by then becomes a stage of its own.
    pub(super) fn part_again(&mut self) {
        let mut ends: Vec<(u64, usize)> = Vec::new();
        for (at, stage) in self.all.iter().enumerate() {
            ends.extend(stage.change.iter().map(|change| (change.when.latest(), at)));
            ends.extend(self.seen[stage.seen.clone()].iter().map(|s| (s.when.latest(), at)));
        }
        ends.sort_unstable();
        let mut furthest = 0;
        for (_, at) in &mut ends {
            furthest = furthest.max(*at);
            *at = furthest;
        }
        let pauses = Pauses::of(&self.all);
        let (mut kept, mut again): (Vec<Seen>, Vec<(usize, Seen)>) = (Vec::new(), Vec::new());
        for (at, stage) in self.all.iter_mut().enumerate() {
            let from = kept.len();
            for seen in &self.seen[stage.seen.clone()] {
                let passed = ends.partition_point(|(end, _)| *end < seen.when.begin());
                match ends[..passed].last() {
                    Some((_, last)) if *last > at => {
                        again.push((pauses.longest(*last, seen.when.latest()), seen.clone()));
                    }
                    _ => kept.push(seen.clone()),
                }
            }
            stage.seen = from..kept.len();
        }
        again.sort_by_key(|(before, seen)| (Reverse(*before), Reverse(seen.when.begin())));
        for (before, seen) in again {
            let stage = Stage {
                revision: seen.revision,
                change: None,
                seen: kept.len()..kept.len() + 1,
                ghost: false,
                again: true,
                room: 0,
                until: 0,
            };
            kept.push(seen);
            self.all.insert(before, stage);
        }
        self.seen = kept;
    }
}
