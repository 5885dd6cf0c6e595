//! `--admin-listen`: an address of its own for `/metrics` and `/readyz`.

use std::net::SocketAddr;
use std::time::Duration;

use onetap::http::openapi_document;
use serde_json::Value;

use super::cli::{assert_usage, onetap, run};
use crate::auth::{Keys, key, token};
use crate::support::http::{Connection, Response};
use crate::support::post;
use crate::support::program::Program;

const MEMORY: [&str; 2] = ["--store", "memory:"];

async fn get(address: SocketAddr, path: &str, bearer: Option<&str>) -> Response {
    let bearer = bearer.map(|bearer| format!("Bearer {bearer}"));
    let headers: Vec<_> = bearer.iter().map(|it| ("authorization", it.as_str())).collect();
    Connection::open(address).await.send("GET", path, &headers, "").await
}

fn with_admin(args: &[&str]) -> Program {
    Program::start(&[&MEMORY, &["--admin-listen", "127.0.0.1:0"], args].concat())
}

#[tokio::test]
async fn metrics_and_readiness_are_there_and_only_there() {
    let service = with_admin(&[]);
    let admin = service.admin.unwrap();
    let path = format!("/v1/posts/{}/reactions/like/users/1", post());
    service.send("PUT", &path).await.ok(201);

    assert_eq!(get(admin, "/readyz", None).await.status, 200);
    let figures = get(admin, "/metrics", None).await;
    assert_eq!(figures.status, 200);
    // The figures are those of the callers' address.
    let tapped = "onetap_http_requests_total{route=\"/v1/posts/{post_id}/reactions/{reaction}/users/\
                  {user_id}\",method=\"PUT\",status=\"201\"} 1";
    assert!(figures.body.contains(tapped), "{}", figures.body);
    for path in ["/readyz", "/metrics"] {
        service.send("GET", path).await.assert_problem(404, "not_found");
    }
    for path in ["/healthz", "/openapi.json", "/docs/", "/demo", "/onetap.js"] {
        assert_eq!(service.send("GET", path).await.status, 200, "{path}");
    }

    // No other call is at the admin address.
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let described = document["paths"].as_object().unwrap().keys().map(String::as_str);
    let pages = ["/", "/docs", "/docs/", "/demo", "/onetap.js", "/openapi.json"];
    for path in described.chain(pages).filter(|path| !["/readyz", "/metrics"].contains(path)) {
        get(admin, &path.replace(['{', '}'], ""), None).await.assert_problem(404, "not_found");
    }
    let answer = Connection::open(admin).await.send("PUT", &path, &[], "").await;
    answer.assert_problem(404, "not_found");
    let answer = Connection::open(admin).await.send("POST", "/metrics", &[], "").await;
    answer.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn without_it_they_are_with_the_other_calls() {
    let service = Program::start(&MEMORY);
    assert_eq!(service.admin, None);
    for path in ["/readyz", "/metrics"] {
        assert_eq!(service.send("GET", path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_figures_need_a_key_there_too() {
    let keys = Keys::new();
    let [secret, services] = ["secret", "services"].map(|name| keys.path(name));
    let service = with_admin(&[
        "--jwt-hs256-secret-file",
        secret.to_str().unwrap(),
        "--service-keys-file",
        services.to_str().unwrap(),
    ]);
    let admin = service.admin.unwrap();
    assert_eq!(get(admin, "/readyz", None).await.status, 200);
    get(admin, "/metrics", None).await.assert_problem(401, "unauthenticated");
    get(admin, "/metrics", Some(&token(1))).await.assert_problem(403, "forbidden");
    get(admin, "/metrics", Some(&key("moderate"))).await.assert_problem(403, "forbidden");
    assert_eq!(get(admin, "/metrics", Some(&key("admin"))).await.status, 200);
}

/// Callers who take all places must not hide how the service is.
#[tokio::test]
async fn it_answers_while_the_other_address_is_full() {
    let service = with_admin(&["--max-connections", "1"]);
    let path = format!("/v1/posts/reactions/stream?post_id={}", post());
    let mut stream = Connection::open(service.address).await;
    assert_eq!(stream.send("GET", &path, &[], "").await.status, 200);
    let mut waiting = Connection::open(service.address).await;
    waiting.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    for path in ["/readyz", "/metrics"] {
        assert_eq!(get(service.admin.unwrap(), path, None).await.status, 200, "{path}");
    }
    // The one place is taken, or the test shows nothing.
    let answered = tokio::time::timeout(Duration::from_millis(300), waiting.read()).await;
    assert!(answered.is_err(), "{answered:?}");
}

#[tokio::test]
async fn it_may_be_a_socket_and_health_asks_there() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin");
    let listen = format!("unix:{}", socket.display());
    let mut service = Program::start(&[&MEMORY[..], &["--admin-listen", &listen]].concat());
    let address = service.address.to_string();
    let asked = |args: &[&str]| {
        let mut command = onetap(&[&["health"], args].concat());
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let found = asked(&["--listen", &address, "--admin-listen", &listen]).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), format!("{listen} can count taps\n"));
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    // The callers' address cannot say.
    let missed = asked(&["--listen", &address]).await.unwrap();
    assert_usage(&missed, 1, &[&address, "404"]);
    service.terminate();
    assert_eq!(service.exit_code().await, Some(0));
    assert!(!socket.exists());
}

#[tokio::test]
async fn health_finds_an_admin_address_on_all_interfaces() {
    let service = Program::start(&[&MEMORY[..], &["--admin-listen", "0.0.0.0:0"]].concat());
    let port = service.admin.unwrap().port();
    let mut command = onetap(&["health"]);
    command.env("ONETAP_ADMIN_LISTEN", format!("0.0.0.0:{port}"));
    let found = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    assert_eq!(said, format!("http://127.0.0.1:{port} can count taps\n"), "{found:?}");
}

#[test]
fn a_wrong_admin_address_is_one_line_and_exit_code_64() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let here = format!("unix:{}", file.path().display());
    for (args, words) in [
        (&["--admin-listen", "9090"][..], &["--admin-listen: `9090`", "127.0.0.1:9090"][..]),
        (&["--admin-listen", ""], &["--admin-listen"]),
        (&["--admin-listen", "localhost"], &["--admin-listen", "same address, 127.0.0.1:8080"]),
        (&["--listen", "unix:/x", "--admin-listen", "unix:/x"], &["same address, unix:/x"]),
        (&["--listen", "127.0.0.1:0", "--admin-listen", &here], &["not a socket is there"]),
    ] {
        assert_usage(&run(&[&MEMORY, args].concat()), 64, words);
    }
    let health = run(&["health", "--admin-listen", "127.0.0.1:0"]);
    assert_usage(&health, 64, &["--admin-listen", "name the service by --url"]);
}

#[test]
fn a_taken_admin_address_is_exit_code_69() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = [&MEMORY[..], &["--listen", "127.0.0.1:0", "--admin-listen", &address]].concat();
    assert_usage(&run(&args), 69, &["--admin-listen", &address, "taken"]);
}
