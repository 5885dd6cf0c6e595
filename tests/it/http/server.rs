//! Connections: timeouts, limits, the graceful stop.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::events::{Events, path};
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::service::Service;
use crate::support::stopwatch::Stopwatch;
use crate::support::{post, posts};

#[tokio::test]
async fn half_a_head_is_dropped_by_its_deadline_and_others_are_not_disturbed() {
    let service = Service::with(&["--head-timeout-ms", "400", "--idle-timeout-ms", "60000"]);
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut connection = service.connect().await;
        connection.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ").await;
        slow.push(connection);
    }
    let mut idle = service.connect().await;
    let mut used = service.connect().await;
    used.send("GET", "/healthz", &[], "").await.ok(200);
    service.send("GET", "/healthz").await.ok(200);
    // A byte now and then does not extend the deadline.
    for connection in &mut slow {
        connection.write(b"x").await;
    }
    let started = Instant::now();
    for connection in &mut slow {
        assert!(connection.is_closed_within(Duration::from_secs(5)).await);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    // Neither an unused nor a used connection that waits falls under the head's deadline.
    idle.send("GET", "/healthz", &[], "").await.ok(200);
    used.send("GET", "/healthz", &[], "").await.ok(200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_by_its_deadline() {
    let service = Service::with(&["--head-timeout-ms", "300", "--idle-timeout-ms", "600"]);
    let mut unused = service.connect().await;
    let mut used = service.connect().await;
    used.send("GET", "/healthz", &[], "").await.ok(200);
    assert!(!used.is_closed_within(Duration::from_millis(300)).await);
    assert!(used.is_closed_within(Duration::from_secs(5)).await);
    assert!(unused.is_closed_within(Duration::from_secs(5)).await);
}

/// How often `Much` asks. Only an answer of more than a megabyte outgrows the kernel's buffers.
const TIMES: usize = 16;

/// A client that asks for a file many times in one go, and reads slowly.
struct Much {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Much {
    async fn ask_for(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // A small buffer, so that unread bytes wait at the service and not here.
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let requests = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(TIMES);
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut file = Self { stream, received: Vec::new() };
        assert!(file.more().await);
        file
    }

    /// Reads some bytes. False at the end.
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.received.extend(&buffer[..read]);
        read > 0
    }

    fn is_whole(&self) -> bool {
        let end = self.received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&self.received[..end]).to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
        self.received.len() == TIMES * (end + length.parse::<usize>().unwrap())
    }
}

#[tokio::test]
async fn who_reads_slowly_gets_all_and_is_idle_only_then() {
    let service = Service::with(&["--head-timeout-ms", "400", "--idle-timeout-ms", "1000"]);
    let begun = Instant::now();
    let mut file = Much::ask_for(service.address).await;
    // The client pauses, for less than the write timeout.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    while !file.is_whole() {
        assert!(file.more().await, "cut after {} bytes", file.received.len());
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(2500), "that was not slow");
    file.stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(file.more().await, "closed as soon as all was sent");
    let closed = tokio::time::timeout(Duration::from_secs(5), file.more()).await;
    assert!(!closed.expect("the connection is kept though nothing is asked"));
}

