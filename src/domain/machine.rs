//! One post in memory, changed by the rule of a tap. The caller passes the time.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::members::Members;
use super::{
    Change, Decision, Forget, Forgotten, Look, MOST_NAMED, Micros, Outcome, Position, PostId,
    Reaction, ReactionSummary, Reactor, Refusal, Revision, Ruled, Rules, RulesEdit, Summary, Tap,
    UserId, What, decide, decide_forget, decide_rules,
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
    ) -> (Forgotten, Option<Change>, impl Send + use<>) {
        let gone: Vec<Members> = match &forget.reaction {
            Some(reaction) => self.members.remove(reaction).into_iter().collect(),
            None => std::mem::take(&mut self.members).into_values().collect(),
        };
        let removed = gone.iter().map(Members::count).sum();
        let (forgotten, change) = decide_forget(forget, removed, self.revision_or(floor), now);
        if change.is_some() {
            self.revision = Some(forgotten.revision);
        }
        (forgotten, change, gone)
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
        self.members.get(reaction).is_some_and(|members| members.contains(user))
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
mod tests {
    use super::*;
    use crate::domain::Verb;

    fn tap(verb: Verb, user: u64, reaction: &str) -> Tap {
        let post = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
        let reaction = reaction.parse().expect("a reaction");
        Tap::new(post, user.try_into().expect("a user id"), verb, reaction)
    }

    fn apply(post: &mut Post, tap: &Tap, at: u64, floor: u64) -> (Outcome, Option<Change>) {
        let (outcome, changes) = post.apply(tap, Micros(at), Revision(floor)).expect("an outcome");
        (outcome, changes.into_iter().next())
    }

    fn outcome(active: bool, changed: bool, count: u64, revision: u64) -> Outcome {
        let revision = Revision(revision);
        Outcome { active, changed, count, revision, replayed: false, details: None }
    }

    #[test]
    fn a_toggle_flips_and_says_so() {
        let mut post = Post::default();
        let (on, change) = apply(&mut post, &tap(Verb::Toggle, 7, "like"), 100, 0);
        assert_eq!(on, outcome(true, true, 1, 100));
        let change = change.expect("a change");
        assert!(matches!(change.what, What::Reaction { active: true, .. }));
        assert_eq!(change.occurred_at, Micros(100));
        let (off, _) = apply(&mut post, &tap(Verb::Toggle, 7, "like"), 100, 0);
        assert_eq!(off, outcome(false, true, 0, 201));
    }

    #[test]
    fn repeating_set_and_unset_changes_nothing() {
        let mut post = Post::default();
        let (first, change) = apply(&mut post, &tap(Verb::Unset, 7, "like"), 5, 3);
        assert_eq!(first, outcome(false, false, 0, 3));
        assert_eq!(change, None);
        apply(&mut post, &tap(Verb::Set, 7, "like"), 10, 0);
        let (again, change) = apply(&mut post, &tap(Verb::Set, 7, "like"), 20, 0);
        assert_eq!(again, outcome(true, false, 1, 10));
        assert_eq!(change, None);
        // The time of a reaction is that of the tap that made it.
        assert_eq!(post.reactors(None, None, 9)[0].reacted_at, Micros(10));
    }

    #[test]
    fn revisions_rise_through_a_clock_that_goes_back_and_an_emptied_post() {
        let mut post = Post::default();
        let mut last = 0;
        for (clock, user) in [(100, 1), (100, 1), (90, 1), (90, 1), (50, 2), (200, 2)] {
            let (outcome, _) = apply(&mut post, &tap(Verb::Toggle, user, "like"), clock, 0);
            assert!(outcome.revision.0 > last, "{} after {last}", outcome.revision);
            last = outcome.revision.0;
        }
    }

    #[test]
    fn reactors_come_newest_first_and_ties_by_text() {
        let mut post = Post::default();
        for (at, user, reaction) in
            [(1, 9, "like"), (1, 10, "like"), (1, 10, "love"), (2, 3, "love"), (3, 4, "like")]
        {
            apply(&mut post, &tap(Verb::Set, user, reaction), at, 0);
        }
        let order = |reactors: &[Reactor]| -> Vec<(u64, String)> {
            reactors
                .iter()
                .map(|r| (r.user.integer().unwrap_or(0), r.reaction.to_string()))
                .collect()
        };
        let named = |list: &[(u64, &str)]| -> Vec<(u64, String)> {
            list.iter().map(|(u, r)| (*u, (*r).to_owned())).collect()
        };
        let all = post.reactors(None, None, 9);
        let expected = [(4, "like"), (3, "love"), (9, "like"), (10, "love"), (10, "like")];
        assert_eq!(order(&all), named(&expected));
        // For every page size, pages meet without a gap or a duplicate.
        for size in 1..=5 {
            let (mut seen, mut after) = (Vec::new(), None::<Reactor>);
            loop {
                let page = post.reactors(None, after.as_ref(), size);
                let Some(last) = page.last() else { break };
                after = Some(last.clone());
                seen.extend(page);
            }
            assert_eq!(seen, all, "in pages of {size}");
        }
    }

    /// As posts have them from a time without limits.
    #[test]
    fn a_summary_reads_newest_users_of_what_an_answer_names() {
        let mut post = Post::default();
        for n in 0..130 {
            let name = format!("r{n:03}").parse().expect("a reaction");
            let members = post.members.entry(name).or_default();
            // The last ten have two users, the others one.
            for user in 1..=(1 + n / 120) {
                members.add(user.try_into().expect("a user id"), Micros(user));
            }
        }
        let id = tap(Verb::Set, 1, "sad").post;
        let summary = post.summary(id, Some(1.try_into().expect("a user id")), 1, Revision(0));
        assert_eq!((summary.reactions.len(), summary.unnamed(), summary.total()), (130, 30, 140));
        let (named, others) = summary.reactions.split_at(MOST_NAMED);
        assert!(named.iter().all(|it| it.recent.len() == 1 && it.mine == Some(true)));
        assert!(others.iter().all(|it| it.recent.is_empty() && it.mine == Some(true)));
        assert_eq!((named[0].reaction.as_str(), others[0].reaction.as_str()), ("r120", "r090"));
    }

    #[test]
    fn a_summary_leaves_out_what_nobody_has() {
        let mut post = Post::default();
        apply(&mut post, &tap(Verb::Set, 1, "sad"), 1, 0);
        for user in 1..=3 {
            apply(&mut post, &tap(Verb::Set, user, "like"), 1 + user, 0);
        }
        apply(&mut post, &tap(Verb::Set, 1, "love"), 9, 0);
        apply(&mut post, &tap(Verb::Unset, 1, "sad"), 9, 0);
        let id = tap(Verb::Set, 1, "sad").post;
        let summary = post.summary(id, Some(1.try_into().expect("a user id")), 2, Revision(0));
        assert_eq!(summary.total(), 4);
        assert_eq!(summary.revision, Revision(19));
        let seen: Vec<_> = summary
            .reactions
            .iter()
            .map(|r| (r.reaction.as_str(), r.count, r.mine, r.recent.len()))
            .collect();
        assert_eq!(seen, [("like", 3, Some(true), 2), ("love", 1, Some(true), 1)]);
        assert_eq!(summary.reactions[0].recent[0].user.integer(), Some(3));
    }
}
