//! Law 19: the steps of imports.

use onetap::domain::{
    Add, Edit, Forget, ImportOutcome, ImportStep, MOST_EDITS, Rules, RulesEdit, SourceId, What,
};

use super::*;
use ImportOutcome::{Applied, Behind, Done, LiveTaps};

fn rows(post: PostId, source: u8, from: u64, merge: bool, edits: Vec<MemberEdit>) -> Amendment {
    let step = ImportStep { source: SourceId([source; 16]), from, more: false, merge };
    amendment(post, edits, Once::Import(step))
}

/// A step that more rows of the post follow.
fn with_more(mut step: Amendment) -> Amendment {
    let Once::Import(import) = &mut step.once else { panic!("no step of an import") };
    import.more = true;
    step
}

fn likes(post: PostId, source: u8, from: u64, users: &[u64]) -> Amendment {
    rows(post, source, from, false, users.iter().map(|id| put(*id, "like", *id)).collect())
}

pub(super) async fn law_19_a_step_of_an_import_is_applied_once(store: AnyStore) {
    use EditOutcome::{Added, Unchanged};
    let post = post();
    let early = amend(&store, likes(post, 1, 2, &[3])).await;
    assert_eq!((early.import, early.outcomes), (Behind, vec![Unchanged]));
    assert!(members(&store, post).await.is_empty());
    let first = amend(&store, likes(post, 1, 0, &[1, 2])).await;
    assert_eq!((first.import, first.outcomes), (Applied, vec![Added; 2]));
    for _ in 0..2 {
        let again = amend(&store, likes(post, 1, 0, &[1, 2])).await;
        assert_eq!((again.import, again.outcomes), (Done, vec![Unchanged; 2]));
        assert_eq!(again.revision, first.revision);
    }
    // A step that overlaps applies the rows that are not done.
    let more = amend(&store, likes(post, 1, 1, &[2, 3, 4])).await;
    assert_eq!((more.import, more.outcomes), (Applied, vec![Unchanged, Added, Added]));
    assert_eq!(amend(&store, likes(post, 1, 5, &[6])).await.import, Behind);
    // Rows that are so already count as done.
    let same = amend(&store, likes(post, 1, 4, &[1])).await;
    assert_eq!((same.import, same.revision), (Applied, more.revision));
    assert_eq!(amend(&store, likes(post, 1, 5, &[6])).await.import, Applied);
    assert_eq!(amend(&store, likes(post, 1, 3, &[4, 1, 6])).await.import, Done);
    // Another file begins at its first row.
    assert_eq!(amend(&store, likes(post, 2, 1, &[9])).await.import, Behind);
    assert_eq!(amend(&store, likes(post, 2, 0, &[9])).await.import, Applied);
    let left = [1, 2, 3, 4, 6, 9].map(|id| (id, "like", id));
    assert_eq!(members(&store, post).await, expected(&left));
    log_leads_to_the_members(&store, post).await;
}

pub(super) async fn law_19_an_import_leaves_live_taps_alone(store: AnyStore) {
    use EditOutcome::{Added, Lost};
    let post = post();
    act(&store, Verb::Set, post, 1, "like").await;
    let skipped = amend(&store, likes(post, 1, 0, &[2])).await;
    let shown = summary(&store, post, None, 0).await;
    assert_eq!((skipped.import, skipped.revision), (LiveTaps, shown.revision));
    assert_eq!(members(&store, post).await.len(), 1);
    // With `merge` a row that is not newer than the last tap is lost.
    let later = |id, at: u64| put(id, "like", at);
    let last = shown.revision.0;
    let list = vec![
        later(2, last),
        later(3, last + 1),
        edit(1, "like", EditAct::RemoveUpTo(Micros(last))),
    ];
    let merged = amend(&store, rows(post, 1, 0, true, list.clone())).await;
    assert_eq!((merged.import, &merged.outcomes[..]), (Applied, &[Lost, Added, Lost][..]));
    assert_eq!(amend(&store, rows(post, 1, 0, true, list)).await.import, Done);
    // The import itself raised the revision, and that was no tap.
    let next = amend(&store, rows(post, 1, 3, true, vec![later(4, last + 1)])).await;
    assert_eq!((next.import, next.outcomes), (Applied, vec![Added]));
    // A live removal leaves no trace, and must not be undone, by the next file either.
    let removed = act(&store, Verb::Unset, post, 3, "like").await;
    let back = |source, from| rows(post, source, from, true, vec![later(3, last + 1)]);
    let undone = amend(&store, back(1, 4)).await;
    assert_eq!((undone.outcomes, undone.revision), (vec![Lost], removed.revision));
    assert_eq!(amend(&store, back(2, 0)).await.outcomes, [Lost]);
    assert_eq!(amend(&store, likes(post, 3, 0, &[3])).await.import, LiveTaps);
    // An amendment of a job is no import, and so is its revision none of the mark.
    let other = crate::support::post();
    assert_eq!(amend(&store, likes(other, 1, 0, &[1])).await.import, Applied);
    edits(&store, other, vec![put(2, "like", 2)]).await;
    assert_eq!(amend(&store, likes(other, 2, 0, &[3])).await.import, LiveTaps);
}

