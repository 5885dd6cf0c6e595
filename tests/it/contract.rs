//! The laws of `store::Store`, by number, on every store.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use onetap::domain::{
    Cause, Change, Form, Outcome, Partition, PostId, Reactor, ReactorsPage, Revision, Summary,
    UserId, Verb,
};
use onetap::store::memory::MemoryStore;
use onetap::store::{
    AnyStore, ChangeLog, Deadline, LogEntry, News, ReactorsQuery, Retention, Store, StoreError,
    SummaryQuery,
};
use tokio::sync::{Barrier, mpsc, watch};

use crate::support::file::fresh;
use crate::support::forms;
use crate::support::redis_server::{Kind, shared};
use crate::support::{keyed_tap, post, reaction, soon, tap, two_posts_of_one_partition, user};

macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod memory { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let store = super::MemoryStore::new(super::Retention::default());
                super::$law(super::AnyStore::Memory(store)).await;
            })* }
        mod file { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let (store, _folder) = super::fresh();
                super::$law(super::AnyStore::File(store)).await;
            })* }
        mod redis { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law(super::AnyStore::Redis(super::shared(super::Kind::Redis).store())).await;
            })* }
        mod valkey { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law(super::AnyStore::Redis(super::shared(super::Kind::Valkey).store())).await;
            })* }
        mod tls { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law(super::AnyStore::Redis(super::forms::over_tls())).await;
            })* }
        mod sentinel { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law(super::AnyStore::Redis(super::forms::behind_sentinels().await)).await;
            })* }
        mod cluster { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law(super::AnyStore::Redis(super::forms::in_a_cluster().await)).await;
            })* }
    };
}

laws! {
    law_1_concurrent_toggles_take_place_one_after_the_other,
    law_2_each_verb_does_what_it_says,
    law_3_counts_of_concurrent_sets_are_one_to_n,
    law_3_users_beyond_two_to_the_53_stay_apart,
    law_4_revisions_of_a_post_rise_strictly,
    law_4_a_tap_without_effect_answers_the_revision_as_it_is,
    law_4_posts_without_state_answer_the_floor_of_their_partition,
    law_5_reads_see_writes,
    law_5_a_summary_is_of_one_moment,
    law_6_summaries_come_in_the_order_asked,
    law_6_mine_is_the_viewers_own,
    law_7_pages_meet_across_equal_times,
    law_7_a_page_goes_on_where_its_last_reactor_has_gone,
    law_8_every_change_has_one_entry,
    law_9_a_late_write_is_never_applied,
    law_11_taps_that_travel_together_fail_or_succeed_by_themselves,
    law_12_of_all_taps_with_one_key_one_is_applied,
    law_12_a_replay_answers_what_was_answered_and_writes_nothing,
    law_12_a_key_that_was_used_for_another_request_is_refused,
    law_12_a_tap_that_failed_leaves_no_record,
    law_13_who_follows_hears_of_every_change,
    law_13_what_is_too_much_is_told_as_following_anew,
    law_13_what_is_not_watched_is_silent,
    the_probe_leaves_nothing_behind,
}

async fn act(store: &AnyStore, verb: Verb, post: PostId, id: u64, name: &str) -> Outcome {
    store.tap(tap(verb, post, id, name), soon()).await.unwrap()
}

async fn summary(store: &AnyStore, post: PostId, viewer: Option<UserId>, recent: usize) -> Summary {
    let query = SummaryQuery { posts: vec![post], viewer, recent };
    store.summaries(query, soon()).await.unwrap().remove(0)
}

async fn page(
    store: &AnyStore,
    post: PostId,
    name: Option<&str>,
    after: Option<Reactor>,
    limit: usize,
) -> ReactorsPage {
    let query = ReactorsQuery { post, reaction: name.map(reaction), after, limit };
    store.reactors(query, soon()).await.unwrap()
}

/// All reactors, in pages of `limit`.
async fn all(store: &AnyStore, post: PostId, name: Option<&str>, limit: usize) -> Vec<Reactor> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let next = page(store, post, name, after, limit).await;
        assert!(next.reactors.len() <= limit);
        after = next.next().cloned();
        found.extend(next.reactors);
        if after.is_none() {
            return found;
        }
    }
}

