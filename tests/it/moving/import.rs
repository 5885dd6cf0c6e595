//! What an import does to a store.

use super::{
    OTHER, POST, Place, assert_code, assert_said, assert_summary, at_places, exists, line,
    many_rows, row,
};

at_places! { [file, redis, service] {
    rows_keep_their_time_and_a_second_run_changes_nothing,
    the_newest_row_of_a_member_counts,
    a_delta_empties_a_post_of_several_steps,
    a_delta_removes_what_is_off,
    a_post_with_live_taps_is_skipped_and_merge_undoes_no_tap,
    posts_of_more_rows_than_a_step_takes_come_in_whole,
    posts_that_do_not_fill_a_call_come_in_whole,
    a_dry_run_changes_nothing,
    a_dry_run_knows_marks_and_live_taps,
    diff_names_what_differs,
} }

const NOON: &str = "2024-03-01T12:00:00.500000Z";

async fn rows_keep_their_time_and_a_second_run_changes_nothing(place: Place) {
    let rows = row(POST, 7, "LIKE", true, "2024-03-01 12:00:00.5+00")
        + &row(OTHER, 7, "❤", true, "2024-03-01 14:00:00.5+02")
        + &row(OTHER, 9, "LIKE", false, "2024-03-01 12:00:00+00");
    let first = place.import(&rows, &["--map", "LIKE=like"]);
    assert_code(&first, 0);
    assert_summary(&first, &["2 added", "1 unchanged"]);
    let both = line(POST, 7, "like", NOON) + &line(OTHER, 7, "❤️", NOON);
    assert_eq!(place.exported(), both);
    let second = place.import(&rows, &["--map", "LIKE=like"]);
    assert_code(&second, 0);
    assert_summary(&second, &["3 done by an earlier run"]);
    assert_eq!(place.exported(), both);
    assert!(!exists(&place.path("rows.csv.rejects.ndjson")));
    // Readers see the count and the old time.
    place
        .serving(async |service| {
            let users =
                service.send("GET", &format!("/v1/posts/{POST}/reactions/like/users")).await;
            assert_eq!(users.ok(200)["users"][0]["reacted_at"], NOON);
            let summary = service.send("GET", &format!("/v1/posts/{POST}/reactions")).await.ok(200);
            assert_eq!(summary["reactions"][0]["count"], 1);
        })
        .await;
}

async fn the_newest_row_of_a_member_counts(place: Place) {
    let rows = row(POST, 7, "like", true, "2024-03-02 00:00:00")
        + &row(POST, 7, "like", false, "2024-03-01 00:00:00")
        + &row(POST, 8, "like", false, "2024-03-02 00:00:00")
        + &row(POST, 8, "like", true, "2024-03-02 00:00:00")
        + &row(POST, 9, "like", true, "2024-03-02 00:00:00")
        + &row(POST, 9, "like", false, "2024-03-02 00:00:00");
    let output = place.import(&rows, &[]);
    assert_code(&output, 0);
    let repeated = "3 left out: another row of the same member is newer";
    assert_summary(&output, &["2 added", "1 unchanged", repeated]);
    let at = "2024-03-02T00:00:00.000000Z";
    assert_eq!(place.exported(), line(POST, 7, "like", at) + &line(POST, 8, "like", at));
}

/// A step that more rows follow keeps its mark, although it leaves the post empty for a moment.
async fn a_delta_empties_a_post_of_several_steps(place: Place) {
    let rows = |active: bool, at: &str| {
        (1..=1_100).map(|user| row(POST, user, "like", active, at)).collect::<String>()
    };
    assert_code(&place.import(&rows(true, "2024-03-01"), &[]), 0);
    // Only the users of the first step still have it.
    let taken = (26..=1_100).map(|user| row(POST, user, "like", false, "2024-03-02"));
    assert_code(&place.import(&taken.collect::<String>(), &[]), 0);
    let output = place.import(&rows(false, "2024-03-03"), &[]);
    assert_code(&output, 0);
    assert_summary(&output, &["25 removed", "1075 unchanged"]);
    assert_eq!(place.exported(), "");
}

