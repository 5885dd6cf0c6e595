//! The host names that the service accepts: a web page can make its own name mean 127.0.0.1.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::support::http::{Connection, Response};
use crate::support::post;
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::free_port;
use crate::support::service::Service;

async fn ask(connection: &mut Connection, head: &str) -> Response {
    connection.write(format!("{head}\r\n\r\n").as_bytes()).await;
    connection.read().await.expect("an answer")
}

#[tokio::test]
async fn a_tap_under_a_foreign_name_is_refused_and_counts_nothing() {
    let service = Service::with(&["--allowed-host", "forum.example,other.example"]);
    let mut connection = service.connect().await;
    let post = post();
    let put = format!("PUT /v1/posts/{post}/reactions/like/users/1 HTTP/1.1");
    let good = [
        "localhost",
        "LocalHost.:99",
        "127.0.0.1:1",
        "[::1]",
        "forum.example:8443",
        "OTHER.example.",
    ];
    for host in
        ["evil.example", "evil.example:80", "10.0.0.1", "forum.example.evil", "[2001:db8::1]"]
    {
        let answer = ask(&mut connection, &format!("{put}\r\nhost: {host}")).await;
        answer.assert_problem(403, "foreign_host");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("--allowed-host"), "{detail}");
    }
    // The request line outranks the header.
    let absolute = put.replace("/v1", "http://evil.example/v1");
    ask(&mut connection, &format!("{absolute}\r\nhost: localhost"))
        .await
        .assert_problem(403, "foreign_host");
    let read = format!("/v1/posts/{post}/reactions");
    assert_eq!(service.send("GET", &read).await.ok(200)["total"], 0);
    for host in good {
        let status = ask(&mut connection, &format!("{put}\r\nhost: {host}")).await.status;
        assert!([200, 201].contains(&status), "{host}: {status}");
    }
    let absolute = put.replace("/v1", "http://forum.example/v1");
    assert_eq!(
        ask(&mut connection, &format!("{absolute}\r\nhost: evil.example")).await.status,
        200
    );
}

/// RFC 9112, 3.2: a server answers 400 to an HTTP/1.1 request without a Host header, or with
/// several.
#[tokio::test]
async fn one_host_and_only_one() {
    let service = Service::memory();
    let put = format!("PUT /v1/posts/{}/reactions/like/users/1", post());
    for head in [
        format!("{put} HTTP/1.1"),
        format!("{put} HTTP/1.1\r\nhost: localhost\r\nhost: localhost"),
        format!("{put} HTTP/1.1\r\nhost:"),
        format!("{put} HTTP/1.1\r\nhost: user@localhost"),
        format!("{put} HTTP/1.1\r\nhost: local host"),
        format!("{put} HTTP/1.1\r\nhost: localhost:http"),
        "GET /healthz HTTP/1.1".to_owned(),
    ] {
        ask(&mut service.connect().await, &head).await.assert_problem(400, "invalid_host");
    }
    assert_eq!(ask(&mut service.connect().await, &format!("{put} HTTP/1.0")).await.status, 201);
}

/// A name in other letters has an ASCII form, and browsers send that one. onetap takes both, and no
/// name that only looks the same.
#[tokio::test]
async fn a_name_in_other_letters_is_the_same_in_both_forms_and_in_no_other() {
    for allowed in ["bücher.example", "xn--bcher-kva.example"] {
        let program = Program::start(&["--store", "memory:", "--allowed-host", allowed]);
        let put = format!("PUT /v1/posts/{}/reactions/like/users/1 HTTP/1.1", post());
        let ask_as = async |host: &[u8]| {
            let mut connection = Connection::open(program.address()).await;
            let head = [put.as_bytes(), b"\r\nhost: ", host, b"\r\n\r\n"].concat();
            connection.write(&head).await;
            connection.read().await.expect("an answer")
        };
        // The fourth one has a Cyrillic letter.
        let foreign = [
            "bucher.example",
            "xn--bcker-kva.example",
            "bücher.example.evil",
            "b\u{443}cher.example",
            "例え.example:8080",
        ];
        for host in foreign {
            let answer = ask_as(host.as_bytes()).await;
            assert_eq!(answer.status, 403, "{host}: {answer:?}");
            answer.assert_problem(403, "foreign_host");
        }
        for host in [&b"b\xfccher.example"[..], b"xn--bcher-kvb.example", "bü cher".as_bytes()] {
            ask_as(host).await.assert_problem(400, "invalid_host");
        }
        // The first tap that counts: onetap has applied none of the refused ones.
        let mut status = 201;
        for host in [
            "bücher.example",
            "BÜCHER.example.:8443",
            "xn--bcher-kva.example",
            "XN--BCHER-KVA.Example:80",
            // `u`, and two dots over the letter before.
            "bu\u{308}cher.example",
        ] {
            let answer = ask_as(host.as_bytes()).await;
            assert_eq!(answer.status, status, "{host}: {answer:?}");
            status = 200;
        }
    }
}

