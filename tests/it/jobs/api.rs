//! Jobs over HTTP: what the calls answer, and what they refuse.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::{post, posts};

const ODD_JOB: &str = "/v1/jobs/0123456789abcdef";

async fn put(service: &Service, path: &str) {
    service.send("PUT", path).await.ok(201);
}

async fn start(service: &Service, body: Value) -> Value {
    let started = service.send_json("POST", "/v1/jobs", &body.to_string()).await;
    let job = started.ok(202);
    let place = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(started.header("location"), Some(place.as_str()));
    ended(service, &place).await
}

async fn ended(service: &Service, place: &str) -> Value {
    let began = Instant::now();
    loop {
        let job = service.send("GET", place).await.ok(200);
        if job["state"] != "running" {
            return job;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{job}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_job_is_started_watched_and_has_a_receipt() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        let path = |id: u64| format!("/v1/posts/{post}/reactions/like/users/{id}");
        put(&service, &path(1)).await;
        put(&service, &path(2)).await;
        let body = json!({ "kind": "retract", "user_ids": [1, "1"], "reaction": "like" });
        let job = start(&service, body).await;
        assert_eq!((&job["kind"], &job["state"]), (&json!("retract"), &json!("done")));
        assert_eq!((&job["done"], &job["total"]), (&json!(1), &json!(1)));
        assert_eq!(job["arguments"], json!({ "users": 1, "reaction": "like" }));
        assert_eq!(job["numbers"], json!({ "found": 1, "removed": 1 }));
        let receipt = service.send("GET", job["receipt"].as_str().unwrap()).await;
        assert_eq!(receipt.header("content-type"), Some("application/x-ndjson"));
        let lines: Vec<Value> =
            receipt.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{}", receipt.body);
        assert_eq!(lines[0]["user_id"], "1");
        assert!(lines[0]["reacted_at"].is_string() && lines[0]["post_id"] == post.to_string());
        assert_eq!(lines[1]["receipt"], job);
        let jobs = service.send("GET", "/v1/jobs?limit=1").await.ok(200);
        assert_eq!(jobs, json!({ "jobs": [job], "next_cursor": null }));
        // A job that has ended stays as it is.
        let place = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        assert_eq!(service.send("DELETE", &place).await.ok(200), job);
    }
}

#[tokio::test]
async fn a_user_is_erased_by_one_call_and_twice_at_once() {
    for service in [Service::memory(), Service::redis()] {
        let posts = posts(20);
        for post in &posts {
            put(&service, &format!("/v1/posts/{post}/reactions/like/users/7")).await;
            put(&service, &format!("/v1/posts/{post}/reactions/like/users/8")).await;
        }
        let erase = || service.send("DELETE", "/v1/users/7/reactions");
        let (first, second) = tokio::join!(erase(), erase());
        let mut removed = 0;
        for started in [first, second] {
            started.ok(202);
            let job = ended(&service, started.header("location").unwrap()).await;
            assert_eq!((&job["kind"], &job["state"]), (&json!("erase"), &json!("done")));
            removed += job["numbers"]["removed"].as_u64().unwrap_or_default();
        }
        assert_eq!(removed, 20, "each reaction is in one of the receipts");
        for post in &posts {
            let summary = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
            assert_eq!(summary["total"], 1);
        }
        service
            .send("DELETE", "/v1/users/0/reactions")
            .await
            .assert_problem(400, "invalid_user_id");
        service
            .send("DELETE", "/v1/users/me/reactions")
            .await
            .assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_job_that_makes_no_sense_is_refused() {
    let palette = "[palettes.default]\nreactions = [\"like\", \"love\"]\n\
                   aliases = { heart = \"love\" }\n";
    let service = Service::configured(palette, &[]);
    let (one, other) = (post(), post());
    let many: Vec<u64> = (1..=10_001).collect();
    for (body, status, code) in [
        (json!({}), 400, "invalid_body"),
        (json!({ "kind": "forget" }), 400, "invalid_body"),
        (json!({ "kind": null }), 400, "invalid_body"),
        (json!({ "kind": "erase" }), 400, "invalid_body"),
        (json!({ "kind": "erase", "user_id": 7, "colour": "red" }), 400, "invalid_body"),
        (json!({ "kind": "erase", "user_id": 7, "posts": [one.to_string()] }), 400, "invalid_body"),
        (json!({ "kind": "erase", "user_id": 0 }), 400, "invalid_user_id"),
        (json!({ "kind": "erase", "user_id": "me" }), 401, "unauthenticated"),
        (json!({ "kind": "audit", "repair": "yes" }), 400, "invalid_body"),
        (json!({ "kind": "retract", "user_ids": [] }), 400, "invalid_body"),
        (json!({ "kind": "retract", "user_ids": many }), 400, "invalid_body"),
        (json!({ "kind": "retract", "user_ids": [1], "since": "yesterday" }), 400, "invalid_body"),
        (json!({ "kind": "retract", "user_ids": [1], "posts": [] }), 400, "invalid_body"),
        (json!({ "kind": "retract", "user_ids": [1], "reaction": "No" }), 400, "invalid_reaction"),
        (
            json!({ "kind": "retract", "user_ids": [1], "since": "2026-01-02T00:00:00Z",
                "until": "2026-01-01T00:00:00Z" }),
            400,
            "invalid_body",
        ),
        (json!({ "kind": "rename", "from": "like", "to": "like" }), 400, "invalid_body"),
        (json!({ "kind": "rename", "from": "like" }), 400, "invalid_body"),
        (json!({ "kind": "rename", "from": "like", "to": "wow" }), 422, "reaction_not_allowed"),
        // It is counted as `love`, so nobody could take it back.
        (json!({ "kind": "rename", "from": "like", "to": "heart" }), 422, "reaction_not_allowed"),
        (json!({ "kind": "merge_user", "from": 7, "to": "7" }), 400, "invalid_body"),
        (json!({ "kind": "merge_user", "from": 7, "to": -1 }), 400, "invalid_user_id"),
        (
            json!({ "kind": "move_post", "from": one.to_string(), "to": one.to_string() }),
            400,
            "invalid_body",
        ),
        (
            json!({ "kind": "copy_post", "from": one.to_string(), "to": "7" }),
            400,
            "invalid_post_id",
        ),
    ] {
        let refused = service.send_json("POST", "/v1/jobs", &body.to_string()).await;
        refused.assert_problem(status, code);
    }
    for (method, path) in [("GET", ""), ("DELETE", ""), ("GET", "/receipt")]
        .map(|(m, end)| (m, format!("{ODD_JOB}{end}")))
    {
        service.send(method, &path).await.assert_problem(404, "not_found");
    }
    service.send("GET", "/v1/jobs/%FF").await.assert_problem(404, "not_found");
    service.send("GET", "/v1/jobs?cursor=x").await.assert_problem(400, "invalid_cursor");
    service.send("GET", "/v1/jobs?all=1").await.assert_problem(400, "invalid_query");
    assert_eq!(service.send("GET", "/v1/jobs").await.ok(200)["jobs"], json!([]));
    // What makes sense goes through: the name that goes need not be in a palette any more.
    let body = json!({ "kind": "rename", "from": "wow", "to": "love", "dry_run": true });
    assert_eq!(start(&service, body).await["state"], "done");
    let body = json!({ "kind": "copy_post", "from": one.to_string(), "to": other.to_string() });
    assert_eq!(start(&service, body).await["numbers"], json!({}));
}
