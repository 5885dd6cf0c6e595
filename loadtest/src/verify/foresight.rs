//! Decides from later stages which fillers to insert now.

use super::failure::Reason;
use super::next::{Goal, Use};
use super::search::{Next, Search};

impl Search<'_> {
    /// The fillers to insert here because there is too little room later, before a stage shows
    /// them.
    pub(super) fn forced(&self, open: &[usize]) -> Option<Next> {
        if self.lossy {
            return None;
        }
        for (reaction, tallies) in self.stages.tallies.iter().enumerate() {
            let Some(tally) = tallies.get(tallies.partition_point(|tally| tally.at < self.at))
            else {
                continue;
            };
            let known = self.counts[reaction];
            let room = self.stages.room_between(self.at, tally.at);
            if tally.at > self.at && room < known.abs_diff(tally.before).into() {
                let (line, shown) = (tally.line, tally.before);
                let reason = Reason::Count { line, reaction, shown, known };
                let of_reaction = &self.stages.of_reaction[reaction];
                let goal = Goal::Count(reaction, known < tally.before);
                return Some(self.fill(of_reaction, goal, reason));
            }
        }
        let cell = open.iter().map(|number| self.stages.fillers[*number].cell).find(|cell| {
            let sights = &self.stages.sights[cell];
            let sight = sights.get(sights.partition_point(|(at, _)| *at < self.at));
            sight.is_some_and(|(by, active)| {
                let late = *by > self.at && self.stages.room_between(self.at, *by) == 0;
                late && *active != self.active[*cell]
            })
        })?;
        let reason = Reason::Cell { line: self.now.line, cell, was: self.active[cell] };
        Some(self.fill(&self.stages.of_cell[&cell], Goal::Cell(cell), reason))
    }

    /// A filler that is better inserted here, although no stage demands it yet. It is the other
    /// half of a pair, or the first half of a pair that is needed anyway: more cells are later seen
    /// flipped in one direction than the counts move until then.
    ///
    /// The counts do not depend on where such a pair stands, and here is room for it.
    pub(super) fn early(&self, useful: &[(usize, Use)]) -> Option<usize> {
        if self.lossy {
            return None;
        }
        let room = self.stages.all[self.at].room - self.gap.changes;
        (0..self.stages.tallies.len()).find_map(|reaction| {
            let mut flips =
                [self.flips(useful, reaction, false), self.flips(useful, reaction, true)];
            let tallies = &self.stages.tallies[reaction];
            let next = tallies.partition_point(|tally| tally.at < self.at);
            let tally = tallies.get(next)?;
            let known = self.counts[reaction];
            if known != tally.before {
                return flips[usize::from(known < tally.before)].first().map(|flip| flip.1);
            }
            if room < 2 || flips.iter().any(Vec::is_empty) {
                return None;
            }
            let is_excess = |up: usize| {
                flips[up].iter().enumerate().any(|(i, (by, _))| {
                    let last = &tallies[tallies.partition_point(|tally| tally.at <= *by) - 1];
                    (i as u64) >= last.moved[up] - tally.moved[up]
                })
            };
            let up = (0..2).find(|up| is_excess(*up))?;
            Some(flips[up].swap_remove(0).1)
        })
    }

    /// The fillers of a reaction whose cells are later seen flipped in one direction: the stage and
    /// the filler, in the order of the stages.
    fn flips(&self, useful: &[(usize, Use)], reaction: usize, up: bool) -> Vec<(usize, usize)> {
        let of_reaction = |number: &usize| {
            let cell = self.stages.fillers[*number].cell;
            self.stages.cells[cell].reaction == reaction && self.active[cell] != up
        };
        let mut flips: Vec<(usize, usize)> = useful
            .iter()
            .filter(|(number, _)| of_reaction(number))
            .filter_map(|(number, usefulness)| Some((usefulness.by()?, *number)))
            .collect();
        flips.sort_unstable();
        flips.dedup_by_key(|(_, number)| self.stages.fillers[*number].cell);
        flips
    }
}
