//! Laws 8 to 11, and the probe: the log, deadlines, batches.

use super::*;

pub(super) async fn law_8_every_change_has_one_entry(store: AnyStore) {
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
    let told = |change: &Change| {
        let (user, reaction, active) = change.flag().unwrap();
        (user, reaction.clone(), active, change.revision)
    };
    let seen: Vec<_> = logged.iter().map(told).collect();
    assert_eq!(seen, expected);
    for change in &logged {
        assert!(matches!(change.what, onetap::domain::What::Reaction { cause: Cause::Tap, .. }));
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
        changes(&store, post).await.iter().map(|c| (c.revision, c.flag().unwrap().2)).collect();
    assert_eq!(logged, told);
}

pub(super) async fn law_9_a_late_write_is_never_applied(store: AnyStore) {
    let post = post();
    let past = Deadline(Instant::now().checked_sub(Duration::from_millis(1)).unwrap());
    for verb in [Verb::Toggle, Verb::Set, Verb::Unset] {
        let late = store.tap(tap(verb, post, 1, "like"), past).await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    }
    assert_eq!(summary(&store, post, None, 0).await.total(), 0);
    assert!(changes(&store, post).await.is_empty());
}

pub(super) async fn law_11_taps_that_travel_together_fail_or_succeed_by_themselves(
    store: AnyStore,
) {
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
    let left: BTreeSet<u64> = all(&store, post, Some("like"), 100)
        .await
        .iter()
        .map(|r| r.user.integer().unwrap())
        .collect();
    assert_eq!(left, expected);
}

pub(super) async fn the_probe_leaves_nothing_behind(store: AnyStore) {
    let nil = onetap::domain::Partition::all();
    for _ in 0..3 {
        store.probe(soon()).await.unwrap();
    }
    for partition in nil {
        assert!(store.read(partition, None, 10, soon()).await.unwrap().entries.is_empty());
    }
}
