//! The laws of `store::Store`, by number, on every store.

mod following;
mod keys;
mod lists;
mod maintenance;
mod rules;
mod steps;
mod taps;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use onetap::domain::{
    Cause, Change, Form, Outcome, Partition, PostId, Reactor, ReactorsPage, Revision, Summary,
    UserId, Verb,
};
use onetap::store::{
    AnyStore, ChangeLog, Deadline, LogEntry, News, ReactorsQuery, Store, StoreError, SummaryQuery,
};
use tokio::sync::{Barrier, mpsc, watch};

use following::{
    law_13_what_is_not_watched_is_silent, law_13_what_is_too_much_is_told_as_following_anew,
    law_13_who_follows_hears_of_every_change,
};
use keys::{
    law_12_a_key_that_was_used_for_another_request_is_refused,
    law_12_a_replay_answers_what_was_answered_and_writes_nothing,
    law_12_a_tap_that_failed_leaves_no_record, law_12_of_all_taps_with_one_key_one_is_applied,
};
use lists::{
    law_6_mine_is_the_viewers_own, law_6_summaries_come_in_the_order_asked,
    law_7_a_page_goes_on_where_its_last_reactor_has_gone, law_7_pages_meet_across_equal_times,
};
use rules::{
    law_15_a_replay_tells_what_was_replaced, law_15_a_tap_itself_may_add_less,
    law_15_one_of_a_group_replaces_the_other, law_15_rules_and_palette_refuse_what_they_say,
    law_15_rules_are_kept_and_show, law_16_a_whole_set_is_exactly_that,
    law_17_a_forgotten_post_begins_anew, law_17_afterwards_nobody_has_it,
    law_17_forgetting_races_with_taps,
};
use steps::{
    law_8_every_change_has_one_entry, law_9_a_late_write_is_never_applied,
    law_11_taps_that_travel_together_fail_or_succeed_by_themselves,
    the_probe_leaves_nothing_behind,
};
use taps::{
    law_1_concurrent_toggles_take_place_one_after_the_other, law_2_each_verb_does_what_it_says,
    law_3_counts_of_concurrent_sets_are_one_to_n, law_3_users_beyond_two_to_the_53_stay_apart,
    law_3_users_with_text_ids_stay_apart, law_4_a_tap_without_effect_answers_the_revision_as_it_is,
    law_4_posts_without_state_answer_the_floor_of_their_partition,
    law_4_revisions_of_a_post_rise_strictly, law_5_a_summary_is_of_one_moment,
    law_5_reads_see_writes,
};

use crate::store::each::on_stores;
use crate::support::{by, keyed_tap, post, reaction, soon, tap, two_posts_of_one_partition, user};

on_stores! {
    [memory, file, redis, valkey, tls, sentinel, cluster] {
        law_1_concurrent_toggles_take_place_one_after_the_other,
        law_2_each_verb_does_what_it_says,
        law_3_counts_of_concurrent_sets_are_one_to_n,
        law_3_users_beyond_two_to_the_53_stay_apart,
        law_3_users_with_text_ids_stay_apart,
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
        law_15_rules_are_kept_and_show,
        law_15_rules_and_palette_refuse_what_they_say,
        law_15_a_tap_itself_may_add_less,
        law_15_one_of_a_group_replaces_the_other,
        law_15_a_replay_tells_what_was_replaced,
        law_16_a_whole_set_is_exactly_that,
        law_17_afterwards_nobody_has_it,
        law_17_a_forgotten_post_begins_anew,
        law_17_forgetting_races_with_taps,
        the_probe_leaves_nothing_behind,
    }
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
