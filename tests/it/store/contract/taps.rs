//! Laws 1 to 5: what a tap does, and reads that see it.

use super::*;

pub(super) async fn law_1_concurrent_toggles_take_place_one_after_the_other(store: AnyStore) {
    let post = post();
    for id in 2..=5 {
        act(&store, Verb::Set, post, id, "like").await;
    }
    for (taps, count, active) in [(101, 5, true), (100, 5, true), (1, 4, false)] {
        let mut outcomes = together(&store, vec![tap(Verb::Toggle, post, 1, "like"); taps]).await;
        outcomes.sort_by_key(|outcome| outcome.revision);
        // In the order of the revisions the flag alternates and the count follows it.
        for pair in outcomes.windows(2) {
            assert_ne!(pair[0].active, pair[1].active);
        }
        for outcome in &outcomes {
            assert!(outcome.changed);
            assert_eq!(outcome.count, if outcome.active { 5 } else { 4 });
        }
        assert_eq!(outcomes.last().unwrap().active, active);
        let summary = summary(&store, post, Some(user(1)), 0).await;
        assert_eq!(summary.reactions[0].count, count);
        assert_eq!(summary.reactions[0].mine, Some(active));
        assert_eq!(summary.revision, outcomes.last().unwrap().revision);
    }
}

pub(super) async fn law_2_each_verb_does_what_it_says(store: AnyStore) {
    let post = post();
    let cases = [
        (Verb::Unset, false, false, 0),
        (Verb::Set, true, true, 1),
        (Verb::Set, true, false, 1),
        (Verb::Toggle, false, true, 0),
        (Verb::Unset, false, false, 0),
        (Verb::Toggle, true, true, 1),
        (Verb::Unset, false, true, 0),
        (Verb::Toggle, true, true, 1),
        (Verb::Set, true, false, 1),
    ];
    for (i, (verb, active, changed, count)) in cases.into_iter().enumerate() {
        let outcome = act(&store, verb, post, 7, "like").await;
        let seen = (outcome.active, outcome.changed, outcome.count);
        assert_eq!(seen, (active, changed, count), "step {i}");
    }
    // Another reaction and another user are other flags.
    assert_eq!(act(&store, Verb::Toggle, post, 7, "love").await.count, 1);
    assert_eq!(act(&store, Verb::Toggle, post, 8, "like").await.count, 2);
}

pub(super) async fn law_3_counts_of_concurrent_sets_are_one_to_n(store: AnyStore) {
    let post = post();
    let outcomes =
        together(&store, (1..=200).map(|id| tap(Verb::Set, post, id, "like")).collect()).await;
    let counts: BTreeSet<u64> = outcomes.iter().map(|outcome| outcome.count).collect();
    assert_eq!(counts, (1..=200).collect());
    assert!(outcomes.iter().all(|outcome| outcome.changed && outcome.active));
    let outcomes = together(&store, vec![tap(Verb::Unset, post, 1, "like"); 100]).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.changed).count(), 1);
    assert!(outcomes.iter().all(|outcome| outcome.count == 199 && !outcome.active));
}

pub(super) async fn law_3_users_beyond_two_to_the_53_stay_apart(store: AnyStore) {
    let post = post();
    let ids = [9_007_199_254_740_992, 9_007_199_254_740_993, 9_007_199_254_740_994, (1 << 63) - 1];
    for id in ids {
        act(&store, Verb::Set, post, id, "like").await;
    }
    let listed: HashSet<u64> = all(&store, post, Some("like"), 3)
        .await
        .iter()
        .map(|r| r.user.integer().unwrap())
        .collect();
    assert_eq!(listed, HashSet::from(ids));
    assert_eq!(act(&store, Verb::Unset, post, ids[1], "like").await.count, 3);
    let summary = summary(&store, post, Some(user(ids[0])), 0).await;
    assert_eq!((summary.reactions[0].count, summary.reactions[0].mine), (3, Some(true)));
}

pub(super) async fn law_3_users_with_text_ids_stay_apart(store: AnyStore) {
    let post = post();
    let ids = ["a", "A", "a_", "7", "07", "007", "=", "-", "...", "@a:b", "x|y", "x+y", "x=y"];
    for (i, id) in (1..).zip(ids) {
        let outcome = store.tap(by(id, tap(Verb::Set, post, 1, "like")), soon()).await.unwrap();
        assert_eq!((outcome.count, outcome.changed), (i, true), "{id}");
    }
    let listed = all(&store, post, Some("like"), 3).await;
    let listed: Vec<String> = listed.iter().rev().map(|r| r.user.to_string()).collect();
    assert_eq!(listed, ids);
    for id in ids {
        let seen = summary(&store, post, id.parse().ok(), 0).await;
        assert_eq!(seen.reactions[0].mine, Some(true), "{id}");
    }
    assert_eq!(summary(&store, post, "Aa".parse().ok(), 0).await.reactions[0].mine, Some(false));
    let logged = changes(&store, post).await;
    let logged: Vec<String> = logged.iter().map(|c| c.flag().unwrap().0.to_string()).collect();
    assert_eq!(logged, ids);
    let gone = store.tap(by("A", tap(Verb::Unset, post, 1, "like")), soon()).await.unwrap();
    assert_eq!((gone.count, gone.changed), (ids.len() as u64 - 1, true));
    assert_eq!(summary(&store, post, "a".parse().ok(), 0).await.reactions[0].mine, Some(true));
}

