//! What comes out of a store, all of it or what changed, also while it serves.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{
    HEADER, OTHER, POST, Place, assert_code, assert_said, assert_summary, at_places, line,
    many_rows, numbered, row,
};
use crate::support::program::Program;

at_places! { [file, redis, service] {
    what_changed_since_an_export_is_exported_as_it_is_now,
    forgetting_is_exported_with_all_that_is_left,
    rules_are_exported_and_imported,
    rules_come_in_once_and_are_no_live_tap,
    a_large_post_between_small_ones_is_exported,
} }

/// The cursor that an export gave.
fn cursor(output: &std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.split_once("--since ").unwrap().1.trim().to_owned()
}

fn lines(output: &std::process::Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn what_changed_since_an_export_is_exported_as_it_is_now(place: Place) {
    let rows: String =
        (1..=4).map(|user| row(POST, user, "like", true, "2024-03-01 12:00:00")).collect();
    assert_code(&place.import(&rows, &[]), 0);
    let whole = place.run(&["export"]);
    let first = cursor(&whole);
    assert!(first.len() < 100, "{first}");
    let nothing = place.run(&["export", "--since", &first]);
    assert_code(&nothing, 0);
    assert_eq!(lines(&nothing), Vec::<Value>::new());
    // An import that gives an old time, too.
    let delta =
        row(POST, 3, "like", true, "2024-03-02") + &row(OTHER, 5, "sad", true, "2024-02-01");
    assert_code(&place.import(&delta, &[]), 0);
    place
        .serving(async |service| {
            for (method, path) in [
                ("DELETE", format!("/v1/posts/{POST}/reactions/like/users/1")),
                ("POST", format!("/v1/posts/{POST}/reactions/like/users/2/toggle")),
                ("POST", format!("/v1/posts/{POST}/reactions/like/users/2/toggle")),
                ("PUT", format!("/v1/posts/{POST}/reactions/love/users/4")),
            ] {
                assert!(service.send(method, &path).await.status < 300);
            }
        })
        .await;
    let changed = place.run(&["export", "--since", &first]);
    assert_code(&changed, 0);
    let found: Vec<_> = lines(&changed)
        .iter()
        .map(|line| {
            let [user, name] = ["user_id", "reaction"].map(|key| line[key].as_str().unwrap());
            format!("{user} {name} {}", line["active"].as_bool().unwrap_or(true))
        })
        .collect();
    assert_eq!(found, ["1 like false", "2 like true", "3 like true", "4 love true", "5 sad true"]);
    assert_eq!(lines(&changed)[2]["reacted_at"], "2024-03-02T00:00:00.000000Z");
    assert_eq!(lines(&changed)[4]["reacted_at"], "2024-02-01T00:00:00.000000Z");
    // What changed brings a copy of the first export up to date.
    let copy = Place::file();
    copy.write("whole.ndjson", &whole.stdout);
    copy.write("changed.ndjson", &changed.stdout);
    assert_code(&copy.run(&["import", "whole.ndjson"]), 0);
    assert_code(&copy.run(&["import", "changed.ndjson"]), 0);
    assert_eq!(copy.exported(), place.exported());
    let nothing = place.run(&["export", "--since", &cursor(&changed)]);
    assert_eq!(lines(&nothing), Vec::<Value>::new());
}

/// Small posts are read some at a time. Those that are asked for must not keep others from their
/// turn while the export is at a large one.
async fn a_large_post_between_small_ones_is_exported(place: Place) {
    let of = |post, users: u64| {
        let row = move |user| row(&numbered(post), user, "like", true, "2024-03-01 12:00:00");
        (100_000_u64..100_000 + users).map(row)
    };
    let rows = (0..20).flat_map(|post| of(post, if post == 3 { 1_500 } else { 2 }));
    assert_code(&place.import(&rows.collect::<String>(), &[]), 0);
    assert_eq!(place.exported().lines().count(), 1_500 + 19 * 2);
    assert_code(&place.run(&["diff", "rows.csv"]), 0);
}

async fn forgetting_is_exported_with_all_that_is_left(place: Place) {
    let rows = row(POST, 1, "like", true, "2024-03-01 12:00:00")
        + &row(POST, 1, "sad", true, "2024-03-01 12:00:00");
    assert_code(&place.import(&rows, &[]), 0);
    let first = cursor(&place.run(&["export"]));
    place
        .serving(async |service| {
            let path = format!("/v1/posts/{POST}/reactions/like");
            assert_eq!(service.send("DELETE", &path).await.ok(200)["removed"], 1);
        })
        .await;
    let changed = place.run(&["export", "--since", &first]);
    let text = String::from_utf8(changed.stdout).unwrap();
    let forgotten =
        format!("{{\"post_id\":\"{POST}\",\"reaction\":\"like\",\"forgotten\":true}}\n");
    assert_eq!(text, forgotten + &line(POST, 1, "sad", "2024-03-01T12:00:00.000000Z"));
    // A table cannot say it.
    let table = place.run(&["export", "--since", &first, "--format", "csv"]);
    assert_code(&table, 1);
    assert_said(&table, &["posts or reactions that were forgotten: 1,"]);
}

async fn rules_are_exported_and_imported(place: Place) {
    assert_code(&place.import(&row(POST, 1, "like", true, "2024-03-01 12:00:00"), &[]), 0);
    place
        .serving(async |service| {
            assert_eq!(service.send("PUT", &format!("/v1/posts/{OTHER}/lock")).await.status, 200);
            assert_eq!(service.send("PUT", &format!("/v1/posts/{POST}/lock")).await.status, 200);
        })
        .await;
    let member = line(POST, 1, "like", "2024-03-01T12:00:00.000000Z");
    let whole = place.exported();
    assert_eq!(whole, lock(POST) + &member + &lock(OTHER));
    let copy = Place::redis();
    copy.write("whole.ndjson", &whole);
    for _ in 0..2 {
        assert_code(&copy.run(&["import", "whole.ndjson"]), 0);
        assert_eq!(copy.exported(), whole);
    }
    assert_code(&copy.run(&["diff", "whole.ndjson"]), 0);
}

/// The line of a post that is locked.
fn lock(post: &str) -> String {
    format!("{{\"post_id\":\"{post}\",\"palette\":\"default\",\"add\":\"all\",\"locked\":true}}\n")
}

async fn rules_come_in_once_and_are_no_live_tap(place: Place) {
    let member = |at: &str| line(POST, 1, "like", &format!("{at}T12:00:00.000000Z"));
    place.write("whole.ndjson", lock(OTHER) + &member("2024-03-01") + &lock(POST));
    let first = place.run(&["import", "whole.ndjson"]);
    assert_code(&first, 0);
    assert_summary(&first, &["1 added", "2 posts given other rules"]);
    // A later file finds no live taps.
    place.write("delta.ndjson", member("2024-03-02"));
    let delta = place.run(&["import", "delta.ndjson"]);
    assert_code(&delta, 0);
    assert_summary(&delta, &["1 given another time"]);
    let whole = lock(POST) + &member("2024-03-02") + &lock(OTHER);
    assert_eq!(place.exported(), whole);
    place.write("now.ndjson", &whole);
    assert_code(&place.run(&["diff", "now.ndjson"]), 0);
    assert_code(&place.run(&["import", "now.ndjson"]), 0);
    // A table has no rules, so it does not miss any.
    place
        .write("now.csv", format!("{HEADER}{}", row(POST, 1, "like", true, "2024-03-02 12:00:00")));
    assert_code(&place.run(&["diff", "now.csv"]), 0);
    place
        .serving(async |service| {
            for post in [POST, OTHER] {
                assert_eq!(
                    service.send("DELETE", &format!("/v1/posts/{post}/lock")).await.status,
                    200
                );
            }
        })
        .await;
    // A second run locks nothing again.
    let again = place.run(&["import", "now.ndjson"]);
    assert_code(&again, 0);
    assert_summary(&again, &["1 done by an earlier run"]);
    assert_eq!(place.exported(), member("2024-03-02"));
    let differs = place.run(&["diff", "now.ndjson"]);
    assert_code(&differs, 1);
    assert_said(&differs, &["the same: 1, of 1 row", "posts with other rules: 2"]);
    let rules = r#""input":{"palette":"default","add":"all","locked":true}}"#;
    let expected = [POST, OTHER]
        .map(|post| format!("{{\"differs\":\"rules\",\"post_id\":\"{post}\",{rules}\n"));
    assert_eq!(String::from_utf8(differs.stdout).unwrap(), expected.concat());
    // What is merged over the moderator's change leaves it, and says so.
    place.write("merged.ndjson", lock(POST) + &member("2024-03-03"));
    let merged = place.run(&["import", "merged.ndjson", "--merge"]);
    assert_code(&merged, 0);
    let left = "1 post left with other rules, because of live taps";
    assert_summary(&merged, &["1 left out: older than a live tap", left]);
    assert_eq!(place.exported(), member("2024-03-02"));
}

#[tokio::test]
async fn a_file_moves_to_redis_and_back() {
    let (file, redis, back) = (Place::file(), Place::redis(), Place::file());
    assert_code(&file.import(&many_rows(300, 7), &[]), 0);
    assert_code(&file.import(&row(POST, 7, "❤️", true, "2024-03-01"), &[]), 0);
    let whole = file.exported();
    for place in [&redis, &back] {
        place.write("whole.ndjson", &whole);
        assert_code(&place.run(&["import", "whole.ndjson"]), 0);
        assert_eq!(place.exported(), whole);
        assert_code(&place.run(&["diff", "whole.ndjson"]), 0);
    }
}

#[tokio::test]
async fn an_export_of_a_store_that_is_not_there_makes_none() {
    let place = Place::file();
    for command in ["export", "diff"] {
        place.write("rows.csv", HEADER);
        let args: &[&str] = if command == "diff" { &["diff", "rows.csv"] } else { &["export"] };
        let output = place.run(args);
        assert_code(&output, 64);
        assert_said(&output, &["--store file:store.redb", "no such file"]);
    }
    assert!(!place.path("store.redb").exists());
}

#[tokio::test]
async fn a_cursor_that_the_log_has_left_behind_is_expired() {
    let place = Place::file();
    assert_code(&place.import(&row(POST, 1, "like", true, "2024-03-01"), &[]), 0);
    let first = cursor(&place.run(&["export"]));
    let rows: String = (1..=2600).map(|user| row(POST, user, "love", true, "2024-03-01")).collect();
    assert_code(&place.import(&rows, &["--change-log-max-entries", "1000"]), 0);
    let output = place.run(&["export", "--since", &first]);
    assert_code(&output, 1);
    assert_said(&output, &["no longer has all changes", "export everything again"]);
    place
        .serving(async |service| {
            let answer = service.send("GET", &format!("/v1/export?since={first}")).await;
            answer.assert_problem(410, "cursor_expired");
        })
        .await;
    let output = place.run(&["export", "--since", "nonsense"]);
    assert_code(&output, 64);
}

/// Begins an export, and reads only its head.
async fn begin(service: &Program) -> TcpStream {
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    let request = b"GET /v1/export HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    stream
}

/// How many bytes of an export a client takes that stops reading: less than all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_slowly_or_goes_away_holds_nothing_else_up() {
    let place = Place::service();
    assert_code(&place.import(&many_rows(240, 500), &[]), 0);
    place
        .serving(async |service| {
            let before = service.resident_kib();
            let slow = begin(service).await;
            let other = begin(service).await;
            // Two are as many as run at a time.
            let third = service.send("GET", "/v1/export").await;
            third.assert_problem(503, "overloaded");
            for user in 1..=200 {
                let tap = format!("/v1/posts/{}/reactions/sad/users/{user}", numbered(3));
                assert_eq!(service.send("PUT", &tap).await.status, 201);
            }
            // All of it would be 15 MB for each of the two.
            let grown = service.resident_kib().saturating_sub(before);
            assert!(grown < 10_000, "{grown} KiB more");
            drop((slow, other));
            // Both have given their places back.
            let free = async || {
                let again = service.send("GET", "/v1/export?since=x").await.status;
                again == 400 && {
                    let mut stream = TcpStream::connect(service.address()).await.unwrap();
                    let request = b"GET /v1/export HTTP/1.1\r\nhost: localhost\r\n\r\n";
                    stream.write_all(request).await.unwrap();
                    let mut head = [0; 12];
                    stream.read_exact(&mut head).await.unwrap();
                    &head == b"HTTP/1.1 200"
                }
            };
            service.until("a place for an export", free).await;
        })
        .await;
}

#[tokio::test]
async fn an_export_whose_reader_goes_away_ends() {
    let place = Place::file();
    assert_code(&place.import(&many_rows(100, 100), &[]), 0);
    let mut command = place.command(&["export"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = tokio::time::timeout(
        Duration::from_secs(20),
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()),
    );
    let output = output.await.unwrap().unwrap();
    assert_code(&output, 1);
    assert_said(&output, &["standard output", "not complete"]);
}