pub(super) async fn law_19_an_import_of_removals_empties_posts(store: AnyStore) {
    let (post, same) = two_posts_of_one_partition();
    let remove = |id| edit(id, "like", EditAct::RemoveUpTo(Micros(1000)));
    // The other post is emptied first, so that the floor is not that of the post.
    amend(&store, likes(post, 1, 0, &[1, 2])).await;
    act(&store, Verb::Toggle, same, 1, "like").await;
    act(&store, Verb::Toggle, same, 1, "like").await;
    let emptied = amend(&store, rows(post, 2, 0, false, vec![remove(1), remove(2)])).await;
    assert_eq!((emptied.import, emptied.outcomes), (Applied, vec![EditOutcome::Removed; 2]));
    assert!(summary(&store, post, None, 0).await.is_blank());
    // The post is untouched now.
    let again = amend(&store, rows(post, 2, 0, false, vec![remove(1)])).await;
    assert_eq!((again.import, again.outcomes), (Applied, vec![EditOutcome::Unchanged]));
    assert_eq!(amend(&store, rows(post, 2, 1, false, vec![remove(2)])).await.import, Behind);
    // A step that more rows follow keeps its mark.
    let all = with_more(rows(post, 2, 0, false, vec![remove(1), remove(2)]));
    assert_eq!(amend(&store, all.clone()).await.import, Applied);
    assert_eq!(amend(&store, all).await.import, Done);
    let more = amend(&store, rows(post, 2, 2, false, vec![put(7, "like", 7)])).await;
    assert_eq!(more.import, Applied);
    assert_eq!(amend(&store, likes(post, 3, 0, &[8])).await.import, Applied);
    // A tap that empties the post is a live tap.
    for id in [7, 8] {
        act(&store, Verb::Unset, post, id, "like").await;
    }
    assert_eq!(amend(&store, likes(post, 4, 0, &[8])).await.import, LiveTaps);
    // Also after a step that merges no row.
    let lost = amend(&store, rows(post, 4, 0, true, vec![put(8, "like", 8)])).await;
    assert_eq!((lost.import, lost.outcomes), (Applied, vec![EditOutcome::Lost]));
    assert_eq!(amend(&store, likes(post, 5, 0, &[8])).await.import, LiveTaps);
}

/// Each way in which a post can become empty, at a neighbour in the partition of an emptied post.
pub(super) async fn law_19_an_emptied_post_is_untouched_whatever_its_neighbours_do(
    store: AnyStore,
) {
    let remove = |id| edit(id, "like", EditAct::RemoveUpTo(Micros(1000)));
    for way in 0..3 {
        let (post, same) = two_posts_of_one_partition();
        amend(&store, likes(post, 1, 0, &[1, 2])).await;
        amend(&store, rows(post, 2, 0, false, vec![remove(1), remove(2)])).await;
        let off = amend(&store, rows(post, 3, 0, false, vec![remove(3)])).await;
        assert_eq!((off.import, off.outcomes), (Applied, vec![EditOutcome::Unchanged]));
        match way {
            0 => {
                act(&store, Verb::Set, same, 1, "like").await;
                act(&store, Verb::Unset, same, 1, "like").await;
            }
            1 => {
                act(&store, Verb::Set, same, 1, "like").await;
                let forget = Forget { post: same, reaction: None, actor: None };
                store.forget(forget, soon()).await.unwrap();
            }
            _ => {
                amend(&store, likes(same, 1, 0, &[1])).await;
                amend(&store, rows(same, 2, 0, false, vec![remove(1)])).await;
            }
        }
        assert!(summary(&store, post, None, 0).await.revision > off.revision, "way {way}");
        let next = amend(&store, likes(post, 4, 0, &[7])).await;
        assert_eq!((next.import, next.outcomes), (Applied, vec![EditOutcome::Added]), "way {way}");
    }
}

