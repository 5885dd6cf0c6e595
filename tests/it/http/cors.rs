//! Reported as svix/svix-webhooks#552, tower-rs/tower-http#194, apex/up#661,
//! artifact-keeper/artifact-keeper#1368: what a page of another origin may read, on every response
//! and every error.

use std::time::Duration;

use crate::support::http::{Connection, Response};
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::service::Service;
use crate::support::{post, posts};

const OURS: &str = "https://forum.example";
const OTHER: &str = "http://localhost:8000";
const FOREIGN: &str = "https://evil.example";

/// Asserts that a response allows a page of this origin to read it, unless the origin is foreign.
#[track_caller]
fn assert_readable(response: &Response, origin: &str) {
    let all = |name: &str| -> Vec<&str> {
        let found = response.headers.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    };
    let allowed = if origin == FOREIGN { vec![] } else { vec![origin] };
    assert_eq!(all("access-control-allow-origin"), allowed, "{response:?}");
    let vary = all("vary").join(",").to_lowercase();
    assert!(vary.split(',').any(|name| name.trim() == "origin"), "{response:?}");
    assert_eq!(all("access-control-allow-credentials"), [""; 0], "{response:?}");
}

/// The names of a comma-separated list, in lower case and sorted.
fn names(list: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> =
        list.unwrap_or_default().split(',').map(|name| name.trim().to_lowercase()).collect();
    names.sort();
    names
}

/// Provokes every kind of error, each with its status.
async fn provoke(service: &Service, redis: &RedisServer, origin: &str) {
    let headers = [("origin", origin), ("content-type", "application/json")];
    let path = format!("/v1/posts/{}/reactions/like/users/7", post());
    let toggle = format!("{path}/toggle");
    let keyed = [("origin", origin), ("idempotency-key", "one")];
    let form = [("origin", origin), ("content-type", "text/plain")];
    let long = format!("/{}", "x".repeat(9000));
    let large = format!("{{\"from\":{}true}}", " ".repeat(70_000));
    let stream = crate::support::events::path(&posts(101));
    let me = path.replace("users/7", "users/me");
    let send = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        service.connect().await.send(method, path, headers, body).await
    };
    for (method, path, headers, body, status) in [
        ("PUT", &*path, &headers[..], "", 201),
        ("GET", "/v1/posts/not-a-post/reactions", &headers, "", 400),
        ("GET", &stream, &headers, "", 400),
        ("PUT", &me, &headers, "", 401),
        ("GET", "/nothing/here", &headers, "", 404),
        ("PATCH", &path, &headers, "", 405),
        ("POST", &toggle, &headers, &large, 413),
        ("GET", &long, &headers, "", 414),
        ("POST", &toggle, &form, "{}", 415),
        ("PUT", &path, &keyed, "", 200),
        ("DELETE", &path, &keyed, "", 422),
        ("GET", "/healthz", &headers, "", 200),
        ("HEAD", "/docs/", &headers, "", 200),
    ] {
        let response = send(method, path, headers, body).await;
        assert_eq!(response.status, status, "{response:?}");
        assert_readable(&response, origin);
        let exposed = names(response.header("access-control-expose-headers"));
        let readable = [
            "date",
            "etag",
            "idempotency-replayed",
            "link",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "x-request-id",
        ];
        assert_eq!(exposed, readable);
    }
    // 408: the body does not come.
    let mut connection = service.connect().await;
    let head = format!(
        "POST {toggle} HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\ncontent-type: application/json\r\n\
         content-length: 9\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;
    let response = connection.read().await.unwrap();
    response.assert_problem(408, "request_timeout");
    assert_readable(&response, origin);
    // 504, then 503: Redis falls silent while it has a tap.
    redis.signal("-STOP");
    let response = send("PUT", &path, &headers, "").await;
    response.assert_problem(504, "outcome_unknown");
    assert_readable(&response, origin);
    let response = send("GET", &format!("/v1/posts/{}/reactions", post()), &headers, "").await;
    response.assert_problem(503, "store_unavailable");
    assert_readable(&response, origin);
    redis.signal("-CONT");
    while service.send("GET", "/readyz").await.status != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_can_read_every_answer_and_every_error() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&[
        "--store",
        &redis.url(),
        "--body-timeout-ms",
        "200",
        "--request-timeout-ms",
        "500",
        "--cors-origin",
        OURS,
        "--cors-origin",
        OTHER,
    ]);
    for origin in [OURS, OTHER, FOREIGN] {
        provoke(&service, &redis, origin).await;
    }
    let response = service.send("GET", "/healthz").await;
    assert_eq!(response.header("access-control-allow-origin"), None, "without an origin");
    assert_eq!(response.header("vary"), Some("origin"), "for caches on the way");
}

