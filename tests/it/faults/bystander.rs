//! Two classes of load at once: one client asks for as much as it may, and another one, the
//! bystander, taps. All taps of the bystander get a 2xx in time, and the load stays within its
//! limit.
//!
//! `make bystander` runs the same loads at full size, and prints figures.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::events::{Events, path};
use crate::support::http::Connection;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{post, posts};

/// The request timeout of the service. A 2xx that takes longer has also waited for a connection.
const IN_TIME: Duration = Duration::from_secs(2);
const TO_CONNECT: Duration = Duration::from_secs(1);

/// After this time without a response a tap counts as unanswered.
const NO_ANSWER: Duration = Duration::from_secs(10);

/// How long a load and its bystander run.
const TIME: Duration = Duration::from_secs(4);

/// Runs one test at a time: otherwise their loads would add up.
pub(super) async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// What the bystander sends.
#[derive(Clone, Copy)]
pub(super) enum Sends {
    /// Taps with a key, over keep-alive connections.
    Taps,
    /// Taps over a new connection each, like a client that has just arrived.
    NewConnections,
    /// Removals without a key, of these users' reactions on this post.
    Removals(PostId),
}

/// Sends 50 taps a second, whatever the responses. Returns how often each status came, late ones
/// apart.
pub(super) async fn stand_by(
    service: SocketAddr,
    sends: Sends,
    time: Duration,
) -> BTreeMap<String, u32> {
    let (begun, mut taps) = (Instant::now(), JoinSet::new());
    let idle: Arc<std::sync::Mutex<Vec<Connection>>> = Arc::default();
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for user in 1.. {
        beat.tick().await;
        if begun.elapsed() > time {
            break;
        }
        let idle = Arc::clone(&idle);
        taps.spawn(async move {
            let asked = Instant::now();
            let free = idle.lock().unwrap().pop();
            let mut connection = match free {
                Some(connection) => connection,
                None => Connection::open(service).await,
            };
            let (method, post) = match sends {
                Sends::Removals(post) => ("DELETE", post),
                Sends::Taps | Sends::NewConnections => ("PUT", post()),
            };
            let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
            let key = format!("bystander-{user}");
            let keyed = [("idempotency-key", key.as_str())];
            let headers = if matches!(sends, Sends::Removals(_)) { &[][..] } else { &keyed };
            let answer = connection.send(method, path, headers, "");
            let Ok(response) = tokio::time::timeout(NO_ANSWER, answer).await else {
                return "none".to_owned();
            };
            let late = if asked.elapsed() > IN_TIME + TO_CONNECT { ", late" } else { "" };
            if !matches!(sends, Sends::NewConnections) {
                idle.lock().unwrap().push(connection);
            }
            format!("{}{late}", response.status)
        });
    }
    let mut codes = BTreeMap::new();
    while let Some(code) = taps.join_next().await {
        *codes.entry(code.unwrap()).or_default() += 1;
    }
    codes
}

#[track_caller]
pub(super) fn assert_all_answered(codes: &BTreeMap<String, u32>) {
    let good = |code: &String| code == "200" || code == "201";
    assert!(codes.keys().all(good), "the bystander was answered {codes:?}");
    assert!(codes.values().sum::<u32>() > 20, "{codes:?}");
}

async fn start(redis: &RedisServer, flags: &[&str]) -> Program {
    let service = Program::start(&[&["--store", &redis.url()], flags].concat());
    service.until_ready().await;
    service
}

/// Clients that each hold a stream of 100 posts open. A refused one retries.
struct Watchers {
    readers: Vec<JoinHandle<()>>,
    seen: Arc<std::sync::Mutex<Vec<Seen>>>,
    posts: Vec<Vec<PostId>>,
}

/// What one of them has received.
#[derive(Clone, Default)]
struct Seen {
    /// From how many posts.
    told: usize,
    /// Whether its stream showed the tap on its first post.
    truth: bool,
    /// How often its stream has ended.
    ended: usize,
}

