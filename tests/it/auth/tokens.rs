//! Tokens and keys over HTTP: who a caller is, and what a bad token gets.

use std::fs;
use std::time::{Duration, Instant};

use onetap::auth::{Scopes, key_line};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Keys, key, now, send, token, token_for};
use crate::support::http::Response;
use crate::support::post;
use crate::support::service::Service;

fn mine(answer: &Response) -> Option<bool> {
    answer.ok(200)["reactions"][0]["mine"].as_bool()
}

#[tokio::test]
async fn people_tap_and_see_mine_as_the_user_of_their_token() {
    let keys = Keys::new();
    let service = keys.service(&[]);
    let path = format!("/v1/posts/{}/reactions", post());
    let tap = format!("{path}/like/users/me");
    let answer = send(&service, "PUT", &tap, &token(42), "").await.ok(201);
    assert_eq!(answer["user_id"], "42");
    assert_eq!(mine(&send(&service, "GET", &path, &token(42), "").await), Some(true));
    assert_eq!(mine(&send(&service, "GET", &path, &token(43), "").await), Some(false));
    assert_eq!(mine(&send(&service, "GET", &path, &key("read"), "").await), None);
    let named = format!("{path}?user_id=42");
    assert_eq!(mine(&send(&service, "GET", &named, &key("read"), "").await), Some(true));
    send(&service, "GET", &named, &token(43), "").await.assert_problem(403, "forbidden");
    // Naming users to hide is not naming a viewer.
    let hide = format!("{path}?hide=42&recent=1");
    let hidden = send(&service, "GET", &hide, &token(43), "").await.ok(200);
    assert_eq!(hidden["reactions"][0]["recent"].as_array().map(Vec::len), Some(0), "{hidden}");
    let me = send(&service, "PUT", &tap, &key("act-as"), "").await;
    me.assert_problem(400, "invalid_user_id");
}

#[tokio::test]
async fn caches_keep_no_answer_for_another_caller() {
    let keys = Keys::new();
    let service = keys.service(&["--public-reads"]);
    let path = format!("/v1/posts/{}/reactions", post());
    for (route, bearer, told) in [
        ("", token(42), Some("private, no-cache")),
        ("", String::new(), Some("no-cache")),
        ("/like/users", token(42), Some("private")),
        ("/like/users", String::new(), None),
        ("/like/users", key("read"), Some("private")),
    ] {
        let answer = send(&service, "GET", &format!("{path}{route}"), &bearer, "").await;
        assert_eq!(answer.header("cache-control"), told, "{answer:?}");
        assert_eq!(answer.header("vary"), Some("Authorization"), "{answer:?}");
    }
    let cached = keys.service(&["--public-reads", "--cache-counts", "1s"]);
    let public = "public, max-age=0, s-maxage=1";
    for (bearer, told) in [
        (String::new(), public),
        (token(42), "private, no-cache"),
        (key("read"), "private, no-cache"),
    ] {
        let answer = send(&cached, "GET", &path, &bearer, "").await;
        assert_eq!(answer.header("cache-control"), Some(told), "{answer:?}");
        assert_eq!(answer.header("vary"), Some("Authorization"), "{answer:?}");
    }
    let palettes = send(&service, "GET", "/v1/palettes", "rubbish", "").await;
    assert_eq!(palettes.header("cache-control"), Some("max-age=60"));
}