/// Any page that a user opens could tap for that user: browsers send a POST without a body without
/// asking first.
#[tokio::test]
async fn a_browser_taps_for_pages_of_its_own_origin_and_of_named_ones_alone() {
    let service = Service::with(&["--cors-origin", OURS]);
    let path = format!("/v1/posts/{}/reactions/like/users/7", post());
    let toggle = format!("{path}/toggle");
    let site = |site| ("sec-fetch-site", site);
    let origin = |origin| ("origin", origin);
    let cases: &[(&[(&str, &str)], bool)] = &[
        // A caller that is no browser.
        (&[], true),
        (&[origin(FOREIGN)], true),
        // A browser.
        (&[site("same-origin"), origin("https://any.example")], true),
        (&[site("same-origin"), origin("null")], true),
        (&[site("none")], true),
        (&[site("later-word"), origin(FOREIGN)], true),
        (&[site("cross-site"), origin(FOREIGN)], false),
        (&[site("cross-site"), origin("null")], false),
        (&[site("cross-site")], false),
        (&[site("same-site"), origin("http://test:8000")], false),
        (&[site("cross-site"), origin(OURS)], true),
        (&[site("same-site"), origin(OURS)], true),
    ];
    for (headers, may) in cases {
        for (method, path) in [("PUT", &path), ("DELETE", &path), ("POST", &toggle)] {
            let response = service.connect().await.send(method, path, headers, "").await;
            if *may {
                assert!(response.status < 300, "{headers:?}: {response:?}");
            } else {
                response.assert_problem(403, "forbidden");
            }
        }
        // PUT, DELETE, toggle: the reaction is on. A refused write leaves it as it was.
        let count = service.send("GET", &path.replace("/like/users/7", "")).await.ok(200);
        assert_eq!(count["total"], 1, "{headers:?}");
    }
    // A page that may not read the answer may still send a GET.
    let foreign = [site("cross-site"), origin(FOREIGN)];
    let asked = service.connect().await.send("GET", "/healthz", &foreign, "").await;
    asked.ok(200);
}

async fn preflight(connection: &mut Connection, origin: &str) -> Response {
    let path = format!("/v1/posts/{}/reactions/like/users/7", post());
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,idempotency-key"),
    ];
    connection.send("OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn a_preflight_says_what_may_be_sent() {
    let service = Service::with(&["--cors-origin", &format!("{OURS},{OTHER}")]);
    let mut connection = service.connect().await;
    for origin in [OURS, OTHER, FOREIGN] {
        let response = preflight(&mut connection, origin).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_readable(&response, origin);
        let methods = names(response.header("access-control-allow-methods"));
        assert_eq!(methods, ["delete", "get", "post", "put"]);
        let headers = names(response.header("access-control-allow-headers"));
        let sent =
            ["authorization", "content-type", "idempotency-key", "if-none-match", "onetap-actor"];
        assert_eq!(headers, sent);
        assert_eq!(response.header("access-control-max-age"), Some("3600"));
    }
    // A stream is read across origins too.
    let path = crate::support::events::path(&[post()]);
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\norigin: {OURS}\r\n\r\n");
    connection.write(request.as_bytes()).await;
    let response = connection.read().await.unwrap();
    assert_eq!(response.status, 200);
    assert_readable(&response, OURS);
}

#[tokio::test]
async fn without_origins_nothing_is_said_of_them() {
    let service = Service::memory();
    let mut connection = service.connect().await;
    preflight(&mut connection, OURS).await.assert_problem(405, "method_not_allowed");
    let response = connection.send("GET", "/healthz", &[("origin", OURS)], "").await;
    let said = |name: &str| name.starts_with("access-control") || name == "vary";
    assert!(!response.headers.iter().any(|(name, _)| said(name)), "{response:?}");
}