#[tokio::test]
async fn who_does_not_read_an_answer_is_cut() {
    let program = Program::start(&["--store", "memory:", "--write-timeout-ms", "500"]);
    let mut file = Much::ask_for(program.address()).await;
    // The connection that is left is the one that asks for the figure.
    program.until_figure("onetap_http_connections", 1).await;
    while file.more().await {}
    assert!(!file.is_whole());
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_a_timeout() {
    let service = Service::with(&["--body-timeout-ms", "200"]);
    let mut connection = service.connect().await;
    let path = format!("/v1/posts/{}/reactions/like/users/7/toggle", post());
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{{"
    );
    connection.write(head.as_bytes()).await;
    connection.read().await.unwrap().assert_problem(408, "request_timeout");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_their_turn() {
    let service = Service::with(&["--max-connections", "2"]);
    let (mut first, second) = (service.connect().await, service.connect().await);
    first.send("GET", "/healthz", &[], "").await.ok(200);
    let mut third = service.connect().await;
    third.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let waited = tokio::time::timeout(Duration::from_millis(300), third.read()).await;
    assert!(waited.is_err(), "there was no room for it");
    drop(second);
    assert_eq!(third.read().await.unwrap().status, 200);
    first.send("GET", "/healthz", &[], "").await.ok(200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let service = Service::memory();
    let mut connection = service.connect().await;
    let path = format!("/v1/posts/{}/reactions/like/users", post());
    let requests: String = (1..=5)
        .map(|user| format!("PUT {path}/{user} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
        .collect();
    connection.write(requests.as_bytes()).await;
    for count in 1..=5 {
        assert_eq!(connection.read().await.unwrap().ok(201)["count"], count);
    }
}

/// Reported as tokio-rs/axum#2673, #3478, hyperium/hyper#2787: streams, incomplete request heads,
/// silent connections and taps in flight during a stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_what_is_in_flight_and_ends_in_time() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let mut service = Service::with(&[
        "--store",
        &redis.url(),
        "--head-timeout-ms",
        "1000",
        "--request-timeout-ms",
        "5000",
    ]);
    service.send("GET", "/readyz").await.ok(200);
    let (mut half, mut silent, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..500 {
        let mut connection = service.connect().await;
        connection.write(b"POST /v1/posts/").await;
        half.push(connection);
    }
    for _ in 0..50 {
        silent.push(service.connect().await);
        let mut used = service.connect().await;
        used.send("GET", "/healthz", &[], "").await.ok(200);
        idle.push(used);
    }
    let watched = posts(3);
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = Events::open(service.address, &path(&watched)).await;
        stream.next().await.unwrap();
        streams.push(stream);
    }
    // Twenty taps wait for a Redis that holds still.
    redis.signal("-STOP");
    let post = post();
    let mut in_flight = Vec::new();
    for user in 1..=20 {
        let mut connection = service.connect().await;
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
        let task = tokio::spawn(async move { connection.send("PUT", path, &[], "").await });
        in_flight.push(task);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    service.begin_stop();
    // Streams end at once, while the taps are still waited for.
    for stream in &mut streams {
        let waited = Stopwatch::start();
        assert!(stream.ends_within(Duration::from_secs(2)).await, "a stream goes on");
        assert!(waited.elapsed() < Duration::from_millis(200), "{:?}", waited.elapsed());
    }
    assert!(!in_flight.iter().any(tokio::task::JoinHandle::is_finished), "no tap is waited for");
    while tokio::net::TcpStream::connect(service.address).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(2), "new connections are not refused");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The service closes idle connections after a moment, and waits for requests in flight.
    for connection in &mut idle {
        assert!(connection.is_closed_within(Duration::from_secs(2)).await);
    }
    redis.signal("-CONT");
    for task in in_flight {
        let response = task.await.unwrap();
        response.ok(201);
        assert_eq!(response.header("connection"), Some("close"));
    }
    service.ended(Duration::from_secs(10)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_requests_that_were_sent_before_it() {
    for _ in 0..10 {
        let mut service = Service::memory();
        let mut connections = Vec::new();
        let path = format!("/v1/posts/{}/reactions/like/users", post());
        for user in 1..=64 {
            let mut connection = service.connect().await;
            let request = format!("PUT {path}/{user} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            connection.write(request.as_bytes()).await;
            connections.push(connection);
        }
        service.begin_stop();
        for connection in &mut connections {
            connection.read().await.expect("an answer").ok(201);
        }
        service.ended(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_closes_its_half_still_gets_its_answer() {
    for service in [Service::memory(), Service::redis()] {
        let mut connection = service.connect().await;
        let path = format!("/v1/posts/{}/reactions/like/users/1", post());
        connection
            .write(format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
            .await;
        connection.close_half().await;
        connection.read().await.expect("an answer").ok(201);
    }
}

/// Ten thousand unknown paths, methods and reactions (artifact-keeper/artifact-keeper#2220).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_have_few_series_whatever_is_asked() {
    const EACH: usize = 10_000;
    const CONNECTIONS: usize = 20;
    let service = Service::memory();
    service.send("GET", "/metrics").await;
    let series = |figures: &str| figures.lines().filter(|line| !line.starts_with('#')).count();
    let before = series(&service.send("GET", "/metrics").await.body);
    let mut asking = tokio::task::JoinSet::new();
    for first in 0..CONNECTIONS {
        let mut connection = service.connect().await;
        asking.spawn(async move {
            for i in (first..EACH).step_by(CONNECTIONS) {
                connection.send("GET", format!("/{i}/nothing"), &[], "").await;
                connection.send(&format!("M{i}"), "/healthz", &[], "").await;
                // A post of its own, since a post takes few kinds.
                let path = format!("/v1/posts/{}/reactions/r{i}/users/{}", post(), i + 1);
                connection.send("PUT", path, &[], "").await.ok(201);
            }
        });
    }
    asking.join_all().await;
    let figures = service.send("GET", "/metrics").await.body;
    assert_eq!(series(&figures), before + 3, "{figures}");
    let puts = r#"{route="/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}",method="PUT",status="201"} 10000"#;
    assert!(figures.contains(puts), "{figures}");
    assert!(
        figures.contains(r#"{route="unmatched",method="GET",status="404"} 10000"#),
        "{figures}"
    );
    assert!(
        figures.contains(r#"{route="/healthz",method="other",status="405"} 10000"#),
        "{figures}"
    );
}