/// The changes of one post in its partition's log.
async fn changes(store: &AnyStore, post: PostId) -> Vec<Change> {
    let (mut found, mut after) = (Vec::<LogEntry>::new(), None);
    loop {
        let page = store.read(post.partition(), after, 7, soon()).await.unwrap();
        if page.entries.is_empty() {
            break;
        }
        assert!(!page.gap, "nothing is trimmed yet");
        after = Some(page.next);
        found.extend(page.entries);
    }
    assert!(found.windows(2).all(|pair| pair[0].position < pair[1].position));
    found.into_iter().map(|entry| entry.change).filter(|change| change.post == post).collect()
}

/// Runs the taps concurrently. Returns the outcomes in the order given.
async fn together(store: &AnyStore, taps: Vec<onetap::domain::Tap>) -> Vec<Outcome> {
    let barrier = Arc::new(Barrier::new(taps.len()));
    let tasks: Vec<_> = taps
        .into_iter()
        .map(|tap| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.tap(tap, soon()).await.unwrap()
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

async fn law_1_concurrent_toggles_take_place_one_after_the_other(store: AnyStore) {
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

async fn law_2_each_verb_does_what_it_says(store: AnyStore) {
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

async fn law_3_counts_of_concurrent_sets_are_one_to_n(store: AnyStore) {
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

async fn law_3_users_beyond_two_to_the_53_stay_apart(store: AnyStore) {
    let post = post();
    let ids = [9_007_199_254_740_992, 9_007_199_254_740_993, 9_007_199_254_740_994, (1 << 63) - 1];
    for id in ids {
        act(&store, Verb::Set, post, id, "like").await;
    }
    let listed: HashSet<u64> =
        all(&store, post, Some("like"), 3).await.iter().map(|r| r.user.get()).collect();
    assert_eq!(listed, HashSet::from(ids));
    assert_eq!(act(&store, Verb::Unset, post, ids[1], "like").await.count, 3);
    let summary = summary(&store, post, Some(user(ids[0])), 0).await;
    assert_eq!((summary.reactions[0].count, summary.reactions[0].mine), (3, Some(true)));
}

async fn law_4_revisions_of_a_post_rise_strictly(store: AnyStore) {
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

async fn law_4_a_tap_without_effect_answers_the_revision_as_it_is(store: AnyStore) {
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

async fn law_4_posts_without_state_answer_the_floor_of_their_partition(store: AnyStore) {
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

async fn law_5_reads_see_writes(store: AnyStore) {
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
async fn law_5_a_summary_is_of_one_moment(store: AnyStore) {
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

async fn law_6_summaries_come_in_the_order_asked(store: AnyStore) {
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

async fn law_6_mine_is_the_viewers_own(store: AnyStore) {
    let post = post();
    act(&store, Verb::Set, post, 1, "like").await;
    act(&store, Verb::Set, post, 2, "love").await;
    for (viewer, like, love) in [(1, true, false), (2, false, true), (3, false, false)] {
        let seen = summary(&store, post, Some(user(viewer)), 0).await;
        let mine: Vec<_> = seen.reactions.iter().map(|r| (r.reaction.as_str(), r.mine)).collect();
        assert_eq!(mine, [("like", Some(like)), ("love", Some(love))]);
    }
}

async fn law_7_pages_meet_across_equal_times(store: AnyStore) {
    let post = post();
    // Set at one moment, so that many have the same microsecond.
    let mut taps: Vec<_> = (1..=120).map(|id| tap(Verb::Set, post, id, "like")).collect();
    taps.extend((1..=60).map(|id| tap(Verb::Set, post, id, "love")));
    together(&store, taps).await;
    let likes = all(&store, post, Some("like"), 100).await;
    assert_eq!(likes.len(), 120);
    assert!(likes.windows(2).all(|pair| pair[0] > pair[1]), "newest first, ties by text");
    if matches!(store, AnyStore::Redis(_) | AnyStore::File(_)) {
        // A script, or a group commit, has one time for all its taps. In memory there may be none.
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

async fn law_7_a_page_goes_on_where_its_last_reactor_has_gone(store: AnyStore) {
    let post = post();
    for id in 1..=9 {
        act(&store, Verb::Set, post, id, "like").await;
    }
    let first = page(&store, post, Some("like"), None, 4).await;
    let place = first.next().cloned().unwrap();
    assert_eq!(place.user, user(6));
    // It goes, and comes back as the newest: neither may shift the next page.
    act(&store, Verb::Unset, post, 6, "like").await;
    let ids = |page: &ReactorsPage| page.reactors.iter().map(|r| r.user.get()).collect::<Vec<_>>();
    let next = page(&store, post, Some("like"), Some(place.clone()), 4).await;
    assert_eq!(ids(&next), [5, 4, 3, 2]);
    act(&store, Verb::Set, post, 6, "like").await;
    let again = page(&store, post, Some("like"), Some(place), 4).await;
    assert_eq!(ids(&again), [5, 4, 3, 2]);
}

async fn law_8_every_change_has_one_entry(store: AnyStore) {
    let post = post();
    let mut expected = Vec::new();
    let steps = [
        (Verb::Unset, 1, "like"),
        (Verb::Toggle, 1, "like"),
        (Verb::Set, 1, "like"),
        (Verb::Set, 2, "👍"),
        (Verb::Toggle, 1, "like"),
        (Verb::Unset, 1, "like"),
        (Verb::Unset, 2, "👍"),
        (Verb::Set, (1 << 63) - 1, "+1"),
    ];
    for (verb, id, name) in steps {
        let outcome = act(&store, verb, post, id, name).await;
        if outcome.changed {
            expected.push((user(id), reaction(name), outcome.active, outcome.revision));
        }
    }
    let logged = changes(&store, post).await;
    let seen: Vec<_> =
        logged.iter().map(|c| (c.user, c.reaction.clone(), c.active, c.revision)).collect();
    assert_eq!(seen, expected);
    for change in &logged {
        assert_eq!(change.cause, Cause::Tap);
        assert!(change.occurred_at.0 <= change.revision.0);
        assert!(change.revision.0 - change.occurred_at.0 < 1_000_000);
    }
    let reacted_at = all(&store, post, Some("+1"), 5).await[0].reacted_at;
    assert_eq!(logged.last().unwrap().occurred_at, reacted_at);

    // Under concurrency too, in the order of the revisions.
    let post = crate::support::post();
    let taps = (0..120).map(|i| tap(Verb::Toggle, post, 1 + i % 5, "like")).collect();
    let mut told: Vec<_> =
        together(&store, taps).await.iter().map(|o| (o.revision, o.active)).collect();
    told.sort_unstable();
    let logged: Vec<_> =
        changes(&store, post).await.iter().map(|c| (c.revision, c.active)).collect();
    assert_eq!(logged, told);
}

async fn law_9_a_late_write_is_never_applied(store: AnyStore) {
    let post = post();
    let past = Deadline(Instant::now().checked_sub(Duration::from_millis(1)).unwrap());
    for verb in [Verb::Toggle, Verb::Set, Verb::Unset] {
        let late = store.tap(tap(verb, post, 1, "like"), past).await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    }
    assert_eq!(summary(&store, post, None, 0).await.total(), 0);
    assert!(changes(&store, post).await.is_empty());
}

async fn law_11_taps_that_travel_together_fail_or_succeed_by_themselves(store: AnyStore) {
    let post = post();
    act(&store, Verb::Set, post, 500, "like").await;
    let tasks: Vec<_> = (1..=60_u64)
        .map(|id| {
            let store = store.clone();
            let verb = [Verb::Toggle, Verb::Set, Verb::Unset][usize::try_from(id % 3).unwrap()];
            let late = id % 5 == 0;
            let deadline = if late { Deadline(Instant::now()) } else { soon() };
            tokio::spawn(async move {
                (id, verb, late, store.tap(tap(verb, post, id, "like"), deadline).await)
            })
        })
        .collect();
    let mut expected = BTreeSet::from([500]);
    for task in tasks {
        let (id, verb, late, result) = task.await.unwrap();
        assert_eq!(result.is_err(), late, "{id}: {result:?}");
        if !late && verb != Verb::Unset {
            expected.insert(id);
        }
    }
    let left: BTreeSet<u64> =
        all(&store, post, Some("like"), 100).await.iter().map(|r| r.user.get()).collect();
    assert_eq!(left, expected);
}

async fn law_12_of_all_taps_with_one_key_one_is_applied(store: AnyStore) {
    for round in 0..20 {
        let post = post();
        act(&store, Verb::Set, post, 2, "like").await;
        let key = format!("round {round}").replace(' ', "-");
        let one = keyed_tap(Form::Toggle, post, 1, "like", &key);
        let outcomes = together(&store, vec![one.clone(); 20]).await;
        let applied: Vec<_> = outcomes.iter().filter(|outcome| !outcome.replayed).collect();
        assert_eq!(applied.len(), 1, "{outcomes:?}");
        let first = *applied[0];
        assert_eq!((first.active, first.changed, first.count), (true, true, 2));
        for outcome in outcomes.iter().filter(|outcome| outcome.replayed) {
            assert_eq!(*outcome, Outcome { replayed: true, ..first });
        }
        assert_eq!(summary(&store, post, None, 0).await.total(), 2);
        assert_eq!(changes(&store, post).await.len(), 2);
    }
}

async fn law_12_a_replay_answers_what_was_answered_and_writes_nothing(store: AnyStore) {
    let post = post();
    let forms = [
        (Form::Unset, false, false, 0),
        (Form::Toggle, true, true, 1),
        (Form::Set, true, false, 1),
        (Form::ToggleFrom(false), true, false, 1),
        (Form::ToggleFrom(true), false, true, 0),
    ];
    let mut first = Vec::new();
    for (i, (form, active, changed, count)) in forms.into_iter().enumerate() {
        let tap = keyed_tap(form, post, 1, "👍", &i.to_string());
        let outcome = store.tap(tap.clone(), soon()).await.unwrap();
        let seen = (outcome.active, outcome.changed, outcome.count, outcome.replayed);
        assert_eq!(seen, (active, changed, count, false), "{form:?}");
        first.push((tap, outcome));
    }
    act(&store, Verb::Set, post, 2, "👍").await;
    let (before, log) =
        (summary(&store, post, Some(user(1)), 9).await, changes(&store, post).await);
    for (tap, outcome) in first.into_iter().rev() {
        let again = store.tap(tap, soon()).await.unwrap();
        assert_eq!(again, Outcome { replayed: true, ..outcome });
    }
    assert_eq!(summary(&store, post, Some(user(1)), 9).await, before);
    assert_eq!(changes(&store, post).await, log);
}

async fn law_12_a_key_that_was_used_for_another_request_is_refused(store: AnyStore) {
    let (post, other_post) = (post(), crate::support::post());
    let first = keyed_tap(Form::Toggle, post, 1, "like", "k");
    store.tap(first.clone(), soon()).await.unwrap();
    let log = changes(&store, post).await;
    for (form, name) in [
        (Form::Toggle, "love"),
        (Form::Set, "like"),
        (Form::Unset, "like"),
        (Form::ToggleFrom(false), "like"),
        (Form::ToggleFrom(true), "like"),
    ] {
        let other = store.tap(keyed_tap(form, post, 1, name, "k"), soon()).await;
        assert_eq!(other, Err(StoreError::KeyReused), "{form:?} {name}");
    }
    assert_eq!(changes(&store, post).await, log);
    assert!(store.tap(first, soon()).await.unwrap().replayed, "the record is as it was");
    // Of another user, or on another post, it is another key.
    for other in [
        keyed_tap(Form::Set, post, 2, "like", "k"),
        keyed_tap(Form::Set, other_post, 1, "like", "k"),
    ] {
        let outcome = store.tap(other, soon()).await.unwrap();
        assert!(outcome.changed && !outcome.replayed);
    }
}

async fn law_12_a_tap_that_failed_leaves_no_record(store: AnyStore) {
    let tap = keyed_tap(Form::Toggle, post(), 1, "like", "k");
    let past = Deadline(Instant::now().checked_sub(Duration::from_millis(1)).unwrap());
    let late = store.tap(tap.clone(), past).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    let outcome = store.tap(tap, soon()).await.unwrap();
    assert!(outcome.changed && !outcome.replayed);
}

/// A follower of the change log.
struct Follower {
    watched: watch::Sender<BTreeSet<Partition>>,
    news: mpsc::Receiver<News>,
}

impl Follower {
    fn of(store: &AnyStore) -> Self {
        let (watched, watch) = watch::channel(BTreeSet::new());
        let (teller, news) = mpsc::channel(64);
        let store = store.clone();
        tokio::spawn(async move { store.follow(watch, teller).await });
        Self { watched, news }
    }

    fn watch(&self, posts: &[PostId]) {
        let _ = self.watched.send_replace(posts.iter().map(PostId::partition).collect());
    }

    async fn next(&mut self) -> News {
        let next = tokio::time::timeout(Duration::from_secs(20), self.news.recv());
        next.await.expect("nothing is heard").expect("the follower has ended")
    }

    /// Reads news until each of these posts was reported, by itself or with its partition.
    async fn until_heard(&mut self, posts: &[PostId]) {
        let mut left: HashSet<PostId> = posts.iter().copied().collect();
        while !left.is_empty() {
            match self.next().await {
                News::Following(these) => left.retain(|post| !these.contains(&post.partition())),
                News::Changed(these) => left.retain(|post| !these.contains(post)),
                News::Lost(..) => {}
            }
        }
    }

    async fn is_silent_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.news.recv()).await.is_err()
    }
}

async fn law_13_who_follows_hears_of_every_change(store: AnyStore) {
    // More posts than partitions.
    let posts: Vec<PostId> = (0..300).map(|_| post()).collect();
    let mut follower = Follower::of(&store);
    act(&store, Verb::Set, posts[0], 1, "like").await;
    follower.watch(&posts);
    follower.until_heard(&posts).await;
    for round in 0..3 {
        let taps = posts.iter().map(|post| act(&store, Verb::Toggle, *post, 7 + round, "like"));
        futures_util::future::join_all(taps).await;
        // What is told can be read, and everything is told.
        follower.until_heard(&posts).await;
    }
    // What is watched later, or again, is followed from then on.
    let late = post();
    follower.watch(&[]);
    follower.watch(&[late]);
    let told = act(&store, Verb::Set, late, 7, "like").await;
    follower.until_heard(&[late]).await;
    assert!(summary(&store, late, None, 0).await.revision >= told.revision);
}

async fn law_13_what_is_too_much_is_told_as_following_anew(store: AnyStore) {
    let post = post();
    let mut follower = Follower::of(&store);
    follower.watch(&[post]);
    follower.until_heard(&[post]).await;
    let taps = (1..=1000).map(|user| act(&store, Verb::Set, post, user, "like"));
    let last = futures_util::future::join_all(taps).await.pop().unwrap();
    // Whatever is told, the last change is told: who reads whenever something is, has all of it.
    let heard = async {
        while summary(&store, post, None, 0).await.reactions.first().map(|r| r.count) != Some(1000)
        {
            follower.next().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard).await.expect("all of it is told");
    assert!(last.changed);
    // And single changes are told as such again.
    while !follower.is_silent_for(Duration::from_millis(500)).await {}
    act(&store, Verb::Set, post, 1001, "like").await;
    assert_eq!(follower.next().await, News::Changed(vec![post]));
}

async fn law_13_what_is_not_watched_is_silent(store: AnyStore) {
    let watched = post();
    let other = std::iter::repeat_with(post).find(|p| p.partition() != watched.partition());
    let other = other.unwrap();
    let mut follower = Follower::of(&store);
    act(&store, Verb::Set, other, 1, "like").await;
    assert!(follower.is_silent_for(Duration::from_millis(200)).await);
    follower.watch(&[watched]);
    assert_eq!(follower.next().await, News::Following(vec![watched.partition()]));
    act(&store, Verb::Set, other, 2, "like").await;
    act(&store, Verb::Set, watched, 2, "like").await;
    assert_eq!(follower.next().await, News::Changed(vec![watched]));
    // A tap without effect changes nothing.
    act(&store, Verb::Set, watched, 2, "like").await;
    follower.watch(&[]);
    act(&store, Verb::Set, other, 3, "like").await;
    assert!(follower.is_silent_for(Duration::from_millis(300)).await);
}

async fn the_probe_leaves_nothing_behind(store: AnyStore) {
    let nil = onetap::domain::Partition::all();
    for _ in 0..3 {
        store.probe(soon()).await.unwrap();
    }
    for partition in nil {
        assert!(store.read(partition, None, 10, soon()).await.unwrap().entries.is_empty());
    }
}
