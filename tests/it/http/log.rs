//! Request ids and the log lines of requests.

use serde_json::Value;

use crate::support::http::Connection;
use crate::support::program::Program;
use crate::support::redis_server::free_port;
use crate::support::service::Service;
use crate::support::{post, posts};

fn tap(user: usize) -> String {
    format!("/v1/posts/{}/reactions/like/users/{user}", post())
}

#[tokio::test]
async fn a_request_keeps_the_id_that_it_brings_if_it_may_stand_in_a_log() {
    let service = Service::memory();
    let longest = "x".repeat(128);
    for good in ["a", "Root=1-67891233-abcdef012345678912345678", &longest] {
        let sent = [("x-request-id", good)];
        let answer = service.connect().await.send("PUT", &tap(1), &sent, "").await;
        assert_eq!(answer.header("x-request-id"), Some(good));
        let answer = service.connect().await.send("PUT", "/v1/posts/x", &sent, "").await;
        assert_eq!(answer.json()["request_id"], *good);
    }
    let long = "x".repeat(10_000);
    let mut made = Vec::new();
    for bad in ["", " ", "a b", "a\"b", "a\\b", "a\tb", "ä", &long] {
        let sent = [("x-request-id", bad)];
        let answer = service.connect().await.send("PUT", &tap(1), &sent, "").await;
        assert_eq!(answer.status, 201, "{bad}");
        made.push(answer.header("x-request-id").unwrap().to_owned());
    }
    // CR and LF end a header; what comes after them is another one, and no part of the id.
    let sent = [("x-request-id", "a\r\nx-other: b")];
    let answer = service.connect().await.send("PUT", &tap(1), &sent, "").await;
    assert_eq!(answer.header("x-request-id"), Some("a"));
    made.push(service.send("GET", "/healthz").await.header("x-request-id").unwrap().to_owned());
    assert!(made.iter().all(|id| id.len() == 25), "{made:?}");
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 9, "an id was given twice");
}

#[tokio::test]
async fn a_write_that_fails_is_one_line_that_says_why_and_many_are_a_count() {
    let store = format!("redis://127.0.0.1:{}", free_port());
    let program = Program::start(&["--store", &store]);
    let sent = [("x-request-id", "first-one")];
    let mut connection = crate::support::http::Connection::open(program.address()).await;
    let answer = connection.send("PUT", &tap(1), &sent, "").await;
    answer.assert_problem(503, "store_unavailable");
    assert!(!answer.body.contains("refused"), "callers are not told: {}", answer.body);
    program.until_logged("first-one").await;
    let line = program.log().lines().find(|line| line.contains("first-one")).unwrap().to_owned();
    for word in ["INFO", "PUT", "{post_id}", "status=503", "store_unavailable", "refused"] {
        assert!(line.contains(word), "no {word} in {line}");
    }
    for user in 0..2000 {
        connection
            .send("PUT", &tap(user + 1), &[], "")
            .await
            .assert_problem(503, "store_unavailable");
    }
    // A read that fails has no line.
    let read = format!("/v1/posts/{}/reactions", post());
    program.send("GET", &read).await.assert_problem(503, "store_unavailable");
    program.until_logged("left_out=").await;
    let log = program.log();
    let lines = log.lines().filter(|line| line.contains("a write failed")).count();
    assert!((10..=20).contains(&lines), "{lines}");
    let left_out =
        log.lines().filter_map(|line| line.split_once("left_out=")?.1.parse::<usize>().ok());
    assert_eq!(lines + left_out.sum::<usize>(), 2001, "{log}");
    assert!(!log.contains("GET"), "{log}");
}