/// Two runs of one import, while users tap: no row applies over a tap, and none twice.
pub(super) async fn law_19_imports_race_with_taps(store: AnyStore) {
    let posts = crate::support::posts(20);
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let (store, posts) = (store.clone(), posts.clone());
            tokio::spawn(async move {
                let mut applied = 0;
                for step in 0..5_u64 {
                    let users: Vec<_> = (0..4).map(|n| 1 + step * 4 + n).collect();
                    let list = posts.iter().map(|post| likes(*post, 1, step * 4, &users)).collect();
                    for answer in store.amend(list, soon()).await {
                        let amended = answer.unwrap();
                        let added =
                            amended.outcomes.iter().filter(|it| **it == EditOutcome::Added).count();
                        assert!(added == 4 || added == 0 && amended.import != Applied);
                        applied += added;
                    }
                }
                applied
            })
        })
        .collect();
    let tapped = &posts[..10];
    for post in tapped {
        act(&store, Verb::Set, *post, 900, "sad").await;
        tokio::task::yield_now().await;
    }
    let mut applied = 0;
    for run in runs {
        applied += run.await.unwrap();
    }
    let mut found = 0;
    for (n, post) in posts.iter().enumerate() {
        let members = members(&store, *post).await;
        let rows = members.len() - usize::from(n < 10);
        assert!(rows.is_multiple_of(4) && (n < 10 || rows == 20), "{n}: {members:?}");
        found += rows;
        log_leads_to_the_members(&store, *post).await;
    }
    assert_eq!(found, applied, "each row was added once");
}

/// A post of several steps, while users tap.
pub(super) async fn law_19_a_large_post_comes_in_whole(store: AnyStore) {
    use EditOutcome::{Added, Unchanged};
    let post = post();
    assert_eq!(amend(&store, likes(post, 1, 0, &[1, 2])).await.import, Applied);
    for (verb, id, name) in
        [(Verb::Set, 5, "like"), (Verb::Set, 9, "sad"), (Verb::Unset, 1, "like")]
    {
        act(&store, verb, post, id, name).await;
    }
    let tapped = members(&store, post).await;
    // The step that is judged is the first one.
    let judged = amend(&store, likes(post, 1, 0, &[1, 2, 3])).await;
    assert_eq!(judged.import, LiveTaps);
    let next = amend(&store, likes(post, 1, 2, &[3, 4])).await;
    assert_eq!((next.import, next.outcomes), (Applied, vec![Added; 2]));
    // It undoes no newer tap.
    let off = edit(9, "sad", EditAct::RemoveUpTo(Micros(1000)));
    let last = amend(&store, rows(post, 1, 4, false, vec![put(5, "like", 5), off])).await;
    assert_eq!((last.import, last.outcomes), (Applied, vec![Unchanged; 2]));
    let imported = expected(&[(3, "like", 3), (4, "like", 4)]);
    let mut whole = [tapped, imported].concat();
    whole.sort();
    assert_eq!(members(&store, post).await, whole);
    assert_eq!(amend(&store, likes(post, 1, 7, &[8])).await.import, Behind);
    // Another file still sees that somebody has tapped, and so it does if the post became empty.
    assert_eq!(amend(&store, likes(post, 2, 0, &[8])).await.import, LiveTaps);
    for (id, name) in [(2, "like"), (3, "like"), (4, "like"), (5, "like"), (9, "sad")] {
        act(&store, Verb::Unset, post, id, name).await;
    }
    let off = edit(7, "like", EditAct::RemoveUpTo(Micros(1000)));
    assert_eq!(amend(&store, rows(post, 1, 6, false, vec![off])).await.import, Applied);
    assert_eq!(amend(&store, likes(post, 2, 0, &[8])).await.import, LiveTaps);
}

