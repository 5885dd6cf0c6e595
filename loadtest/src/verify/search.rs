//! Replays a post stage by stage. Changes of unknown outcome ("fillers") are put in only where
//! something demands one, so a history without them is replayed straight through. Where several
//! would do, one is tried after the other, and what has failed before is not tried again.

use std::collections::HashSet;

use super::failure::{Failure, Reason};
use super::moved::Loss;
use super::stage::Stages;

/// Dead ends that are met on one post before it counts as undecided.
const PATIENCE: usize = 200_000;

/// A moment, and the line that made it the earliest possible.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub(super) micros: u64,
    pub(super) line: u64,
}

impl Moment {
    pub(super) fn or_later(self, micros: u64, line: u64) -> Self {
        if micros > self.micros { Self { micros, line } } else { self }
    }
}

/// What was put in since the last stage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gap {
    pub(super) fillers: u64,
    pub(super) latest: Moment,
    pub(super) began: usize,
    used: u64,
}

/// What can be done next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    /// To go on to the next stage.
    Take(Moment),
    /// To apply a filler.
    Fill(usize),
}

/// What there is to do next.
pub(super) enum Next {
    Only(Move),
    /// The last is the first to be tried.
    OneOf(Vec<Move>),
    Dead(Reason),
}

/// What was done, with what is needed to undo it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Taken { now: Moment, gap: Gap, total: u64, revision: u64 },
    Filled { filler: usize, latest: Moment },
    Lost { flipped: Vec<usize>, freed: Vec<usize>, total: u64, revision: u64 },
}

/// What it takes to go back to the state of an earlier stage.
pub(super) struct Way {
    /// So many steps, and stages, are left.
    steps: usize,
    stage: usize,
    /// The cells that are other there, and the fillers that are free there.
    flipped: HashSet<usize>,
    freed: HashSet<usize>,
    total: u64,
    revision: u64,
}

#[derive(Clone)]
struct Choice {
    steps: usize,
    at: usize,
    moves: Vec<Move>,
}

/// The state of a post while it is replayed.
#[derive(Clone)]
pub(super) struct Search<'a> {
    pub(super) stages: &'a Stages,
    pub(super) losses: Vec<Loss>,
    /// Whether a stage may show a state that came back, so that nothing can be foretold from it.
    pub(super) lossy: bool,
    pub(super) active: Vec<bool>,
    pub(super) counts: Vec<u64>,
    /// How many cells are active.
    held: usize,
    pub(super) used: Vec<bool>,
    used_hash: u64,
    /// Changes so far.
    pub(super) total: u64,
    /// The revision of the last change, fillers since then aside. Where one of those emptied the
    /// post, it is the least that it can be.
    pub(super) revision: u64,
    /// The stage that comes next.
    pub(super) at: usize,
    pub(super) now: Moment,
    pub(super) gap: Gap,
    pub(super) steps: Vec<Step>,
    choices: Vec<Choice>,
    visited: HashSet<(usize, u64, u64, u64)>,
}

impl<'a> Search<'a> {
    pub(super) fn new(stages: &'a Stages, lossy: bool) -> Self {
        Self {
            stages,
            losses: Vec::new(),
            lossy,
            active: vec![false; stages.cells.len()],
            counts: vec![0; stages.reactions.len()],
            held: 0,
            used: vec![false; stages.groups],
            used_hash: 0,
            total: 0,
            revision: 0,
            at: 0,
            now: Moment::default(),
            gap: Gap::default(),
            steps: Vec::new(),
            choices: Vec::new(),
            visited: HashSet::new(),
        }
    }

