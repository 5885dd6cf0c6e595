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
        reactors.iter().map(|r| (r.user.integer().unwrap_or(0), r.reaction.to_string())).collect()
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
