//! Laws 20 to 22: walks, what a user gave, audits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use onetap::domain::{Edit, Forget, RulesEdit};
use onetap::store::{Audited, USER_INDEX};

use super::amendments::TEXT_IDS;
use super::*;

async fn forget(store: &AnyStore, post: PostId, name: Option<&str>) {
    let forget = Forget { post, reaction: name.map(reaction), actor: None };
    store.forget(forget, soon()).await.unwrap();
}

async fn lock(store: &AnyStore, post: PostId, locked: bool) {
    store.rule(RulesEdit { post, edit: Edit::Lock(locked), actor: None }, soon()).await.unwrap();
}

pub(super) async fn law_20_a_walk_comes_by_every_post(store: AnyStore) {
    let posts = crate::support::posts(60);
    let (gone, ruled) = (&posts[50..55], &posts[55..]);
    for (post, id) in posts[..55].iter().zip(1..) {
        act(&store, Verb::Set, *post, id, "like").await;
        edits(&store, *post, vec![put(id, "👍", 5)]).await;
    }
    for post in ruled {
        lock(&store, *post, true).await;
    }
    for post in gone {
        forget(&store, *post, None).await;
    }
    let there: BTreeSet<_> = posts[..50].iter().chain(ruled).copied().collect();
    for limit in [1, 7, 1000] {
        let mut seen: BTreeMap<PostId, BTreeSet<Reaction>> = BTreeMap::new();
        for walked in walk(&store, limit).await {
            seen.entry(walked.post).or_default().extend(walked.seen);
        }
        let kinds = BTreeSet::from(["like", "👍"].map(reaction));
        assert!(seen.values().all(|names| names.is_subset(&kinds)), "{seen:?}");
        let found: BTreeSet<_> = seen.into_keys().collect();
        assert!(found.is_superset(&there), "{:?}", there.difference(&found));
        assert!(gone.iter().all(|post| !found.contains(post)), "nothing of them is left");
    }
    // Others come and go meanwhile.
    let stop = Arc::new(AtomicBool::new(false));
    let (others, tapper, stopped) = (crate::support::posts(40), store.clone(), Arc::clone(&stop));
    let taps = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            for post in &others {
                act(&tapper, Verb::Toggle, *post, 1, "like").await;
                tokio::task::yield_now().await;
            }
        }
    });
    for limit in [1, 3, 10] {
        let found: BTreeSet<_> = walk(&store, limit).await.into_iter().map(|it| it.post).collect();
        assert!(found.is_superset(&there), "{:?}", there.difference(&found));
    }
    stop.store(true, Ordering::Relaxed);
    taps.await.unwrap();
}

fn gave(list: &[Given]) -> Vec<(PostId, String, u64)> {
    list.iter().map(|it| (it.post, it.reaction.to_string(), it.reacted_at.0)).collect()
}

pub(super) async fn law_21_a_list_has_what_the_user_has(store: AnyStore) {
    let (first, same) = two_posts_of_one_partition();
    let posts = crate::support::posts(30);
    assert!(given(&store, user(1), 5).await.is_empty());
    // Equal times, within a partition and across partitions; other users whose ids begin alike.
    let mut expected = Vec::new();
    for post in posts.iter().chain([&first, &same]) {
        let (at, list) =
            (1000 + u64::from(post.partition().index() % 4 == 0), ["like", "👍", "+1"]);
        let own = list.map(|name| put(1, name, at));
        let others = [put(10, "like", at), put(11, "👍", at), put(2, "like", 9)];
        edits(&store, *post, own.into_iter().chain(others).collect()).await;
        expected.extend(list.map(|name| Given {
            reacted_at: Micros(at),
            post: *post,
            reaction: reaction(name),
        }));
    }
    expected.sort();
    expected.reverse();
    for limit in [1, 4, 7, 1000] {
        assert_eq!(given(&store, user(1), limit).await, expected, "in pages of {limit}");
    }
    // A live tap is the newest.
    act(&store, Verb::Set, first, 1, "sad").await;
    let page = store.given(user(1), None, 1, soon()).await.unwrap();
    assert_eq!((page.given[0].reaction.as_str(), page.more), ("sad", true));
    // Whatever takes a member takes it from the list.
    act(&store, Verb::Unset, first, 1, "sad").await;
    forget(&store, same, None).await;
    forget(&store, first, Some("+1")).await;
    edits(&store, first, vec![edit(1, "like", EditAct::RemoveUpTo(Micros(1 << 51)))]).await;
    expected.retain(|it| match &it.post {
        post if *post == same => false,
        post if *post == first => it.reaction.as_str() == "👍",
        _ => true,
    });
    // A time that moves has one entry.
    edits(
        &store,
        posts[0],
        vec![edit(1, "like", EditAct::Merge { at: Micros(5), excluded: [].into() })],
    )
    .await;
    let moved = Given { reacted_at: Micros(5), post: posts[0], reaction: reaction("like") };
    expected.retain(|it| it.post != moved.post || it.reaction != moved.reaction);
    expected.push(moved);
    for limit in [3, 1000] {
        assert_eq!(given(&store, user(1), limit).await, expected);
    }
    // What comes back has the new time.
    act(&store, Verb::Set, same, 1, "like").await;
    let newest = given(&store, user(1), 1000).await.remove(0);
    assert_eq!((newest.post, newest.reaction.as_str()), (same, "like"));
    assert!(newest.reacted_at.0 > 1_700_000_000_000_000);
    assert_eq!(given(&store, user(10), 7).await.len(), 31);
    assert!(store.document(USER_INDEX, soon()).await.unwrap().is_some(), "it is complete");
}