/// Many changes at once take the revision of a post ahead of the clock, but not what a file must be
/// newer than.
pub(super) async fn law_19_rows_are_compared_with_the_clock_at_most(store: AnyStore) {
    let post = post();
    let many = (0..MOST_EDITS as u64).map(|n| put(1, "like", n + 1)).collect::<Vec<_>>();
    for _ in 0..5 {
        edits(&store, post, many.clone()).await;
        edits(&store, post, vec![edit(1, "like", EditAct::RemoveUpTo(Micros(5000)))]).await;
    }
    let ahead = edits(&store, post, vec![put(1, "like", 1)]).await.revision.0;
    let first = amend(&store, rows(post, 1, 0, true, vec![put(2, "like", 2)])).await;
    assert_eq!(first.outcomes, [EditOutcome::Lost]);
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    assert!(ahead > clock, "{ahead} and {clock}");
    let next = amend(&store, rows(post, 2, 0, true, vec![put(2, "like", clock)])).await;
    assert_eq!(next.outcomes, [EditOutcome::Added]);
}

pub(super) async fn law_19_a_forgotten_post_is_untouched(store: AnyStore) {
    let post = post();
    let forget = async |name: Option<&str>| {
        let forget = Forget { post, reaction: name.map(reaction), actor: None };
        store.forget(forget, soon()).await.unwrap().removed
    };
    assert_eq!(amend(&store, likes(post, 1, 0, &[1, 2])).await.import, Applied);
    act(&store, Verb::Set, post, 9, "sad").await;
    // One reaction is not the post.
    assert_eq!(forget(Some("like")).await, 2);
    assert_eq!(amend(&store, likes(post, 1, 0, &[1, 2])).await.import, Done);
    assert_eq!(amend(&store, likes(post, 2, 0, &[1])).await.import, LiveTaps);
    assert_eq!(forget(None).await, 1);
    let again = amend(&store, likes(post, 1, 0, &[1, 2])).await;
    assert_eq!((again.import, again.outcomes), (Applied, vec![EditOutcome::Added; 2]));
    // Also if nothing is left to forget.
    for id in [1, 2] {
        act(&store, Verb::Unset, post, id, "like").await;
    }
    assert_eq!(amend(&store, likes(post, 2, 0, &[1])).await.import, LiveTaps);
    assert_eq!(forget(None).await, 0);
    assert_eq!(amend(&store, likes(post, 2, 0, &[1])).await.import, Applied);
    assert_eq!(members(&store, post).await, expected(&[(1, "like", 1)]));
}

fn locked() -> Rules {
    Rules { locked: true, ..Rules::default() }
}

fn ruled(amendment: Amendment, rules: Rules) -> Amendment {
    Amendment { rules: Some(rules), ..amendment }
}

async fn lock(store: &AnyStore, post: PostId, locked: bool) {
    let edit = RulesEdit { post, edit: Edit::Lock(locked), actor: None };
    assert!(store.rule(edit, soon()).await.unwrap().changed);
}

async fn rules_of(store: &AnyStore, post: PostId) -> Rules {
    summary(store, post, None, 0).await.rules
}

