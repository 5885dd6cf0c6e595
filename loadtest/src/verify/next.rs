//! The possible next moves of a replay.

use super::failure::Reason;
use super::operation::{Change, Filler, Sight};
use super::search::{Moment, Move, Next, Search, Step};
use super::stage::Stage;
use crate::history::Verb;

/// What a stage demands that the state before it does not have.
pub(super) enum Demand {
    Nothing,
    /// A cell must be flipped.
    Cell(usize, Reason),
    /// A count must rise (or fall).
    Count(usize, bool, Reason),
    /// The post or a user must have fewer reactions.
    Fewer(Reason),
    /// Nothing helps.
    Never(Reason),
}

/// What a filler must do to meet a demand.
#[derive(Clone, Copy)]
pub(super) enum Goal {
    Any,
    Cell(usize),
    /// It must move this count up (or down).
    Count(usize, bool),
}

/// What later stages show of a filler's cell.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// A stage shows the cell as it is now, and no other filler could flip it back.
    None,
    /// That stage shows the cell flipped, and no other filler could flip it.
    Must(usize),
    /// That stage shows the cell flipped, but another filler could flip it, too.
    Should(usize),
    /// No later stage decides.
    May,
}

impl Use {
    /// The stage that shows the cell flipped.
    pub(super) fn by(self) -> Option<usize> {
        match self {
            Self::Must(by) | Self::Should(by) => Some(by),
            Self::None | Self::May => None,
        }
    }
}

