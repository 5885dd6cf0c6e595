//! The way back to the state of an earlier stage, as after a loss.

use std::collections::HashSet;

use super::search::{Search, Step};

/// How to return to the state of an earlier stage.
pub(super) struct Way {
    /// How many steps, and stages, remain.
    steps: usize,
    stage: usize,
    /// The cells that differ there, and the fillers that are unused there.
    flipped: HashSet<usize>,
    freed: HashSet<usize>,
    total: u64,
    revision: u64,
}

impl Search<'_> {
    /// The way from here to earlier stages, with length zero so far.
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

    /// Extends a way to the state of the stage `after`. If a loss follows directly, extends it to
    /// the state with which that loss began.
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
                        change.cells().for_each(|cell| toggle(&mut way.flipped, cell));
                    }
                }
                Step::Filled { filler, flipped, .. } => {
                    way.total -= flipped.len() as u64;
                    flipped.iter().for_each(|cell| toggle(&mut way.flipped, *cell));
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

    /// Goes back along a way.
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
}
