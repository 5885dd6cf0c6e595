//! The states of one post, in the order of their revisions.

use std::collections::HashMap;
use std::ops::Range;

use super::Violation;
use super::moved::{Moved, Which};
use super::operation::{Cell, Change, Filler, Operations, Seen, Sight};
use super::ruled::Ruled;
use super::when::{When, Window};

/// The state at one revision.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) revision: u64,
    /// The answered change that made it, if any.
    pub(super) change: Option<Change>,
    /// The answers that show this state.
    pub(super) seen: Range<usize>,
    /// Whether a read showed it, but no answered change made it. Either a change of unknown outcome
    /// did, or the post has no reaction, so that its revision rises without a change of its own.
    pub(super) ghost: bool,
    /// Whether it is an earlier state that came back.
    pub(super) again: bool,
    /// How many changes of unknown outcome fit before it, a ghost itself included.
    pub(super) room: u64,
    /// The latest time of this stage: it comes before all later stages.
    pub(super) until: u64,
}

/// A count that a stage shows.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) at: usize,
    /// The count just before the stage.
    pub(super) before: u64,
    /// The count at the stage.
    after: u64,
    /// By how much fillers have moved the count so far, down and up.
    pub(super) moved: [u64; 2],
    pub(super) line: u64,
}

/// One post, ready for the replay.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) all: Vec<Stage>,
    pub(super) seen: Vec<Seen>,
    pub(super) cells: Vec<Cell>,
    /// The reactions by their numbers in the history.
    pub(super) reactions: Vec<u32>,
    pub(super) fillers: Vec<Filler>,
    pub(super) groups: usize,
    /// The fillers of a cell.
    pub(super) of_cell: HashMap<usize, Vec<usize>>,
    /// The fillers of a reaction.
    pub(super) of_reaction: Vec<Vec<usize>>,
    /// The fillers, by the time of their requests.
    by_begin: Vec<usize>,
    /// For each entry of `by_begin`: the latest time at which it or an earlier one may be applied.
    ends: Vec<u64>,
    /// The counts of each reaction, if the post has fillers.
    pub(super) tallies: Vec<Vec<Tally>>,
    /// For each stage the total room up to it, if the post has fillers.
    rooms: Vec<u128>,
    /// For each cell with fillers: the stages that show it, with its value just before each.
    pub(super) sights: HashMap<usize, Vec<(usize, bool)>>,
    /// States that came back at one of several places: the stage, the state, and the number of
    /// places.
    pub(super) doubtful: Vec<(usize, Which, usize)>,
    /// The palette, if it is known.
    pub(super) ruled: Option<Ruled>,
    /// Whether a tap of unknown outcome may change more than its own cell, or be refused. Then
    /// nothing can be foretold of it.
    pub(super) tangled: bool,
    /// Whether any answer says how many changes the post has seen.
    pub(super) numbered: bool,
}

impl Stages {
    /// With `lossy`, an answer may show an earlier state that came back.
    pub(super) fn build(
        mut operations: Operations,
        lossy: bool,
        moved: &Moved,
    ) -> Result<Self, Violation> {
        let changes = std::mem::take(&mut operations.changes);
        let mut seen = std::mem::take(&mut operations.seen);
        seen.sort_by_key(|seen| seen.revision);
        let mut stages = Self {
            all: order(changes, &seen)?,
            seen,
            reactions: operations.reactions,
            cells: operations.cells,
            fillers: operations.fillers,
            groups: operations.groups,
            of_cell: HashMap::new(),
            of_reaction: Vec::new(),
            by_begin: Vec::new(),
            ends: Vec::new(),
            tallies: Vec::new(),
            rooms: Vec::new(),
            sights: HashMap::new(),
            doubtful: Vec::new(),
            ruled: operations.ruled,
            tangled: false,
            numbered: false,
        };
        stages.tangled = stages.is_tangled();
        stages.numbered = (0..stages.all.len()).any(|at| stages.numbers(at).next().is_some());
        if lossy {
            stages.part_again(moved);
        }
        stages.bound();
        stages.index();
        Ok(stages)
    }

