//! Law 12: idempotency keys.

use super::*;

pub(super) async fn law_12_of_all_taps_with_one_key_one_is_applied(store: AnyStore) {
    for round in 0..20 {
        let post = post();
        act(&store, Verb::Set, post, 2, "like").await;
        let key = format!("round {round}").replace(' ', "-");
        let one = keyed_tap(Form::Toggle, post, 1, "like", &key);
        let outcomes = together(&store, vec![one.clone(); 20]).await;
        let applied: Vec<_> = outcomes.iter().filter(|outcome| !outcome.replayed).collect();
        assert_eq!(applied.len(), 1, "{outcomes:?}");
        let first = applied[0].clone();
        assert_eq!((first.active, first.changed, first.count), (true, true, 2));
        for outcome in outcomes.iter().filter(|outcome| outcome.replayed) {
            assert_eq!(*outcome, Outcome { replayed: true, ..first.clone() });
        }
        assert_eq!(summary(&store, post, None, 0).await.total(), 2);
        assert_eq!(changes(&store, post).await.len(), 2);
    }
}

pub(super) async fn law_12_a_replay_answers_what_was_answered_and_writes_nothing(store: AnyStore) {
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

pub(super) async fn law_12_a_key_that_was_used_for_another_request_is_refused(store: AnyStore) {
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

pub(super) async fn law_12_a_tap_that_failed_leaves_no_record(store: AnyStore) {
    let tap = keyed_tap(Form::Toggle, post(), 1, "like", "k");
    let past = Deadline(Instant::now().checked_sub(Duration::from_millis(1)).unwrap());
    let late = store.tap(tap.clone(), past).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    let outcome = store.tap(tap, soon()).await.unwrap();
    assert!(outcome.changed && !outcome.replayed);
}
