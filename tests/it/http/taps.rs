//! Writes over HTTP: responses, bodies, refused requests.

use serde_json::json;

use crate::support::post;
use crate::support::service::Service;

async fn services() -> [Service; 2] {
    [Service::memory(), Service::redis()]
}

#[tokio::test]
async fn a_tap_answers_with_all_that_it_did() {
    for service in services().await {
        let post = post();
        let path = format!("/v1/posts/{post}/reactions/like/users/9007199254740993");
        let first = service.send("POST", &format!("{path}/toggle")).await.ok(200);
        let revision = first["revision"].as_u64().unwrap();
        let expected = json!({
            "post_id": post.to_string(), "reaction": "like", "user_id": "9007199254740993",
            "active": true, "changed": true, "count": 1, "revision": revision, "replaced": [],
        });
        assert_eq!(first, expected);
        let second = service.send("POST", &format!("{path}/toggle")).await.ok(200);
        assert_eq!((&second["active"], &second["count"]), (&json!(false), &json!(0)));
        assert!(second["revision"].as_u64() > Some(revision));
    }
}

#[tokio::test]
async fn put_says_201_only_when_it_became_active() {
    for service in services().await {
        let path = format!("/v1/posts/{}/reactions/like/users/7", post());
        for (method, status, active, changed) in [
            ("DELETE", 200, false, false),
            ("PUT", 201, true, true),
            ("PUT", 200, true, false),
            ("DELETE", 200, false, true),
            ("PUT", 201, true, true),
        ] {
            let answer = service.send(method, &path).await.ok(status);
            assert_eq!(answer["active"], active, "{method}");
            assert_eq!(answer["changed"], changed, "{method}");
        }
    }
}

#[tokio::test]
async fn a_toggle_with_from_is_the_absolute_form() {
    let service = Service::redis();
    let path = format!("/v1/posts/{}/reactions/like/users/7/toggle", post());
    for (body, active, changed) in [
        (r#"{"from":true}"#, false, false),
        (r#"{"from":false}"#, true, true),
        (r#"{"from":false}"#, true, false),
        (r#"{"from":true}"#, false, true),
        ("{}", true, true),
        ("{}", false, true),
        ("", true, true),
    ] {
        let answer = service.send_json("POST", &path, body).await.ok(200);
        assert_eq!(
            (&answer["active"], &answer["changed"]),
            (&json!(active), &json!(changed)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_bad_body_is_refused_and_nothing_is_applied() {
    let service = Service::memory();
    let post = post();
    let path = format!("/v1/posts/{post}/reactions/like/users/7");
    let toggle = format!("{path}/toggle");
    for (method, path, body) in [
        ("POST", &toggle, "not json"),
        ("POST", &toggle, "{"),
        ("POST", &toggle, "[]"),
        ("POST", &toggle, "1"),
        ("POST", &toggle, r#""from""#),
        ("POST", &toggle, r#"{"from":"yes"}"#),
        ("POST", &toggle, r#"{"from":1}"#),
        ("POST", &toggle, r#"{"from":null}"#),
        ("POST", &toggle, r#"{"from":true,"to":false}"#),
        ("POST", &toggle, r#"{"from":true,"from":false}"#),
        ("PUT", &path, r#"{"from":true}"#),
        ("PUT", &path, "[]"),
        ("DELETE", &path, r#"{"reaction":"love"}"#),
    ] {
        let response = service.send_json(method, path, body).await;
        response.assert_problem(400, "invalid_body");
    }
    let mut connection = service.connect().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "json"] {
        let headers = [("content-type", kind)];
        let response = connection.send("POST", &toggle, &headers, r#"{"from":false}"#).await;
        response.assert_problem(415, "unsupported_media_type");
    }
    let response = connection.send("POST", &toggle, &[], r#"{"from":false}"#).await;
    response.assert_problem(415, "unsupported_media_type");
    let summary = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
    assert_eq!(summary["total"], 0);
    // JSON by another name, and a body that says it is UTF-8, are JSON.
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/ld+json"] {
        let headers = [("content-type", kind)];
        connection.send("POST", &toggle, &headers, r#"{"from":false}"#).await.ok(200);
    }
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let service = Service::memory();
    let path = format!("/v1/posts/{}/reactions/like/users/7/toggle", post());
    let body = format!("{{\"from\":{}}}", " ".repeat(64 * 1024));
    service.send_json("POST", &path, &body).await.assert_problem(413, "body_too_large");
    // Ten megabytes that are only announced.
    let mut connection = service.connect().await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10485760\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;
    connection.read().await.unwrap().assert_problem(413, "body_too_large");
    // Ten megabytes that were not announced.
    let mut connection = service.connect().await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..160 {
        connection.write(chunk.as_bytes()).await;
    }
    connection.read().await.unwrap().assert_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_query_on_a_write_is_refused() {
    let service = Service::memory();
    let path = format!("/v1/posts/{}/reactions/like/users/7", post());
    for (method, path) in [
        ("POST", format!("{path}/toggle?from=false")),
        ("PUT", format!("{path}?x=1")),
        ("DELETE", format!("{path}?user_id=9")),
    ] {
        service.send(method, &path).await.assert_problem(400, "invalid_query");
    }
}

#[tokio::test]
async fn me_needs_a_token() {
    let service = Service::memory();
    let post = post();
    for (method, path) in [
        ("POST", format!("/v1/posts/{post}/reactions/like/users/me/toggle")),
        ("PUT", format!("/v1/posts/{post}/reactions/like/users/me")),
        ("DELETE", format!("/v1/posts/{post}/reactions/like/users/me")),
        ("GET", format!("/v1/posts/{post}/reactions?user_id=me")),
        ("GET", format!("/v1/posts/reactions?post_id={post}&user_id=me")),
    ] {
        let response = service.send(method, &path).await;
        response.assert_problem(401, "unauthenticated");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    }
    let body = json!({ "post_ids": [post.to_string()], "user_id": "me" }).to_string();
    let response = service.send_json("POST", "/v1/posts/reactions/query", &body).await;
    response.assert_problem(401, "unauthenticated");
}
