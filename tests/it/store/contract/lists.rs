//! Laws 6 and 7: the order of summaries and of reactors.

use super::*;

pub(super) async fn law_6_summaries_come_in_the_order_asked(store: AnyStore) {
    let known: Vec<PostId> = (0..30).map(|_| post()).collect();
    for (i, post) in (1..).zip(&known) {
        for id in 1..=i {
            act(&store, Verb::Set, *post, id, "like").await;
        }
    }
    let unknown: Vec<PostId> = (0..30).map(|_| post()).collect();
    for reversed in [false, true] {
        let mut posts: Vec<PostId> =
            known.iter().zip(&unknown).flat_map(|(known, unknown)| [*known, *unknown]).collect();
        if reversed {
            posts.reverse();
        }
        let query = SummaryQuery { posts: posts.clone(), viewer: None, recent: 0 };
        let summaries = store.summaries(query, soon()).await.unwrap();
        assert_eq!(summaries.iter().map(|s| s.post).collect::<Vec<_>>(), posts);
        for summary in summaries {
            let expected = known.iter().position(|post| *post == summary.post);
            assert_eq!(summary.total(), expected.map_or(0, |i| i as u64 + 1));
            let is_known = expected.is_some();
            assert!(!is_known || summary.revision > Revision(1_700_000_000_000_000));
        }
    }
    // Within a post: count descending, then by name, and nothing that nobody has.
    let post = post();
    for (name, users) in [("b", 2), ("a", 2), ("👍", 3), ("z", 1), ("gone", 1)] {
        for id in 1..=users {
            act(&store, Verb::Set, post, id, name).await;
        }
    }
    act(&store, Verb::Unset, post, 1, "gone").await;
    let summary = summary(&store, post, None, 0).await;
    let listed: Vec<_> = summary.reactions.iter().map(|r| (r.reaction.as_str(), r.count)).collect();
    assert_eq!(listed, [("👍", 3), ("a", 2), ("b", 2), ("z", 1)]);
    assert!(summary.reactions.iter().all(|r| r.mine.is_none() && r.recent.is_empty()));
}

pub(super) async fn law_6_mine_is_the_viewers_own(store: AnyStore) {
    let post = post();
    act(&store, Verb::Set, post, 1, "like").await;
    act(&store, Verb::Set, post, 2, "love").await;
    for (viewer, like, love) in [(1, true, false), (2, false, true), (3, false, false)] {
        let seen = summary(&store, post, Some(user(viewer)), 0).await;
        let mine: Vec<_> = seen.reactions.iter().map(|r| (r.reaction.as_str(), r.mine)).collect();
        assert_eq!(mine, [("like", Some(like)), ("love", Some(love))]);
    }
}

pub(super) async fn law_7_pages_meet_across_equal_times(store: AnyStore) {
    let post = post();
    // Set at one moment, so that many have the same microsecond.
    let mixed = |id: u64, name: &str| {
        let user = format!("{}{id}", ["", "", "a", "A", "-"][id as usize % 5]);
        by(&user, tap(Verb::Set, post, id, name))
    };
    let mut taps: Vec<_> = (1..=120).map(|id| mixed(id, "like")).collect();
    taps.extend((1..=60).map(|id| mixed(id, "love")));
    together(&store, taps).await;
    let likes = all(&store, post, Some("like"), 100).await;
    assert_eq!(likes.len(), 120);
    assert!(likes.windows(2).all(|pair| pair[0] > pair[1]), "newest first, ties by text");
    if matches!(store, AnyStore::Redis(_) | AnyStore::File(_)) {
        // All taps of a script, or of a group commit, have one time. In memory, times may never be equal.
        let equal = likes.windows(2).filter(|pair| pair[0].reacted_at == pair[1].reacted_at);
        assert!(equal.count() > 5, "there are no equal times to meet across");
    }
    let everyone = all(&store, post, None, 100).await;
    assert_eq!(everyone.len(), 180);
    assert!(everyone.windows(2).all(|pair| pair[0] > pair[1]));
    for limit in [1, 7, 25, 59, 60, 61] {
        assert_eq!(all(&store, post, Some("like"), limit).await, likes, "in pages of {limit}");
        assert_eq!(all(&store, post, None, limit).await, everyone, "in pages of {limit}");
    }
    let newest = summary(&store, post, None, 3).await;
    assert_eq!(newest.reactions[0].recent, likes[..3]);
    // A list that ends with its page has no next one.
    assert!(!page(&store, post, Some("love"), None, 60).await.more);
    assert!(page(&store, post, Some("love"), None, 59).await.more);
    assert!(all(&store, post, Some("sad"), 5).await.is_empty());
}

pub(super) async fn law_7_a_page_goes_on_where_its_last_reactor_has_gone(store: AnyStore) {
    let post = post();
    for id in 1..=9 {
        act(&store, Verb::Set, post, id, "like").await;
    }
    let first = page(&store, post, Some("like"), None, 4).await;
    let place = first.next().cloned().unwrap();
    assert_eq!(place.user, user(6));
    // The user at the cursor leaves, and comes back as the newest. Neither may shift the next page.
    act(&store, Verb::Unset, post, 6, "like").await;
    let ids = |page: &ReactorsPage| {
        page.reactors.iter().map(|r| r.user.integer().unwrap()).collect::<Vec<_>>()
    };
    let next = page(&store, post, Some("like"), Some(place.clone()), 4).await;
    assert_eq!(ids(&next), [5, 4, 3, 2]);
    act(&store, Verb::Set, post, 6, "like").await;
    let again = page(&store, post, Some("like"), Some(place), 4).await;
    assert_eq!(ids(&again), [5, 4, 3, 2]);
}
