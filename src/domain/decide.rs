//! The rule of a tap. The memory store and the file store call it; tests compare the Lua scripts
//! with it.

use super::{Cause, Change, Micros, Outcome, Revision, Tap};

/// The state that a store reads before a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// Whether the user has the reaction.
    pub active: bool,
    /// How many users have the reaction.
    pub members: u64,
    /// The count that readers see. It differs only if someone else wrote to the store.
    pub shown: u64,
    /// Whether the post has any other reaction.
    pub others: bool,
    /// The revision of the post, or the floor of its partition if the post has no state.
    pub revision: Revision,
}

/// What a store must do in one step, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub outcome: Outcome,
    /// The entry for the change log, if the flag changes.
    pub change: Option<Change>,
    /// The write to the post.
    pub post: PostWrite,
}

/// What a tap does to a post's counts and revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostWrite {
    /// They stay.
    Keep,
    /// The store writes the outcome's count and revision. It keeps no count of zero.
    Write,
    /// The post has no reaction left. The store deletes it, and raises the partition's floor to the
    /// outcome's revision, unless the floor is higher.
    Empty,
}

/// Decides a tap at `now`, by the store's clock.
pub fn decide(before: &Before, tap: &Tap, now: Micros) -> Decision {
    let active = tap.verb.turns(before.active);
    let changed = active != before.active;
    let count = match (changed, active) {
        (true, true) => before.members + 1,
        (true, false) => before.members.saturating_sub(1),
        (false, _) => before.members,
    };
    // Corrects a count that someone else falsified. Readers see that, so the revision rises.
    let post = match changed || count != before.shown {
        false => PostWrite::Keep,
        true if count == 0 && !before.others => PostWrite::Empty,
        true => PostWrite::Write,
    };
    let revision = match post {
        PostWrite::Keep => before.revision,
        PostWrite::Write | PostWrite::Empty => Revision::next(before.revision, now),
    };
    let change = changed.then(|| Change {
        post: tap.post,
        user: tap.user,
        reaction: tap.reaction.clone(),
        active,
        revision,
        occurred_at: now,
        cause: Cause::Tap,
    });
    let outcome = Outcome { active, changed, count, revision, replayed: false };
    Decision { outcome, change, post }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Verb;

    const BEFORE: Before =
        Before { active: false, members: 0, shown: 0, others: false, revision: Revision(10) };

    fn decided(verb: Verb, before: Before) -> (Outcome, PostWrite, bool) {
        let tap = Tap {
            post: "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id"),
            user: 1.try_into().expect("a user id"),
            reaction: "like".parse().expect("a reaction"),
            verb,
            keyed: None,
        };
        let Decision { outcome, change, post } = decide(&before, &tap, Micros(50));
        (outcome, post, change.is_some())
    }

    fn outcome(active: bool, changed: bool, count: u64, revision: u64) -> Outcome {
        let revision = Revision(revision);
        Outcome { active, changed, count, revision, replayed: false }
    }

    #[test]
    fn a_flag_that_flips_moves_the_count_and_the_revision() {
        let on = outcome(true, true, 1, 50);
        assert_eq!(decided(Verb::Toggle, BEFORE), (on, PostWrite::Write, true));
        assert_eq!(decided(Verb::Set, BEFORE), (on, PostWrite::Write, true));
        let held = Before { active: true, members: 3, shown: 3, ..BEFORE };
        let off = outcome(false, true, 2, 50);
        assert_eq!(decided(Verb::Toggle, held), (off, PostWrite::Write, true));
        assert_eq!(decided(Verb::Unset, held), (off, PostWrite::Write, true));
    }

    #[test]
    fn a_flag_that_stays_writes_nothing() {
        let held = Before { active: true, members: 3, shown: 3, ..BEFORE };
        let kept = (outcome(true, false, 3, 10), PostWrite::Keep, false);
        assert_eq!(decided(Verb::Set, held), kept);
        let none = (outcome(false, false, 0, 10), PostWrite::Keep, false);
        assert_eq!(decided(Verb::Unset, BEFORE), none);
    }

    #[test]
    fn a_count_that_is_false_is_healed_and_has_no_entry_in_the_log() {
        let held = Before { active: true, members: 3, shown: 9, ..BEFORE };
        assert_eq!(
            decided(Verb::Set, held),
            (outcome(true, false, 3, 50), PostWrite::Write, false)
        );
        let gone = Before { shown: 9, ..BEFORE };
        let healed = (outcome(false, false, 0, 50), PostWrite::Empty, false);
        assert_eq!(decided(Verb::Unset, gone), healed);
    }

    #[test]
    fn the_last_reaction_takes_the_post_with_it() {
        let last = Before { active: true, members: 1, shown: 1, ..BEFORE };
        let off = outcome(false, true, 0, 50);
        assert_eq!(decided(Verb::Unset, last), (off, PostWrite::Empty, true));
        let others = Before { others: true, ..last };
        assert_eq!(decided(Verb::Unset, others), (off, PostWrite::Write, true));
    }
}