impl Watchers {
    fn start(service: SocketAddr, streams: usize) -> Self {
        let seen = Arc::new(std::sync::Mutex::new(vec![Seen::default(); streams]));
        let posts: Vec<Vec<PostId>> = (0..streams).map(|_| posts(100)).collect();
        let reader = |place: usize| {
            let (seen, posts) = (Arc::clone(&seen), posts[place].clone());
            tokio::spawn(async move {
                loop {
                    if let Some(mut events) = Events::try_open(service, &path(&posts)).await
                        && events.head.starts_with("http/1.1 200 ")
                    {
                        read(&mut events, &posts[0].to_string(), &seen, place).await;
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            })
        };
        Self { readers: (0..streams).map(reader).collect(), seen, posts }
    }

    fn count(&self, which: impl Fn(&Seen) -> bool) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| which(seen)).count()
    }

    /// Waits until `which` holds for all, or `time` is over. Returns for how many it holds.
    async fn all_within(&self, time: Duration, which: impl Fn(&Seen) -> bool) -> usize {
        let begun = Instant::now();
        while begun.elapsed() < time && self.count(&which) < self.posts.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.count(which)
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

/// Reads a stream to its end.
async fn read(events: &mut Events, first: &str, seen: &std::sync::Mutex<Vec<Seen>>, place: usize) {
    let mut told = 0;
    while let Some(block) = events.block().await {
        if block.starts_with(':') {
            continue;
        }
        told += 1;
        let mut seen = seen.lock().unwrap();
        seen[place].told = seen[place].told.max(told);
        seen[place].truth |= block.contains(first) && block.contains("\"total\":1");
    }
    seen.lock().unwrap()[place].ended += 1;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_hundred_posts_open_beside_taps() {
    let _alone = alone().await;
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = start(&redis, &[]).await;
    let bystander = tokio::spawn(stand_by(service.address, Sends::Taps, TIME));
    let watchers = Watchers::start(service.address, 100);
    let told = watchers.all_within(Duration::from_secs(10), |seen| seen.told >= 100).await;
    assert_all_answered(&bystander.await.unwrap());
    assert_eq!(told, 100, "streams got all their posts within 10 s");
    assert_eq!(watchers.count(|seen| seen.ended > 0), 0, "streams ended for no reason");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_told_the_truth_or_closed_when_redis_closes_every_connection() {
    let _alone = alone().await;
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = start(&redis, &[]).await;
    let watchers = Watchers::start(service.address, 100);
    let told = watchers.all_within(Duration::from_secs(20), |seen| seen.told >= 100).await;
    assert_eq!(told, 100, "streams got all their posts");
    let ended: Vec<usize> = watchers.seen.lock().unwrap().iter().map(|seen| seen.ended).collect();

    let bystander = tokio::spawn(stand_by(service.address, Sends::Taps, TIME));
    let mut admin = redis.client().await;
    let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
    let _: u64 = redis::cmd("CLIENT").arg(&kill).query_async(&mut admin).await.unwrap();
    let killed = Instant::now();
    let mut client = Connection::open(service.address).await;
    for (n, posts) in watchers.posts.iter().enumerate() {
        let path = format!("/v1/posts/{}/reactions/like/users/1", posts[0]);
        let key = format!("truth-{n}");
        let status = client.send("PUT", path, &[("idempotency-key", &key)], "").await.status;
        assert_eq!(status, 201, "a tap with a key, right after the connections were closed");
    }
    // One second above the bound, because the test itself takes time.
    while killed.elapsed() < Duration::from_secs(6) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seen = watchers.seen.lock().unwrap().clone();
    let settled = seen.iter().zip(&ended).filter(|(seen, was)| seen.truth || seen.ended > **was);
    assert_eq!(settled.count(), 100, "streams got current counts or closed within 5 s");
    assert_all_answered(&bystander.await.unwrap());
    let told = watchers.all_within(Duration::from_secs(9), |seen| seen.truth).await;
    assert_eq!(told, 100, "streams were open again, and told the truth, within 15 s");
}

/// The body that asks for a page of posts on which each of three users has 20 reactions.
async fn large_page(service: SocketAddr) -> String {
    let posts = posts(100);
    let mut filling = JoinSet::new();
    for part in posts.chunks(25) {
        let part = part.to_vec();
        filling.spawn(async move {
            let mut client = Connection::open(service).await;
            for post in part {
                let taps = (1..=3).flat_map(|user| (0..20).map(move |r| (user, r)));
                let asked = taps.map(|(user, r)| {
                    format!(
                        "PUT /v1/posts/{post}/reactions/r{r}/users/{user} HTTP/1.1\r\n\
                         host: localhost\r\n\r\n"
                    )
                });
                client.write(asked.collect::<String>().as_bytes()).await;
                for _ in 0..60 {
                    client.read().await.unwrap().ok(201);
                }
            }
        });
    }
    filling.join_all().await;
    let ids: Vec<String> = posts.iter().map(|post| format!("\"{post}\"")).collect();
    format!("{{\"post_ids\":[{}],\"recent\":20}}", ids.join(","))
}

/// Clients that request a page, and request it again after each response. Returns how often each
/// status came.
async fn read_pages(service: SocketAddr, clients: usize, body: String) -> BTreeMap<u16, u32> {
    let (stop, mut readers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for _ in 0..clients {
        let (stop, body) = (Arc::clone(&stop), body.clone());
        readers.spawn(async move {
            let mut client = Connection::open(service).await;
            let mut codes = BTreeMap::<u16, u32>::new();
            let json = [("content-type", "application/json")];
            while !stop.load(Ordering::Relaxed) {
                let page = client.send("POST", "/v1/posts/reactions/query", &json, &body).await;
                *codes.entry(page.status).or_default() += 1;
                if page.status != 200 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            codes
        });
    }
    tokio::time::sleep(TIME).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = BTreeMap::<u16, u32>::new();
    for (status, times) in readers.join_all().await.into_iter().flatten() {
        *all.entry(status).or_default() += times;
    }
    all
}

async fn pages_beside_taps(store: &str) {
    let _alone = alone().await;
    let service = Program::start(&["--store", store]);
    service.until_ready().await;
    let body = large_page(service.address).await;
    let pages = tokio::spawn(read_pages(service.address, 40, body));
    let codes = stand_by(service.address, Sends::Taps, TIME).await;
    let pages = pages.await.unwrap();
    println!("{codes:?}, pages {pages:?}");
    assert_all_answered(&codes);
    // Pages are refused first, and only by this code.
    assert!(pages.keys().all(|status| [200, 503].contains(status)), "{pages:?}");
    assert!(pages.get(&200) > Some(&0), "nobody was answered a page: {pages:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_pages_are_read_beside_taps() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    pages_beside_taps(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_pages_are_read_beside_taps_in_memory() {
    pages_beside_taps("memory:").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_pages_are_read_beside_taps_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    pages_beside_taps(&format!("file:{}", folder.path().join("store.redb").display())).await;
}

/// Over a file, the threads that answer taps also read single posts and lists of one reaction. Such
/// a read has at most 20 users of each of 20 reactions, or 100 of one, however many members the post
/// has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_of_many_members_in_a_file_is_read_beside_taps() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}", folder.path().join("store.redb").display());
    let (service, large) = (Program::start(&["--store", &store]), post());
    let mut filling = JoinSet::new();
    for users in (0..4).map(|part| part * 50 + 1..part * 50 + 51) {
        let mut client = Connection::open(service.address).await;
        filling.spawn(async move {
            for user in users {
                let taps = (0..20).map(|r| {
                    let path = format!("/v1/posts/{large}/reactions/r{r}/users/{user}");
                    format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
                });
                client.write(taps.collect::<String>().as_bytes()).await;
                for _ in 0..20 {
                    client.read().await.unwrap().ok(201);
                }
            }
        });
    }
    filling.join_all().await;
    let mut reading = JoinSet::new();
    for n in 0..16 {
        let mut client = Connection::open(service.address).await;
        reading.spawn(async move {
            let summary = format!("/v1/posts/{large}/reactions?recent=20");
            let list = format!("/v1/posts/{large}/reactions/r7/users?limit=100");
            let (begun, mut reads, mut slowest) = (Instant::now(), 0, Duration::ZERO);
            while begun.elapsed() < TIME {
                let asked = Instant::now();
                let path = [&summary, &list][(reads + n) % 2];
                let read = client.send("GET", path, &[], "").await.ok(200);
                assert!(read["total"] == 4000 || read["users"][99].is_object(), "{read}");
                (reads, slowest) = (reads + 1, slowest.max(asked.elapsed()));
            }
            (reads, slowest)
        });
    }
    let codes = stand_by(service.address, Sends::Taps, TIME).await;
    let read = reading.join_all().await;
    let (reads, slowest) = (read.iter().map(|(reads, _)| reads), read.iter().map(|(_, took)| took));
    println!("{codes:?} beside {} reads, slowest {:?}", reads.sum::<usize>(), slowest.max());
    assert_all_answered(&codes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_open_beside_large_pages_and_taps() {
    let _alone = alone().await;
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = start(&redis, &[]).await;
    let body = large_page(service.address).await;
    let pages = tokio::spawn(read_pages(service.address, 40, body));
    let watchers = Watchers::start(service.address, 20);
    let codes = stand_by(service.address, Sends::Taps, TIME).await;
    assert_all_answered(&codes);
    let told = watchers.all_within(Duration::from_secs(6), |seen| seen.told >= 100).await;
    assert_eq!(told, 20, "streams got all their posts within 10 s");
    println!("{codes:?}, pages {:?}", pages.await.unwrap());
}

/// More connections than the limit, none of which sends a byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_keep_nobody_out() {
    let _alone = alone().await;
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = start(&redis, &["--max-connections", "200"]).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(service.address).await.unwrap());
    }
    let codes = stand_by(service.address, Sends::NewConnections, TIME).await;
    assert_all_answered(&codes);
    for path in ["/healthz", "/readyz"] {
        let asked = Instant::now();
        service.send("GET", path).await.ok(200);
        assert!(asked.elapsed() < IN_TIME, "{path} took {:?}", asked.elapsed());
    }
}

async fn used_memory(admin: &mut redis::aio::MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("memory").query_async(admin).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    line.trim().parse().unwrap()
}

/// Sends removals without effect, each with its own key, a hundred at a time.
async fn remove_nothing(service: SocketAddr, user: u64, time: Duration) {
    let (begun, post) = (Instant::now(), post());
    let mut client = Connection::open(service).await;
    let mut sent = 0_u64;
    while begun.elapsed() < time {
        let batch = (sent..sent + 100).map(|n| {
            format!(
                "DELETE /v1/posts/{post}/reactions/like/users/{user} HTTP/1.1\r\nhost: localhost\r\n\
                 idempotency-key: {user}-{n}\r\n\r\n"
            )
        });
        client.write(batch.collect::<String>().as_bytes()).await;
        sent += 100;
        let mut refused = 0;
        for _ in 0..100 {
            let Some(response) = client.read().await else { return };
            // None of these is in doubt: onetap applies or refuses each.
            assert!([200, 503].contains(&response.status), "{response:?}");
            refused += u32::from(response.status == 503);
        }
        if refused == 100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_stays_as_full_as_it_is() {
    const MAX_MEMORY: u64 = 8 << 20;
    let _alone = alone().await;
    let most = MAX_MEMORY.to_string();
    let full = ["--maxmemory", &most, "--maxmemory-policy", "noeviction"];
    let redis = RedisServer::start(Kind::Redis, &full);
    let service = start(&redis, &[]).await;
    let (mut client, removed) = (Connection::open(service.address).await, post());
    for user in 1..=50 * (TIME.as_secs() + 1) {
        let path = format!("/v1/posts/{removed}/reactions/like/users/{user}");
        client.send("PUT", path, &[], "").await.ok(201);
    }
    let mut admin = redis.client().await;
    for n in 0.. {
        let filler = redis::cmd("SETRANGE").arg(&[&format!("filler{n}"), "16000", "x"]).to_owned();
        if filler.query_async::<u64>(&mut admin).await.is_err() {
            break;
        }
    }
    for user in 1.. {
        let path = format!("/v1/posts/{}/reactions/like/users/{user}", post());
        if client.send("PUT", path, &[], "").await.status == 503 {
            break;
        }
    }

    let mut load = JoinSet::new();
    for user in 1..=8 {
        load.spawn(remove_nothing(service.address, 10_000 + user, TIME));
    }
    let codes = stand_by(service.address, Sends::Removals(removed), TIME).await;
    load.join_all().await;
    let used = used_memory(&mut admin).await;
    println!("{codes:?}, {used} bytes of {MAX_MEMORY}");
    // Removing without a key goes on.
    assert_all_answered(&codes);
    assert!(used * 100 <= MAX_MEMORY * 105, "{used} bytes of {MAX_MEMORY}");
}
