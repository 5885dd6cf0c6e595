//! Changes that a failover lost: which stages they are, if nothing else explains what came later.
//!
//! The state returns to that of an earlier stage, and later stages build on it. The search guesses
//! where that happened: just before it shows, or at one of the longest pauses between revisions. It
//! goes back as few changes as explain most of what follows.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};

use super::failure::{Failure, Reason};
use super::moved::{Loss, Moved, Which};
use super::operation::Seen;
use super::search::Search;
use super::stage::{Stage, Stages};

/// How far back to look for a loss, and at how many pauses.
const REACH: [(usize, usize); 2] = [(512, 16), (16_384, 2)];

/// Each of this many stages before the loss shows may be the place.
const NEAR: usize = 32;

/// How many guesses to keep in case the best is wrong, and how often that may happen.
const KEPT: usize = 32;
const PATIENCE: usize = 400;

/// How many of the following stages to replay when comparing two guesses.
const AHEAD: usize = 2_000;

/// The most failovers of a post.
pub(super) const MOST: usize = 100;

/// The loss of a post at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    /// The number of answered changes lost.
    pub(super) changes: usize,
    /// The earliest and the latest time of the loss.
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Replays a post to its end, with as many losses as that takes. Two failovers may be so close that
/// the changes lost by the first show only after the second; then the first is guessed again. An
/// error comes with the first stage that no loss explains for long, if there is one.
pub(super) fn replay(stages: &Stages) -> Result<(usize, Vec<Lost>), (Failure, Option<usize>)> {
    let mut search = Search::new(stages, true);
    let mut lost: Vec<Lost> = Vec::new();
    // The other guesses for each loss, the likeliest last.
    let mut others: Vec<Vec<Guess>> = Vec::new();
    let mut furthest = Failure { at: 0, reason: Reason::Undecided, undecided: false };
    let (mut patience, mut doubtful) = (PATIENCE, None);
    loop {
        let mut end = search.clone();
        let (failure, first) = match end.run_until(stages.all.len()) {
            Ok(()) => match twice(&end) {
                None => return Ok((end.filled(), lost)),
                Some(Twice { at, first, reason }) => {
                    (Failure { at, reason, undecided: false }, first)
                }
            },
            Err(failure) => (failure, None),
        };
        // A loss after a first effect does not lose that effect.
        let kept = search.losses.partition_point(|loss| first.is_none_or(|at| loss.before <= at));
        search.losses.truncate(kept);
        lost.truncate(kept);
        others.truncate(kept);
        patience = patience.saturating_sub(usize::from(first.is_some()));
        let (at, more) = (failure.at, patience > 0 && lost.len() < MOST);
        let mut guesses = if more { guess(&search, at, first) } else { Vec::new() };
        if guesses.last().is_none_or(|best| best.reached < at + NEAR) {
            doubtful = doubtful.or(Some(at));
        }
        if furthest.at <= at {
            furthest = failure;
        }
        while guesses.is_empty() {
            patience = patience.saturating_sub(1);
            match others.pop() {
                Some(more) if patience > 0 => guesses = more,
                more => {
                    let undecided = furthest.undecided || more.is_some() || patience == 0;
                    return Err((Failure { undecided, ..furthest }, doubtful));
                }
            }
            search.losses.pop();
            lost.pop();
        }
        let Guess { loss, from, .. } = guesses.remove(guesses.len() - 1);
        others.push(guesses);
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
struct Twice {
    at: usize,
    /// The stage of the first effect, if it was answered.
    first: Option<usize>,
    reason: Reason,
}

fn twice(search: &Search<'_>) -> Option<Twice> {
    let stages = search.stages;
    let is_lost = |at: usize| search.losses.iter().any(|loss| loss.after < at && at < loss.before);
    // The lines that show an effect, and those that show that there was none.
    let (mut effects, mut idle) = (HashMap::new(), HashMap::new());
    for (at, stage) in stages.all.iter().enumerate().filter(|(at, _)| !is_lost(*at)) {
        let change = stage.change.iter().filter_map(|c| Some((c.repeated?, c.line, true)));
        let seen = stages.seen[stage.seen.clone()].iter();
        let seen = seen.filter_map(|seen| Some((seen.repeated?, seen.line, false)));
        for (operation, line, is_effect) in change.chain(seen) {
            if let Some((first, other)) = effects.get(&operation).copied() {
                return Some(Twice {
                    at,
                    first: Some(first),
                    reason: Reason::Twice { line, other },
                });
            }
            let told = if is_effect { &mut effects } else { &mut idle };
            told.insert(operation, (at, line));
        }
    }
    stages.fillers.iter().filter(|filler| search.used[filler.group]).find_map(|filler| {
        let (operation, line) = (filler.repeated?, filler.line);
        let own = idle.get(&operation).filter(|(_, own)| *own == line);
        let (_, other) = *effects.get(&operation).or(own)?;
        Some(Twice { at: search.at, first: None, reason: Reason::Twice { line, other } })
    })
}

/// A possible loss.
#[derive(Clone, Copy)]
struct Guess {
    loss: Loss,
    /// The earliest time of the loss.
    from: u64,
    /// The stage up to which it explains what follows.
    reached: usize,
}

/// The losses that explain most of what follows, the best last. `among`: a stage that must be lost.
fn guess(search: &Search<'_>, failed: usize, among: Option<usize>) -> Vec<Guess> {
    let first = search.losses.last().map_or(0, |last| last.before);
    let mut found: Vec<Guess> = Vec::new();
    for (reach, pauses) in REACH {
        let back = among.unwrap_or(failed).saturating_sub(reach).max(first);
        let mut start = search.clone();
        if start.run_until(back).is_err() {
            continue;
        }
        // The last loss may come right here. It undoes changes, so these are not settled yet.
        let next = search.losses.last().filter(|last| last.before == back);
        start.settle(next.map_or(back, |next| next.after));
        let all = &start.stages.all;
        let near = failed.saturating_sub(NEAR).max(back + 1);
        let behind = among.unwrap_or(back) + 1;
        let mut at: Vec<usize> = (behind..near.max(behind)).collect();
        at.sort_by_key(|at| Reverse(all[*at].revision.saturating_sub(all[at - 1].revision)));
        at.truncate(pauses);
        at.extend(near.max(behind)..=failed);
        at.sort_unstable();
        // The state that came back with the last loss may come back once more.
        let lowest = back - usize::from(next.is_some());
        for at in at {
            if start.run_until(at).is_err() {
                break;
            }
            found.extend(guess_here(&start, lowest..among.unwrap_or(at - 1), failed));
        }
        let limit = (failed + AHEAD).min(all.len());
        // A guess that explains only the next few stages may be chance; then one further back is
        // better.
        if found.iter().any(|guess| guess.reached == limit) {
            break;
        }
    }
    found.sort_by_key(|guess| (guess.reached, guess.loss.likelihood()));
    found.drain(..found.len().saturating_sub(KEPT));
    found
}

/// The losses before the next stage that explain more than the stage that failed.
fn guess_here(there: &Search<'_>, from: Range<usize>, failed: usize) -> Vec<Guess> {
    let before = there.at;
    let limit = (failed + AHEAD).min(there.stages.all.len());
    let mut found = Vec::new();
    let mut trial = there.clone();
    let steps = trial.steps.len();
    trial.undo_to(steps);
    let mut way = trial.way_back();
    for after in from.rev() {
        trial.lead_on(&mut way, after);
        trial.go_back(&way);
        let reached = trial.run_until(limit).map_or_else(|failure| failure.at, |()| limit);
        trial.undo_to(steps);
        if reached > failed {
            let loss = Loss { after, before };
            found.push(Guess { loss, from: there.now.micros, reached });
        }
        if reached == limit {
            break;
        }
    }
    found
}

/// The least number of moments that cover all losses.
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

/// For each stage the pause before it, and the latest start of what it shows.
struct Pauses(Vec<(u64, u64)>);

impl Pauses {
    fn of(stages: &[Stage], seen: &[Seen]) -> Self {
        let mut before = 0;
        let pauses = stages.iter().map(|stage| {
            let pause = stage.revision.saturating_sub(before);
            before = stage.revision;
            let change = stage.change.iter().map(|change| change.when.begin());
            let begins = seen[stage.seen.clone()].iter().map(|seen| seen.when.begin());
            (pause, change.chain(begins).max().unwrap_or(0))
        });
        Self(pauses.collect())
    }

    /// The stages before which a state may have come back that lies behind one stage and was seen
    /// by a given time: all stages that may have been made by then, and the first that was not.
    fn span(&self, behind: usize, moment: u64) -> RangeInclusive<usize> {
        let rest = &self.0[behind + 1..];
        let open = rest.iter().take_while(|(_, begin)| *begin <= moment).count();
        behind + 1..=behind + 1 + open
    }

    /// The stage with the longest pause before it, or the next in rank: the state came back in that
    /// pause. After all stages, the pause is from the start of the last until the state was seen.
    fn longest(&self, span: RangeInclusive<usize>, rank: usize, moment: u64) -> usize {
        let after_all = self.0.last().map_or(0, |(_, begin)| moment.saturating_sub(*begin));
        let pause = |at: usize| self.0.get(at).map_or(after_all, |(pause, _)| *pause);
        let mut places: Vec<usize> = span.collect();
        places.sort_by_key(|at| (Reverse(pause(*at)), *at));
        places[rank.min(places.len() - 1)]
    }
}

impl Stages {
    /// Makes a stage of its own of each answer that shows a state which must have passed by then.
    /// `moved` says which of them not to put at the likeliest place.
    pub(super) fn part_again(&mut self, moved: &Moved) {
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
        let (mut kept, mut again): (Vec<Seen>, Vec<(usize, Seen)>) = (Vec::new(), Vec::new());
        let mut doubtful = HashMap::new();
        for (at, stage) in self.all.iter_mut().enumerate() {
            let from = kept.len();
            for seen in &self.seen[stage.seen.clone()] {
                let passed = ends.partition_point(|(end, _)| *end < seen.when.begin());
                match ends[..passed].last() {
                    Some((_, last)) if *last > at => again.push((*last, seen.clone())),
                    _ => kept.push(seen.clone()),
                }
            }
            stage.seen = from..kept.len();
        }
        let pauses = Pauses::of(&self.all, &kept);
        // Answers that show the same state belong to the same moment, if possible.
        again.sort_by_key(|(behind, seen)| (seen.revision, *behind));
        let spans = again.iter().map(|(behind, seen)| pauses.span(*behind, seen.when.latest()));
        let mut spans: Vec<_> = spans.collect();
        for first in 0..again.len() {
            let mut common = spans[first].clone();
            let same = |at: &usize| again[*at].1.revision == again[first].1.revision;
            for at in (first + 1..again.len()).take_while(same) {
                if spans[at].start() <= common.end() {
                    let end = *common.end().min(spans[at].end());
                    common = *spans[at].start()..=end;
                    spans[first..=at].fill(common.clone());
                }
            }
        }
        for ((place, seen), span) in again.iter_mut().zip(spans) {
            let which = (seen.revision, *span.start());
            if span.start() < span.end() {
                doubtful.insert(seen.line, (which, span.clone().count()));
            }
            let rank = moved.get(&which).copied().unwrap_or_default();
            *place = pauses.longest(span, rank, seen.when.latest());
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
        let line = |stage: &Stage| self.seen[stage.seen.start].line;
        let stages = self.all.iter().enumerate().filter(|(_, stage)| stage.again);
        self.doubtful = stages
            .filter_map(|(at, stage)| doubtful.get(&line(stage)).map(|(which, n)| (at, *which, *n)))
            .collect();
    }

    /// The state that came back nearest to a failed stage, and that may have done so at another
    /// place.
    pub(super) fn to_move(&self, failed: usize, moved: &Moved) -> Option<Which> {
        let tried = |which: &Which| moved.get(which).copied().unwrap_or_default();
        let movable = self.doubtful.iter().filter(|(_, which, places)| tried(which) + 1 < *places);
        movable.min_by_key(|(at, ..)| at.abs_diff(failed)).map(|(_, which, _)| *which)
    }
}