pub(super) async fn law_4_revisions_of_a_post_rise_strictly(store: AnyStore) {
    let post = post();
    let mut last = Revision(0);
    // Emptied again and again, within one batch and over several reactions.
    for i in 0..200_u64 {
        let name = ["like", "love", "👍"][usize::try_from(i % 3).unwrap()];
        let outcome = act(&store, Verb::Toggle, post, 1 + i % 2, name).await;
        assert!(outcome.revision > last, "{} after {last}", outcome.revision);
        last = outcome.revision;
    }
    let outcomes = together(&store, vec![tap(Verb::Toggle, post, 9, "like"); 100]).await;
    let revisions: BTreeSet<Revision> = outcomes.iter().map(|outcome| outcome.revision).collect();
    assert_eq!(revisions.len(), 100);
    assert!(revisions.first() > Some(&last));
    assert!(revisions.last().unwrap().0 < 1 << 53);
}

pub(super) async fn law_4_a_tap_without_effect_answers_the_revision_as_it_is(store: AnyStore) {
    let post = post();
    let before = act(&store, Verb::Unset, post, 1, "like").await.revision;
    let set = act(&store, Verb::Set, post, 1, "like").await.revision;
    assert!(set > before, "a post without state answers what came before any change");
    assert_eq!(act(&store, Verb::Set, post, 1, "like").await.revision, set);
    assert_eq!(act(&store, Verb::Unset, post, 2, "like").await.revision, set);
    assert_eq!(act(&store, Verb::Unset, post, 1, "love").await.revision, set);
    let love = act(&store, Verb::Set, post, 1, "love").await.revision;
    assert!(love > set);
    // The revision is the post's: what happened to another reaction shows too.
    assert_eq!(act(&store, Verb::Set, post, 1, "like").await.revision, love);
}

pub(super) async fn law_4_posts_without_state_answer_the_floor_of_their_partition(store: AnyStore) {
    let (post, same) = two_posts_of_one_partition();
    let floor = async || {
        let read = summary(&store, same, None, 0).await.revision;
        let tapped = act(&store, Verb::Unset, same, 1, "like").await.revision;
        assert_eq!(read, tapped, "reads and taps answer the same");
        read
    };
    let mut last = floor().await;
    for round in 0..3 {
        let set = act(&store, Verb::Set, post, 1, "like").await.revision;
        assert!(set > last, "the first change lies above the floor");
        act(&store, Verb::Set, post, 2, "love").await;
        act(&store, Verb::Unset, post, 1, "like").await;
        assert_eq!(floor().await, last, "the post is not empty in round {round}");
        let gone = act(&store, Verb::Toggle, post, 2, "love").await.revision;
        assert_eq!([summary(&store, post, None, 0).await.revision, floor().await], [gone; 2]);
        last = gone;
    }
    assert!(act(&store, Verb::Set, same, 1, "like").await.revision > last);
}

pub(super) async fn law_5_reads_see_writes(store: AnyStore) {
    let post = post();
    for id in 1..=50 {
        let outcome = act(&store, Verb::Set, post, id, "like").await;
        let seen = summary(&store, post, Some(user(id)), 1).await;
        assert_eq!(seen.revision, outcome.revision);
        assert_eq!((seen.reactions[0].count, seen.reactions[0].mine), (id, Some(true)));
        assert_eq!(seen.reactions[0].recent[0].user, user(id));
        assert_eq!(page(&store, post, None, None, 1).await.reactors[0].user, user(id));
    }
}

/// Ten users toggle at the same time, again and again, while a reader reads. Each total that it
/// reads must be the one that some tap got with the same revision.
pub(super) async fn law_5_a_summary_is_of_one_moment(store: AnyStore) {
    let post = post();
    let mut truth = HashMap::new();
    let (reader, stop) = (store.clone(), Arc::new(tokio::sync::Notify::new()));
    let (told, distinct) = watch::channel(0);
    let reading = {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let mut seen = HashSet::new();
            loop {
                tokio::select! {
                    () = stop.notified() => return seen,
                    read = summary(&reader, post, None, 0) => {
                        seen.insert((read.revision, read.total()));
                        told.send_replace(seen.len());
                    }
                }
                // Memory answers at once, and nobody else would have a turn.
                tokio::task::yield_now().await;
            }
        })
    };
    let (mut rounds, started) = (0, Instant::now());
    // On a busy machine the reader may have its turns late.
    while rounds < 100 || *distinct.borrow() <= 5 {
        assert!(started.elapsed() < Duration::from_secs(60), "the reader has no turn");
        rounds += 1;
        let taps = (1..=10).map(|id| tap(Verb::Toggle, post, id, "like")).collect();
        for outcome in together(&store, taps).await {
            truth.insert(outcome.revision, outcome.count);
        }
    }
    stop.notify_one();
    let first = truth.keys().min().copied().unwrap();
    let seen = reading.await.unwrap();
    for (revision, total) in seen {
        let expected = if revision < first { Some(&0) } else { truth.get(&revision) };
        assert_eq!(expected, Some(&total), "at {revision}");
    }
}