async fn a_delta_removes_what_is_off(place: Place) {
    let rows = row(POST, 7, "like", true, "2024-03-01") + &row(POST, 8, "like", true, "2024-03-01");
    assert_code(&place.import(&rows, &[]), 0);
    let delta =
        row(POST, 7, "like", false, "2024-03-02") + &row(POST, 8, "like", true, "2024-03-03");
    let output = place.import(&delta, &[]);
    assert_code(&output, 0);
    assert_summary(&output, &["1 removed", "1 given another time"]);
    assert_eq!(place.exported(), line(POST, 8, "like", "2024-03-03T00:00:00.000000Z"));
    // An older file sets no time back.
    let older = place.import(&row(POST, 8, "like", true, "2024-03-01"), &[]);
    assert_code(&older, 0);
    assert_summary(&older, &["1 unchanged"]);
    let last = row(POST, 8, "like", false, "2024-03-04");
    assert_code(&place.import(&last, &[]), 0);
    assert_eq!(place.exported(), "");
    // The post is empty now, and still not one with live taps.
    let again = place.import(&row(POST, 8, "like", true, "2024-03-05"), &[]);
    assert_code(&again, 0);
    assert_summary(&again, &["1 added"]);
}

async fn a_post_with_live_taps_is_skipped_and_merge_undoes_no_tap(place: Place) {
    let rows =
        row(POST, 7, "like", true, "2024-03-01") + &row(OTHER, 7, "like", true, "2024-03-01");
    assert_code(&place.import(&rows, &[]), 0);
    place
        .serving(async |service| {
            let tap = format!("/v1/posts/{POST}/reactions/like/users/7");
            assert_eq!(service.send("DELETE", &tap).await.ok(200)["changed"], true);
        })
        .await;
    let delta =
        row(POST, 7, "like", true, "2024-03-02") + &row(OTHER, 7, "like", true, "2024-03-02");
    let skipped = place.import(&delta, &[]);
    assert_code(&skipped, 1);
    assert_said(&skipped, &["skipped for live taps: 1 post with 1 row (", POST, "--merge"]);
    assert_summary(&skipped, &["1 given another time", "1 skipped, on 1 post with live taps"]);
    let other = line(OTHER, 7, "like", "2024-03-02T00:00:00.000000Z");
    assert_eq!(place.exported(), other);
    // The user took the reaction back after all rows of the file.
    let merged = place.import(&delta, &["--merge"]);
    assert_code(&merged, 0);
    assert_summary(&merged, &["1 done by an earlier run", "1 left out: older than a live tap"]);
    assert_eq!(place.exported(), other);
}

async fn posts_of_more_rows_than_a_step_takes_come_in_whole(place: Place) {
    let rows = many_rows(2, 2500);
    let output = place.import(&rows, &[]);
    assert_code(&output, 0);
    assert_summary(&output, &["5000 added"]);
    assert_code(&place.run(&["diff", "rows.csv"]), 0);
    let table = place.run(&["export", "--format", "csv"]);
    assert_code(&table, 0);
    assert_eq!(String::from_utf8(table.stdout).unwrap(), place.read("rows.csv"));
}

async fn posts_that_do_not_fill_a_call_come_in_whole(place: Place) {
    // Calls of 1,000 rows have room for 142 of these posts, and for a part of one.
    let output = place.import(&many_rows(143, 7), &[]);
    assert_code(&output, 0);
    assert_summary(&output, &["1001 added"]);
    assert_code(&place.run(&["diff", "rows.csv"]), 0);
}

#[tokio::test]
async fn users_with_text_ids_come_in_and_out() {
    let at = "2024-03-01 12:00:00+00";
    let rows = format!("{POST},anna,like,t,{at},{at}\n{POST},bo.1,like,t,{at},{at}\n");
    for place in [Place::file(), Place::redis()] {
        let output = place.import(&rows, &["--user-ids", "text"]);
        assert_code(&output, 0);
        assert_summary(&output, &["2 added"]);
        assert_code(&place.run(&["diff", "rows.csv", "--user-ids", "text"]), 0);
        let table = place.run(&["export", "--format", "csv", "--user-ids", "text"]);
        assert_code(&table, 0);
        assert_eq!(String::from_utf8(table.stdout).unwrap(), place.read("rows.csv"));
    }
}

