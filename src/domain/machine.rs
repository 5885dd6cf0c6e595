//! One post in memory, changed by the rule of a tap. The caller passes the time.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::members::Members;
use super::{
    AmendDecision, Amendment, Change, Decision, Forget, Forgotten, ImportMark, Look, MOST_NAMED,
    Micros, Outcome, Position, PostId, PostLook, Reaction, ReactionSummary, Reactor, Refusal,
    Revision, Ruled, Rules, RulesEdit, Summary, Tap, UserId, What, decide, decide_amendment,
    decide_forget, decide_rules,
};

/// The state of one post.
///
/// A store drops a post when its last reaction and its rules are gone, and raises the *floor* of
/// its partition to the post's last revision. The floor is the revision of every post without
/// state. So the revisions of a post go on upwards when it gets reactions again.
#[derive(Debug, Default)]
pub struct Post {
    revision: Option<Revision>,
    members: BTreeMap<Reaction, Members>,
    rules: Rules,
}

/// A post as one user's tap finds it.
struct Seen<'a> {
    post: &'a Post,
    user: UserId,
    floor: Revision,
}

impl Look for Seen<'_> {
    type Error = Infallible;

    fn revision(&self) -> Result<Revision, Infallible> {
        Ok(self.post.revision_or(self.floor))
    }

    fn rules(&self) -> Result<Rules, Infallible> {
        Ok(self.post.rules.clone())
    }

    fn kinds(&self) -> Result<Vec<Reaction>, Infallible> {
        Ok(self.post.members.keys().cloned().collect())
    }

    fn count_kinds(&self, _: usize) -> Result<usize, Infallible> {
        Ok(self.post.members.len())
    }

    fn has(&self, reaction: &Reaction) -> Result<bool, Infallible> {
        Ok(self.post.has(reaction, self.user))
    }

    fn members(&self, reaction: &Reaction) -> Result<u64, Infallible> {
        Ok(self.post.members.get(reaction).map_or(0, Members::count))
    }

    fn shown(&self, reaction: &Reaction) -> Result<u64, Infallible> {
        self.members(reaction)
    }
}

/// A post as an amendment finds it.
struct SeenByAll<'a>(&'a Post, Revision);

impl PostLook for SeenByAll<'_> {
    type Error = Infallible;

    fn revision(&self) -> Result<Option<Revision>, Infallible> {
        Ok(self.0.revision)
    }

    fn floor(&self) -> Result<Revision, Infallible> {
        Ok(self.1)
    }

    fn rules(&self) -> Result<Rules, Infallible> {
        Ok(self.0.rules.clone())
    }

    fn kinds(&self, most: usize) -> Result<Vec<Reaction>, Infallible> {
        Ok(self.0.kinds().take(most).cloned().collect())
    }

    fn members(&self, reaction: &Reaction) -> Result<u64, Infallible> {
        Ok(self.0.members.get(reaction).map_or(0, Members::count))
    }

    fn since(&self, user: UserId, reaction: &Reaction) -> Result<Option<Micros>, Infallible> {
        Ok(self.0.since(reaction, user))
    }
}

/// The members that a forgotten post had, for the caller to drop: they may be many.
#[derive(Debug, Default)]
pub struct Gone(Vec<Members>);

impl Gone {
    /// Their users. A user that had two reactions comes twice.
    pub fn users(&self) -> impl Iterator<Item = UserId> {
        self.0.iter().flat_map(Members::users)
    }
}

impl Post {
    /// Applies a tap to this post at `now`. Returns the outcome and the entries for the change log.
    /// `floor` is the floor of the post's partition.
    ///
    /// # Errors
    ///
    /// If the rules of the post refuse the tap; the post then stays as it is.
    pub fn apply(
        &mut self,
        tap: &Tap,
        now: Micros,
        floor: Revision,
    ) -> Result<(Outcome, Vec<Change>), Refusal> {
        let seen = Seen { post: self, user: tap.user, floor };
        let Ok(decided) = decide(&seen, tap, now);
        let Decision { outcome, changes, .. } = decided?;
        for change in &changes {
            self.revision = Some(change.revision);
            match &change.what {
                What::Reaction { user, reaction, active: true, .. } => {
                    self.members.entry(reaction.clone()).or_default().add(*user, now);
                }
                What::Reaction { user, reaction, active: false, .. } => {
                    self.remove(reaction, *user);
                }
                What::Forgotten(_) | What::Locked(_) | What::Rules(..) => {}
            }
        }
        Ok((outcome, changes))
    }

    /// Applies an amendment to this post at `now`. `mark` is the mark that imports have left at the
    /// post, and `floor` the floor of its partition. The caller keeps mark and changes.
    pub fn amend(
        &mut self,
        amendment: &Amendment,
        mark: Option<&ImportMark>,
        now: Micros,
        floor: Revision,
    ) -> AmendDecision {
        let Ok(decision) = decide_amendment(&SeenByAll(self, floor), amendment, mark, now);
        for moved in &decision.moves {
            if moved.before.is_some() {
                self.remove(&moved.reaction, moved.user);
            }
            if let Some(at) = moved.after {
                self.members.entry(moved.reaction.clone()).or_default().add(moved.user, at);
            }
        }
        if !decision.changes.is_empty() {
            self.revision = Some(decision.amended.revision);
        }
        if let Some(rules) = &decision.rules {
            self.rules.clone_from(rules);
        }
        decision
    }

