//! The rule of a tap. The memory store and the file store call it; tests compare the Lua scripts
//! with it.

use super::{
    Act, Add, Cause, Change, Details, Edit, Forget, Forgotten, Group, Micros, Outcome, Palette,
    Reaction, Refusal, Revision, Ruled, Rules, RulesEdit, Tap, Verb, Verdict, What,
};

/// What a store shows of the post and the user of a tap, as they are before it.
pub trait Look {
    /// Why a look may fail.
    type Error;

    /// The revision of the post, or the floor of its partition if the post has no state.
    fn revision(&self) -> Result<Revision, Self::Error>;

    /// The rules of the post.
    fn rules(&self) -> Result<Rules, Self::Error>;

    /// The reactions of the post, by the counts that readers see.
    fn kinds(&self) -> Result<Vec<Reaction>, Self::Error>;

    /// How many reactions those are; beyond `enough` it may stop counting.
    fn count_kinds(&self, enough: usize) -> Result<usize, Self::Error>;

    /// Whether the user has a reaction.
    fn has(&self, reaction: &Reaction) -> Result<bool, Self::Error>;

    /// How many users have a reaction.
    fn members(&self, reaction: &Reaction) -> Result<u64, Self::Error>;

    /// The count that readers see. It differs only if someone else wrote to the store.
    fn shown(&self, reaction: &Reaction) -> Result<u64, Self::Error>;
}

/// What a store must do in one step, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub outcome: Outcome,
    /// The entries for the change log, in the order of their revisions. Each is of a flag.
    pub changes: Vec<Change>,
    /// The counts to write. The store keeps no count of zero.
    pub counts: Vec<(Reaction, u64)>,
    /// The write to the post.
    pub post: PostWrite,
}

/// What a step does to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostWrite {
    /// It stays.
    Keep,
    /// The store writes the outcome's revision.
    Write,
    /// The post has no reaction and no rules left. The store deletes it, and raises the partition's
    /// floor to the outcome's revision, unless the floor is higher.
    Empty,
}

/// What to take from the user and what to give, with the counts afterwards.
#[derive(Default)]
struct Plan {
    removes: Vec<(Reaction, u64)>,
    adds: Vec<(Reaction, u64)>,
}

impl Plan {
    fn remove<L: Look>(&mut self, look: &L, reaction: &Reaction) -> Result<(), L::Error> {
        self.removes.push((reaction.clone(), look.members(reaction)?.saturating_sub(1)));
        Ok(())
    }

    fn add<L: Look>(&mut self, look: &L, reaction: &Reaction) -> Result<(), L::Error> {
        self.adds.push((reaction.clone(), look.members(reaction)? + 1));
        Ok(())
    }
}

/// Decides a tap at `now`, by the store's clock.
///
/// # Errors
///
/// The inner error if the post's rules refuse the tap; the outer one if a look fails.
pub fn decide<L: Look>(
    look: &L,
    tap: &Tap,
    now: Micros,
) -> Result<Result<Decision, Refusal>, L::Error> {
    let rules = look.rules()?;
    let palette = tap.palettes.of(&rules);
    let (plan, mut outcome) = match &tap.act {
        Act::One(verb, reaction) => one(look, *verb, reaction, &palette)?,
        Act::Exactly(wanted) => match resolve(&palette, wanted) {
            Ok(wanted) => exactly(look, wanted)?,
            Err(refusal) => return Ok(Err(refusal)),
        },
    };
    if let Some(refusal) = judge(look, (&rules, tap.add), &palette, &plan)? {
        return Ok(Err(refusal));
    }
    let mut revision = look.revision()?;
    let mut changes = Vec::with_capacity(plan.removes.len() + plan.adds.len());
    let flags = plan.removes.iter().map(|(reaction, _)| (reaction, false));
    for (reaction, active) in flags.chain(plan.adds.iter().map(|(reaction, _)| (reaction, true))) {
        revision = Revision::next(revision, now);
        let cause = cause(tap, reaction, active, &palette);
        let what = What::Reaction { user: tap.user, reaction: reaction.clone(), active, cause };
        changes.push(Change { post: tap.post, what, revision, occurred_at: now, actor: tap.actor });
    }
    let mut counts = [plan.removes, plan.adds].concat();
    if let (Act::One(_, reaction), true) = (&tap.act, changes.is_empty()) {
        // Corrects a count that someone else falsified. Readers see that, so the revision rises.
        let counted = palette.verdict(reaction).counted;
        if look.shown(counted)? != outcome.count {
            revision = Revision::next(revision, now);
            counts.push((counted.clone(), outcome.count));
        }
    }
    outcome.changed = !changes.is_empty();
    outcome.revision = revision;
    let post = match counts.as_slice() {
        [] => PostWrite::Keep,
        written if rules.is_default() && is_emptied(look, written)? => PostWrite::Empty,
        _ => PostWrite::Write,
    };
    Ok(Ok(Decision { outcome, changes, counts, post }))
}