    /// Takes all stages before `limit`.
    pub(super) fn run_until(&mut self, limit: usize) -> Result<(), Failure> {
        let mut furthest: Option<(usize, Reason)> = None;
        let mut patience = PATIENCE;
        while self.at < limit.min(self.stages.all.len()) {
            self.lose();
            let reason = match self.next() {
                Next::Only(step) => {
                    self.make(step);
                    continue;
                }
                Next::OneOf(moves) => {
                    if self.visit() {
                        self.choices.push(Choice { steps: self.steps.len(), at: self.at, moves });
                    } else {
                        patience -= 1;
                    }
                    None
                }
                Next::Dead(reason) => {
                    patience -= 1;
                    Some(reason)
                }
            };
            if let Some(reason) = reason
                && furthest.as_ref().is_none_or(|(at, _)| *at < self.at)
            {
                furthest = Some((self.at, reason));
            }
            if patience == 0 || !self.try_another() {
                let (at, reason) = furthest.unwrap_or((self.at, Reason::Undecided));
                return Err(Failure { at, reason, undecided: patience == 0 });
            }
        }
        Ok(())
    }

    /// Holds everything so far to be settled, but for the stages from `at` on.
    pub(super) fn settle(&mut self, at: usize) {
        self.choices.clear();
        self.visited.clear();
        let mut stage = self.at;
        let is_old = |step: &Step| {
            stage -= usize::from(matches!(step, Step::Taken { .. }));
            stage < at
        };
        let kept = self.steps.iter().rev().position(is_old).unwrap_or(self.steps.len());
        self.steps.drain(..self.steps.len() - kept);
        self.gap.began = self.steps.len();
    }

    /// How many fillers were needed so far.
    pub(super) fn filled(&self) -> usize {
        self.used.iter().filter(|used| **used).count()
    }

    /// The first move of a new choice, or of the last old one that has any left.
    fn try_another(&mut self) -> bool {
        loop {
            let Some(choice) = self.choices.last_mut() else { return false };
            let (steps, at, next) = (choice.steps, choice.at, choice.moves.pop());
            if choice.moves.is_empty() {
                self.choices.pop();
            }
            while self.steps.len() > steps {
                self.undo();
            }
            debug_assert_eq!(self.at, at, "undoing leads back");
            if let Some(step) = next {
                self.make(step);
                return true;
            }
        }
    }

