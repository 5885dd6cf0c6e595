//! What one client can take from others over HTTP: places for connections, and memory.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use onetap::domain::PostId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::events::{Events, path};
use crate::support::http::Connection;
use crate::support::program::Program;
use crate::support::stopwatch::Stopwatch;
use crate::support::{post, posts};

/// Raises the limit on open files: some machines start with fewer than these tests need.
fn raise_limit() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
}

/// Opens connections that send only these bytes.
async fn open(address: SocketAddr, number: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..number {
        let mut connection = TcpStream::connect(address).await.unwrap();
        // A connection that onetap refused meanwhile needs no bytes.
        let _ = connection.write_all(bytes).await;
        connections.push(connection);
    }
    connections
}

/// Taps every twenty milliseconds on its own connection. Now and then asks on a new one whether the
/// service lives, and whether it is ready. Returns the longest time to a response. If the service
/// closed the connection as idle, because this machine paused the test, the tap goes out on a new
/// one, as from any HTTP client.
async fn tap_for(address: SocketAddr, time: Duration) -> Duration {
    let (taps, begun) = (format!("/v1/posts/{}/reactions/like/users", post()), Instant::now());
    let (mut kept, mut slowest, mut user) = (Connection::open(address).await, Duration::ZERO, 0);
    while begun.elapsed() < time {
        user += 1;
        let asked = Stopwatch::start();
        if user % 5 == 0 {
            let probe = ["/healthz", "/readyz"][user / 5 % 2];
            Connection::open(address).await.send("GET", probe, &[], "").await.ok(200);
        }
        let tap = format!("PUT {taps}/{user} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        kept.write(tap.as_bytes()).await;
        let answer = match kept.read().await {
            Some(answer) => answer,
            None => {
                kept = Connection::open(address).await;
                kept.write(tap.as_bytes()).await;
                kept.read().await.expect("an answer")
            }
        };
        answer.ok(201);
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_make_room_for_who_asks() {
    raise_limit();
    let program = Program::start(&["--store", "memory:", "--max-connections", "1000"]);
    let address = program.address();
    let mut stream = Events::open(address, &path(&posts(1))).await;
    stream.next().await.unwrap();
    let mut asking = half_asked(address).await;
    let taps = tokio::spawn(tap_for(address, Duration::from_secs(4)));
    let silent = open(address, 2000, b"").await;
    let slowest = taps.await.unwrap();
    println!("the slowest tap took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let closed = program.figure("onetap_http_connections_closed_for_room_total").await;
    assert!((1000..2000).contains(&closed), "{closed}");
    // onetap closed neither the stream nor the connection that has just begun a request.
    assert!(!stream.ends_within(Duration::from_millis(50)).await);
    asking.write(b"}").await;
    asking.read().await.expect("an answer").assert_problem(400, "invalid_body");
    drop(silent);
}

/// Connections that were good for one request each, and that their clients keep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_kept_alive_make_room_for_who_asks() {
    raise_limit();
    let program = Program::start(&["--store", "memory:", "--max-connections", "500"]);
    let taps = tokio::spawn(tap_for(program.address(), Duration::from_secs(4)));
    let asked = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let kept = open(program.address(), 1500, asked).await;
    let slowest = taps.await.unwrap();
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let closed = program.figure("onetap_http_connections_closed_for_room_total").await;
    assert!(closed >= 1000, "{closed}");
    drop(kept);
}

/// A connection whose request is complete except for its last byte.
async fn half_asked(address: SocketAddr) -> Connection {
    let mut connection = Connection::open(address).await;
    let head = "POST /v1/posts/reactions/query HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\
                content-type: application/json\r\n\r\n{";
    connection.write(head.as_bytes()).await;
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_heads_make_room_for_who_asks() {
    raise_limit();
    let bounds = ["--store", "memory:", "--max-connections", "500", "--head-timeout-ms", "60000"];
    let program = Program::start(&bounds);
    let half = open(program.address(), 400, b"PUT /v1/posts/").await;
    let body =
        b"POST /v1/posts/reactions/query HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{";
    let halves = open(program.address(), 400, body).await;
    let slowest = tap_for(program.address(), Duration::from_secs(2)).await;
    // onetap leaves incomplete requests a second, so a tap may wait that long.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    drop((half, halves));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_never_complete_hold_little_memory() {
    const CLIENTS: usize = 1500;
    raise_limit();
    let bound = (4 << 20).to_string();
    let patient = ["--head-timeout-ms", "60000", "--body-timeout-ms", "60000"];
    let bounded = ["--store", "memory:", "--max-request-bytes-in-flight", &bound];
    let program = Program::start(&[&bounded[..], &patient].concat());
    let address = program.address();
    program.send("GET", "/healthz").await.ok(200);
    let before = program.resident_kib();
    // 60 KiB of a head, or as much of a body: 90 MiB altogether.
    let long = "x".repeat(60 * 1024);
    let head = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {long}");
    let body = format!(
        "POST /v1/posts/reactions/query HTTP/1.1\r\nhost: localhost\r\ncontent-length: 61000\r\n\
         content-type: application/json\r\n\r\n{{\"post_ids\": [\"{long}"
    );
    let heads = open(address, CLIENTS / 2, head.as_bytes()).await;
    let bodies = open(address, CLIENTS / 2, body.as_bytes()).await;
    // Give onetap time to read the bytes.
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(3) {
        most = most.max(program.resident_kib());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{before} KiB before, {most} KiB at the most");
    // The bound, and for each connection the free bytes and its fixed cost.
    assert!(most < before + 4 * 1024 + CLIENTS as u64 * 24, "{before} KiB before, {most} KiB");

    // Small requests go on, however many come at once.
    assert!(tap_for(address, Duration::from_millis(500)).await < Duration::from_secs(1));
    let taps = format!("/v1/posts/{}/reactions/like/users", post());
    let put = |user: usize| format!("PUT {taps}/{user} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut pipelining = Connection::open(address).await;
    pipelining.write((1..=300).map(put).collect::<String>().as_bytes()).await;
    for count in 1..=300 {
        assert_eq!(pipelining.read().await.unwrap().ok(201)["count"], count);
    }
    // A large request gets a reason.
    let mut large = Connection::open(address).await;
    large.write(&body.as_bytes()[..1000]).await;
    let refused = large.read().await.expect("an answer");
    refused.assert_problem(503, "overloaded");
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(program.figure("onetap_http_connections_refused_for_bytes_total").await > 500);

    drop((heads, bodies));
    let room = async || {
        let mut large = Connection::open(address).await;
        let json = [("content-type", "application/json")];
        let body = format!("{{\"{long}\": 1}}");
        let answer = large.send("POST", "/v1/posts/reactions/query", &json, &body).await;
        answer.status == 400
    };
    program.until("room for a large request", room).await;
}

/// A body that arrives byte by byte must not hold a buffer for each byte.
#[tokio::test]
async fn a_body_that_comes_in_crumbs_costs_no_more_than_one_that_does_not() {
    const CRUMBS: usize = 3000;
    let program = Program::start(&["--store", "memory:"]);
    let mut connection = TcpStream::connect(program.address()).await.unwrap();
    connection.set_nodelay(true).unwrap();
    program.send("GET", "/healthz").await.ok(200);
    let before = program.resident_kib();
    let head = format!(
        "POST /v1/posts/reactions/query HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        CRUMBS + 1
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..CRUMBS {
        connection.write_all(b" ").await.unwrap();
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let most = program.resident_kib();
    assert!(most < before + 4 * 1024, "{before} KiB before, {most} KiB");
}

/// Requests a page, and reads only the status of the response.
async fn ask(address: SocketAddr, question: &str) -> (TcpStream, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    // A small buffer, so that unread bytes wait at the service and not here.
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut connection = socket.connect(address).await.unwrap();
    let length = question.len();
    let head = format!(
        "POST /v1/posts/reactions/query HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\
         content-type: application/json\r\n\r\n"
    );
    connection.write_all((head + question).as_bytes()).await.unwrap();
    let mut status = [0; 12];
    connection.read_exact(&mut status).await.unwrap();
    let status = std::str::from_utf8(&status[9..]).unwrap().parse().unwrap();
    (connection, status)
}

/// Sets four reactions of 20 users each on a hundred posts.
async fn fill(address: SocketAddr, posts: &[PostId]) {
    let mut writers = Vec::new();
    for part in posts.chunks(25) {
        let put = |post| {
            let put = move |n: usize| {
                format!(
                    "PUT /v1/posts/{post}/reactions/r{}/users/{n} HTTP/1.1\r\nhost: localhost\r\n\r\n",
                    n % 4
                )
            };
            (1..=80).map(put)
        };
        let requests: String = part.iter().flat_map(put).collect();
        writers.push(async move {
            let mut connection = Connection::open(address).await;
            for part in requests.as_bytes().chunks(8 * 1024) {
                connection.write(part).await;
            }
            for _ in 0..25 * 80 {
                connection.read().await.unwrap().ok(201);
            }
        });
    }
    join_all(writers).await;
}

/// The body that asks for a page of these posts.
fn question(posts: &[PostId]) -> String {
    let ids: Vec<String> = posts.iter().map(ToString::to_string).collect();
    serde_json::json!({ "post_ids": ids, "recent": 20 }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_are_not_read_hold_little_memory() {
    const BOUND_KIB: u64 = 4 * 1024;
    let bound = (BOUND_KIB * 1024).to_string();
    let program = Program::start(&["--store", "memory:", "--max-answer-bytes-in-flight", &bound]);
    let (address, posts) = (program.address(), posts(100));
    fill(address, &posts).await;
    let question = question(&posts);
    let page = program.connect_and_ask(&question).await;
    let length = page.body.len() as u64;
    assert!(length > 400_000, "{length}");
    let before = program.resident_kib();
    let asked = join_all((0..100).map(|_| ask(address, &question))).await;
    let most = program.resident_kib();
    let whole = asked.iter().filter(|(_, status)| *status == 200).count() as u64;
    let refused = asked.iter().filter(|(_, status)| *status == 503).count() as u64;
    println!("{whole} answered, {refused} refused, {before} KiB before, {most} KiB");
    assert!(whole > 0 && refused > 0 && whole + refused == 100, "{whole} {refused}");
    // All pages together have more than 40 MiB. The allocator keeps some of what the pages took while
    // the workers wrote them: 10 to 20 MiB, depending on how many were written at the same time.
    assert!(most < before + BOUND_KIB + 20 * 1024, "{before} KiB before, {most} KiB");
    // onetap still answers small requests.
    assert!(tap_for(address, Duration::from_millis(500)).await < Duration::from_secs(1));
    let one = format!("/v1/posts/{}/reactions?recent=20", posts[0]);
    program.send("GET", &one).await.ok(200);
    // They do not keep large answers from other clients for ever.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(program.connect_and_ask(&question).await.status, 200);
    assert!(program.figure("onetap_http_answers_given_up_total").await > 0);
    drop(asked);
    let again = async || program.connect_and_ask(&question).await.status == 200;
    program.until("room for a page", again).await;
}

impl Program {
    async fn connect_and_ask(&self, question: &str) -> crate::support::http::Response {
        let json = [("content-type", "application/json")];
        let mut connection = Connection::open(self.address()).await;
        connection.send("POST", "/v1/posts/reactions/query", &json, question).await
    }
}

/// Clients that send these bytes, and then read one byte of the response a second. Each ends with
/// what it has read once the sender is dropped.
async fn sip(address: SocketAddr, request: &str, stop: &watch::Sender<()>) -> JoinSet<Vec<u8>> {
    let mut sipping = JoinSet::new();
    for _ in 0..10 {
        let socket = TcpSocket::new_v4().unwrap();
        // A small buffer, so that unread bytes wait at the service and not here.
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut connection = socket.connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut stop = stop.subscribe();
        sipping.spawn(async move {
            let (mut read, mut byte) = (Vec::new(), [0]);
            let mut beat = tokio::time::interval(Duration::from_secs(1));
            loop {
                tokio::select! {
                    _ = beat.tick() => {}
                    _ = stop.changed() => return read,
                }
                if connection.read(&mut byte).await.is_ok_and(|taken| taken > 0) {
                    read.push(byte[0]);
                }
            }
        });
    }
    sipping
}

/// Changes one post after another, and reads a stream of them all. Returns the longest time without
/// an event.
fn change_and_read(
    address: SocketAddr,
    posts: Vec<PostId>,
    mut stop: watch::Receiver<()>,
) -> JoinHandle<Duration> {
    tokio::spawn(async move {
        let mut events = Events::open(address, &(path(&posts) + "&recent=20")).await;
        let changing = tokio::spawn(async move {
            let mut client = Connection::open(address).await;
            for user in 1000.. {
                let post = posts[user % posts.len()];
                let path = format!("/v1/posts/{post}/reactions/r0/users/{user}");
                client.send("PUT", path, &[], "").await.ok(201);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let (mut last, mut longest) = (Stopwatch::start(), Duration::ZERO);
        loop {
            tokio::select! {
                event = events.next() => { event.expect("the stream has ended"); }
                _ = stop.changed() => break,
            }
            longest = longest.max(last.elapsed());
            last = Stopwatch::start();
        }
        changing.abort();
        longest.max(last.elapsed())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_one_byte_a_second_cost_the_others_nothing_and_are_cut_at_the_write_timeout() {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let program = Program::start(&["--store", "memory:", "--write-timeout", "3s"]);
    let (address, watched) = (program.address(), posts(100));
    fill(address, &watched).await;
    let question = question(&watched);
    let page = format!(
        "POST /v1/posts/reactions/query HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\
         content-type: application/json\r\n\r\n{question}",
        question.len()
    );
    let stream = |path: String| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let stop = watch::Sender::new(());
    let changing = change_and_read(address, watched.clone(), stop.subscribe());
    let taps = tokio::spawn(tap_for(address, Duration::from_secs(7)));
    let begun = Instant::now();
    // Only several pages outgrow the kernel's buffers.
    let pages = sip(address, &page.repeat(16), &stop).await;
    let large = sip(address, &stream(path(&watched) + "&recent=20"), &stop).await;
    let quiet = sip(address, &stream(path(&posts(1))), &stop).await;
    tokio::time::sleep(TIMEOUT.saturating_sub(begun.elapsed()).mul_f32(0.7)).await;
    let (open, streams) = (program.figure("onetap_http_connections").await, live(&program).await);
    assert!(begun.elapsed() < TIMEOUT, "this machine is too slow to tell");
    assert!(open >= 30 && streams == 21, "cut too early: {open} connections, {streams} streams");
    // Those with more to read than the kernel holds are cut, the others stay.
    let is_cut = async || program.figure("onetap_live_streams_cut_slow_total").await == 10;
    program.until("the large streams cut", is_cut).await;
    let streams_cut = begun.elapsed();
    // Beside the quiet streams and the reader: two that tap, one that asks, and perhaps a probe.
    let is_cut = async || program.figure("onetap_http_connections").await <= 15;
    program.until("the pages cut", is_cut).await;
    let pages_cut = begun.elapsed();
    let slowest = taps.await.unwrap();
    assert_eq!(live(&program).await, 11, "a stream with little to tell is cut");
    drop(stop);
    let silence = changing.await.unwrap();
    println!(
        "the slowest tap took {slowest:?}, the longest silence {silence:?}; streams were cut by \
         {streams_cut:?}, pages by {pages_cut:?}"
    );
    assert!(slowest < Duration::from_secs(1) && silence < Duration::from_secs(1));
    for sipping in [pages, large, quiet] {
        for read in sipping.join_all().await {
            assert!(read.len() >= 5 && b"HTTP/1.1 200 OK\r\n".starts_with(&read), "{read:?}");
        }
    }
}

async fn live(program: &Program) -> u64 {
    program.figure("onetap_live_streams").await
}