/// The plan and the answer of a tap on one reaction.
fn one<L: Look>(
    look: &L,
    verb: Verb,
    reaction: &Reaction,
    palette: &Palette,
) -> Result<(Plan, Outcome), L::Error> {
    let verdict = palette.verdict(reaction);
    let Verdict { counted, is_alias, group, .. } = verdict;
    let was = look.has(counted)?;
    let active = verb.turns(was);
    let mut plan = Plan::default();
    if active && !was {
        if group != Group::None {
            for other in look.kinds()? {
                if other != *counted && group.has(&other) && look.has(&other)? {
                    plan.remove(look, &other)?;
                }
            }
        }
        plan.add(look, counted)?;
    } else if !active {
        // From a time before the name became an alias.
        if is_alias && look.has(reaction)? {
            plan.remove(look, reaction)?;
        }
        if was {
            plan.remove(look, counted)?;
        }
    }
    let own = |(name, _): &&(Reaction, u64)| name == counted;
    let moved = plan.adds.iter().chain(&plan.removes).find(own).map(|(_, count)| *count);
    let count = moved.map_or_else(|| look.members(counted), Ok)?;
    let replaced: Vec<_> = plan.removes.iter().filter(|moved| !own(moved)).cloned().collect();
    let counted = if is_alias { vec![counted.clone()] } else { Vec::new() };
    let plain = counted.is_empty() && replaced.is_empty();
    let details = (!plain).then(|| Box::new(Details { counted, replaced }));
    let revision = Revision::default();
    Ok((plan, Outcome { active, changed: false, count, revision, replayed: false, details }))
}

/// The reactions that a whole set means, each once.
///
/// # Errors
///
/// If two of them exclude each other.
pub fn resolve(palette: &Palette, wanted: &[Reaction]) -> Result<Vec<Reaction>, Refusal> {
    let mut counted: Vec<Reaction> = Vec::with_capacity(wanted.len());
    for reaction in wanted {
        let Verdict { counted: meant, group, .. } = palette.verdict(reaction);
        if counted.contains(meant) {
            continue;
        }
        if let Some(other) = counted.iter().find(|other| group.has(other)) {
            return Err(Refusal::Exclusive(other.clone(), meant.clone()));
        }
        counted.push(meant.clone());
    }
    Ok(counted)
}

/// The plan and the answer of a whole set.
fn exactly<L: Look>(look: &L, wanted: Vec<Reaction>) -> Result<(Plan, Outcome), L::Error> {
    let mut plan = Plan::default();
    for kind in look.kinds()? {
        if !wanted.contains(&kind) && look.has(&kind)? {
            plan.remove(look, &kind)?;
        }
    }
    for reaction in &wanted {
        if !look.has(reaction)? {
            plan.add(look, reaction)?;
        }
    }
    let outcome = Outcome {
        active: !wanted.is_empty(),
        changed: false,
        count: 0,
        revision: Revision::default(),
        replayed: false,
        details: Some(Box::new(Details { counted: wanted, replaced: Vec::new() })),
    };
    Ok((plan, outcome))
}

