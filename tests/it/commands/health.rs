//! `onetap health`: what it asks, and what its exit codes say.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use super::cli::{assert_usage, onetap, run};
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};

/// Asserts exit code 1 and a single line that contains these words.
#[track_caller]
fn assert_unready(output: &Output, words: &[&str]) {
    assert_usage(output, 1, words);
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{output:?}");
}

#[track_caller]
fn assert_ready(output: &Output, name: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(said, format!("{name} can count taps\n"));
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// Runs it elsewhere, so that the service of the same test can go on.
async fn health(args: &[&str]) -> Output {
    let mut command = onetap(&[&["health"], args].concat());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_service_that_counts_is_exit_code_0() {
    let service = Program::start(&["--store", "memory:"]);
    let url = format!("http://{}", service.address);
    assert_ready(&health(&["--url", &url]).await, &url);
    assert_ready(&health(&["--url", &format!("{url}/readyz")]).await, &url);
    let below = Program::start(&["--store", "memory:", "--base-path", "/r"]);
    let base = format!("http://{}", below.address);
    for path in ["/r", "/r/", "/r/readyz"] {
        assert_ready(&health(&["--url", &format!("{base}{path}")]).await, &base);
    }
    // Without an address it asks where the service of the same settings listens.
    let listen = service.address.to_string();
    assert_ready(&health(&["--listen", &listen]).await, &url);
    let by_variable = onetap(&["health"]).env("ONETAP_LISTEN", &listen).output().unwrap();
    assert_ready(&by_variable, &url);
}

#[tokio::test]
async fn it_finds_a_service_on_all_addresses_and_on_a_socket() {
    let open = Program::start_at("0.0.0.0:0", &["--store", "memory:", "--insecure-no-auth"]);
    let listen = format!("0.0.0.0:{}", open.address.port());
    let found = health(&["--listen", &listen, "--insecure-no-auth"]).await;
    assert_ready(&found, &format!("http://127.0.0.1:{}", open.address.port()));

    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", folder.path().join("s").display());
    let _service = Program::start_at(&socket, &["--store", "memory:"]);
    assert_ready(&health(&["--listen", &socket]).await, &socket);
}

#[tokio::test]
async fn a_service_that_cannot_count_is_exit_code_1_and_says_why() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let store = ["--store", &redis.url(), "--request-timeout", "500ms"];
    let service = Program::start(&store);
    let url = format!("http://{}", service.address);
    service.until_ready().await;
    redis.signal("-STOP");
    assert_unready(
        &health(&["--url", &url]).await,
        &[&url, "503", "the store (redis) is not ready"],
    );
    // Another path may answer 200 all the same.
    for path in ["/healthz", "/docs", "/docs/"] {
        let elsewhere = health(&["--url", &format!("{url}{path}")]).await;
        assert_unready(&elsewhere, &[&url]);
    }
    redis.signal("-CONT");
    service.until_ready().await;
    assert_ready(&health(&["--url", &url]).await, &url);
}

#[test]
fn what_does_not_answer_is_exit_code_1() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_unready(&run(&["health", "--listen", &nobody]), &[&nobody, "refused"]);
    assert_unready(
        &run(&["health", "--listen", "unix:/no/socket"]),
        &["unix:/no/socket", "No such"],
    );

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let asked = Instant::now();
    let output = run(&["health", "--url", &url, "--timeout", "300ms"]);
    assert_unready(&output, &["no answer within 300ms"]);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

/// An answer without end has to end at the timeout, too.
#[test]
fn what_answers_something_else_is_exit_code_1() {
    for (answer, goes_on, words) in [
        ("-ERR unknown command\r\n", false, "does not speak HTTP"),
        ("HTTP/1.1 404 Not Found\r\n\r\n<html>", false, "404"),
        ("HTTP/1.1 200 OK\r\n\r\n", true, "no answer within 500ms"),
        ("", false, "does not speak HTTP"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let _ = stream.write_all(answer.as_bytes());
            while goes_on && stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let output = run(&["health", "--url", &url, "--timeout", "500ms"]);
        assert_unready(&output, &[words]);
        answering.join().unwrap();
    }
}

#[test]
fn a_wrong_address_is_exit_code_64() {
    for (args, words) in [
        (&["--url", "127.0.0.1:8080"][..], "http://127.0.0.1:8080"),
        (&["--url", "https://forum.example"], "TLS is the proxy's"),
        (&["--url", "http://"], "it is not a URL"),
        (&["--listen", "127.0.0.1:0"], "name the service by --url"),
        (&["--timeout", "soon"], "is not a duration"),
        (&["--urls", "x"], "--url"),
    ] {
        assert_usage(&run(&[&["health"], args].concat()), 64, &[words]);
    }
}
