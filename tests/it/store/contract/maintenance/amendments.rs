//! Law 18, and the first half of law 19: edits, and steps that are repeated.

use onetap::domain::{Add, Edit, RulesEdit, What};

use super::*;

pub(super) async fn law_18_edits_apply_in_their_order_and_have_entries(store: AnyStore) {
    use EditOutcome::{Added, Moved, Removed, Unchanged};
    let (post, same) = two_posts_of_one_partition();
    let before = act(&store, Verb::Set, post, 1, "like").await.revision;
    let list = vec![
        put(2, "like", 7),
        put(2, "like", 7),
        edit(2, "like", EditAct::RemoveAt(Micros(7))),
        edit(2, "like", EditAct::Restore(Micros(8))),
        edit(1, "like", EditAct::Merge { at: Micros(3), excluded: [].into() }),
        put(3, "👍", 1_767_225_600_000_000),
        put(4, "👍", 5),
        edit(4, "👍", EditAct::RemoveUpTo(Micros(5))),
        edit(9, "sad", EditAct::RemoveUpTo(Micros(u64::MAX >> 12))),
    ];
    let actor = Some(user(77));
    let request =
        Amendment { cause: Cause::Moderate, actor, ..amendment(post, list.clone(), Once::No) };
    let amended = amend(&store, request).await;
    let did = [Added, Unchanged, Removed, Added, Moved, Added, Added, Removed, Unchanged];
    assert_eq!(amended.outcomes, did);
    assert!(!amended.replayed && amended.revision > before);
    let left = [(1, "like", 3), (2, "like", 8), (3, "👍", 1_767_225_600_000_000)];
    assert_eq!(members(&store, post).await, expected(&left));
    assert_eq!(summary(&store, post, None, 0).await.revision, amended.revision);
    let logged = changes(&store, post).await.split_off(1);
    let told: Vec<_> = logged
        .iter()
        .map(|change| {
            let (user, name, active) = change.flag().unwrap();
            assert!(matches!(change.what, What::Reaction { cause: Cause::Moderate, .. }));
            assert_eq!(change.actor, actor);
            // The entry has the time of the step, not that of the reaction.
            assert!(change.occurred_at.0 > 1_700_000_000_000_000);
            (user.integer().unwrap(), name.to_string(), active)
        })
        .collect();
    let entries = [
        (2, "like", true),
        (2, "like", false),
        (2, "like", true),
        (1, "like", true),
        (3, "👍", true),
        (4, "👍", true),
        (4, "👍", false),
    ];
    assert_eq!(told, entries.map(|(id, name, on)| (id, name.to_owned(), on)));
    assert!(logged.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    assert_eq!(logged.last().unwrap().revision, amended.revision);
    // A repetition of what is so already writes nothing.
    let puts = left.map(|(id, name, at)| put(id, name, at)).to_vec();
    let again = edits(&store, post, puts).await;
    assert_eq!((again.outcomes, again.revision), (vec![Unchanged; 3], amended.revision));
    assert_eq!(changes(&store, post).await.len(), 1 + entries.len());
    // The step that empties a post raises the floor.
    let removals = left.map(|(id, name, _)| edit(id, name, EditAct::RemoveUpTo(Micros(1 << 51))));
    let emptied = edits(&store, post, removals.to_vec()).await;
    assert_eq!(emptied.outcomes, [Removed; 3]);
    let blank = summary(&store, post, None, 0).await;
    assert!(blank.is_blank() && blank.revision == emptied.revision);
    assert_eq!(summary(&store, same, None, 0).await.revision, emptied.revision);
    let nothing = edits(&store, same, vec![edit(1, "like", EditAct::RemoveAt(Micros(1)))]).await;
    assert_eq!((nothing.outcomes, nothing.revision), (vec![Unchanged], emptied.revision));
    assert!(edits(&store, same, vec![put(1, "like", 1)]).await.revision > emptied.revision);
}

pub(super) async fn law_18_what_was_taken_back_is_not_moved(store: AnyStore) {
    use EditOutcome::{Added, Lost, Removed, Unchanged};
    let excluded: std::sync::Arc<[_]> = [reaction("sad")].into();
    let cases: [(_, _, &[_]); 2] = [
        (10, [Removed, Added], &[(1, "love", 10)]),
        (11, [Unchanged, Lost], &[(1, "like", 11), (1, "sad", 5)]),
    ];
    for (since, outcomes, after) in cases {
        let post = post();
        edits(&store, post, vec![put(1, "like", since), put(1, "sad", 5)]).await;
        let away = edit(1, "like", EditAct::RemoveAt(Micros(10)));
        let to = EditAct::Move { at: Micros(10), excluded: excluded.clone() };
        let amended = edits(&store, post, vec![away, edit(1, "love", to)]).await;
        assert_eq!(amended.outcomes, outcomes);
        assert_eq!(members(&store, post).await, expected(after));
    }
}

pub(super) async fn law_18_edits_depend_on_the_time_of_a_member(store: AnyStore) {
    use EditOutcome::{Added, Lost, Moved, Removed, Unchanged};
    let at = Micros;
    let merge = |t, others: &[&str]| EditAct::Merge {
        at: at(t),
        excluded: others.iter().map(|name| reaction(name)).collect(),
    };
    type Held<'a> = &'a [(&'a str, u64)];
    // What the user has before, the edit of `like`, what it does, and what the user has afterwards.
    let cases: &[(Held<'_>, EditAct, EditOutcome, Held<'_>)] = &[
        (&[("like", 500)], EditAct::Put(at(400)), Unchanged, &[("like", 500)]),
        (&[("like", 500)], EditAct::Put(at(600)), Moved, &[("like", 600)]),
        (&[("like", 500)], EditAct::Restore(at(400)), Unchanged, &[("like", 500)]),
        (&[("like", 500)], merge(400, &[]), Moved, &[("like", 400)]),
        (&[("like", 500)], merge(600, &[]), Unchanged, &[("like", 500)]),
        (&[("-1", 600)], merge(500, &["-1", "sad"]), Lost, &[("-1", 600)]),
        (&[("-1", 500)], merge(500, &["-1", "sad"]), Added, &[("like", 500)]),
        (
            &[("-1", 400), ("sad", 600)],
            merge(500, &["-1", "sad"]),
            Lost,
            &[("-1", 400), ("sad", 600)],
        ),
        (&[("-1", 400), ("like", 450)], merge(500, &["-1"]), Unchanged, &[("like", 450)]),
        (&[("like", 900)], merge(500, &["like", "-1"]), Moved, &[("like", 500)]),
        (&[("like", 500)], EditAct::RemoveUpTo(at(500)), Removed, &[]),
        (&[("like", 501)], EditAct::RemoveUpTo(at(500)), Unchanged, &[("like", 501)]),
        (&[("like", 500)], EditAct::RemoveAt(at(500)), Removed, &[]),
        (&[("like", 499)], EditAct::RemoveAt(at(500)), Unchanged, &[("like", 499)]),
        (&[("like", 501)], EditAct::RemoveAt(at(500)), Unchanged, &[("like", 501)]),
    ];
    for (held, act, outcome, after) in cases {
        let post = post();
        let before = held.iter().map(|(name, since)| put(1, name, *since));
        edits(&store, post, before.chain([put(10, "like", 7)]).collect()).await;
        let entries = changes(&store, post).await.len();
        let amended = edits(&store, post, vec![edit(1, "like", act.clone())]).await;
        assert_eq!(amended.outcomes, [*outcome], "{held:?} {act:?}");
        let left = after.iter().map(|(name, since)| (1, *name, *since));
        let left: Vec<_> = left.chain([(10, "like", 7)]).collect();
        assert_eq!(members(&store, post).await, expected(&left), "{held:?} {act:?}");
        let written = changes(&store, post).await.len() - entries;
        assert_eq!(written == 0, held == after, "{held:?} {act:?}");
        assert_eq!(summary(&store, post, None, 0).await.revision, amended.revision);
    }
    // A live tap is later than any time of the past, and its time is that of the list.
    let post = post();
    act(&store, Verb::Set, post, 1, "like").await;
    let since = all(&store, post, None, 1).await[0].reacted_at;
    let up_to = |at| vec![edit(1, "like", EditAct::RemoveUpTo(Micros(at)))];
    assert_eq!(edits(&store, post, up_to(since.0 - 1)).await.outcomes, [Unchanged]);
    assert_eq!(edits(&store, post, up_to(since.0)).await.outcomes, [Removed]);
}

pub(super) async fn law_18_neither_rules_nor_palettes_judge(store: AnyStore) {
    let post = post();
    for edit in [Edit::Rules(Some("votes".parse().unwrap()), Add::None), Edit::Lock(true)] {
        store.rule(RulesEdit { post, edit, actor: None }, soon()).await.unwrap();
    }
    let many = (0..300).map(|n| put(1, &format!("r{n:03}"), 5)).collect();
    assert_eq!(edits(&store, post, many).await.outcomes, vec![EditOutcome::Added; 300]);
    let removals = (0..300).map(|n| format!("r{n:03}"));
    let removals = removals.map(|name| edit(1, &name, EditAct::RemoveAt(Micros(5)))).collect();
    assert_eq!(edits(&store, post, removals).await.outcomes, vec![EditOutcome::Removed; 300]);
    // The rules are still there, and with them the post.
    let shown = summary(&store, post, None, 0).await;
    assert!(shown.rules.locked && shown.total() == 0 && !shown.is_blank());
}

pub(super) async fn law_18_each_amendment_is_a_step_of_its_own(store: AnyStore) {
    let posts = crate::support::posts(40);
    let full: Vec<_> = (1..=1000).map(|id| put(id, "like", id)).collect();
    let long: Vec<_> = (1..=1001).map(|id| put(id, "like", id)).collect();
    let sizes = |n: usize| match n {
        7 => full.clone(),
        9 => long.clone(),
        n => vec![put(1, "like", n as u64 + 1)],
    };
    let list: Vec<_> = (0..40).map(|n| amendment(posts[n / 2], sizes(n), Once::No)).collect();
    let answers = store.amend(list, soon()).await;
    assert_eq!(answers.len(), 40);
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_err(), n == 9, "{n}: {answer:?}");
    }
    assert_eq!(members(&store, posts[3]).await.len(), 1000);
    assert_eq!(members(&store, posts[4]).await, expected(&[(1, "like", 9)]));
    // Of two amendments of a post the later one applies later.
    assert_eq!(members(&store, posts[0]).await, expected(&[(1, "like", 2)]));
    // The list of a user follows, also where one call adds and removes the same member.
    let add = |n: usize| amendment(posts[n], vec![put(777_777, "like", 5)], Once::No);
    let act = EditAct::RemoveAt(Micros(5));
    let remove = |n: usize| amendment(posts[n], vec![edit(777_777, "like", act.clone())], Once::No);
    let list = vec![add(20), remove(20), add(21), remove(21), add(21)];
    assert!(store.amend(list, soon()).await.iter().all(Result::is_ok));
    let given: Vec<_> =
        given(&store, user(777_777), 100).await.into_iter().map(|it| it.post).collect();
    assert!(given.contains(&posts[21]) && !given.contains(&posts[20]));
    let past = Deadline(Instant::now().checked_sub(Duration::from_millis(1)).unwrap());
    let late = amendment(posts[0], vec![put(2, "like", 1)], Once::No);
    let answers = store.amend(vec![late.clone(), late], past).await;
    assert!(answers.iter().all(|it| matches!(it, Err(StoreError::Unavailable(_)))), "{answers:?}");
    assert_eq!(members(&store, posts[0]).await.len(), 1);
    assert!(store.amend(Vec::new(), soon()).await.is_empty());
}

/// Ids of which one begins like another, or has what separates parts elsewhere.
pub(super) const TEXT_IDS: [&str; 10] =
    ["a", "A", "a|b", "a|b:c", "a:", ":a", "|", "7", "07", "@a:example.org"];

pub(super) async fn law_18_users_with_text_ids_stay_apart(store: AnyStore) {
    let post = post();
    let spelled = |id: &str, act| MemberEdit { user: id.parse().unwrap(), ..edit(1, "like", act) };
    let at = |n: usize| Micros(100 + n as u64);
    let puts = TEXT_IDS.iter().enumerate().map(|(n, id)| spelled(id, EditAct::Put(at(n))));
    let actor = Some("mod|1:a".parse().unwrap());
    let request = Amendment { actor, ..amendment(post, puts.collect(), token(1)) };
    assert_eq!(amend(&store, request).await.outcomes, [EditOutcome::Added; 10]);
    let listed = all(&store, post, Some("like"), 3).await;
    let listed: Vec<_> = listed.iter().rev().map(|it| it.user.to_string()).collect();
    assert_eq!(listed, TEXT_IDS);
    let logged = changes(&store, post).await;
    let logged = logged.iter().map(|it| (it.flag().unwrap().0.to_string(), it.actor));
    assert!(logged.eq(TEXT_IDS.map(|id| (id.to_owned(), actor))));
    for (n, id) in TEXT_IDS.iter().enumerate() {
        let other = spelled(id, EditAct::RemoveAt(at(n + 1)));
        let own = spelled(id, EditAct::RemoveAt(at(n)));
        let amended = edits(&store, post, vec![other, own]).await;
        assert_eq!(amended.outcomes, [EditOutcome::Unchanged, EditOutcome::Removed], "{id}");
        assert_eq!(all(&store, post, None, 20).await.len(), TEXT_IDS.len() - n - 1);
    }
}

/// Users tap, while jobs add, move and remove the same members.
pub(super) async fn law_18_amendments_race_with_taps(store: AnyStore) {
    let post = post();
    let taps: Vec<_> = (1..=6_u64)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..60 {
                    let name = ["like", "sad"][usize::try_from((n + id) % 2).unwrap()];
                    act(&store, Verb::Toggle, post, id, name).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let jobs: Vec<_> = (0..3_u64)
        .map(|job| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..30 {
                    let acts = (1..=6).map(|id| match (n + id + job) % 4 {
                        0 => edit(id, "like", EditAct::RemoveUpTo(Micros(1 << 51))),
                        1 => put(id, "like", 5 + n),
                        2 => edit(id, "sad", EditAct::Restore(Micros(7 + n))),
                        _ => edit(
                            id,
                            "like",
                            EditAct::Merge {
                                at: Micros(1 << 50),
                                excluded: [reaction("sad")].into(),
                            },
                        ),
                    });
                    let amended = edits(&store, post, acts.collect()).await;
                    assert_eq!(amended.outcomes.len(), 6);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in taps.into_iter().chain(jobs) {
        task.await.unwrap();
    }
    log_leads_to_the_members(&store, post).await;
}

pub(super) async fn law_19_a_repeated_step_answers_what_the_first_answered(store: AnyStore) {
    use EditOutcome::{Added, Moved, Unchanged};
    let post = post();
    edits(&store, post, vec![put(2, "like", 5)]).await;
    let list = vec![put(1, "like", 7), put(2, "like", 7), put(2, "like", 7)];
    let request = amendment(post, list, token(1));
    let first = amend(&store, request.clone()).await;
    assert_eq!((&first.outcomes[..], first.replayed), (&[Added, Moved, Unchanged][..], false));
    // Meanwhile users go on, and the post is emptied.
    for id in [1, 2] {
        act(&store, Verb::Unset, post, id, "like").await;
    }
    let entries = changes(&store, post).await;
    let again = amend(&store, request.clone()).await;
    assert_eq!(again, Amended { replayed: true, ..first.clone() });
    assert_eq!(changes(&store, post).await, entries);
    assert!(members(&store, post).await.is_empty());
    // Another step applies, also one that changed nothing, and that is kept, too.
    let nothing = vec![edit(1, "like", EditAct::RemoveAt(Micros(7)))];
    let other = amendment(post, nothing, token(2));
    let one = amend(&store, other.clone()).await;
    assert_eq!((one.outcomes.clone(), one.replayed), (vec![Unchanged], false));
    edits(&store, post, vec![put(1, "like", 7)]).await;
    assert_eq!(amend(&store, other).await, Amended { replayed: true, ..one });
    assert_eq!(members(&store, post).await.len(), 1);
    // A step that failed is not answered.
    let past = Deadline(Instant::now().checked_sub(Duration::from_millis(1)).unwrap());
    let third = amendment(post, vec![put(3, "like", 7)], token(3));
    assert!(store.amend(vec![third.clone()], past).await[0].is_err());
    assert!(!amend(&store, third).await.replayed);
}

pub(super) async fn law_19_of_all_runs_of_a_step_one_is_applied(store: AnyStore) {
    let post = post();
    let list: Vec<_> = (1..=500).map(|id| put(id, "like", id)).collect();
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let (store, list) = (store.clone(), list.clone());
            let pair =
                vec![amendment(post, list.clone(), token(9)), amendment(post, list, token(9))];
            tokio::spawn(async move { store.amend(pair, soon()).await })
        })
        .collect();
    let mut answers = Vec::new();
    for run in runs {
        answers.extend(run.await.unwrap().into_iter().map(Result::unwrap));
    }
    let (replays, first): (Vec<_>, Vec<_>) = answers.into_iter().partition(|it| it.replayed);
    assert_eq!(first.len(), 1);
    let replay = Amended { replayed: true, ..first[0].clone() };
    assert!(replays.iter().all(|it| *it == replay));
    assert_eq!(changes(&store, post).await.len(), 500);
}
