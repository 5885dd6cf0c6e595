//! The `Idempotency-Key` header: valid keys, replays, refused requests.

use crate::support::http::Response;
use crate::support::post;
use crate::support::service::Service;

struct Caller {
    service: Service,
}

impl Caller {
    async fn send(&self, method: &str, path: &str, key: &str) -> Response {
        self.with_body(method, path, key, "").await
    }

    async fn with_body(&self, method: &str, path: &str, key: &str, body: &str) -> Response {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.service.connect().await.send(method, path, &headers, body).await
    }
}

fn callers() -> [Caller; 2] {
    [Service::memory(), Service::redis()].map(|service| Caller { service })
}

fn is_replay(response: &Response) -> bool {
    match response.header("idempotency-replayed") {
        None => false,
        Some(value) => {
            assert_eq!(value, "true");
            true
        }
    }
}

/// A replay has status and body of the first response, whatever has happened since.
#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_time() {
    for caller in callers() {
        let path = format!("/v1/posts/{}/reactions/like/users/7", post());
        let toggle = format!("{path}/toggle");
        let calls = [("POST", &toggle, 200), ("DELETE", &path, 200), ("PUT", &path, 201)];
        let mut first = Vec::new();
        for (key, (method, path, status)) in calls.into_iter().enumerate() {
            let response =
                caller.send(method, path, &format!("\"key {key}\"").replace(' ', "-")).await;
            assert_eq!(response.status, status, "{method}");
            assert_eq!(response.json()["changed"], true);
            assert!(!is_replay(&response));
            first.push(response);
        }
        caller.service.send("DELETE", &path).await.ok(200);
        for (key, (method, path, status)) in calls.into_iter().enumerate().rev() {
            // Bare and quoted are the same key.
            let response = caller.send(method, path, &format!("key-{key}")).await;
            assert_eq!(response.status, status, "{method}");
            assert_eq!(response.json(), first[key].json());
            assert!(is_replay(&response));
        }
        let summary =
            caller.service.send("GET", &path[..path.find("/like").unwrap()]).await.ok(200);
        assert_eq!(summary["total"], 0);
    }
}

#[tokio::test]
async fn a_key_of_another_request_is_refused_and_nothing_is_applied() {
    for caller in callers() {
        let (post, other) = (post(), post());
        let base = format!("/v1/posts/{post}/reactions");
        let toggle = format!("{base}/like/users/7/toggle");
        assert_eq!(caller.send("POST", &toggle, "k").await.status, 200);
        for (method, path, body) in [
            ("POST", &toggle, r#"{"from":true}"#),
            ("POST", &toggle, r#"{"from":false}"#),
            ("PUT", &format!("{base}/like/users/7"), ""),
            ("DELETE", &format!("{base}/like/users/7"), ""),
            ("POST", &format!("{base}/love/users/7/toggle"), ""),
        ] {
            let response = caller.with_body(method, path, "k", body).await;
            response.assert_problem(422, "idempotency_key_reused");
        }
        // No body and the empty object are the same request.
        for body in ["", "{}"] {
            assert!(is_replay(&caller.with_body("POST", &toggle, "k", body).await), "{body}");
        }
        let summary = caller.service.send("GET", &base).await.ok(200);
        assert_eq!(summary["total"], 1);
        // Another user's key, and another post's, are others.
        for path in [
            format!("{base}/like/users/8/toggle"),
            format!("/v1/posts/{other}/reactions/like/users/7/toggle"),
        ] {
            let response = caller.send("POST", &path, "k").await;
            assert_eq!((response.status, is_replay(&response)), (200, false));
        }
    }
}

#[tokio::test]
async fn what_is_not_a_key_is_refused_and_nothing_is_applied() {
    let caller = Caller { service: Service::memory() };
    let base = format!("/v1/posts/{}/reactions", post());
    let path = format!("{base}/like/users/7/toggle");
    let long = "k".repeat(256);
    for bad in [
        "",
        " ",
        "\"\"",
        "\"a",
        "a\"",
        "a b",
        "\"a b\"",
        "\"a\"b",
        "\"a\"; x=1",
        "\"a\\n\"",
        "\"\\\"",
        "é",
        "a\tb",
        &long,
        &format!("\"{long}\""),
    ] {
        let response = caller.send("POST", &path, bad).await;
        response.assert_problem(400, "invalid_idempotency_key");
    }
    for (method, path) in [("PUT", &path[..path.len() - 7]), ("DELETE", &path[..path.len() - 7])] {
        caller.send(method, path, "a b").await.assert_problem(400, "invalid_idempotency_key");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    let response = caller.service.connect().await.send("POST", &path, &twice, "").await;
    response.assert_problem(400, "invalid_idempotency_key");
    assert_eq!(caller.service.send("GET", &base).await.ok(200)["total"], 0);
    for good in ["k".repeat(255), format!("\"{}\"", "q".repeat(255)), r#""a\"b\\c""#.into()] {
        let response = caller.send("POST", &path, &good).await;
        assert_eq!((response.status, is_replay(&response)), (200, false), "{good}");
        assert!(is_replay(&caller.send("POST", &path, &good).await), "{good}");
    }
    // The escapes of the quoted form are not part of the key.
    assert!(is_replay(&caller.send("POST", &path, r#"a"b\c"#).await));
}

#[tokio::test]
async fn records_are_kept_as_long_as_configured() {
    let redis = crate::support::redis_server::shared(crate::support::redis_server::Kind::Redis);
    let (prefix, url) = (crate::support::prefix(), redis.url());
    let retention = ["--idempotency-retention-seconds", "3", "--request-timeout-ms", "1500"];
    let in_redis = [&["--store", &url, "--key-prefix", &prefix][..], &retention].concat();
    for service in [Service::with(&retention), Service::with(&in_redis)] {
        let caller = Caller { service };
        let path = format!("/v1/posts/{}/reactions/like/users/7/toggle", post());
        assert_eq!(caller.send("POST", &path, "k").await.json()["active"], true);
        assert!(is_replay(&caller.send("POST", &path, "k").await));
        tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
        let later = caller.send("POST", &path, "k").await;
        assert!(!is_replay(&later));
        assert_eq!(later.json()["active"], false, "the toggle counts anew");
    }
}
