//! One post in memory, changed by the rule of a tap. The caller passes the time.

use std::collections::BTreeMap;

use super::members::Members;
use super::{
    Before, Change, Decision, Micros, Outcome, Position, PostId, Reaction, ReactionSummary,
    Reactor, Revision, Summary, Tap, UserId, decide,
};

/// The state of one post.
///
/// A store drops a post when its last reaction is gone, and raises the *floor* of its partition to
/// the post's last revision. The floor is the revision of every post without state. So the
/// revisions of a post go on upwards when it gets reactions again.
#[derive(Debug, Default)]
pub struct Post {
    revision: Option<Revision>,
    members: BTreeMap<Reaction, Members>,
}

impl Post {
    /// Applies a tap to this post at `now`. Returns the outcome and, if the flag changed, the entry
    /// for the change log. `floor` is the floor of the post's partition.
    pub fn apply(&mut self, tap: &Tap, now: Micros, floor: Revision) -> (Outcome, Option<Change>) {
        let members = self.members.get(&tap.reaction).map_or(0, Members::count);
        let before = Before {
            active: self.has(tap),
            members,
            shown: members,
            others: self.members.len() > usize::from(members > 0),
            revision: self.revision_or(floor),
        };
        let Decision { outcome, change, .. } = decide(&before, tap, now);
        if outcome.changed {
            self.revision = Some(outcome.revision);
            if outcome.active {
                self.members.entry(tap.reaction.clone()).or_default().add(tap.user, now);
            } else {
                self.remove(&tap.reaction, tap.user);
            }
        }
        (outcome, change)
    }

    /// The summary of this post for `viewer`, with the `recent` newest users of each reaction.
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
            recent: reactors(reaction, members, None).take(recent).collect(),
        });
        Summary::new(post, self.revision_or(floor), reactions.collect())
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

    /// Whether the user of the tap has its reaction.
    pub fn has(&self, tap: &Tap) -> bool {
        self.members.get(&tap.reaction).is_some_and(|members| members.contains(tap.user))
    }

    /// Whether the post has no reaction.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
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

    const FLOOR: Revision = Revision(0);

    fn tap(verb: Verb, user: u64, reaction: &str) -> Tap {
        Tap {
            post: "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id"),
            user: user.try_into().expect("a user id"),
            reaction: reaction.parse().expect("a reaction"),
            verb,
            keyed: None,
        }
    }

    #[test]
    fn a_toggle_flips_and_says_so() {
        let mut post = Post::default();
        let (on, change) = post.apply(&tap(Verb::Toggle, 7, "like"), Micros(100), FLOOR);
        assert_eq!(
            on,
            Outcome {
                active: true,
                changed: true,
                count: 1,
                revision: Revision(100),
                replayed: false
            }
        );
        let change = change.expect("a change");
        assert!(change.active);
        assert_eq!(change.occurred_at, Micros(100));
        let (off, _) = post.apply(&tap(Verb::Toggle, 7, "like"), Micros(100), FLOOR);
        assert_eq!(
            off,
            Outcome {
                active: false,
                changed: true,
                count: 0,
                revision: Revision(201),
                replayed: false
            }
        );
    }

    #[test]
    fn repeating_set_and_unset_changes_nothing() {
        let mut post = Post::default();
        let (first, change) = post.apply(&tap(Verb::Unset, 7, "like"), Micros(5), Revision(3));
        assert_eq!(
            first,
            Outcome {
                active: false,
                changed: false,
                count: 0,
                revision: Revision(3),
                replayed: false
            }
        );
        assert_eq!(change, None);
        post.apply(&tap(Verb::Set, 7, "like"), Micros(10), FLOOR);
        let (again, change) = post.apply(&tap(Verb::Set, 7, "like"), Micros(20), FLOOR);
        assert_eq!(
            again,
            Outcome {
                active: true,
                changed: false,
                count: 1,
                revision: Revision(10),
                replayed: false
            }
        );
        assert_eq!(change, None);
        // The time of a reaction is that of the tap that made it.
        assert_eq!(post.reactors(None, None, 9)[0].reacted_at, Micros(10));
    }

    #[test]
    fn revisions_rise_through_a_clock_that_goes_back_and_an_emptied_post() {
        let mut post = Post::default();
        let mut last = 0;
        for (clock, user) in [(100, 1), (100, 1), (90, 1), (90, 1), (50, 2), (200, 2)] {
            let (outcome, _) = post.apply(&tap(Verb::Toggle, user, "like"), Micros(clock), FLOOR);
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
            post.apply(&tap(Verb::Set, user, reaction), Micros(at), FLOOR);
        }
        let order = |reactors: &[Reactor]| -> Vec<(u64, String)> {
            reactors.iter().map(|r| (r.user.get(), r.reaction.to_string())).collect()
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

    #[test]
    fn a_summary_leaves_out_what_nobody_has() {
        let mut post = Post::default();
        post.apply(&tap(Verb::Set, 1, "sad"), Micros(1), FLOOR);
        for user in 1..=3 {
            post.apply(&tap(Verb::Set, user, "like"), Micros(1 + user), FLOOR);
        }
        post.apply(&tap(Verb::Set, 1, "love"), Micros(9), FLOOR);
        post.apply(&tap(Verb::Unset, 1, "sad"), Micros(9), FLOOR);
        let id = tap(Verb::Set, 1, "sad").post;
        let summary = post.summary(id, Some(1.try_into().expect("a user id")), 2, FLOOR);
        assert_eq!(summary.total(), 4);
        assert_eq!(summary.revision, Revision(19));
        let seen: Vec<_> = summary
            .reactions
            .iter()
            .map(|r| (r.reaction.as_str(), r.count, r.mine, r.recent.len()))
            .collect();
        assert_eq!(seen, [("like", 3, Some(true), 2), ("love", 1, Some(true), 1)]);
        assert_eq!(summary.reactions[0].recent[0].user.get(), 3);
    }
}