#[tokio::test]
async fn every_request_has_a_line_with_an_access_log_and_a_line_is_json_if_wanted() {
    let args = ["--store", "memory:", "--access-log", "--log-format", "json"];
    let program = Program::start(&args);
    let post = posts(1)[0];
    let path = format!("/v1/posts/{post}/reactions/like/users/7");
    program.send("PUT", &path).await.ok(201);
    program.send("GET", &format!("/v1/posts/{post}/reactions?user_id=7")).await.ok(200);
    program.send("PUT", "/v1/posts/x/reactions/like/users/7").await;
    program.send("GET", "/nowhere").await.assert_problem(404, "not_found");
    program.until_logged("/nowhere").await;
    let log = program.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered: Vec<_> = lines.iter().filter(|line| line["message"] == "answered").collect();
    assert_eq!(answered.len(), 4, "{log}");
    assert_eq!(answered[0]["path"], path);
    assert_eq!((&answered[0]["method"], &answered[0]["status"]), (&"PUT".into(), &201.into()));
    assert_eq!(answered[0]["level"], "INFO");
    assert!(answered[0]["ms"].is_number() && answered[0]["code"].is_null(), "{log}");
    // The query says who is looking: it is not logged.
    assert_eq!(answered[1]["path"], format!("/v1/posts/{post}/reactions"));
    assert_eq!(
        (&answered[2]["status"], &answered[2]["code"]),
        (&400.into(), &"invalid_post_id".into())
    );
    assert_eq!((&answered[3]["status"], &answered[3]["route"]), (&404.into(), &"none".into()));
    assert!(answered.iter().all(|line| line["request_id"].is_string()));
}

/// Of a caller that may not name one, or names nobody, the line has no moderator.
#[tokio::test]
async fn the_line_of_a_request_names_the_moderator() {
    let args = ["--store", "memory:", "--access-log", "--log-format", "json"];
    let program = Program::start(&args);
    let path = format!("/v1/posts/{}/lock", posts(1)[0]);
    for actor in ["9", "nobody"] {
        let mut connection = Connection::open(program.address()).await;
        connection.send("PUT", &path, &[("onetap-actor", actor)], "").await;
    }
    let lines = || {
        let lines = program.log();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == "answered").collect::<Vec<_>>()
    };
    program.until("two lines", || async { lines().len() == 2 }).await;
    let told: Vec<_> =
        lines().iter().map(|line| (line["status"].clone(), line["actor"].clone())).collect();
    assert_eq!(told, [(200.into(), "9".into()), (400.into(), Value::Null)]);
}

/// `/readyz` names the part that is not ready and the reason, without secrets.
#[tokio::test]
async fn readiness_says_which_part_is_not_ready_and_why() {
    let port = free_port();
    let store = format!("redis://user:hunter2@127.0.0.1:{port}");
    let program = Program::start(&["--store", &store]);
    let refused = || async {
        let ready = program.send("GET", "/readyz").await;
        ready.assert_problem(503, "store_unavailable");
        assert!(!ready.body.contains("hunter2"), "{}", ready.body);
        ready.body.contains("the store (redis) is not ready") && ready.body.contains("refused")
    };
    program.until("a reason", refused).await;
    // Another kind of server.
    let mut other = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = other.accept().await else { return };
            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            let _ = &mut other;
        }
    });
    let another = || async {
        program.send("GET", "/readyz").await.body.contains("does not speak the Redis protocol")
    };
    program.until("another reason", another).await;
}

/// `/metrics` in the format that `Accept` prefers. Prometheus' older parser asks for the older one.
#[tokio::test]
async fn figures_come_in_the_format_that_is_asked_for() {
    let service = Service::memory();
    for (accept, kind) in [
        ("*/*", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ] {
        let sent = [("accept", accept)];
        let answer = service.connect().await.send("GET", "/metrics", &sent, "").await;
        assert_eq!(answer.header("content-type"), Some(kind), "{accept}");
        let open = kind.contains("openmetrics");
        assert_eq!(answer.body.ends_with("# EOF\n"), open);
        // In the older format every counter is described under the name that its samples have.
        let described: Vec<_> = answer
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
            .collect();
        assert!(described.len() > 5);
        assert!(described.iter().all(|name| name.ends_with("_total") != open), "{described:?}");
    }
}