pub(super) async fn law_19_rules_come_in_with_the_rows(store: AnyStore) {
    use EditOutcome::{Lost, Moved, Unchanged};
    let post = post();
    let first = amend(&store, ruled(likes(post, 1, 0, &[1]), locked())).await;
    assert_eq!((first.import, first.rules), (Applied, Moved));
    let shown = summary(&store, post, None, 0).await;
    assert_eq!((shown.rules, shown.revision), (locked(), first.revision));
    // A second run locks nothing again that a moderator has unlocked.
    lock(&store, post, false).await;
    let again = amend(&store, ruled(likes(post, 1, 0, &[1]), locked())).await;
    assert_eq!((again.import, again.rules), (Done, Unchanged));
    assert_eq!(rules_of(&store, post).await, Rules::default());
    // Nor does a file that merges over live taps.
    let merged = rows(post, 2, 0, true, vec![put(2, "like", 2)]);
    let merged = amend(&store, ruled(merged, locked())).await;
    assert_eq!((merged.import, merged.rules), (Applied, Lost));
    assert_eq!(rules_of(&store, post).await, Rules::default());

    // The rules are no live tap: the next file goes on, and it may change them.
    let other = crate::support::post();
    let qa = Rules { palette: "qa".parse().ok(), add: Add::Existing, locked: true };
    let first = amend(&store, ruled(likes(other, 1, 0, &[1]), qa.clone())).await;
    assert_eq!((first.rules, rules_of(&store, other).await), (Moved, qa.clone()));
    let same = amend(&store, ruled(likes(other, 2, 0, &[2]), qa.clone())).await;
    assert_eq!((same.import, same.rules), (Applied, Unchanged));
    let next = amend(&store, ruled(likes(other, 3, 0, &[]), Rules::default())).await;
    assert_eq!((next.import, next.rules), (Applied, Moved));
    assert_eq!(rules_of(&store, other).await, Rules::default());
    assert_eq!(amend(&store, likes(other, 4, 0, &[3])).await.import, Applied);
    let entries = changes(&store, other).await.into_iter().map(|change| change.what);
    let of_rules: Vec<_> = entries.filter(|what| !matches!(what, What::Reaction { .. })).collect();
    let expected = [
        What::Locked(true),
        What::Rules(qa.palette, Add::Existing),
        What::Locked(false),
        What::Rules(None, Add::All),
    ];
    assert_eq!(of_rules, expected);

    // A post that has nothing but rules, and then nothing.
    let bare = crate::support::post();
    for (source, rules, blank) in [(1, locked(), false), (2, Rules::default(), true)] {
        let step = || ruled(likes(bare, source, 0, &[]), rules.clone());
        let amended = amend(&store, step()).await;
        assert_eq!((amended.import, amended.rules), (Applied, Moved));
        assert_eq!(summary(&store, bare, None, 0).await.is_blank(), blank);
        let again = amend(&store, step()).await;
        assert_eq!((again.rules, again.revision), (Unchanged, amended.revision));
    }

    // Somebody taps between two steps of a large post, or changes its rules.
    for (by_moderator, outcome) in [(false, Moved), (true, Lost)] {
        let large = crate::support::post();
        amend(&store, likes(large, 1, 0, &[1, 2])).await;
        act(&store, Verb::Set, large, 9, "like").await;
        if by_moderator {
            let edit = Edit::Rules(None, Add::None);
            store.rule(RulesEdit { post: large, edit, actor: None }, soon()).await.unwrap();
        }
        let last = amend(&store, ruled(likes(large, 1, 2, &[3]), locked())).await;
        assert_eq!((last.import, last.rules), (Applied, outcome));
        assert_eq!(rules_of(&store, large).await.locked, !by_moderator);
    }
}

pub(super) async fn law_19_a_dry_run_answers_what_a_step_would(store: AnyStore) {
    use EditOutcome::{Added, Moved, Unchanged};
    let post = post();
    let dry =
        async |amendment: Amendment| amend(&store, Amendment { dry_run: true, ..amendment }).await;
    let rows = ruled(likes(post, 1, 0, &[1, 2]), locked());
    let would = dry(rows.clone()).await;
    assert_eq!((would.import, &would.outcomes[..], would.rules), (Applied, &[Added; 2][..], Moved));
    assert!(summary(&store, post, None, 0).await.is_blank());
    // As if the steps before it had been applied.
    let later = dry(likes(post, 1, 2, &[3])).await;
    assert_eq!((later.import, later.outcomes), (Applied, vec![Added]));
    assert_eq!(amend(&store, likes(post, 1, 2, &[3])).await.import, Behind);
    let done = amend(&store, rows.clone()).await;
    assert_eq!((done.import, done.outcomes), (Applied, vec![Added; 2]));
    assert_eq!(dry(rows).await.import, Done);
    let more = dry(likes(post, 1, 1, &[2, 3])).await;
    assert_eq!((more.outcomes, more.revision), (vec![Unchanged, Added], done.revision));
    lock(&store, post, false).await;
    act(&store, Verb::Unset, post, 1, "like").await;
    assert_eq!(dry(likes(post, 2, 0, &[4])).await.import, LiveTaps);
    assert_eq!(members(&store, post).await, expected(&[(2, "like", 2)]));
    // A step of a job keeps no answer.
    let step = || amendment(post, vec![put(5, "like", 5)], token(9));
    assert_eq!(dry(step()).await.outcomes, [Added]);
    let first = amend(&store, step()).await;
    assert_eq!((first.outcomes, first.replayed), (vec![Added], false));
    assert!(dry(step()).await.replayed);
}