pub(super) async fn law_21_users_with_text_ids_stay_apart(store: AnyStore) {
    let posts = crate::support::posts(3);
    let longest = "x".repeat(64);
    let ids: Vec<&str> = TEXT_IDS.into_iter().chain([&longest[..], &longest[..63]]).collect();
    for (id, at) in ids.iter().zip(100..) {
        for post in &posts {
            let of = |name| MemberEdit { user: id.parse().unwrap(), ..put(1, name, at) };
            edits(&store, *post, vec![of("like"), of("👍")]).await;
        }
    }
    for (id, at) in ids.iter().zip(100..) {
        let list = gave(&given(&store, id.parse().unwrap(), 4).await);
        assert_eq!(list.len(), 6, "{id}: {list:?}");
        assert!(list.iter().all(|(post, _, since)| posts.contains(post) && *since == at), "{id}");
    }
    for id in &ids {
        let unset = by(id, tap(Verb::Unset, posts[0], 1, "like"));
        assert!(store.tap(unset, soon()).await.unwrap().changed);
        assert_eq!(given(&store, id.parse().unwrap(), 100).await.len(), 5, "{id}");
    }
}

/// What a user has all the while is in each list, while the same user and others tap.
pub(super) async fn law_21_a_list_is_complete_while_others_tap(store: AnyStore) {
    let (kept, posts) = (crate::support::posts(25), crate::support::posts(10));
    for post in &kept {
        act(&store, Verb::Set, *post, 1, "like").await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let taps: Vec<_> = (1..=3)
        .map(|id| {
            let (store, stop, posts) = (store.clone(), Arc::clone(&stop), posts.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    for post in &posts {
                        act(&store, Verb::Toggle, *post, id, "like").await;
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for round in 0..10 {
        forget(&store, posts[round], None).await;
        let list = given(&store, user(1), 6).await;
        let found: HashSet<_> = list.iter().map(|it| it.post).collect();
        assert!(kept.iter().all(|post| found.contains(post)), "round {round}");
        assert!(found.iter().all(|post| kept.contains(post) || posts.contains(post)));
    }
    stop.store(true, Ordering::Relaxed);
    for task in taps {
        task.await.unwrap();
    }
    for id in 1..=3 {
        let mut has = Vec::new();
        for post in kept.iter().chain(&posts) {
            let shown = summary(&store, *post, Some(user(id)), 0).await;
            has.extend(shown.reactions.iter().filter(|it| it.mine == Some(true)).map(|_| *post));
        }
        let mut list: Vec<_> = given(&store, user(id), 9).await.iter().map(|it| it.post).collect();
        list.sort();
        has.sort();
        assert_eq!(list, has, "user {id}");
    }
}

pub(super) async fn law_22_a_sound_post_has_no_drift(store: AnyStore) {
    let (blank, post) = two_posts_of_one_partition();
    let like = reaction("like");
    lock(&store, post, true).await;
    edits(&store, post, (1..=150).map(|id| put(id, "like", id)).collect()).await;
    edits(&store, post, vec![put(1, "👍", 5), put(7, "sad", 5)]).await;
    edits(&store, post, vec![edit(7, "sad", EditAct::RemoveAt(Micros(5)))]).await;
    act(&store, Verb::Unset, post, 3, "like").await;
    forget(&store, post, Some("👍")).await;
    let before = (summary(&store, post, None, 0).await, changes(&store, post).await);
    let mut names = vec![Vec::new(), vec![like.clone(), reaction("👍"), reaction("love")]];
    names.extend(walk(&store, 9).await.into_iter().filter(|it| it.post == post).map(|it| it.seen));
    // It may come by more than once.
    assert!(names.len() >= 3);
    for (seen, repair) in names.into_iter().flat_map(|it| [(it.clone(), false), (it, true)]) {
        // Those that are no members are not looked for.
        let indexed = [1, 2, 3, 150, 777].map(|id| (like.clone(), user(id))).to_vec();
        let walked = WalkedPost { post, own: true, seen };
        let audited = store.audit(walked, indexed, repair, soon()).await.unwrap();
        let revision = before.0.revision;
        assert_eq!(audited, Audited { drift: Vec::new(), repaired: false, revision });
    }
    assert_eq!((summary(&store, post, None, 0).await, changes(&store, post).await), before);
    let walked = WalkedPost { post: blank, own: true, seen: vec![like] };
    let audited = store.audit(walked, Vec::new(), true, soon()).await.unwrap();
    assert!(audited.drift.is_empty() && !audited.repaired);
    assert_eq!(audited.revision, summary(&store, blank, None, 0).await.revision);
}
