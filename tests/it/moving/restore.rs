//! What a job has removed, put back from its receipt.

use std::fmt::Write as _;

use super::{
    OTHER, POST, Place, assert_code, assert_said, assert_summary, at_places, line, row, run,
};
use crate::support::program::{Program, onetap};

at_places! { [file, redis, service] {
    a_receipt_gives_back_once_what_its_job_removed,
    only_removed_reactions_are_restored,
} }

/// More users than one step takes.
const MANY: u64 = 1_100;

/// Removes all that users gave, and returns what onetap prints as receipts.
fn retracted(place: &Place, service: &Program) -> String {
    let users: String = (1..=MANY).map(|user| format!("{user}\n")).collect();
    place.write("users", users);
    let url = format!("http://{}", service.address());
    let jobs = |args: &[&str]| {
        let mut command = onetap(&[&["jobs"], args, &["--url", &url]].concat());
        let output = run(command.current_dir(place.folder.path()));
        assert_code(&output, 0);
        String::from_utf8(output.stdout).unwrap()
    };
    jobs(&["start", "retract", "--users-file", "users", "--wait"]);
    jobs(&["receipt"])
}

async fn a_receipt_gives_back_once_what_its_job_removed(place: Place) {
    let mut rows = String::new();
    for user in 1..=3 {
        rows += &row(POST, user, "like", true, &format!("2024-03-0{user} 12:00:00.5"));
    }
    for user in 1..=MANY {
        let at = format!("2024-03-04 12:{:02}:{:02}", user / 60, user % 60);
        write!(rows, "{}", row(OTHER, user, "love", true, &at)).unwrap();
    }
    assert_code(&place.import(&rows, &[]), 0);
    let before = place.exported();
    let tap = |post: &str, name: &str, user: u64| {
        format!("/v1/posts/{post}/reactions/{name}/users/{user}")
    };
    let of_jobs = place
        .serving(async |service| {
            let receipt = retracted(&place, service);
            assert_eq!(service.send("PUT", &tap(POST, "like", 2)).await.status, 201);
            receipt
        })
        .await;
    // Receipts of audits stand in one file with it.
    let drift = format!("{{\"post_id\":\"{POST}\",\"drift\":[\"revision\"],\"repaired\":true}}\n");
    let damaged = format!("{{\"post_id\":\"{OTHER}\",\"damaged\":\"a key of another type\"}}\n");
    place.write("receipts.ndjson", format!("{drift}{damaged}{of_jobs}"));
    let first = place.run(&["import", "--restore", "receipts.ndjson"]);
    assert_code(&first, 0);
    assert_summary(&first, &["1102 added", "1 unchanged"]);
    // All times are back, but for the user who has a newer reaction.
    let own = line(POST, 2, "like", "2024-03-02T12:00:00.500000Z");
    let restored = place.exported();
    let others = before.replace(&own, "");
    assert_eq!(before.lines().count(), others.lines().count() + 1);
    let newer: Vec<_> = restored.lines().filter(|line| !others.contains(line)).collect();
    assert!(newer.len() == 1 && !own.contains(newer[0]), "{newer:?}");
    assert_eq!(restored.replace(&format!("{}\n", newer[0]), ""), others);
    // What users take back after that stays away, in each step of a post.
    place
        .serving(async |service| {
            for path in [tap(POST, "like", 1), tap(OTHER, "love", 1), tap(OTHER, "love", MANY)] {
                assert_eq!(service.send("DELETE", &path).await.ok(200)["changed"], true);
            }
        })
        .await;
    let left = place.exported();
    assert_eq!(left.lines().count(), restored.lines().count() - 3);
    let second = place.run(&["import", "--restore", "receipts.ndjson"]);
    assert_code(&second, 0);
    assert_eq!(place.exported(), left);
    assert_summary(&second, &["1103 done by an earlier run"]);
}

async fn only_removed_reactions_are_restored(place: Place) {
    let removed = line(POST, 7, "like", "2024-03-01T12:00:00.000000Z");
    let flagged =
        line(POST, 8, "like", "2024-03-01T12:00:00.000000Z").replace('}', ",\"active\":true}");
    let rules = format!(
        "{{\"post_id\":\"{POST}\",\"palette\":\"default\",\"add\":\"all\",\"locked\":true}}\n"
    );
    place.write("rows.ndjson", format!("{rules}{removed}{flagged}"));
    let output = place.run(&["import", "--restore", "rows.ndjson"]);
    assert_code(&output, 1);
    assert_said(&output, &["rejected: 2 rows (line 1: it is no line of the receipt"]);
    assert_eq!(place.exported(), removed);
    let table = place.import(&row(POST, 9, "like", true, "2024-03-01"), &["--restore"]);
    assert_code(&table, 65);
    assert_said(&table, &["it is not the receipt of a job"]);
}

/// An import never sets a time back. docs/moving-in.md says so.
#[tokio::test]
async fn a_time_that_a_job_made_older_is_named_by_diff() {
    let (old, new) = (Place::service(), Place::file());
    old.import(&row(POST, 9, "like", true, "2024-03-01"), &[]);
    old.import(&row(POST, 1, "like", true, "2024-03-02"), &["--merge"]);
    new.write("before.ndjson", old.exported());
    assert_code(&new.run(&["import", "before.ndjson"]), 0);
    let args = ["jobs", "start", "merge_user", "--from", "9", "--to", "1", "--wait"];
    old.serving(async |service| {
        let url = format!("http://{}", service.address());
        assert_code(&run(onetap(&args).args(["--url", &url])), 0);
    })
    .await;
    assert_eq!(old.exported(), line(POST, 1, "like", "2024-03-01T00:00:00.000000Z"));
    new.write("after.ndjson", old.exported());
    assert_code(&new.run(&["import", "after.ndjson"]), 0);
    let differs = new.run(&["diff", "after.ndjson"]);
    assert_code(&differs, 1);
    let said = String::from_utf8_lossy(&differs.stdout).into_owned();
    assert!(said.contains(r#""differs":"time""#), "{said}");
}
