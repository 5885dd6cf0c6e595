//! Whether each refusal has a cause: a state between the request and its answer in which the rule
//! forbids the tap.
//!
//! Each refusal is judged by itself. Where a tap of unknown outcome, or a loss, leaves open which
//! states there were, a refusal has to be possible in some of them.

use std::collections::HashMap;

use super::operation::{Change, violation};
use super::stage::Stages;
use super::{Post, Violation};
use crate::history::{Attempt, History, Limit, Outcome, Palette, Verb};

/// A tap that was refused because there were too many reactions.
struct Refused {
    line: u64,
    /// The reaction's number in this post, if the post's other operations name it.
    reaction: Option<usize>,
    /// Its cell, and those of its user that it excludes.
    cell: Option<usize>,
    peers: Vec<usize>,
    own: Vec<usize>,
    sent: u64,
    answered: u64,
}

/// Checks all refusals of a post whose answers have been replayed.
pub(super) fn check(
    history: &History,
    post: &Post,
    stages: &Stages,
    lossy: bool,
) -> Result<(), Violation> {
    let Some(palette) = &history.palette else { return Ok(()) };
    let mut of_user: HashMap<u64, Vec<usize>> = HashMap::new();
    for (number, cell) in stages.cells.iter().enumerate() {
        of_user.entry(cell.user).or_default().push(number);
    }
    let mut refused = Vec::new();
    for attempt in post.attempts.iter().map(|number| &history.attempts[*number]) {
        let Outcome::RuledOut { at_micros: answered, limit } = attempt.outcome else { continue };
        let (line, name) = (attempt.line, history.reactions.name(attempt.reaction));
        let causeless = |problem| violation(&[line], problem);
        match limit {
            _ if attempt.verb == Verb::Unset => {
                return causeless("removing a reaction was refused, and that is always allowed");
            }
            Limit::ReactionNotAllowed if !palette.offers(name) => {}
            Limit::ReactionNotAllowed => {
                return causeless(
                    "it was refused as not allowed, and the palette has the reaction",
                );
            }
            Limit::ReactionsLocked => return causeless("it was refused on a post without a lock"),
            Limit::TooManyReactions => {
                let own = of_user.get(&attempt.user).map_or(&[][..], Vec::as_slice);
                refused.push(gathered(attempt, answered, own, stages, palette, history));
            }
        }
    }
    let causeless = if lossy || !stages.fillers.is_empty() {
        let could = Could::of(stages);
        refused.iter().find(|refused| !could.justify(refused, palette)).map(|refused| refused.line)
    } else {
        without_cause(refused, stages, palette)
    };
    match causeless {
        None => Ok(()),
        Some(line) => violation(
            &[line],
            "it was refused as too many, and there was no moment between its request and its \
             answer when it would have been",
        ),
    }
}

fn gathered(
    attempt: &Attempt,
    answered: u64,
    own: &[usize],
    stages: &Stages,
    palette: &Palette,
    history: &History,
) -> Refused {
    let name = |cell: usize| history.reactions.name(stages.reactions[stages.cells[cell].reaction]);
    let reaction = history.reactions.name(attempt.reaction);
    let all = || own.iter().copied();
    Refused {
        line: attempt.line,
        reaction: stages.reactions.iter().position(|known| *known == attempt.reaction),
        cell: all().find(|cell| name(*cell) == reaction),
        peers: all().filter(|cell| palette.excludes(reaction, name(*cell))).collect(),
        own: own.to_vec(),
        sent: attempt.sent,
        answered,
    }
}

