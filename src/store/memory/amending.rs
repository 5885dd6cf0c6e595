//! What imports, exports and jobs do to a partition.

use super::partition::{PartitionState, Room};
use super::{Given, StoreError};
use crate::domain::machine::Post;
use crate::domain::{
    AmendDecision, Amended, Amendment, MarkWrite, Micros, Once, PostId, Reaction, Revision, UserId,
};
use crate::store::{Audited, Drift};

impl PartitionState {
    /// Applies an amendment. A full memory takes only what removes.
    pub(super) fn amend(
        &mut self,
        amendment: &Amendment,
        now: Micros,
        room: Room,
    ) -> Result<Amended, StoreError> {
        if let Once::Step(token) = &amendment.once
            && let Some(answered) = self.steps.get(token, now)
        {
            return Ok(Amended { replayed: true, ..answered.clone() });
        }
        if room < Room::Free && !amendment.only_removes() {
            return Err(StoreError::Overloaded);
        }
        let post = amendment.post;
        let mark = self.marks.get(&post, now).copied();
        let decision =
            self.on_post(post, |state, floor| state.amend(amendment, mark.as_ref(), now, floor));
        let AmendDecision { amended, changes, moves, mark, .. } = decision;
        for moved in moves {
            self.hint(post, moved.user, moved.after.is_some());
        }
        changes.into_iter().for_each(|change| self.append(change, now, room));
        match mark {
            MarkWrite::Keep => {}
            MarkWrite::Write(mark) => drop(self.marks.put(post, mark, now)),
            MarkWrite::Delete => self.marks.remove(&post),
        }
        if let Once::Step(token) = &amendment.once
            && !amendment.dry_run
        {
            self.outcomes += amended.outcomes.len() as u64;
            let before = self.steps.put(*token, amended.clone(), now);
            self.outcomes -= before.map_or(0, |before| before.outcomes.len() as u64);
        }
        self.sweep_steps(now);
        Ok(amended)
    }

    /// Drops marks and answers to steps that have expired.
    pub(super) fn sweep_steps(&mut self, now: Micros) {
        self.marks.sweep(now, drop);
        let outcomes = &mut self.outcomes;
        self.steps.sweep(now, |gone| *outcomes -= gone.outcomes.len() as u64);
    }

    /// Brings the index of what a user gave up to date. `has_any`: whether the user certainly has a
    /// reaction on the post.
    pub(super) fn hint(&mut self, post: PostId, user: UserId, has_any: bool) {
        let has_any = has_any || self.posts.get(&post).is_some_and(|state| state.has_any(user));
        self.given.set(user, post, has_any);
    }

    /// The posts behind `after`, in the order of their ids; at most `limit`.
    pub(super) fn walk(&self, after: Option<PostId>, limit: usize) -> Vec<PostId> {
        let behind = |post: &&PostId| after.is_none_or(|after| **post > after);
        let mut found: Vec<_> = self.posts.keys().filter(behind).copied().collect();
        if found.len() > limit {
            found.select_nth_unstable(limit);
            found.truncate(limit);
        }
        found.sort_unstable();
        found
    }

    /// What a user gave to posts of this partition before `after`.
    pub(super) fn given(&self, user: UserId, after: Option<&Given>) -> Vec<Given> {
        let posts = self.given.posts(user).into_iter();
        let states = posts.filter_map(|post| Some((post, self.posts.get(&post)?)));
        let given = states.flat_map(|(post, state)| {
            let given = state.given(user);
            given.map(move |(name, at)| Given { reacted_at: at, post, reaction: name.clone() })
        });
        given.filter(|given| after.is_none_or(|after| given < after)).collect()
    }

    /// Compares a post with the index. Its counts are the sizes of its sets, so they cannot differ.
    pub(super) fn audit(
        &mut self,
        post: PostId,
        indexed: &[(Reaction, UserId)],
        repair: bool,
        now: Micros,
    ) -> Audited {
        let state = self.posts.get(&post);
        let is_member =
            |(reaction, user): &&_| state.is_some_and(|state: &Post| state.has(reaction, *user));
        let is_missing = |(_, user): &&(_, UserId)| !self.given.has(*user, post);
        let missing: Vec<_> = indexed.iter().filter(is_member).filter(is_missing).collect();
        let drift = match missing.len() as u64 {
            0 => Vec::new(),
            missing => vec![Drift::NotIndexed(missing)],
        };
        let repaired = repair && !drift.is_empty();
        if repaired {
            missing.into_iter().for_each(|(_, user)| self.given.set(*user, post, true));
            self.on_post(post, |state, floor| state.raise(now, floor));
        }
        Audited { drift, repaired, revision: self.revision(post) }
    }

