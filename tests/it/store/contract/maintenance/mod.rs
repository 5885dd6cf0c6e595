//! The laws of `store::Maintenance`, by number.

mod amendments;
mod documents;
mod imports;
mod listings;

use onetap::domain::{
    Amended, Amendment, EditAct, EditOutcome, MemberEdit, Micros, Once, Reaction, StepToken,
};
use onetap::store::{Given, GivenPage, Maintenance as _, WalkCursor, WalkedPost};

use super::*;
use amendments::{
    law_18_amendments_race_with_taps, law_18_each_amendment_is_a_step_of_its_own,
    law_18_edits_apply_in_their_order_and_have_entries,
    law_18_edits_depend_on_the_time_of_a_member, law_18_neither_rules_nor_palettes_judge,
    law_18_users_with_text_ids_stay_apart, law_18_what_was_taken_back_is_not_moved,
    law_19_a_repeated_step_answers_what_the_first_answered,
    law_19_of_all_runs_of_a_step_one_is_applied,
};
use documents::{
    law_23_a_document_has_the_expected_version, law_23_a_document_that_expired_is_gone,
    law_23_of_all_writers_of_a_version_one_wins,
};
use imports::{
    law_19_a_dry_run_answers_what_a_step_would, law_19_a_forgotten_post_is_untouched,
    law_19_a_large_post_comes_in_whole, law_19_a_step_of_an_import_is_applied_once,
    law_19_an_emptied_post_is_untouched_whatever_its_neighbours_do,
    law_19_an_import_leaves_live_taps_alone, law_19_an_import_of_removals_empties_posts,
    law_19_imports_race_with_taps, law_19_rows_are_compared_with_the_clock_at_most,
    law_19_rules_come_in_with_the_rows,
};
use listings::{
    law_20_a_walk_comes_by_every_post, law_21_a_list_has_what_the_user_has,
    law_21_a_list_is_complete_while_others_tap, law_21_users_with_text_ids_stay_apart,
    law_22_a_sound_post_has_no_drift,
};

on_stores! {
    [memory, file, redis, valkey, tls, sentinel, cluster] {
        law_18_edits_apply_in_their_order_and_have_entries,
        law_18_edits_depend_on_the_time_of_a_member,
        law_18_what_was_taken_back_is_not_moved,
        law_18_neither_rules_nor_palettes_judge,
        law_18_each_amendment_is_a_step_of_its_own,
        law_18_users_with_text_ids_stay_apart,
        law_18_amendments_race_with_taps,
        law_19_a_repeated_step_answers_what_the_first_answered,
        law_19_of_all_runs_of_a_step_one_is_applied,
        law_19_a_step_of_an_import_is_applied_once,
        law_19_an_import_leaves_live_taps_alone,
        law_19_an_import_of_removals_empties_posts,
        law_19_imports_race_with_taps,
        law_19_a_forgotten_post_is_untouched,
        law_19_rows_are_compared_with_the_clock_at_most,
        law_19_a_large_post_comes_in_whole,
        law_19_rules_come_in_with_the_rows,
        law_19_a_dry_run_answers_what_a_step_would,
        law_19_an_emptied_post_is_untouched_whatever_its_neighbours_do,
        law_20_a_walk_comes_by_every_post,
        law_21_a_list_has_what_the_user_has,
        law_21_users_with_text_ids_stay_apart,
        law_21_a_list_is_complete_while_others_tap,
        law_22_a_sound_post_has_no_drift,
        law_23_a_document_has_the_expected_version,
        law_23_of_all_writers_of_a_version_one_wins,
        law_23_a_document_that_expired_is_gone,
    }
}

fn edit(id: u64, name: &str, act: EditAct) -> MemberEdit {
    MemberEdit { user: user(id), reaction: reaction(name), act }
}

fn put(id: u64, name: &str, at: u64) -> MemberEdit {
    edit(id, name, EditAct::Put(Micros(at)))
}

fn amendment(post: PostId, edits: Vec<MemberEdit>, once: Once) -> Amendment {
    Amendment::new(post, Cause::Import, edits, once)
}

fn token(n: u8) -> Once {
    Once::Step(StepToken([n; 16]))
}

async fn amend(store: &AnyStore, amendment: Amendment) -> Amended {
    store.amend(vec![amendment], soon()).await.remove(0).unwrap()
}

/// Applies edits that may be applied twice.
async fn edits(store: &AnyStore, post: PostId, edits: Vec<MemberEdit>) -> Amended {
    amend(store, amendment(post, edits, Once::No)).await
}

/// The members of a post with their times, by user and reaction. Counts must agree with them.
async fn members(store: &AnyStore, post: PostId) -> Vec<(String, String, u64)> {
    let listed = all(store, post, None, 100).await;
    let mut sizes: HashMap<_, u64> = HashMap::new();
    listed.iter().for_each(|it| *sizes.entry(it.reaction.clone()).or_default() += 1);
    let shown = summary(store, post, None, 0).await.reactions.into_iter();
    let counts: HashMap<_, _> = shown.map(|it| (it.reaction, it.count)).collect();
    assert_eq!(counts, sizes, "counts are the numbers of members");
    let mut members: Vec<_> = listed
        .into_iter()
        .map(|it| (it.user.to_string(), it.reaction.to_string(), it.reacted_at.0))
        .collect();
    members.sort();
    members
}

fn expected(members: &[(u64, &str, u64)]) -> Vec<(String, String, u64)> {
    let spelled = |(id, name, at): &(u64, &str, u64)| (id.to_string(), (*name).to_owned(), *at);
    let mut expected: Vec<_> = members.iter().map(spelled).collect();
    expected.sort();
    expected
}

/// What a user gave, in pages of `limit`, newest first.
async fn given(store: &AnyStore, user: UserId, limit: usize) -> Vec<Given> {
    let (mut found, mut after) = (Vec::<Given>::new(), None);
    loop {
        let page = store.given(user, after, limit, soon()).await.unwrap();
        let GivenPage { given, more } = page;
        assert!(given.len() <= limit && (!more || given.len() == limit), "{given:?} {more}");
        found.extend(given);
        after = found.last().cloned();
        if !more {
            assert!(found.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {found:?}");
            return found;
        }
    }
}

/// All posts that a walk comes by, in pages of about `limit`.
async fn walk(store: &AnyStore, limit: usize) -> Vec<WalkedPost> {
    let (mut found, mut after) = (Vec::new(), None::<WalkCursor>);
    loop {
        let page = store.walk(after, limit, soon()).await.unwrap();
        found.extend(page.posts);
        after = page.next;
        let Some(WalkCursor(text)) = &after else { return found };
        assert!(text.len() <= 200 && !text.contains(char::is_whitespace), "{text}");
    }
}

/// Asserts that the log of a post leads to what is there, and that its revisions rise.
async fn log_leads_to_the_members(store: &AnyStore, post: PostId) {
    let (mut members, mut last) = (BTreeSet::new(), Revision(0));
    for change in changes(store, post).await {
        assert!(change.revision > last, "revisions rise");
        last = change.revision;
        match (change.flag(), &change.what) {
            (Some((user, name, true)), _) => drop(members.insert((name.clone(), user))),
            (Some((user, name, false)), _) => assert!(members.remove(&(name.clone(), user))),
            (None, onetap::domain::What::Forgotten(None)) => members.clear(),
            (None, other) => panic!("{other:?}"),
        }
    }
    let listed = all(store, post, None, 100).await.into_iter();
    assert_eq!(listed.map(|it| (it.reaction, it.user)).collect::<BTreeSet<_>>(), members);
    self::members(store, post).await;
}