/// Why the rules refuse a plan. What is held stays legal, so only a plan that adds is judged, by
/// the state that it leads to.
fn judge<L: Look>(
    look: &L,
    (rules, add): (&Rules, Add),
    palette: &Palette,
    plan: &Plan,
) -> Result<Option<Refusal>, L::Error> {
    if plan.adds.is_empty() {
        return Ok(None);
    }
    let add = rules.add.max(add);
    if rules.locked || add == Add::None {
        return Ok(Some(Refusal::Locked));
    }
    for (reaction, count) in &plan.adds {
        if !palette.verdict(reaction).allowed {
            return Ok(Some(Refusal::NotInPalette(reaction.clone())));
        }
        if add == Add::Existing && *count == 1 {
            return Ok(Some(Refusal::NobodyHas(reaction.clone())));
        }
    }
    let (most_kinds, most_each) = (palette.max_kinds_per_post(), palette.max_per_user_and_post());
    let new = plan.adds.iter().filter(|(_, count)| *count == 1).count();
    let gone = plan.removes.iter().filter(|(_, count)| *count == 0).count();
    let enough = most_kinds.max(most_each) as usize + plan.removes.len() + 1;
    let kinds = look.count_kinds(enough)? + new;
    if new > gone && kinds - gone > most_kinds as usize {
        return Ok(Some(Refusal::TooManyKinds(most_kinds)));
    }
    let (adds, removes) = (plan.adds.len(), plan.removes.len());
    if adds > removes && kinds > most_each as usize {
        let mut held = 0;
        for kind in look.kinds()? {
            held += usize::from(look.has(&kind)?);
        }
        if held + adds - removes > most_each as usize {
            return Ok(Some(Refusal::TooManyOfUser(most_each)));
        }
    }
    Ok(None)
}

/// What made a change of a flag.
fn cause(tap: &Tap, reaction: &Reaction, active: bool, palette: &Palette) -> Cause {
    match &tap.act {
        _ if tap.actor.is_some() => Cause::Moderate,
        Act::Exactly(_) => Cause::Replace,
        Act::One(_, named) if active || palette.verdict(named).counted == reaction => Cause::Tap,
        Act::One(..) => Cause::Replace,
    }
}

/// Whether a post has no reaction left, if these are its new counts.
fn is_emptied<L: Look>(look: &L, counts: &[(Reaction, u64)]) -> Result<bool, L::Error> {
    if counts.iter().any(|(_, count)| *count > 0) {
        return Ok(false);
    }
    let is_written = |kind: &Reaction| counts.iter().any(|(written, _)| written == kind);
    let enough = counts.len() + 1;
    Ok(look.count_kinds(enough)? < enough && look.kinds()?.iter().all(is_written))
}

/// Decides a change to the rules of a post that has these rules and this revision. Returns the
/// entry for the change log, if the rules change.
pub fn decide_rules(
    edit: &RulesEdit,
    rules: &Rules,
    before: Revision,
    now: Micros,
) -> (Ruled, Option<Change>) {
    let after = edit.edit.applied_to(rules);
    if after == *rules {
        return (Ruled { rules: after, changed: false, revision: before }, None);
    }
    let revision = Revision::next(before, now);
    let what = match edit.edit {
        Edit::Rules(..) => What::Rules(after.palette.clone(), after.add),
        Edit::Lock(locked) => What::Locked(locked),
    };
    let (post, actor) = (edit.post, edit.actor);
    let change = Change { post, what, revision, occurred_at: now, actor };
    (Ruled { rules: after, changed: true, revision }, Some(change))
}

/// Decides a request to forget, on a post that has this revision. `removed` is the number of
/// members that go. Returns the entry for the change log, if there are any.
pub fn decide_forget(
    forget: &Forget,
    removed: u64,
    before: Revision,
    now: Micros,
) -> (Forgotten, Option<Change>) {
    if removed == 0 {
        return (Forgotten { removed, revision: before }, None);
    }
    let revision = Revision::next(before, now);
    let (post, what) = (forget.post, What::Forgotten(forget.reaction.clone()));
    let change = Change { post, what, revision, occurred_at: now, actor: forget.actor };
    (Forgotten { removed, revision }, Some(change))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
