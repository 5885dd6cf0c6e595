//! The read-only window, over HTTP: what it refuses, and what goes on.

use serde_json::json;

use crate::support::events::{Events, path};
use crate::support::program::{Program, figure};
use crate::support::service::Service;
use crate::support::{post, prefix};

const WINDOW: &str = "/v1/read-only";

/// A service with each kind of store, and the folder of the file.
fn services() -> Vec<(&'static str, Service, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    vec![
        ("memory", Service::memory(), None),
        ("file", Service::with(&["--store", &file]), Some(folder)),
        ("redis", Service::redis(), None),
    ]
}

async fn is_shown(service: &Service) -> bool {
    figure(&service.send("GET", "/metrics").await.body, "onetap_read_only") == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_refuses_every_write_and_no_read() {
    for (store, service, _folder) in services() {
        let post = post();
        let like = format!("/v1/posts/{post}/reactions/like/users/1");
        service.send("PUT", &like).await.ok(201);
        let mut events = Events::open(service.address, &path(&[post])).await;
        events.next().await.unwrap();
        assert!(!is_shown(&service).await, "{store}");

        // Repeating changes nothing.
        for _ in 0..2 {
            let answer = service.send("PUT", WINDOW).await.ok(200);
            assert_eq!(answer, json!({ "read_only": true }), "{store}");
        }
        let before = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
        for (method, of_post, body) in [
            ("PUT", "reactions/like/users/2", ""),
            ("DELETE", "reactions/like/users/1", ""),
            ("POST", "reactions/like/users/1/toggle", "{}"),
            ("PUT", "users/1/reactions", r#"{"reactions":["love"]}"#),
            ("DELETE", "users/1/reactions", ""),
            ("PUT", "rules", r#"{"add":"none"}"#),
            ("DELETE", "rules", ""),
            ("PUT", "lock", ""),
            ("DELETE", "lock", ""),
            ("DELETE", "reactions", ""),
            ("DELETE", "reactions/like", ""),
        ] {
            let path = format!("/v1/posts/{post}/{of_post}");
            let refused = service.send_json(method, &path, body).await;
            refused.assert_problem(503, "read_only");
            assert_eq!(refused.header("retry-after"), Some("5"), "{store}: {method} {path}");
        }
        let body = json!({ "post_ids": [post.to_string()] }).to_string();
        let refused = service.send_json("POST", "/v1/posts/reactions/forget", &body).await;
        refused.assert_problem(503, "read_only");

        let after = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
        assert_eq!(after, before, "{store}");
        service.send("GET", &format!("/v1/posts/{post}/users")).await.ok(200);
        service.send("GET", "/readyz").await.ok(200);
        assert!(is_shown(&service).await, "{store}");
        let mut late = Events::open(service.address, &path(&[post])).await;
        assert_eq!(late.next().await.unwrap().total(), 1, "{store}: a stream that begins now");

        for _ in 0..2 {
            let answer = service.send("DELETE", WINDOW).await.ok(200);
            assert_eq!(answer, json!({ "read_only": false }), "{store}");
        }
        service.send("PUT", &like.replace("users/1", "users/2")).await.ok(201);
        assert!(!is_shown(&service).await, "{store}");
        for events in [&mut events, &mut late] {
            assert_eq!(events.next().await.unwrap().total(), 2, "{store}: the streams went on");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_survives_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    let redis = crate::support::redis_server::shared(crate::support::redis_server::Kind::Redis);
    for store in [file, redis.url()] {
        let prefix = prefix();
        let mut args = vec!["--store", store.as_str()];
        if store.starts_with("redis") {
            args.extend(["--key-prefix", &prefix]);
        }
        let like = format!("/v1/posts/{}/reactions/like/users/1", post());
        let mut first = Program::start(&args);
        first.send("PUT", &like).await.ok(201);
        first.send("PUT", WINDOW).await.ok(200);
        first.terminate();
        assert_eq!(first.exit_code().await, Some(0));

        let second = Program::start(&args);
        second.send("DELETE", &like).await.assert_problem(503, "read_only");
        second.send("GET", "/readyz").await.ok(200);
        second.until_logged("a read-only window is open").await;
        second.send("DELETE", WINDOW).await.ok(200);
        second.send("DELETE", &like).await.ok(200);
        second.until_logged("the read-only window has ended").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_read_only_refuses_alone() {
    let prefix = prefix();
    let redis = crate::support::redis_server::shared(crate::support::redis_server::Kind::Redis);
    let args = ["--store", &redis.url(), "--key-prefix", &prefix];
    let writes = Service::with(&args);
    let reads = Service::with(&[&args[..], &["--read-only"]].concat());
    let post = post();
    let like = format!("/v1/posts/{post}/reactions/like/users/1");
    writes.send("PUT", &like).await.ok(201);
    let refused = reads.send("DELETE", &like).await;
    refused.assert_problem(503, "read_only");
    assert!(refused.body.contains("--read-only"), "{}", refused.body);
    reads.send("GET", "/readyz").await.ok(200);
    assert!(is_shown(&reads).await && !is_shown(&writes).await);
    let summary = reads.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
    assert_eq!(summary["total"], 1);
    // It may begin and end the window of all, and goes on refusing.
    reads.send("PUT", WINDOW).await.ok(200);
    writes.send("DELETE", &like).await.assert_problem(503, "read_only");
    reads.send("DELETE", WINDOW).await.ok(200);
    reads.send("DELETE", &like).await.assert_problem(503, "read_only");
}

#[tokio::test]
async fn a_window_takes_neither_a_query_nor_a_body() {
    let service = Service::memory();
    service.send("PUT", "/v1/read-only?for=1h").await.assert_problem(400, "invalid_query");
    let body = r#"{"read_only":true}"#;
    service.send_json("PUT", WINDOW, body).await.assert_problem(400, "invalid_body");
    service.send("POST", WINDOW).await.assert_problem(405, "method_not_allowed");
    service.send("PUT", &format!("/v1/posts/{}/reactions/like/users/1", post())).await.ok(201);
}
