//! The rule of an amendment. The memory store and the file store call it; tests compare the Lua
//! scripts with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{
    Amended, Amendment, Change, Edit, EditAct, EditOutcome, ImportMark, ImportOutcome, ImportStep,
    MemberEdit, Micros, Once, PostWrite, Reaction, Revision, Rules, RulesEdit, UserId, What,
    decide_rules,
};

/// What a store shows of a post to an amendment, as it is before it.
pub trait PostLook {
    /// Why a look may fail.
    type Error;

    /// The revision of the post; None if the post has no state.
    fn revision(&self) -> Result<Option<Revision>, Self::Error>;

    /// The floor of the post's partition.
    fn floor(&self) -> Result<Revision, Self::Error>;

    /// The rules of the post.
    fn rules(&self) -> Result<Rules, Self::Error>;

    /// The reactions of the post, by the counts that readers see, at most this many.
    fn kinds(&self, most: usize) -> Result<Vec<Reaction>, Self::Error>;

    /// How many users have a reaction.
    fn members(&self, reaction: &Reaction) -> Result<u64, Self::Error>;

    /// When a user gave a reaction; None if the user does not have it.
    fn since(&self, user: UserId, reaction: &Reaction) -> Result<Option<Micros>, Self::Error>;
}

/// What a store must do in the step of an amendment, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmendDecision {
    /// The answer.
    pub amended: Amended,
    /// The entries for the change log, in the order of their revisions.
    pub changes: Vec<Change>,
    /// The members that are others afterwards, each once.
    pub moves: Vec<MemberMove>,
    /// The counts to write. The store keeps no count of zero.
    pub counts: Vec<(Reaction, u64)>,
    /// The rules afterwards, if they are others.
    pub rules: Option<Rules>,
    /// The write to the post. Its revision is that of the answer.
    pub post: PostWrite,
    /// What becomes of the mark of imports.
    pub mark: MarkWrite,
}

/// What a step does to the mark of imports at its post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkWrite {
    /// Nothing.
    Keep,
    /// The post has this one from now on.
    Write(ImportMark),
    /// The post has none from now on.
    Delete,
}

/// A member before and after an amendment: when the user gave the reaction, or None.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMove {
    /// The user.
    pub user: UserId,
    /// The reaction.
    pub reaction: Reaction,
    /// Before.
    pub before: Option<Micros>,
    /// After.
    pub after: Option<Micros>,
}

/// Decides an amendment at `now`, by the store's clock. `mark` is the mark that imports have left
/// at the post. A store answers a repeated [`StepToken`](super::StepToken) before it asks here.
///
/// # Errors
///
/// If a look fails.
pub fn decide_amendment<L: PostLook>(
    look: &L,
    amendment: &Amendment,
    mark: Option<&ImportMark>,
    now: Micros,
) -> Result<AmendDecision, L::Error> {
    let (floor, own) = (look.floor()?, look.revision()?);
    let present = own.unwrap_or(floor);
    let edits = &amendment.edits;
    let step = match &amendment.once {
        Once::Import(step) => Some(step),
        Once::No | Once::Step(_) => None,
    };
    let rows = step.map(|step| judge(step, amendment, mark, own, present, now));
    let Rows { done, live, over } = match rows.unwrap_or(Ok(Rows::ALL)) {
        Ok(rows) => rows,
        Err(import) => return Ok(untouched(edits.len(), present, import)),
    };
    let own_rules = look.rules()?;
    let mut run = Run::new(look, amendment, present, now);
    let mut outcomes = vec![EditOutcome::Unchanged; done];
    for edit in &edits[done..] {
        let is_late = live > Revision::default() && edit.act.time().0 <= live.0;
        outcomes.push(if is_late { run.pass_over() } else { run.edit(edit)? });
    }
    let (mut rules, mut ruled) = (None, EditOutcome::Unchanged);
    if let Some(wanted) = &amendment.rules {
        let is_kept = live > Revision::default() || over.is_some() && !own_rules.is_default();
        (rules, ruled) = run.rule(wanted, &own_rules, is_kept);
    }
    if amendment.dry_run {
        let amended = Amended { outcomes, rules: ruled, ..applied(present) };
        return Ok(AmendDecision { amended, ..untouched(0, present, ImportOutcome::Applied) });
    }
    let (revision, changes) = (run.revision, run.changes);
    let is_default = rules.as_ref().unwrap_or(&own_rules).is_default();
    let moves: Vec<_> = run.moves.into_iter().filter(|it| it.before != it.after).collect();
    let counts: Vec<_> = run.counts.into_iter().collect();
    let post = match changes.is_empty() {
        true => PostWrite::Keep,
        false if is_default && is_emptied(look, &counts, rules.is_some())? => PostWrite::Empty,
        false => PostWrite::Write,
    };
    let after = if post == PostWrite::Empty { revision.max(floor) } else { revision };
    let after = over.unwrap_or(after);
    let is_stateless = post == PostWrite::Empty || (post == PostWrite::Keep && own.is_none());
    let mark = match step {
        None => MarkWrite::Keep,
        // The floor would stand for the post's revision, and any other post raises it.
        Some(step) if is_stateless && !step.more && live.0 == 0 && over.is_none() => {
            MarkWrite::Delete
        }
        Some(step) => {
            let done = step.from + edits.len() as u64;
            MarkWrite::Write(ImportMark { source: step.source, done, revision: after, live })
        }
    };
    let amended = Amended { outcomes, rules: ruled, ..applied(revision) };
    Ok(AmendDecision { amended, changes, moves, counts, rules, post, mark })
}