/// The line of a refusal that no state explains.
fn without_cause(mut refused: Vec<Refused>, stages: &Stages, palette: &Palette) -> Option<u64> {
    // The states before each stage, and after the last: when each can have begun and ended.
    let mut begins = vec![0];
    let (mut begin, mut shown) = (0, 0);
    for stage in &stages.all {
        let change = stage.change.as_ref().map_or(0, |change| change.when.begin());
        begin = begin.max(shown).max(change);
        begins.push(begin);
        let seen = stages.seen[stage.seen.clone()].iter().map(|seen| seen.when.begin());
        shown = seen.fold(shown, u64::max);
    }
    let first = |sent: u64| stages.all.partition_point(|stage| stage.until < sent);
    refused.sort_by_key(|refused| first(refused.sent));
    let mut waiting = refused.into_iter().peekable();
    let mut open: Vec<Refused> = Vec::new();
    let mut state = State::new(stages);
    for (at, begin) in begins.into_iter().enumerate() {
        if let Some(late) = open.iter().find(|refused| refused.answered < begin) {
            return Some(late.line);
        }
        while let Some(next) = waiting.next_if(|refused| first(refused.sent) == at) {
            open.push(next);
        }
        open.retain(|refused| !state.forbids(refused, palette));
        if let Some(change) = stages.all.get(at).and_then(|stage| stage.change.as_ref()) {
            state.take(change);
        }
    }
    open.first().map(|refused| refused.line)
}

/// The state of a post.
struct State<'a> {
    stages: &'a Stages,
    active: Vec<bool>,
    counts: Vec<u64>,
    kinds: u64,
}

impl<'a> State<'a> {
    fn new(stages: &'a Stages) -> Self {
        let (cells, reactions) = (stages.cells.len(), stages.reactions.len());
        Self { stages, active: vec![false; cells], counts: vec![0; reactions], kinds: 0 }
    }

    fn take(&mut self, change: &Change) {
        for cell in change.cells() {
            let count = &mut self.counts[self.stages.cells[cell].reaction];
            self.active[cell] = !self.active[cell];
            if self.active[cell] {
                *count += 1;
                self.kinds += u64::from(*count == 1);
            } else {
                *count -= 1;
                self.kinds -= u64::from(*count == 0);
            }
        }
    }

    fn count(&self, cell: usize) -> u64 {
        self.counts[self.stages.cells[cell].reaction]
    }

    /// Whether a tap that adds this reaction is one too many here.
    fn forbids(&self, tap: &Refused, palette: &Palette) -> bool {
        if tap.cell.is_some_and(|cell| self.active[cell]) {
            return false;
        }
        let replaced = || tap.peers.iter().filter(|cell| self.active[**cell]);
        let new = u64::from(tap.reaction.is_none_or(|reaction| self.counts[reaction] == 0));
        let gone = replaced().filter(|cell| self.count(**cell) == 1).count() as u64;
        let held = tap.own.iter().filter(|cell| self.active[**cell]).count() as u64;
        let too_many_kinds = new > gone && self.kinds + new - gone > palette.max_kinds_per_post;
        let is_more = replaced().next().is_none();
        too_many_kinds || is_more && held + 1 > palette.max_per_user_and_post
    }
}

/// From when on each reaction, and each cell, may have been on.
struct Could {
    kinds: Vec<u64>,
    cells: Vec<u64>,
}

impl Could {
    fn of(stages: &Stages) -> Self {
        let mut could = Self {
            kinds: vec![u64::MAX; stages.reactions.len()],
            cells: vec![u64::MAX; stages.cells.len()],
        };
        let changes = stages.all.iter().filter_map(|stage| stage.change.as_ref());
        let on = changes.filter(|change| change.active);
        let on = on.map(|change| (change.cell, change.when.begin()));
        let unknown = stages.fillers.iter().filter(|filler| filler.verb != Verb::Unset);
        for (cell, from) in on.chain(unknown.map(|filler| (filler.cell, filler.from))) {
            let kind = &mut could.kinds[stages.cells[cell].reaction];
            *kind = from.min(*kind);
            could.cells[cell] = from.min(could.cells[cell]);
        }
        could
    }

    fn justify(&self, refused: &Refused, palette: &Palette) -> bool {
        let by_then = |from: &u64| *from <= refused.answered;
        let kinds = self.kinds.iter().filter(|from| by_then(from)).count() as u64;
        let held = refused.own.iter().filter(|cell| by_then(&self.cells[**cell])).count() as u64;
        kinds >= palette.max_kinds_per_post || held >= palette.max_per_user_and_post
    }
}
