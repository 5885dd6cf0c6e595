//! What imports, exports and jobs do to a partition.

use super::partition::{PartitionState, Room};
use super::{Given, StoreError};
use crate::domain::machine::Post;
use crate::domain::{
    AmendDecision, Amended, Amendment, Micros, Once, PostId, Reaction, Revision, UserId,
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
        if let Some(mark) = mark {
            self.marks.put(post, mark, now);
        }
        if let Once::Step(token) = &amendment.once {
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