    /// Whether this state was not met before.
    fn visit(&mut self) -> bool {
        self.visited.insert((self.at, self.used_hash, self.gap.used, self.now.micros))
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Take(after) => {
                self.steps.push(Step::Taken {
                    now: self.now,
                    gap: self.gap,
                    total: self.total,
                    revision: self.revision,
                });
                let stage = &self.stages.all[self.at];
                if stage.change.is_some() || !self.is_empty() {
                    self.revision = stage.revision;
                } else {
                    self.revision += self.gap.fillers;
                }
                if let Some(change) = &stage.change {
                    self.total += 1;
                    self.flip(change.cell);
                }
                self.now = after;
                self.at += 1;
                self.gap = Gap {
                    fillers: 0,
                    latest: after,
                    began: self.steps.len(),
                    used: self.used_hash,
                };
            }
            Move::Fill(number) => {
                self.steps.push(Step::Filled { filler: number, latest: self.gap.latest });
                let filler = &self.stages.fillers[number];
                self.gap.latest = self.gap.latest.or_later(filler.from, filler.line);
                self.gap.fillers += 1;
                self.total += 1;
                self.mark(number);
                self.flip(filler.cell);
            }
        }
    }

    fn undo(&mut self) {
        match self.steps.pop() {
            None => {}
            Some(Step::Taken { now, gap, total, revision }) => {
                self.at -= 1;
                (self.now, self.gap, self.total, self.revision) = (now, gap, total, revision);
                if let Some(change) = &self.stages.all[self.at].change {
                    self.flip(change.cell);
                }
            }
            Some(Step::Filled { filler, latest }) => {
                self.gap.latest = latest;
                self.gap.fillers -= 1;
                self.total -= 1;
                self.mark(filler);
                self.flip(self.stages.fillers[filler].cell);
            }
            Some(Step::Lost { flipped, freed, total, revision }) => {
                (self.total, self.revision) = (total, revision);
                flipped.into_iter().for_each(|cell| self.flip(cell));
                freed.into_iter().for_each(|filler| self.mark(filler));
            }
        }
    }

    /// Goes back to the state of an earlier stage, if the changes since then are held to be lost.
    fn lose(&mut self) {
        let loss = self.losses.iter().find(|loss| loss.before == self.at).copied();
        let Some(loss) = loss else { return };
        if matches!(self.steps.last(), Some(Step::Lost { .. })) || self.gap.fillers > 0 {
            return;
        }
        let mut way = self.way_back();
        self.lead_on(&mut way, loss.after);
        self.go_back(&way);
    }

    /// The way from here to earlier stages, of no length yet.
    pub(super) fn way_back(&self) -> Way {
        Way {
            steps: self.steps.len(),
            stage: self.at,
            flipped: HashSet::new(),
            freed: HashSet::new(),
            total: self.total,
            revision: self.revision,
        }
    }

    /// Leads a way on to the state of the stage `after`; if a loss comes right behind it, to that
    /// with which the loss began anew.
    pub(super) fn lead_on(&self, way: &mut Way, after: usize) {
        let toggle = |set: &mut HashSet<usize>, one: usize| {
            if !set.remove(&one) {
                set.insert(one);
            }
        };
        while let Some(step) = self.steps[..way.steps].last() {
            let is_there = way.stage == after + 1;
            match step {
                Step::Taken { .. } | Step::Lost { .. } if is_there => return,
                Step::Taken { total, revision, .. } => {
                    way.stage -= 1;
                    (way.total, way.revision) = (*total, *revision);
                    if let Some(change) = &self.stages.all[way.stage].change {
                        toggle(&mut way.flipped, change.cell);
                    }
                }
                Step::Filled { filler, .. } => {
                    way.total -= 1;
                    toggle(&mut way.flipped, self.stages.fillers[*filler].cell);
                    toggle(&mut way.freed, *filler);
                }
                Step::Lost { flipped, freed, total, revision } => {
                    (way.total, way.revision) = (*total, *revision);
                    flipped.iter().for_each(|cell| toggle(&mut way.flipped, *cell));
                    freed.iter().for_each(|filler| toggle(&mut way.freed, *filler));
                }
            }
            way.steps -= 1;
        }
    }

    /// Goes a way back.
    pub(super) fn go_back(&mut self, way: &Way) {
        let flipped: Vec<usize> = way.flipped.iter().copied().collect();
        let freed: Vec<usize> = way.freed.iter().copied().collect();
        flipped.iter().for_each(|cell| self.flip(*cell));
        freed.iter().for_each(|filler| self.mark(*filler));
        let (total, revision) = (self.total, self.revision);
        self.steps.push(Step::Lost { flipped, freed, total, revision });
        self.gap.used = self.used_hash;
        (self.total, self.revision) = (way.total, way.revision);
    }

    /// Undoes all but the first steps, and forgets what else could have been tried.
    pub(super) fn undo_to(&mut self, steps: usize) {
        while self.steps.len() > steps {
            self.undo();
        }
        self.choices.clear();
        self.visited = HashSet::new();
    }

    fn flip(&mut self, cell: usize) {
        let reaction = self.stages.cells[cell].reaction;
        self.active[cell] = !self.active[cell];
        if self.active[cell] {
            self.counts[reaction] += 1;
            self.held += 1;
        } else {
            self.counts[reaction] -= 1;
            self.held -= 1;
        }
    }

    /// Whether nobody has any reaction.
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    fn mark(&mut self, filler: usize) {
        let group = self.stages.fillers[filler].group;
        self.used[group] = !self.used[group];
        self.used_hash ^= scrambled(filler as u64 + 1);
    }
}

/// One of 2^64 numbers that have nothing to do with each other (the finalizer of SplitMix64).
fn scrambled(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