    /// Raises the revision of this post, as the repair of an audit does.
    pub fn raise(&mut self, now: Micros, floor: Revision) {
        self.revision = Some(Revision::next(self.revision_or(floor), now));
    }

    /// Changes the rules of this post. Returns the entry for the change log, if that changes any.
    pub fn rule(
        &mut self,
        edit: &RulesEdit,
        now: Micros,
        floor: Revision,
    ) -> (Ruled, Option<Change>) {
        let (ruled, change) = decide_rules(edit, &self.rules, self.revision_or(floor), now);
        if ruled.changed {
            (self.revision, self.rules) = (Some(ruled.revision), ruled.rules.clone());
        }
        (ruled, change)
    }

    /// Removes all members of one reaction, or of all. Returns the entry for the change log, if
    /// there were any, and the members, for the caller to drop: they may be many.
    pub fn forget(
        &mut self,
        forget: &Forget,
        now: Micros,
        floor: Revision,
    ) -> (Forgotten, Option<Change>, Gone) {
        let gone: Vec<Members> = match &forget.reaction {
            Some(reaction) => self.members.remove(reaction).into_iter().collect(),
            None => std::mem::take(&mut self.members).into_values().collect(),
        };
        let removed = gone.iter().map(Members::count).sum();
        let (forgotten, change) = decide_forget(forget, removed, self.revision_or(floor), now);
        if change.is_some() {
            self.revision = Some(forgotten.revision);
        }
        (forgotten, change, Gone(gone))
    }

    /// The summary of this post for `viewer`, with the `recent` newest users of each reaction that
    /// an answer names.
    pub fn summary(
        &self,
        post: PostId,
        viewer: Option<UserId>,
        recent: usize,
        floor: Revision,
    ) -> Summary {
        let reactions = self.members.iter().map(|(reaction, members)| ReactionSummary {
            reaction: reaction.clone(),
            count: members.count(),
            mine: viewer.map(|user| members.contains(user)),
            recent: Vec::new(),
        });
        let (revision, rules) = (self.revision_or(floor), self.rules.clone());
        let mut summary = Summary::new(post, revision, rules, reactions.collect());
        if recent > 0 {
            for named in summary.reactions.iter_mut().take(MOST_NAMED) {
                if let Some(members) = self.members.get(&named.reaction) {
                    let newest = reactors(&named.reaction, members, None);
                    named.recent = newest.take(recent).collect();
                }
            }
        }
        summary
    }

    /// The first `take` reactors behind `after`, newest first; of one reaction, or of all.
    pub fn reactors(
        &self,
        reaction: Option<&Reaction>,
        after: Option<&Position>,
        take: usize,
    ) -> Vec<Reactor> {
        let mut found: Vec<Reactor> = self
            .members
            .iter()
            .filter(|(name, _)| reaction.is_none_or(|wanted| wanted == *name))
            .flat_map(|(name, members)| {
                reactors(name, members, after)
                    .filter(|r| after.is_none_or(|after| r < after))
                    .take(take)
            })
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        found.truncate(take);
        found
    }

    fn remove(&mut self, reaction: &Reaction, user: UserId) {
        let Some(members) = self.members.get_mut(reaction) else { return };
        members.remove(user);
        if members.count() == 0 {
            self.members.remove(reaction);
        }
    }

    /// Whether the user has a reaction.
    pub fn has(&self, reaction: &Reaction, user: UserId) -> bool {
        self.since(reaction, user).is_some()
    }

    /// When the user gave a reaction; None if the user does not have it.
    pub fn since(&self, reaction: &Reaction, user: UserId) -> Option<Micros> {
        self.members.get(reaction)?.since(user)
    }

    /// The reactions that the user has, with their times.
    pub fn given(&self, user: UserId) -> impl Iterator<Item = (&Reaction, Micros)> {
        self.members.iter().filter_map(move |(name, members)| Some((name, members.since(user)?)))
    }

    /// Its reactions.
    pub fn kinds(&self) -> impl Iterator<Item = &Reaction> {
        self.members.keys()
    }

    /// Whether the user has the reaction that the post's palette counts this name as.
    pub fn has_alias(&self, tap: &Tap, name: &Reaction) -> bool {
        let palette = tap.palettes.of(&self.rules);
        self.has(palette.verdict(name).counted, tap.user)
    }

    /// Whether the user has any reaction.
    pub fn has_any(&self, user: UserId) -> bool {
        self.members.values().any(|members| members.contains(user))
    }

    /// Whether the post has no state: no reaction, and no rules.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.rules.is_default()
    }

    /// How many different reactions it has, and how many members altogether. A member with a text
    /// id takes about as much memory as two others, and counts as two.
    pub fn size(&self) -> (u64, u64) {
        let members = self.members.values().map(|all| all.count() + all.count_texts()).sum();
        (self.members.len() as u64, members)
    }

    /// Its revision, or the floor of its partition if it has none.
    pub fn revision_or(&self, floor: Revision) -> Revision {
        self.revision.unwrap_or(floor)
    }
}

fn reactors(
    reaction: &Reaction,
    members: &Members,
    from: Option<&Position>,
) -> impl Iterator<Item = Reactor> {
    let from = from.map(|p| (p.reacted_at, p.user));
    members.newest(from).map(|(reacted_at, user)| Reactor {
        reacted_at,
        user,
        reaction: reaction.clone(),
    })
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