impl Search<'_> {
    pub(super) fn next(&self) -> Next {
        let stage = &self.stages.all[self.at];
        let after = match self.pass() {
            Ok(after) => after,
            Err(reason) => return Next::Dead(reason),
        };
        match self.demand() {
            Demand::Nothing => {}
            Demand::Never(reason) => return Next::Dead(reason),
            Demand::Cell(cell, reason) => {
                let of_cell = self.stages.of_cell.get(&cell).map_or(&[][..], Vec::as_slice);
                return self.fill(of_cell, Goal::Cell(cell), reason);
            }
            Demand::Count(reaction, up, reason) => {
                let goal = Goal::Count(reaction, up);
                return self.fill(&self.stages.of_reaction[reaction], goal, reason);
            }
            Demand::Fewer(reason) => {
                let open = self.stages.open(self.now.micros, stage.until);
                return self.fill(open, Goal::Any, reason);
            }
        }
        let open = self.stages.open(self.now.micros, stage.until);
        // Other posts raise the revision of a post without reactions, up to its next change.
        let risen = self.is_empty() && self.revision < stage.revision;
        if stage.again && self.revision != stage.revision && !risen {
            let line = self.stages.seen[stage.seen.start].line;
            return Next::Dead(Reason::Again { line });
        }
        if stage.ghost && self.gap.changes == 0 && !self.is_empty() {
            let line = self.stages.seen[stage.seen.start].line;
            return self.fill(open, Goal::Any, Reason::Ghost { line });
        }
        let total = self.total + stage.change.as_ref().map_or(0, Change::size);
        match self.stages.numbers(self.at).find(|(_, changes)| *changes != total) {
            Some((line, changes)) => {
                let reason = Reason::Changes { line, shown: changes, known: total };
                if changes < total {
                    return Next::Dead(reason);
                }
                self.fill(open, Goal::Any, reason)
            }
            None => self.take(after),
        }
    }

    /// Goes on. But first inserts a filler that cannot be used later, because its time ends or
    /// because there may be no room for it.
    fn take(&self, after: Moment) -> Next {
        let take = Move::Take(after);
        let stage = &self.stages.all[self.at];
        let open = self.stages.open(self.now.micros, stage.until);
        // One that replaces another reaction makes two changes.
        let most = 1 + u64::from(self.stages.tangled);
        let crowded = |next: &Stage| {
            next.room < most * self.stages.open(self.now.micros, next.until).len() as u64
        };
        let crowded = self.stages.all.get(self.at + 1).is_some_and(crowded);
        if open.is_empty() {
            return Next::Only(take);
        }
        if let Some(forced) = self.forced(open) {
            return forced;
        }
        if self.gap.changes >= stage.room {
            return Next::Only(take);
        }
        let (mut found, mut useful) = (Vec::new(), Vec::new());
        for number in open.iter().copied().filter(|number| self.is_possible(*number)) {
            let filler = &self.stages.fillers[number];
            let of_cell = || self.stages.of_cell[&filler.cell].iter();
            let again = of_cell().any(|n| self.stages.fillers[*n].to >= after.micros);
            let usefulness = match self.usefulness(filler) {
                Use::None if !self.lossy => continue,
                Use::Must(_) if !again && !self.lossy => return Next::Only(Move::Fill(number)),
                usefulness => usefulness,
            };
            useful.push((number, usefulness));
            if crowded || filler.to < after.micros {
                found.push((number, usefulness));
            }
        }
        let early = self.early(&useful);
        if found.is_empty() && early.is_none() {
            return Next::Only(take);
        }
        let mut moves = self.ranked(found);
        moves.push(take);
        moves.extend(early.map(Move::Fill));
        Next::OneOf(moves)
    }

    /// The time after the next stage and all that shows it; an error if that is too late.
    fn pass(&self) -> Result<Moment, Reason> {
        let stage = &self.stages.all[self.at];
        let mut now = self.gap.latest;
        if let Some(change) = &stage.change {
            match change.when.earliest(now.micros) {
                Some(micros) => now = now.or_later(micros, change.line),
                None => return Err(Reason::Late { line: change.line, behind: now.line }),
            }
        }
        let mut after = now;
        for seen in &self.stages.seen[stage.seen.clone()] {
            match seen.when.earliest(now.micros) {
                Some(micros) => after = after.or_later(micros, seen.line),
                None => return Err(Reason::Late { line: seen.line, behind: now.line }),
            }
        }
        Ok(after)
    }

    fn demand(&self) -> Demand {
        let stage = &self.stages.all[self.at];
        if let Some(demand) = stage.change.as_ref().and_then(|change| self.change(change)) {
            return demand;
        }
        for seen in &self.stages.seen[stage.seen.clone()] {
            let demand = match &seen.sight {
                Sight::Cell { cell, active, count } => self
                    .cell(*cell, *active, seen.line)
                    .or_else(|| self.shown(self.stages.cells[*cell].reaction, *count, seen.line)),
                Sight::Counts(counts) => self.counts(counts, seen.line),
                Sight::Final(counts, active) => {
                    self.listed(active, seen.line).or_else(|| self.counts(counts, seen.line))
                }
            };
            if let Some(demand) = demand {
                return demand;
            }
        }
        Demand::Nothing
    }

    /// What a change demands of the state before it.
    fn change(&self, change: &Change) -> Option<Demand> {
        let own = (change.cell, change.active, change.count);
        let replaced = change.replaced.iter().map(|(cell, count)| (*cell, false, *count));
        std::iter::once(own)
            .chain(replaced)
            .find_map(|(cell, active, count)| self.flip_of(change.line, cell, active, count))
            .or_else(|| self.within_limits(change))
    }

    fn flip_of(&self, line: u64, cell: usize, active: bool, count: u64) -> Option<Demand> {
        let reaction = self.stages.cells[cell].reaction;
        let before = if active { count.checked_sub(1) } else { count.checked_add(1) };
        let Some(before) = before else {
            return Some(Demand::Never(Reason::Impossible { line }));
        };
        if self.active[cell] == active {
            return Some(Demand::Cell(cell, Reason::Cell { line, cell, was: active }));
        }
        let now = self.counts[reaction];
        // The count that the answer should show.
        let known = if active { now + 1 } else { now.saturating_sub(1) };
        let reason = Reason::Count { line, reaction, shown: count, known };
        (now != before).then_some(Demand::Count(reaction, now < before, reason))
    }

    /// The answers that show a stage include its change; the state does not yet.
    fn cell(&self, cell: usize, active: bool, line: u64) -> Option<Demand> {
        let reason = Reason::Cell { line, cell, was: !active };
        let change = self.stages.all[self.at].change.as_ref();
        match change.and_then(|change| change.makes(cell)) {
            Some(made) => (made != active).then_some(Demand::Never(reason)),
            None => (self.active[cell] != active).then_some(Demand::Cell(cell, reason)),
        }
    }

    fn listed(&self, active: &[usize], line: u64) -> Option<Demand> {
        (0..self.active.len())
            .find_map(|cell| self.cell(cell, active.binary_search(&cell).is_ok(), line))
    }

    fn counts(&self, counts: &[(usize, u64)], line: u64) -> Option<Demand> {
        (0..self.counts.len()).find_map(|reaction| {
            let shown = counts.iter().find(|(r, _)| *r == reaction).map_or(0, |(_, n)| *n);
            self.shown(reaction, shown, line)
        })
    }

    fn shown(&self, reaction: usize, count: u64, line: u64) -> Option<Demand> {
        let change = self.stages.all[self.at].change.as_ref();
        let is_of = |cell: usize| self.stages.cells[cell].reaction == reaction;
        match change.and_then(|change| change.counted(is_of)) {
            Some(known) => {
                let reason = Reason::Count { line, reaction, shown: count, known };
                (known != count).then_some(Demand::Never(reason))
            }
            None => {
                let known = self.counts[reaction];
                let reason = Reason::Count { line, reaction, shown: count, known };
                (known != count).then_some(Demand::Count(reaction, known < count, reason))
            }
        }
    }

    /// The fillers among `from` that may be inserted here and that reach the goal.
    pub(super) fn fill(&self, from: &[usize], goal: Goal, reason: Reason) -> Next {
        if self.gap.changes >= self.stages.all[self.at].room {
            return Next::Dead(reason);
        }
        // What one turns on, another may turn off: only a number of changes shows both.
        let (from, goal) = if self.stages.tangled && self.stages.numbered {
            (self.stages.open(self.now.micros, self.stages.all[self.at].until), Goal::Any)
        } else {
            (from, goal)
        };
        let mut found: Vec<(usize, Use)> = Vec::new();
        for number in from.iter().copied().filter(|number| self.is_possible(*number)) {
            let filler = &self.stages.fillers[number];
            let fits = match goal {
                Goal::Any => true,
                Goal::Cell(cell) => self.flipped_by(number).contains(&cell),
                Goal::Count(reaction, up) => {
                    let moves = |cell: &usize| {
                        self.stages.cells[*cell].reaction == reaction && self.active[*cell] != up
                    };
                    let flipped = self.flipped_by(number);
                    flipped.iter().any(moves) && (self.stages.tangled || !self.is_seen(filler))
                }
            };
            let usefulness = self.usefulness(filler);
            // A filler whose effect is lost again may help, however the cell is seen later.
            if fits && (self.lossy || !matches!(usefulness, Use::None)) {
                found.push((number, usefulness));
            }
        }
        match self.ranked(found) {
            moves if moves.is_empty() => Next::Dead(reason),
            moves => Next::OneOf(moves),
        }
    }

    /// Sorts the fillers: first those that must be used, the earliest needed first. Drops those
    /// that lead no further than one before them. The search tries them from the last.
    fn ranked(&self, mut found: Vec<(usize, Use)>) -> Vec<Move> {
        found.sort_by_key(|(number, usefulness)| {
            let end = self.stages.fillers[*number].to;
            match usefulness.by() {
                Some(by) => (false, end.min(self.stages.all[by].until)),
                None => (true, end),
            }
        });
        let mut kept: Vec<(usize, Use)> = Vec::new();
        for one in found {
            if !kept.iter().any(|better| self.is_as_good(*better, one)) {
                kept.push(one);
            }
        }
        kept.into_iter().rev().map(|(number, _)| Move::Fill(number)).collect()
    }

    /// Whether the next stage shows the filler's cell as it is.
    fn is_seen(&self, filler: &Filler) -> bool {
        let sights = &self.stages.sights[&filler.cell];
        let found = sights.binary_search_by_key(&self.at, |(at, _)| *at);
        found.is_ok_and(|i| sights[i].1 == self.active[filler.cell])
    }

    /// Whether a filler can take place now, with an effect.
    fn is_possible(&self, number: usize) -> bool {
        let filler = &self.stages.fillers[number];
        let effective = match filler.verb {
            Verb::Toggle => true,
            Verb::Set => !self.active[filler.cell],
            Verb::Unset => self.active[filler.cell],
        };
        // In a gap only the order of the fillers of one cell matters. The others can be sorted by
        // time.
        let ruled = self.stages.ruled.as_ref();
        let is_bound = |earlier: &Filler| {
            earlier.cell == filler.cell
                || ruled.is_some_and(|ruled| ruled.peers(filler.cell).contains(&earlier.cell))
        };
        let own = self.steps[self.gap.began..].iter().filter_map(|step| match step {
            Step::Filled { filler, .. } => Some(&self.stages.fillers[*filler]),
            Step::Taken { .. } | Step::Lost { .. } => None,
        });
        let now = own
            .filter(|earlier| is_bound(earlier))
            .fold(self.now.micros, |now, earlier| now.max(earlier.from));
        let room = self.stages.all[self.at].room;
        effective
            && !self.used[filler.group]
            && self.gap.changes + self.flipped_by(number).len() as u64 <= room
            && now.max(filler.from) <= filler.to
            && filler.from <= self.stages.all[self.at].until
    }

    fn usefulness(&self, filler: &Filler) -> Use {
        let sights = &self.stages.sights[&filler.cell];
        let Some((by, active)) = sights.get(sights.partition_point(|(at, _)| *at < self.at)) else {
            return Use::May;
        };
        let until = self.stages.all[*by].until;
        let others = self.stages.of_cell[&filler.cell].iter().map(|n| &self.stages.fillers[*n]);
        let another = others
            .filter(|other| other.group != filler.group && !self.used[other.group])
            .any(|other| other.to >= self.now.micros && other.from <= until);
        match (another, *active == self.active[filler.cell]) {
            (true, true) => Use::May,
            (true, false) => Use::Should(*by),
            (false, true) => Use::None,
            (false, false) => Use::Must(*by),
        }
    }

    /// Whether everything that `b` can reach from here, `a` can reach too: in every solution with
    /// `b` here and `a` later, the two can be exchanged.
    fn is_as_good(&self, (a, use_a): (usize, Use), (b, use_b): (usize, Use)) -> bool {
        let (a, b) = (&self.stages.fillers[a], &self.stages.fillers[b]);
        let same_effect = self.stages.cells[a.cell].reaction == self.stages.cells[b.cell].reaction
            && self.active[a.cell] == self.active[b.cell];
        let alone = |filler: &Filler| {
            let group = self.stages.of_cell[&filler.cell].iter();
            group.filter(|n| self.stages.fillers[**n].group == filler.group).count() == 1
        };
        let in_time = a.to <= b.to && a.from.max(self.now.micros) <= b.from.max(self.now.micros);
        let exchangeable = match (use_a, use_b) {
            (Use::Must(by_a), Use::Must(by_b)) if !self.stages.tangled => by_a <= by_b,
            _ => a.cell == b.cell && (a.verb == b.verb || b.verb == Verb::Toggle),
        };
        same_effect && in_time && exchangeable && alone(a) && alone(b)
    }
}
