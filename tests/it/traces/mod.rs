//! OpenTelemetry traces, as a collector receives them.

mod collector;

use std::collections::BTreeMap;
use std::net::TcpListener;

use collector::collector;
use onetap::auth::{Scopes, key_line, new_service_key, sha256};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::support::http::Connection;
use crate::support::prefix;
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::{Kind, RedisServer, shared};

const POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";
const USER: &str = "4711471147";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn words(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let word = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let all = attributes.iter();
    all.map(|it| (&*it.key, word(it.value.as_ref().unwrap().value.as_ref().unwrap()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The program, which sends its spans soon.
fn start(args: &[&str]) -> Program {
    let mut command = onetap(&[&["--listen", "127.0.0.1:0", "--threads", "2"], args].concat());
    Program::spawn(command.env("OTEL_BSP_SCHEDULE_DELAY", "100"))
}

/// Ends the program, and returns its log.
async fn stop(mut program: Program) -> String {
    program.terminate();
    assert_eq!(program.exit_code().await, Some(0), "{}", program.log());
    program.log()
}

async fn send(program: &Program, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    Connection::open(program.address).await.send(method, path, headers, "").await.status
}

async fn tap(program: &Program, headers: &[(&str, &str)]) -> u16 {
    let path = format!("/v1/posts/{POST}/reactions/like/users/{USER}");
    send(program, "PUT", &path, headers).await
}

async fn read(program: &Program, headers: &[(&str, &str)]) -> u16 {
    send(program, "GET", &format!("/v1/posts/{POST}/reactions"), headers).await
}

#[tokio::test]
async fn a_request_has_a_span_and_its_calls_of_the_store_have_spans_within() {
    let (url, collected) = collector();
    let redis = shared(Kind::Redis);
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    for (system, store) in [("redis", redis.url()), ("file", file), ("memory", "memory:".into())] {
        collected.clear();
        let mut args = vec!["--store", &*store, "--otlp-url", &*url, "--trace-ratio", "1"];
        let prefix = prefix();
        if system == "redis" {
            args.extend(["--key-prefix", &*prefix]);
        }
        let program = start(&args);
        assert_eq!(tap(&program, &[("x-request-id", "my-tap")]).await, 201);
        assert_eq!(read(&program, &[]).await, 200);
        assert_eq!(program.send("GET", "/v1/posts/none/reactions").await.status, 400);
        assert_eq!(program.send("GET", &format!("/{POST}/{USER}")).await.status, 404);
        let log = stop(program).await;

        let (spans, service) = collected.spans();
        let service = words(&service);
        assert_eq!(service["service.name"], "onetap");
        assert_eq!(service["service.version"], env!("CARGO_PKG_VERSION"));
        let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
        let tap_route = "PUT /v1/posts/{post_id}/reactions/{reaction}/users/{user_id}";
        let read_route = "GET /v1/posts/{post_id}/reactions";
        assert_eq!(names, ["GET", read_route, read_route, tap_route, "summaries", "tap"], "{log}");
        let [unmatched, .., tap_request, summaries, tap] = &spans[..] else { panic!() };
        let said = words(&tap_request.attributes);
        assert_eq!(said["http.request.method"], "PUT");
        assert_eq!(format!("PUT {}", said["http.route"]), tap_route);
        assert_eq!(said["http.response.status_code"], "201");
        assert_eq!(said["onetap.request_id"], "my-tap");
        assert_eq!(tap_request.kind(), SpanKind::Server);
        assert!(tap_request.parent_span_id.is_empty());
        for call in [summaries, tap] {
            assert_eq!(call.kind(), SpanKind::Client);
            assert_eq!(words(&call.attributes)["db.system.name"], system);
            assert_eq!(words(&call.attributes)["db.operation.name"], call.name);
        }
        assert_eq!(tap.trace_id, tap_request.trace_id);
        assert_eq!(tap.parent_span_id, tap_request.span_id);
        assert!(tap.start_time_unix_nano >= tap_request.start_time_unix_nano);
        assert!(tap.end_time_unix_nano <= tap_request.end_time_unix_nano);
        let refused = spans.iter().find(|span| words(&span.attributes).contains_key("error.type"));
        assert_eq!(words(&refused.unwrap().attributes)["error.type"], "not_found");
        assert_eq!(words(&unmatched.attributes)["http.response.status_code"], "404");
        let no_errors = spans.iter().all(|span| span.status.as_ref().is_none_or(|it| it.code == 0));
        assert!(no_errors, "what a caller does wrong is no error of the server");
        for text in collected.texts() {
            assert!(!text.contains(POST) && !text.contains(USER), "{text}");
        }
    }
}

#[tokio::test]
async fn a_call_of_the_store_that_fails_is_an_error_in_the_trace() {
    let (url, collected) = collector();
    let redis = RedisServer::start(Kind::Redis, &[]);
    let store = redis.url();
    let args = ["--store", &*store, "--otlp-url", &*url, "--trace-ratio", "1"];
    let program = start(&[&args[..], &["--request-timeout", "1s"]].concat());
    assert_eq!(tap(&program, &[]).await, 201);
    drop(redis);
    let status = tap(&program, &[]).await;
    assert!(status >= 500, "{status}");
    stop(program).await;
    let (spans, _) = collected.spans();
    let failed =
        |span: &&Span| span.status.as_ref().is_some_and(|it| it.code() == StatusCode::Error);
    let failed: Vec<_> = spans.iter().filter(failed).collect();
    let [request, tap] = failed[..] else { panic!("{spans:#?}") };
    assert_eq!(words(&request.attributes)["http.response.status_code"], status.to_string());
    assert!(words(&request.attributes).contains_key("error.type"));
    assert_eq!((&*tap.name, &tap.parent_span_id), ("tap", &request.span_id));
    assert!(words(&tap.attributes).contains_key("error.type"));
}

#[tokio::test]
async fn only_trusted_callers_decide_what_is_traced() {
    let [sampled, unsampled] = ["01", "00"].map(|flag| format!("00-{TRACE}-{PARENT}-{flag}"));
    let key = new_service_key(sha256(b"act-as"));
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("services");
    let line = key_line("forum", Scopes::from_words("act-as").unwrap(), "never", &key);
    std::fs::write(&keys, line).unwrap();
    let bearer = format!("Bearer {key}");
    let keys = ["--service-keys-file", keys.to_str().unwrap(), "--public-reads"];
    for (ratio, args) in [("0", &[][..]), ("0", &keys[..]), ("1", &keys[..])] {
        let (url, collected) = collector();
        let common = ["--store", "memory:", "--otlp-url", &*url, "--trace-ratio", ratio];
        let program = start(&[&common[..], args].concat());
        // A stranger, then the forum's back end, each with a trace of its own, and one without.
        for headers in [&[][..], &[("authorization", &*bearer)][..]] {
            for decision in [Some(&*sampled), Some(&*unsampled), Some("nonsense"), None] {
                let named = decision.map(|decision| ("traceparent", decision));
                let headers: Vec<_> = headers.iter().copied().chain(named).collect();
                // Without keys, no key is known and none is asked for.
                assert_eq!(read(&program, &headers).await, 200);
            }
        }
        stop(program).await;
        let (spans, _) = collected.spans();
        let of_request = spans.iter().filter(|span| span.kind() == SpanKind::Server);
        let (joined, own): (Vec<_>, Vec<_>) =
            of_request.partition(|span| hex(&span.trace_id) == TRACE);
        for span in &joined {
            assert_eq!(hex(&span.parent_span_id), PARENT);
        }
        let linked = own.iter().filter(|span| !span.links.is_empty()).count();
        let expected = match (ratio, args.is_empty()) {
            // Without authentication, everyone is trusted.
            ("0", true) => (2, 0, 0),
            ("0", false) => (1, 0, 0),
            // The key's sampled one; four of the stranger, and the key's two without a trace.
            _ => (1, 6, 2),
        };
        assert_eq!((joined.len(), own.len(), linked), expected, "ratio {ratio}, {args:?}");
    }
}

#[tokio::test]
async fn the_ratio_is_the_share_of_the_requests_that_are_traced() {
    let (url, collected) = collector();
    let program = start(&["--store", "memory:", "--otlp-url", &url, "--trace-ratio", "0.25"]);
    for _ in 0..400 {
        assert_eq!(program.send("GET", "/healthz").await.status, 200);
    }
    stop(program).await;
    // A quarter of 400 is 100; six standard deviations are 52.
    let traced = collected.spans().0.len();
    assert!((48..=152).contains(&traced), "{traced} of 400");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_no_tap_and_no_stop() {
    // One port where nobody is, and one where nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [gone, silent.local_addr().unwrap()] {
        let url = format!("http://{address}");
        let program = start(&["--store", "memory:", "--otlp-url", &url, "--trace-ratio", "1"]);
        for _ in 0..3_000 {
            assert_eq!(program.send("GET", "/healthz").await.status, 200);
        }
        assert_eq!(tap(&program, &[]).await, 201);
        let log = stop(program).await;
        let lines = log.lines().filter(|line| line.contains("do not reach their collector"));
        assert_eq!(lines.count(), 1, "{log}");
        assert!(log.lines().count() <= 8, "{log}");
    }
}

#[test]
fn a_setting_that_sends_traces_nowhere_is_refused() {
    for (args, says) in [
        (["--otlp-url", "https://127.0.0.1:4318/v1/traces"], "plain HTTP only"),
        (["--otlp-url", "http://me:secret@127.0.0.1:4318"], "OTEL_EXPORTER_OTLP_HEADERS"),
        (["--otlp-url", "127.0.0.1:4318"], "plain HTTP only"),
        (["--trace-ratio", "1.5"], "from 0 to 1"),
        (["--trace-ratio", "-1"], "from 0 to 1"),
        (["--trace-ratio", "NaN"], "from 0 to 1"),
    ] {
        let [flag, value] = args;
        let output = outcome(&mut onetap(&["check-config", &format!("{flag}={value}")]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{args:?}: {said}");
        assert!(!said.contains("secret@"), "{said}");
    }
}