    /// The room between two stages: that before the second and those in between, not before the
    /// first.
    pub(super) fn room_between(&self, first: usize, second: usize) -> u128 {
        self.rooms[second] - self.rooms[first]
    }

    fn is_tangled(&self) -> bool {
        let replaces = |stage: &Stage| stage.change.iter().any(|change| change.size() > 1);
        let ruled = self.ruled.as_ref();
        !self.fillers.is_empty()
            && (ruled.is_some_and(Ruled::binds) || self.all.iter().any(replaces))
    }

    fn count(&mut self) {
        self.tallies.resize_with(self.reactions.len(), Vec::new);
        let mut rooms = 0_u128;
        for (at, stage) in self.all.iter().enumerate() {
            rooms += u128::from(stage.room);
            self.rooms.push(rooms);
            let mut note = |reaction: usize, before: u64, after: u64, line: u64| {
                let tallies = &mut self.tallies[reaction];
                let (last, was, mut moved) = match tallies.last() {
                    Some(tally) => (Some(tally.at), tally.after, tally.moved),
                    None => (None, 0, [0, 0]),
                };
                if last != Some(at) {
                    let way = usize::from(was < before);
                    moved[way] = moved[way].saturating_add(was.abs_diff(before));
                    tallies.push(Tally { at, before, after, moved, line });
                }
            };
            if let Some(change) = &stage.change {
                let Change { active, count, line, .. } = *change;
                let before = if active { count.wrapping_sub(1) } else { count.wrapping_add(1) };
                note(self.cells[change.cell].reaction, before, count, line);
            }
            for seen in &self.seen[stage.seen.clone()] {
                match &seen.sight {
                    Sight::Cell { cell, count, .. } => {
                        note(self.cells[*cell].reaction, *count, *count, seen.line);
                    }
                    Sight::Counts(counts) | Sight::Final(counts, _) => {
                        for reaction in 0..self.reactions.len() {
                            let shown = counts.iter().find(|(r, _)| *r == reaction);
                            let count = shown.map_or(0, |(_, count)| *count);
                            note(reaction, count, count, seen.line);
                        }
                    }
                }
            }
        }
    }

    /// A superset of the fillers that may be applied in a span of time.
    pub(super) fn open(&self, from: u64, to: u64) -> &[usize] {
        let first = self.ends.partition_point(|end| *end < from);
        let last = self.by_begin.partition_point(|number| self.fillers[*number].from <= to);
        &self.by_begin[first.min(last)..last]
    }

    /// The numbers of changes that lines show for a stage.
    pub(super) fn numbers(&self, at: usize) -> impl Iterator<Item = (u64, u64)> {
        let stage = &self.all[at];
        let change = stage.change.iter().map(|change| (change.line, change.changes));
        let seen = self.seen[stage.seen.clone()].iter().map(|seen| (seen.line, seen.changes));
        change.chain(seen).filter_map(|(line, changes)| Some((line, changes?)))
    }

    /// The time span of a stage: of its change, or of the answers that show it.
    pub(super) fn window(&self, at: usize) -> Option<Window> {
        let stage = self.all.get(at)?;
        let change = stage.change.iter().map(|change| &change.when);
        let whens = || change.clone().chain(self.seen[stage.seen.clone()].iter().map(|s| &s.when));
        let (from, to) = (whens().map(When::begin).min()?, whens().map(When::latest).max()?);
        Some(Window { from, to })
    }

    /// Propagates the latest times: nothing of a later stage may come before anything of an earlier
    /// one.
    fn bound(&mut self) {
        let mut until = u64::MAX;
        for stage in self.all.iter_mut().rev() {
            let seen = self.seen[stage.seen.clone()].iter().map(|seen| seen.when.latest());
            let change = stage.change.iter().map(|change| change.when.latest());
            until = seen.chain(change).fold(until, u64::min);
            stage.until = until;
        }
    }

