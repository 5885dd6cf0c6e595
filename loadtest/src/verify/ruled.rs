//! The palette of a post during its replay: how many kinds, how many reactions of a user, and what
//! excludes what.

use std::collections::{BTreeSet, HashMap};

use super::Violation;
use super::failure::Reason;
use super::next::Demand;
use super::operation::{Change, Operations, Sight, violation};
use super::search::Search;
use crate::history::{History, Palette};

/// The palette in the numbers of one post.
#[derive(Debug)]
pub(super) struct Ruled {
    most_kinds: u64,
    most_each: u64,
    /// For each cell its user, as a number from 0.
    user: Vec<usize>,
    /// The cells of each user.
    of_user: Vec<Vec<usize>>,
    /// For each cell the cells of the same user that it excludes.
    peers: Vec<Vec<usize>>,
    /// How many reactions the post's operations name.
    reactions: u64,
}

impl Ruled {
    /// Checks what needs no replay.
    pub(super) fn new(
        palette: &Palette,
        operations: &Operations,
        history: &History,
    ) -> Result<Self, Violation> {
        let name = |cell: usize| {
            let reaction = operations.cells[cell].reaction;
            history.reactions.name(operations.reactions[reaction])
        };
        let excludes = |cell: usize, other: usize| palette.excludes(name(cell), name(other));
        for change in operations.changes.iter().filter(|change| change.active) {
            if !palette.offers(name(change.cell)) {
                return violation(&[change.line], "the palette does not have what it added");
            }
            if change.replaced.iter().any(|(other, _)| !excludes(change.cell, *other)) {
                return violation(&[change.line], "it replaced what it does not exclude");
            }
        }
        let (mut users, mut user) = (HashMap::new(), Vec::new());
        let mut of_user: Vec<Vec<usize>> = Vec::new();
        for (number, cell) in operations.cells.iter().enumerate() {
            let next = users.len();
            let own = *users.entry(cell.user).or_insert(next);
            user.push(own);
            of_user.resize_with(users.len(), Vec::new);
            of_user[own].push(number);
        }
        let of = |cell: usize| of_user[user[cell]].iter().copied();
        let peers = |cell| of(cell).filter(|other| excludes(cell, *other)).collect();
        let ruled = Self {
            most_kinds: palette.max_kinds_per_post,
            most_each: palette.max_per_user_and_post,
            peers: (0..operations.cells.len()).map(peers).collect(),
            user,
            of_user,
            reactions: operations.reactions.len() as u64,
        };
        ruled.shown(operations)?;
        Ok(ruled)
    }

    /// Checks the states that reads show.
    fn shown(&self, operations: &Operations) -> Result<(), Violation> {
        for seen in &operations.seen {
            let (counts, active) = match &seen.sight {
                Sight::Cell { .. } => continue,
                Sight::Counts(counts) => (counts, &[][..]),
                Sight::Final(counts, active) => (counts, &active[..]),
            };
            if counts.len() as u64 > self.most_kinds {
                return violation(&[seen.line], "it shows more different reactions than allowed");
            }
            let is_on = |cell: &usize| active.binary_search(cell).is_ok();
            if active.iter().any(|cell| self.peers[*cell].iter().any(is_on)) {
                let problem = "it shows a user with two reactions that exclude each other";
                return violation(&[seen.line], problem);
            }
        }
        Ok(())
    }

    /// The cells of the same user that a cell excludes.
    pub(super) fn peers(&self, cell: usize) -> &[usize] {
        &self.peers[cell]
    }

    /// The cells of a user, by one of them.
    pub(super) fn beside(&self, cell: usize) -> &[usize] {
        &self.of_user[self.user[cell]]
    }

    /// Whether any of its rules can have an effect on this post.
    pub(super) fn binds(&self) -> bool {
        self.reactions > self.most_kinds
            || self.peers.iter().any(|peers| !peers.is_empty())
            || self.of_user.iter().any(|cells| cells.len() as u64 > self.most_each)
    }
}

impl Search<'_> {
    /// What the palette demands before a change.
    pub(super) fn within_limits(&self, change: &Change) -> Option<Demand> {
        let ruled = self.stages.ruled.as_ref().filter(|_| change.active)?;
        let (line, cell) = (change.line, change.cell);
        let replaced: BTreeSet<usize> = change.replaced.iter().map(|(cell, _)| *cell).collect();
        let kept = |peer: &&usize| self.active[**peer] && !replaced.contains(peer);
        if let Some(other) = ruled.peers(cell).iter().find(kept) {
            return Some(Demand::Cell(*other, Reason::Both { line, cell, other: *other }));
        }
        let new = u64::from(self.counts[self.stages.cells[cell].reaction] == 0);
        let gone = change.replaced.iter().filter(|(_, count)| *count == 0).count() as u64;
        let kinds = (self.kinds + new).saturating_sub(gone);
        if new > gone && kinds > ruled.most_kinds {
            return Some(Demand::Fewer(Reason::Kinds { line, kinds, most: ruled.most_kinds }));
        }
        let held = 1 + ruled.beside(cell).iter().filter(|own| self.active[**own]).count() as u64;
        let held = held.saturating_sub(replaced.len() as u64);
        let is_more = replaced.is_empty() && held > ruled.most_each;
        is_more.then_some(Demand::Fewer(Reason::Each { line, held, most: ruled.most_each }))
    }

    /// All cells that a filler flips if it is applied now. Its own is the first.
    pub(super) fn flipped_by(&self, filler: usize) -> Vec<usize> {
        let cell = self.stages.fillers[filler].cell;
        let mut flipped = vec![cell];
        if let Some(ruled) = self.stages.ruled.as_ref().filter(|_| !self.active[cell]) {
            flipped.extend(ruled.peers(cell).iter().filter(|peer| self.active[**peer]));
        }
        flipped
    }
}