/// The answer of a step without edits.
fn applied(revision: Revision) -> Amended {
    let (outcomes, rules, import) = (Vec::new(), EditOutcome::Unchanged, ImportOutcome::Applied);
    Amended { outcomes, rules, revision, import, replayed: false }
}

/// The answer of a step that is not applied.
fn untouched(edits: usize, revision: Revision, import: ImportOutcome) -> AmendDecision {
    let outcomes = vec![EditOutcome::Unchanged; edits];
    AmendDecision {
        amended: Amended { outcomes, import, ..applied(revision) },
        changes: Vec::new(),
        moves: Vec::new(),
        counts: Vec::new(),
        rules: None,
        post: PostWrite::Keep,
        mark: MarkWrite::Keep,
    }
}

/// Which rows of a step to apply.
struct Rows {
    /// How many of them an earlier step has done.
    done: usize,
    /// Only rows newer than this apply; 0 for all rows.
    live: Revision,
    /// The revision of the mark, if somebody has changed the post since. The mark keeps it, so that
    /// the next file finds these live taps.
    over: Option<Revision>,
}

impl Rows {
    const ALL: Self = Self { done: 0, live: Revision(0), over: None };
}

/// Whether to apply the rows of an import, and which. `own` is the revision of the post, None
/// without state; `present` is `own` or the floor.
fn judge(
    step: &ImportStep,
    amendment: &Amendment,
    mark: Option<&ImportMark>,
    own: Option<Revision>,
    present: Revision,
    now: Micros,
) -> Result<Rows, ImportOutcome> {
    let rows = amendment.edits.len();
    let done = mark.filter(|mark| mark.source == step.source).map_or(0, |mark| mark.done);
    if mark.is_some_and(|mark| mark.source == step.source) && done >= step.from + rows as u64 {
        return Err(ImportOutcome::Done);
    }
    // Only the first step of a file is judged, so that a large post comes in whole.
    let going_on =
        mark.filter(|mark| mark.source == step.source && step.from > 0 && mark.live == Revision(0));
    let live = match (mark, own) {
        _ if going_on.is_some() => Revision::default(),
        // What an import found once stays: a live removal from that time left no trace.
        (Some(mark), _) if mark.revision == present => mark.live,
        (None, None) => Revision::default(),
        // Many changes at once take a revision ahead of the clock, but no tap is.
        (Some(_), _) | (None, Some(_)) => present.min(Revision(now.0)),
    };
    if live > Revision::default() && !step.merge {
        return Err(ImportOutcome::LiveTaps);
    }
    if done < step.from && !amendment.dry_run {
        return Err(ImportOutcome::Behind);
    }
    let done = usize::try_from(done.saturating_sub(step.from)).unwrap_or(rows).min(rows);
    let over = going_on.map(|mark| mark.revision).filter(|revision| *revision != present);
    Ok(Rows { done, live, over })
}

/// The state that the edits so far have led to.
struct Run<'a, L> {
    look: &'a L,
    amendment: &'a Amendment,
    now: Micros,
    revision: Revision,
    changes: Vec<Change>,
    /// The members that edits have looked at.
    moves: Vec<MemberMove>,
    /// Where they are in `moves`.
    places: HashMap<(UserId, Reaction), usize>,
    /// The counts of the reactions that got or lost a member.
    counts: BTreeMap<Reaction, u64>,
    /// What the edit before did.
    last: EditOutcome,
}

impl<'a, L: PostLook> Run<'a, L> {
    fn new(look: &'a L, amendment: &'a Amendment, revision: Revision, now: Micros) -> Self {
        let (changes, moves) = (Vec::new(), Vec::with_capacity(amendment.edits.len()));
        let (places, counts, last) = (HashMap::new(), BTreeMap::new(), EditOutcome::Unchanged);
        Self { look, amendment, now, revision, changes, moves, places, counts, last }
    }

    fn pass_over(&mut self) -> EditOutcome {
        self.last = EditOutcome::Lost;
        self.last
    }