async fn a_dry_run_changes_nothing(place: Place) {
    let rows = row(POST, 7, "like", true, "2024-03-01") + &row(POST, 8, "like", true, "2024-03-01");
    let output = place.import(&rows, &["--dry-run"]);
    assert_code(&output, 0);
    assert_summary(&output, &["2 would be added"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("more in Redis"));
    if place.is_file() {
        assert!(!place.path("store.redb").exists());
    } else {
        assert_eq!(place.exported(), "");
    }
    assert_code(&place.import(&rows, &[]), 0);
    let delta =
        row(POST, 7, "like", false, "2024-03-02") + &row(POST, 8, "like", true, "2024-03-03");
    let before = place.exported();
    let output = place.import(&delta, &["--dry-run"]);
    assert_summary(&output, &["1 would be removed", "1 would be given another time"]);
    assert_eq!(place.exported(), before);
}

async fn a_dry_run_knows_marks_and_live_taps(place: Place) {
    let rows = row(POST, 7, "like", true, "2024-03-01") + &many_rows(1, 2500);
    let would = place.import(&rows, &["--dry-run"]);
    assert_code(&would, 0);
    assert_summary(&would, &["2501 would be added"]);
    assert_code(&place.import(&rows, &[]), 0);
    let again = place.import(&rows, &["--dry-run"]);
    assert_code(&again, 0);
    assert_summary(&again, &["2501 done by an earlier run"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("about 0 B more in Redis"));
    place
        .serving(async |service| {
            let tap = format!("/v1/posts/{POST}/reactions/like/users/7");
            assert_eq!(service.send("DELETE", &tap).await.ok(200)["changed"], true);
        })
        .await;
    let before = place.exported();
    let delta =
        row(POST, 8, "like", true, "2024-03-02") + &row(OTHER, 7, "like", true, "2024-03-02");
    let would = place.import(&delta, &["--dry-run"]);
    assert_code(&would, 1);
    assert_said(&would, &["would be skipped for live taps: 1 post with 1 row (", POST]);
    let skipped = "skipped, on 1 post with live taps";
    assert_summary(&would, &["1 would be added", &format!("1 would be {skipped}")]);
    let would = place.import(&delta, &["--dry-run", "--merge"]);
    assert_code(&would, 0);
    assert_summary(&would, &["1 would be added", "1 left out: older than a live tap"]);
    assert_eq!(place.exported(), before);
    let did = place.import(&delta, &[]);
    assert_code(&did, 1);
    assert_summary(&did, &["1 added", &format!("1 {skipped}")]);
}

async fn diff_names_what_differs(place: Place) {
    let rows = row(POST, 1, "like", true, "2024-03-01")
        + &row(POST, 2, "like", true, "2024-03-01")
        + &row(POST, 3, "like", true, "2024-03-01");
    assert_code(&place.import(&rows, &[]), 0);
    assert_code(&place.run(&["diff", "rows.csv"]), 0);
    let other = row(POST, 1, "like", true, "2024-03-01")
        + &row(POST, 2, "like", true, "2024-03-02")
        + &row(POST, 3, "like", false, "2024-03-02")
        + &row(OTHER, 1, "like", true, "2024-03-01");
    place.write("other.csv", format!("{}{other}", super::HEADER));
    let output = place.run(&["diff", "other.csv"]);
    assert_code(&output, 1);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = lines
        .iter()
        .map(|line| ["differs", "post_id", "user_id"].map(|name| line[name].as_str().unwrap()))
        .collect();
    assert_eq!(found, [["time", POST, "2"], ["extra", POST, "3"], ["missing", OTHER, "1"]]);
    assert_said(
        &output,
        &[
            "the same: 1, of 4 rows",
            "missing from the store: 1,",
            "there without a row: 1,",
            "with another time: 1,",
        ],
    );
}