    fn revision(&self, post: PostId) -> Revision {
        let floor = self.floor;
        self.posts.get(&post).map_or(floor, |state| state.revision_or(floor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Cause, EditAct, Forget, ImportStep, MemberEdit, SourceId, StepToken, Tap, Verb,
    };
    use crate::store::{MARKS_KEPT, Retention, STEPS_KEPT};

    fn post() -> PostId {
        "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id")
    }

    fn user(id: &str) -> UserId {
        id.parse().expect("a user id")
    }

    fn amendment(ids: &[&str], act: &EditAct, once: Once) -> Amendment {
        let reaction: Reaction = "like".parse().expect("a reaction");
        let edit =
            |id: &&str| MemberEdit { user: user(id), reaction: reaction.clone(), act: act.clone() };
        let edits = ids.iter().map(edit).collect();
        Amendment::new(post(), Cause::Erase, edits, once)
    }

    fn state() -> PartitionState {
        let change_log = std::time::Duration::ZERO;
        PartitionState::new(Retention { change_log, ..Retention::default() })
    }

    const PUT: EditAct = EditAct::Put(Micros(5));
    const REMOVE: EditAct = EditAct::RemoveUpTo(Micros(5));
    const TOKEN: Once = Once::Step(StepToken([1; 16]));

    #[test]
    fn a_full_memory_takes_amendments_that_only_remove() {
        let mut state = state();
        let put = amendment(&["1", "a|b"], &PUT, Once::No);
        state.amend(&put, Micros(10), Room::Free).expect("room enough");
        let step = amendment(&["1"], &REMOVE, TOKEN);
        for room in [Room::Reserve, Room::None] {
            let more = amendment(&["2"], &PUT, Once::No);
            assert_eq!(state.amend(&more, Micros(20), room), Err(StoreError::Overloaded));
            let mixed = Amendment { edits: [&step.edits[..], &more.edits].concat(), ..more };
            assert_eq!(state.amend(&mixed, Micros(20), room), Err(StoreError::Overloaded));
        }
        let first = state.amend(&step, Micros(30), Room::None).expect("a removal");
        let again = state.amend(&step, Micros(40), Room::None).expect("a replay");
        assert_eq!(again, Amended { replayed: true, ..first });
    }

    #[test]
    fn what_is_gone_leaves_the_index_and_what_has_expired_takes_no_memory() {
        let mut state = state();
        let tap = |verb, id| Tap {
            user: user(id),
            ..Tap::new(post(), user("1"), verb, "like".parse().expect("a reaction"))
        };
        for (verb, bytes) in [(Verb::Set, true), (Verb::Unset, false)] {
            for id in ["1", "a|b"] {
                state.tap(&tap(verb, id), Micros(9), Room::Free).expect("room enough");
                assert_eq!(state.given.posts(user(id)), vec![post(); usize::from(bytes)]);
            }
            assert_eq!(state.given.bytes() > 0, bytes);
        }
        // Forgetting leaves it to the caller.
        state.tap(&tap(Verb::Set, "7"), Micros(9), Room::Free).expect("room enough");
        let forget = Forget { post: post(), reaction: None, actor: None };
        let (_, gone) = state.forget(&forget, Micros(9), Room::Free);
        assert_eq!(state.given(user("7"), None), []);
        assert!(state.given.bytes() > 0);
        gone.users().for_each(|user| state.hint(post(), user, false));
        assert_eq!(state.given.bytes(), 0);

        let step = ImportStep { source: SourceId([1; 16]), from: 0, more: true, merge: true };
        let import = |edits: &[&str]| amendment(edits, &REMOVE, Once::Import(step));
        let before = state.bytes();
        let all = ["1"; 25];
        state.amend(&import(&all), Micros(10), Room::Free).expect("room enough");
        state.amend(&amendment(&["1"; 50], &REMOVE, TOKEN), Micros(10), Room::Free).expect("room");
        assert!(state.bytes() > before + 100, "{} and {before}", state.bytes());
        state.sweep(Micros(10).later(STEPS_KEPT));
        assert!(state.marks.get(&post(), Micros(11).later(STEPS_KEPT)).is_some());
        state.sweep(Micros(10).later(MARKS_KEPT));
        assert_eq!((state.bytes(), state.outcomes), (0, 0));
    }

    #[test]
    fn an_audit_adds_to_the_index_what_it_lacks() {
        let mut state = state();
        let put = amendment(&["1", "a|b", "3"], &PUT, Once::No);
        let revision = state.amend(&put, Micros(10), Room::Free).expect("room enough").revision;
        state.given.set(user("a|b"), post(), false);
        let asked: Vec<_> = ["1", "a|b", "9"]
            .map(|id| ("like".parse::<Reaction>().expect("a reaction"), user(id)))
            .to_vec();
        let found =
            |repaired, revision| Audited { drift: vec![Drift::NotIndexed(1)], repaired, revision };
        assert_eq!(state.audit(post(), &asked, false, Micros(20)), found(false, revision));
        let repaired = state.audit(post(), &asked, true, Micros(9000));
        assert_eq!(repaired, found(true, Revision(9000)));
        let sound = state.audit(post(), &asked, true, Micros(9001));
        assert_eq!((sound.drift, sound.repaired, sound.revision), (vec![], false, Revision(9000)));
        assert_eq!(state.given(user("a|b"), None).len(), 1);
    }
}