    fn edit(&mut self, edit: &MemberEdit) -> Result<EditOutcome, L::Error> {
        let MemberEdit { user, reaction, act } = edit;
        if matches!(act, EditAct::Move { .. }) && self.last != EditOutcome::Removed {
            return Ok(self.pass_over());
        }
        let member = self.member(*user, reaction)?;
        let since = self.moves[member].after;
        let wanted = match act {
            EditAct::Put(at) => Some(since.map_or(*at, |since| since.max(*at))),
            EditAct::Restore(at) => since.or(Some(*at)),
            EditAct::Merge { at, excluded } | EditAct::Move { at, excluded } => {
                if !self.takes_place_of(*user, reaction, *at, excluded)? {
                    return Ok(self.pass_over());
                }
                Some(since.map_or(*at, |since| since.min(*at)))
            }
            EditAct::RemoveUpTo(at) => since.filter(|since| since > at),
            EditAct::RemoveAt(at) => since.filter(|since| since != at),
        };
        self.set(member, wanted)?;
        self.last = match (since, wanted) {
            (None, Some(_)) => EditOutcome::Added,
            (Some(_), None) => EditOutcome::Removed,
            (before, after) if before != after => EditOutcome::Moved,
            _ => EditOutcome::Unchanged,
        };
        Ok(self.last)
    }

    /// Gives the post these rules, unless it keeps its own. Returns the rules, if they are others
    /// now.
    fn rule(&mut self, wanted: &Rules, own: &Rules, is_kept: bool) -> (Option<Rules>, EditOutcome) {
        let Amendment { post, actor, .. } = self.amendment;
        let (mut rules, mut revision, mut entries) = (own.clone(), self.revision, Vec::new());
        let of_taps = Edit::Rules(wanted.palette.clone(), wanted.add);
        for edit in [Edit::Lock(wanted.locked), of_taps] {
            let edit = RulesEdit { post: *post, edit, actor: *actor };
            let (ruled, entry) = decide_rules(&edit, &rules, revision, self.now);
            (rules, revision) = (ruled.rules, ruled.revision);
            entries.extend(entry);
        }
        match entries.is_empty() {
            true => (None, EditOutcome::Unchanged),
            false if is_kept => (None, EditOutcome::Lost),
            false => {
                self.revision = revision;
                self.changes.extend(entries);
                (Some(rules), EditOutcome::Moved)
            }
        }
    }

    /// Removes what the user has of `excluded`, unless one of it is newer than `at`. Returns
    /// whether none is.
    fn takes_place_of(
        &mut self,
        user: UserId,
        reaction: &Reaction,
        at: Micros,
        excluded: &Arc<[Reaction]>,
    ) -> Result<bool, L::Error> {
        let mut held = Vec::new();
        for other in excluded.iter().filter(|other| *other != reaction) {
            let member = self.member(user, other)?;
            match self.moves[member].after {
                Some(since) if since > at => return Ok(false),
                Some(_) => held.push(member),
                None => {}
            }
        }
        held.into_iter().try_for_each(|member| self.set(member, None))?;
        Ok(true)
    }

    /// The place of a member in `moves`.
    fn member(&mut self, user: UserId, reaction: &Reaction) -> Result<usize, L::Error> {
        let key = (user, reaction.clone());
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        let before = self.look.since(user, reaction)?;
        self.moves.push(MemberMove { user, reaction: reaction.clone(), before, after: before });
        let place = self.moves.len() - 1;
        self.places.insert(key, place);
        Ok(place)
    }

    /// Gives a member a time, or takes it. That is a change, unless it is so already.
    fn set(&mut self, member: usize, after: Option<Micros>) -> Result<(), L::Error> {
        let MemberMove { user, reaction, after: before, .. } = self.moves[member].clone();
        if before == after {
            return Ok(());
        }
        self.moves[member].after = after;
        let active = after.is_some();
        if before.is_some() != active {
            let count = match self.counts.get(&reaction) {
                Some(count) => *count,
                None => self.look.members(&reaction)?,
            };
            let count = if active { count + 1 } else { count.saturating_sub(1) };
            self.counts.insert(reaction.clone(), count);
        }
        self.revision = Revision::next(self.revision, self.now);
        let Amendment { post, cause, actor, .. } = self.amendment;
        self.changes.push(Change {
            post: *post,
            what: What::Reaction { user, reaction, active, cause: *cause },
            revision: self.revision,
            occurred_at: self.now,
            actor: *actor,
        });
        Ok(())
    }
}

/// Whether a post has no reaction left, if these are its new counts. `ruled`: whether its rules
/// change; without that and without counts only times have moved.
fn is_emptied<L: PostLook>(
    look: &L,
    counts: &[(Reaction, u64)],
    ruled: bool,
) -> Result<bool, L::Error> {
    if counts.is_empty() && !ruled || counts.iter().any(|(_, count)| *count > 0) {
        return Ok(false);
    }
    let is_written = |kind: &Reaction| counts.iter().any(|(written, _)| written == kind);
    let kinds = look.kinds(counts.len() + 1)?;
    Ok(kinds.len() <= counts.len() && kinds.iter().all(is_written))
}

#[cfg(test)]
#[path = "decide_amendment_tests.rs"]
mod tests;
