//! Replays a post stage by stage. The search inserts changes of unknown outcome ("fillers") only
//! where a stage demands one, so it replays a history without them straight through. If several
//! fillers would do, it tries one after the other, and never tries a state again that has failed.

use std::collections::HashSet;

use super::failure::{Failure, Reason};
use super::moved::Loss;
use super::stage::Stages;

/// The dead ends after which a post counts as undecided.
const PATIENCE: usize = 200_000;

/// A time, and the line that makes it the earliest possible.
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

/// The fillers inserted since the last stage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gap {
    /// How many changes they made.
    pub(super) changes: u64,
    pub(super) latest: Moment,
    pub(super) began: usize,
    pub(super) used: u64,
}

/// A possible next move.
#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    /// Go on to the next stage.
    Take(Moment),
    /// To apply a filler.
    Fill(usize),
}

/// The possible next moves.
pub(super) enum Next {
    Only(Move),
    /// Tried from the last to the first.
    OneOf(Vec<Move>),
    Dead(Reason),
}

/// A step that was made, with the data to undo it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Taken { now: Moment, gap: Gap, total: u64, revision: u64 },
    Filled { filler: usize, flipped: Vec<usize>, latest: Moment },
    Lost { flipped: Vec<usize>, freed: Vec<usize>, total: u64, revision: u64 },
}

#[derive(Clone)]
struct Choice {
    steps: usize,
    at: usize,
    moves: Vec<Move>,
}

/// The state of a post during the replay.
#[derive(Clone)]
pub(super) struct Search<'a> {
    pub(super) stages: &'a Stages,
    pub(super) losses: Vec<Loss>,
    /// Whether a stage may show a state that came back. Then nothing can be foretold from it.
    pub(super) lossy: bool,
    pub(super) active: Vec<bool>,
    pub(super) counts: Vec<u64>,
    /// The number of active cells, and of reactions that somebody has.
    held: usize,
    pub(super) kinds: u64,
    cells_hash: u64,
    pub(super) used: Vec<bool>,
    pub(super) used_hash: u64,
    /// The number of changes so far.
    pub(super) total: u64,
    /// The revision of the last change, without the fillers since then. If one of those emptied the
    /// post, it is the least possible revision.
    pub(super) revision: u64,
    /// The next stage.
    pub(super) at: usize,
    pub(super) now: Moment,
    pub(super) gap: Gap,
    pub(super) steps: Vec<Step>,
    choices: Vec<Choice>,
    visited: HashSet<(usize, u64, u64, u64, u64)>,
}

impl<'a> Search<'a> {
    pub(super) fn new(stages: &'a Stages, lossy: bool) -> Self {
        Self {
            stages,
            losses: Vec::new(),
            lossy: lossy || stages.tangled,
            active: vec![false; stages.cells.len()],
            counts: vec![0; stages.reactions.len()],
            held: 0,
            kinds: 0,
            cells_hash: 0,
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

    /// Replays all stages before `limit`.
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

    /// Fixes all choices so far, except for the stages from `at` on.
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

    /// The number of fillers needed so far.
    pub(super) fn filled(&self) -> usize {
        self.used.iter().filter(|used| **used).count()
    }

    /// Makes the first move of a new choice, or the next of the last old choice that has any left.
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

    /// Whether this state is new.
    fn visit(&mut self) -> bool {
        let (used, cells) = (self.used_hash, self.cells_hash);
        self.visited.insert((self.at, used, cells, self.gap.used, self.now.micros))
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
                    self.revision += self.gap.changes;
                }
                if let Some(change) = &stage.change {
                    self.total += change.size();
                    change.cells().for_each(|cell| self.flip(cell));
                }
                self.now = after;
                self.at += 1;
                self.gap = Gap {
                    changes: 0,
                    latest: after,
                    began: self.steps.len(),
                    used: self.used_hash,
                };
            }
            Move::Fill(number) => {
                let flipped = self.flipped_by(number);
                let latest = self.gap.latest;
                let filler = &self.stages.fillers[number];
                self.gap.latest = latest.or_later(filler.from, filler.line);
                self.gap.changes += flipped.len() as u64;
                self.total += flipped.len() as u64;
                self.mark(number);
                flipped.iter().for_each(|cell| self.flip(*cell));
                self.steps.push(Step::Filled { filler: number, flipped, latest });
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
                    change.cells().for_each(|cell| self.flip(cell));
                }
            }
            Some(Step::Filled { filler, flipped, latest }) => {
                self.gap.latest = latest;
                self.gap.changes -= flipped.len() as u64;
                self.total -= flipped.len() as u64;
                self.mark(filler);
                flipped.into_iter().for_each(|cell| self.flip(cell));
            }
            Some(Step::Lost { flipped, freed, total, revision }) => {
                (self.total, self.revision) = (total, revision);
                flipped.into_iter().for_each(|cell| self.flip(cell));
                freed.into_iter().for_each(|filler| self.mark(filler));
            }
        }
    }

    /// Returns to the state of an earlier stage, if the changes since then count as lost.
    fn lose(&mut self) {
        let loss = self.losses.iter().find(|loss| loss.before == self.at).copied();
        let Some(loss) = loss else { return };
        if matches!(self.steps.last(), Some(Step::Lost { .. })) || self.gap.changes > 0 {
            return;
        }
        let mut way = self.way_back();
        self.lead_on(&mut way, loss.after);
        self.go_back(&way);
    }

    /// Undoes all but the first `steps` steps, and forgets the untried choices.
    pub(super) fn undo_to(&mut self, steps: usize) {
        while self.steps.len() > steps {
            self.undo();
        }
        self.choices.clear();
        self.visited = HashSet::new();
    }

    pub(super) fn flip(&mut self, cell: usize) {
        let reaction = self.stages.cells[cell].reaction;
        self.active[cell] = !self.active[cell];
        self.cells_hash ^= scrambled(cell as u64 + 1);
        if self.active[cell] {
            self.counts[reaction] += 1;
            self.held += 1;
            self.kinds += u64::from(self.counts[reaction] == 1);
        } else {
            self.counts[reaction] -= 1;
            self.held -= 1;
            self.kinds -= u64::from(self.counts[reaction] == 0);
        }
    }

    /// Whether no cell is active.
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    pub(super) fn mark(&mut self, filler: usize) {
        let group = self.stages.fillers[filler].group;
        self.used[group] = !self.used[group];
        self.used_hash ^= scrambled(filler as u64 + 1);
    }
}

/// A well-mixed 64-bit hash (the finalizer of SplitMix64).
fn scrambled(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