    fn index(&mut self) {
        self.of_reaction = vec![Vec::new(); self.reactions.len()];
        for (number, filler) in self.fillers.iter().enumerate() {
            self.of_cell.entry(filler.cell).or_default().push(number);
            self.of_reaction[self.cells[filler.cell].reaction].push(number);
            // It may also turn off what its reaction excludes.
            for peer in self.ruled.iter().flat_map(|ruled| ruled.peers(filler.cell)) {
                self.of_cell.entry(*peer).or_default().push(number);
                self.of_reaction[self.cells[*peer].reaction].push(number);
            }
        }
        self.by_begin = (0..self.fillers.len()).collect();
        self.by_begin.sort_by_key(|number| self.fillers[*number].from);
        let mut end = 0;
        for number in &self.by_begin {
            end = self.fillers[*number].to.max(end);
            self.ends.push(end);
        }
        if self.fillers.is_empty() {
            return;
        }
        self.count();
        let mut sights: HashMap<usize, Vec<(usize, bool)>> =
            self.of_cell.keys().map(|cell| (*cell, Vec::new())).collect();
        let mut note = |at: usize, cell: usize, active: bool| {
            if let Some(list) = sights.get_mut(&cell)
                && list.last().is_none_or(|(last, _)| *last != at)
            {
                list.push((at, active));
            }
        };
        for (at, stage) in self.all.iter().enumerate() {
            if let Some(change) = &stage.change {
                note(at, change.cell, !change.active);
                change.replaced.iter().for_each(|(cell, _)| note(at, *cell, true));
            }
            for seen in &self.seen[stage.seen.clone()] {
                match &seen.sight {
                    Sight::Cell { cell, active, .. } => note(at, *cell, *active),
                    Sight::Counts(_) => {}
                    Sight::Final(_, active) => {
                        for cell in self.of_cell.keys() {
                            note(at, *cell, active.binary_search(cell).is_ok());
                        }
                    }
                }
            }
        }
        self.sights = sights;
    }
}

/// Sorts changes and what was seen into one order, after the empty first state.
fn order(mut changes: Vec<Change>, seen: &[Seen]) -> Result<Vec<Stage>, Violation> {
    changes.sort_by_key(|change| change.revision);
    if let Some(pair) = changes.windows(2).find(|pair| pair[0].revision == pair[1].revision) {
        return Err(Violation {
            lines: vec![pair[0].line, pair[1].line],
            problem: format!("two changes have the revision {}", pair[0].revision),
            ..Violation::default()
        });
    }
    let mut stages = vec![Stage {
        revision: 0,
        change: None,
        seen: 0..0,
        ghost: false,
        again: false,
        room: 0,
        until: 0,
    }];
    let mut changes = changes.into_iter().peekable();
    let (mut next, mut at) = (0_u64, 0);
    while at < seen.len() || changes.peek().is_some() {
        let shown = seen.get(at).map_or(u64::MAX, |seen| seen.revision);
        let change = changes.next_if(|change| change.revision <= shown || at == seen.len());
        let revision = change.as_ref().map_or(shown, |change| change.revision);
        // Each reaction that it replaced took a revision below its own.
        let least = change.as_ref().map_or(0, |change| next.saturating_add(change.size() - 1));
        if let Some(change) = change.as_ref().filter(|change| change.revision < least) {
            return Err(Violation {
                lines: vec![change.line],
                problem: "below its revision is no room for those of what it replaced".to_owned(),
                ..Violation::default()
            });
        }
        let shows = seen[at..].partition_point(|seen| seen.revision <= revision);
        let ghost = change.is_none();
        let room = revision.saturating_sub(next.max(least)).saturating_add(u64::from(ghost));
        let seen = at..at + shows;
        stages.push(Stage { revision, change, seen, ghost, again: false, room, until: 0 });
        next = revision.saturating_add(1);
        at += shows;
    }
    Ok(stages)
}