#[tokio::test]
async fn a_bad_token_is_refused_and_says_why() {
    let keys = Keys::new();
    let service = keys.service(&["--public-reads"]);
    let path = format!("/v1/posts/{}/reactions", post());
    let good = token(42);
    let mut parts: Vec<&str> = good.split('.').collect();
    parts[0] = "eyJhbGciOiJub25lIn0";
    let none = parts[..2].join(".") + ".";
    let forged = format!("{}.{}.{}", &good.split('.').next().unwrap(), parts[1], "A".repeat(43));
    let expired = token_for(42, 0, None);
    let mut by_one = key("read");
    by_one.replace_range(8..9, if &by_one[8..9] == "A" { "B" } else { "A" });
    for (bad, word) in [
        ("rubbish", "not a JWT"),
        (&none, "not a JWT"),
        (&expired, "has expired"),
        (&forged, "signature does not match"),
        (&by_one, "does not know this key"),
        (&"x".repeat(20_000), "more than 16384 bytes"),
    ] {
        // A caller with a bad token is not taken for one without.
        for (method, route) in [("GET", ""), ("PUT", "/like/users/me")] {
            let answer = send(&service, method, &format!("{path}{route}"), bad, "").await;
            answer.assert_problem(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(answer.body.contains(word), "{word}: {answer:?}");
        }
    }
    send(&service, "GET", &path, &good, "").await.ok(200);
}

#[tokio::test]
async fn a_token_comes_once_and_in_the_header() {
    let keys = Keys::new();
    let service = keys.service(&["--public-reads"]);
    let path = format!("/v1/posts/{}/reactions", post());
    let bearer = format!("Bearer {}", token(42));
    let mut connection = service.connect().await;
    let two = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    let answer = connection.send("GET", &path, &two, "").await;
    answer.assert_problem(401, "unauthenticated");
    assert!(answer.body.contains("more than one Authorization header"), "{answer:?}");
    for bad in ["Basic YTpi", "Bearer", &token(42), &format!("{bearer}, {bearer}")] {
        let answer = connection.send("GET", &path, &[("authorization", bad)], "").await;
        answer.assert_problem(401, "unauthenticated");
    }
    for name in ["access_token", "token"] {
        let query = format!("{path}?{name}={}", token(42));
        let answer = connection.send("GET", &query, &[], "").await;
        answer.assert_problem(400, "invalid_query");
        assert!(answer.body.contains("in the header Authorization: Bearer"), "{answer:?}");
        assert!(!answer.body.contains(&token(42)), "{answer:?}");
    }
    // Calls for everyone do not look at it.
    let two = connection.send("GET", "/healthz", &two, "").await;
    assert_eq!(two.status, 200);
}

#[tokio::test]
async fn a_moderator_is_named_by_a_service_key_alone() {
    let keys = Keys::new();
    let service = keys.service(&[]);
    let path = format!("/v1/posts/{}", post());
    let actor = |bearer: String, name: &'static str| {
        let bearer = format!("Bearer {bearer}");
        let (service, path) = (&service, format!("{path}/reactions/like/users/42"));
        async move {
            let headers = [("authorization", bearer.as_str()), ("onetap-actor", name)];
            service.connect().await.send("DELETE", path, &headers, "").await
        }
    };
    actor(key("act-as"), "9").await.ok(200);
    for name in ["9", "42", "me"] {
        actor(token(42), name).await.assert_problem(403, "forbidden");
    }
    actor(key("act-as"), "me").await.assert_problem(400, "invalid_user_id");
}

#[tokio::test]
async fn who_reacted_is_for_those_whom_the_operator_names() {
    let keys = Keys::new();
    for (who, nobody, person) in
        [("public", 200, 200), ("members", 401, 200), ("service", 403, 403)]
    {
        let service = keys.service(&["--public-reads", "--reactors", who]);
        let post = post();
        for path in [
            format!("/v1/posts/{post}/users"),
            format!("/v1/posts/{post}/reactions/like/users"),
            format!("/v1/posts/{post}/reactions?recent=3"),
            format!("/v1/posts/reactions?post_id={post}&recent=3"),
            format!("/v1/posts/reactions/stream?post_id={post}&recent=3"),
        ] {
            let status = async |bearer| send(&service, "GET", &path, bearer, "").await.status;
            let found = (status("").await, status(&token(42)).await, status(&key("read")).await);
            assert_eq!(found, (nobody, person, 200), "{who}: {path}");
        }
        let body = format!(r#"{{"post_ids":["{post}"],"recent":3}}"#);
        let page = "/v1/posts/reactions/query";
        assert_eq!(send(&service, "POST", page, &token(42), &body).await.status, person, "{who}");
        let list = format!("/v1/posts/{post}/users/query");
        assert_eq!(send(&service, "POST", &list, &token(42), "{}").await.status, person, "{who}");
        let counts = format!("/v1/posts/{post}/reactions");
        assert_eq!(send(&service, "GET", &counts, "", "").await.status, 200, "{who}");
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let keys = Keys::new();
    let service = keys.service(&[]);
    let path = format!("/v1/posts/reactions/stream?post_id={}", post());
    let exp = now() + 2;
    let bearer = format!("Bearer {}", token_for(42, exp - now(), None));
    let started = Instant::now();
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("it should end").unwrap();
    assert!(text.contains("event: summary"), "{text}");
    assert!(now() >= exp, "it ended early");
    assert!(started.elapsed() < Duration::from_secs(5), "it ended late");
}

#[tokio::test]
async fn a_service_key_expires() {
    let keys = Keys::new();
    let short = key("short");
    let line =
        key_line("short", Scopes::from_words("read").unwrap(), "2020-01-01T00:00:00Z", &short);
    fs::write(keys.path("services"), line).unwrap();
    let service = keys.service(&[]);
    let path = format!("/v1/posts/{}/reactions", post());
    let answer = send(&service, "GET", &path, &short, "").await;
    answer.assert_problem(401, "unauthenticated");
    assert!(answer.body.contains("service key has expired"), "{answer:?}");
}

/// The demo lets everyone tap for everyone.
#[tokio::test]
async fn there_is_no_demo_with_authentication() {
    let keys = Keys::new();
    assert_eq!(keys.service(&[]).send("GET", "/demo").await.status, 404);
    assert_eq!(Service::memory().send("GET", "/demo").await.status, 200);
}