/// `localhost` is an address to listen on, and one of the names that the service accepts.
#[tokio::test]
async fn localhost_is_listened_on_and_answers_to_its_names() {
    for listen in ["localhost:0".to_owned(), format!("localhost:{}", free_port())] {
        let program = Program::start_at(&listen, &["--store", "memory:"]);
        let address = program.address();
        assert!(address.ip().is_loopback() && address.port() > 0, "{address}");
        assert!(listen.ends_with(":0") || listen.ends_with(&format!(":{}", address.port())));
        let path = format!("/v1/posts/{}/reactions/like/users/1", post());
        program.send("PUT", &path).await.ok(201);
        for (host, status) in [
            (format!("localhost:{}", address.port()), 200),
            (address.to_string(), 200),
            ("evil.example".to_owned(), 403),
        ] {
            let head = format!("PUT {path} HTTP/1.1\r\nhost: {host}");
            let answer = ask(&mut Connection::open(address).await, &head).await;
            assert_eq!(answer.status, status, "{host}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn probes_and_figures_are_read_under_any_name() {
    let service = Service::memory();
    for path in ["/healthz", "/readyz", "/metrics"] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: pod-7.internal:9090");
        assert_eq!(ask(&mut service.connect().await, &head).await.status, 200, "{path}");
    }
    let head = "GET /docs/ HTTP/1.1\r\nhost: pod-7.internal";
    ask(&mut service.connect().await, head).await.assert_problem(403, "foreign_host");
}

/// No web page can reach a Unix socket, and a proxy in front of it forwards any host name.
#[tokio::test]
async fn behind_a_unix_socket_every_name_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("onetap.sock");
    let listen = format!("unix:{}", socket.display());
    let mut program = Program::start_at(&listen, &["--store", "memory:"]);
    let curl = |method: &str, path: &str| {
        let output = std::process::Command::new("curl")
            .args(["-s", "-X", method, "--unix-socket"])
            .arg(&socket)
            .arg(format!("http://forum.example{path}"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let path = format!("/v1/posts/{}/reactions/like/users/1", post());
    let answer = curl("PUT", &path);
    assert!(answer.contains("\"count\":1"), "{answer}");

    // A socket in use is taken. A socket that a killed process left over is replaced.
    let second = outcome(&mut onetap(&["--listen", &listen, "--store", "memory:"]));
    assert_eq!(second.status.code(), Some(69), "{second:?}");
    program.signal("-KILL");
    program.exit_code().await;
    assert!(UnixStream::connect(&socket).is_err() && socket.exists());
    let mut program = Program::start_at(&listen, &["--store", "memory:"]);
    assert!(curl("GET", "/healthz").contains("ok"));
    program.signal("-TERM");
    assert_eq!(program.exit_code().await, Some(0));
    assert!(!socket.exists(), "the socket is left behind");

    std::fs::write(&socket, "a file of somebody's").unwrap();
    let refused = outcome(&mut onetap(&["--listen", &listen, "--store", "memory:"]));
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "a file of somebody's");
}

/// A stream over a Unix socket ends when its client has gone. The kernel has no timeout for that.
#[tokio::test]
async fn a_stream_over_a_unix_socket_ends_with_its_client() {
    use std::io::{Read as _, Write as _};
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("onetap.sock");
    let listen = format!("unix:{}", socket.display());
    let program = Program::start_at(&listen, &["--store", "memory:"]);
    let files = program.open_files();
    let mut client = UnixStream::connect(&socket).unwrap();
    let path = format!("/v1/posts/reactions/stream?post_id={}", post());
    client.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
    let mut first = [0; 256];
    assert!(client.read(&mut first).unwrap() > 0);
    assert!(program.open_files() > files);
    drop(client);
    let gone = || async { program.open_files() <= files };
    let waited = tokio::time::timeout(Duration::from_secs(20), program.until("closed", gone)).await;
    assert!(waited.is_ok());
}

/// A service that ends removes its own socket, and leaves that of its successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_ends_leaves_the_socket_of_the_next_one() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("onetap.sock");
    let listen = format!("unix:{}", socket.display());
    let mut first = Program::start_at(&listen, &["--store", "memory:"]);
    // An incomplete request keeps the service from ending.
    let mut slow = UnixStream::connect(&socket).unwrap();
    slow.write_all(
        b"POST /v1/posts/reactions/query HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
    )
    .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.signal("-TERM");
    let refused = || async { UnixStream::connect(&socket).is_err() };
    first.until("not listening", refused).await;
    let second = Program::start_at(&listen, &["--store", "memory:"]);
    drop(slow);
    assert_eq!(first.exit_code().await, Some(0));
    assert!(UnixStream::connect(&socket).is_ok(), "{}", second.log());
}
