//! Streams during faults: Redis is unreachable for a while, clients do not read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use tokio::task::JoinHandle;

use crate::support::events::{Events, path};
use crate::support::http::Connection;
use crate::support::posts;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer, free_port};

/// This long after the end of a fault, every client that reads has the true counts, or its stream
/// was closed.
const HEALED: Duration = Duration::from_secs(5);

/// Taps on these posts until stopped. Ignores failures.
fn taps(address: SocketAddr, posts: Vec<PostId>, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let mut client = Connection::open(address).await;
        for user in 1.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let post = posts[user % posts.len()];
            let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
            client.send("PUT", path, &[], "").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// Reads a stream until it has been silent for `silence`. Returns its last count of each post. None
/// if the stream ended.
async fn last_said(mut stream: Events, posts: &[PostId], silence: Duration) -> Option<Vec<u64>> {
    let mut said = vec![0; posts.len()];
    loop {
        match tokio::time::timeout(silence, stream.next()).await {
            Ok(Some(event)) => {
                let place = posts.iter().position(|post| post.to_string() == event.post());
                said[place.unwrap()] = event.total();
            }
            Ok(None) => return None,
            Err(_) => return Some(said),
        }
    }
}

async fn truth(program: &Program, posts: &[PostId]) -> Vec<u64> {
    let mut totals = Vec::new();
    for post in posts {
        let summary = program.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
        totals.push(summary["total"].as_u64().unwrap());
    }
    totals
}

/// Fifty clients, one of which never reads, and a constant load of taps. After a fault all must
/// have the true counts.
async fn healed_after(port: u16, fault: impl AsyncFnOnce()) {
    let program = Program::start(&["--store", &format!("redis://127.0.0.1:{port}")]);
    program.until_ready().await;
    // The last post gets one tap only, so no later news of it repairs a missed event.
    let posts = posts(6);
    let once = format!("/v1/posts/{}/reactions/like/users/1", posts[5]);
    program.send("PUT", &once).await.ok(201);
    let silent = Events::open(program.address(), &path(&posts)).await;
    let mut readers = Vec::new();
    for _ in 0..49 {
        readers.push(Events::open(program.address(), &path(&posts)).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let tapping = taps(program.address(), posts[..5].to_vec(), &stop);
    let reading: Vec<_> = readers
        .into_iter()
        .map(|reader| {
            let posts = posts.clone();
            tokio::spawn(async move { last_said(reader, &posts, HEALED).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let memory = program.memory_kb();
    fault().await;
    // Taps go on for a moment after the fault; then nothing changes any more.
    program.until_ready().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    tapping.await.unwrap();
    let truth = truth(&program, &posts).await;
    assert!(truth.iter().sum::<u64>() > 0);
    let mut closed = 0;
    for reader in reading {
        match reader.await.unwrap() {
            Some(said) => assert_eq!(said, truth, "{closed} were closed"),
            None => closed += 1,
        }
    }
    println!("{closed} of 49 streams were closed, the others have the truth");
    let grown = program.memory_kb().saturating_sub(memory);
    assert!(grown < 8 * 1024, "{grown} KiB");
    drop(silent);
    program.until_figure("onetap_live_streams", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_have_the_truth_after_redis_was_started_anew() {
    let port = free_port();
    let mut redis = Some(RedisServer::start_on(Kind::Redis, port, &[]));
    healed_after(port, async || {
        drop(redis.take());
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The new Redis is empty, so the true counts are no longer those that the stream sent.
        redis = Some(RedisServer::start_on(Kind::Redis, port, &[]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_have_the_truth_after_all_connections_were_killed() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    healed_after(redis.port, async || {
        let mut admin = redis.client().await;
        for _ in 0..5 {
            let mut kill = redis::cmd("CLIENT");
            kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
            let killed: i64 = kill.query_async(&mut admin).await.unwrap();
            assert!(killed > 0);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_have_the_truth_after_redis_stood_still() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    healed_after(redis.port, async || {
        redis.signal("-STOP");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        redis.signal("-CONT");
    })
    .await;
}

/// Reads until the post's total has this value. Without an entry in the log that may take half a
/// minute.
async fn until_total(events: &mut Events, total: u64) {
    let begun = Instant::now();
    loop {
        let block = tokio::time::timeout(Duration::from_secs(35), events.block()).await;
        let block = block.expect("a comment comes now and then").expect("the stream has ended");
        if block.contains(&format!("\"total\":{total},")) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(35), "last said: {block}");
    }
}

/// With a Redis of its own: a stream that has shown one like on a post.
async fn one_like() -> (RedisServer, Program, String, Events) {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let program = Program::start(&["--store", &redis.url()]);
    program.until_ready().await;
    let post = posts(1).remove(0);
    let like = format!("/v1/posts/{post}/reactions/like/users/1");
    program.send("PUT", &like).await.ok(201);
    let mut events = Events::open(program.address(), &path(&[post])).await;
    until_total(&mut events, 1).await;
    (redis, program, like, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_hear_that_redis_was_emptied() {
    let (redis, program, like, mut events) = one_like().await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut redis.client().await).await.unwrap();
    // Its revisions begin anew, and no event can tell that a post went back: the stream ends, and
    // the next one begins with what is true.
    let begun = Instant::now();
    while let Some(block) = tokio::time::timeout(Duration::from_secs(35), events.block())
        .await
        .expect("a comment comes now and then")
    {
        assert!(!block.contains("\"total\":0,"), "{block}");
        assert!(begun.elapsed() < Duration::from_secs(35), "it goes on: {block}");
    }
    let post = like.split('/').nth(3).unwrap().parse().unwrap();
    let mut events = Events::open(program.address(), &path(&[post])).await;
    until_total(&mut events, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_hear_of_a_count_that_was_healed() {
    let (redis, program, like, mut events) = one_like().await;
    let mut admin = redis.client().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:like").query_async(&mut admin).await.unwrap();
    assert_eq!(keys.len(), 1, "the members: {keys:?}");
    // Somebody adds a member by hand; the next tap, which changes nothing itself, heals the count.
    let mut add = redis::cmd("ZADD");
    let _: i64 = add.arg(&keys[0]).arg(1).arg(2).query_async(&mut admin).await.unwrap();
    assert_eq!(program.send("PUT", &like).await.ok(200)["count"], 2);
    until_total(&mut events, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_cannot_be_told_the_truth_are_closed() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let program = Program::start(&["--store", &redis.url()]);
    program.until_ready().await;
    let posts = posts(3);
    let mut readers = Vec::new();
    for _ in 0..50 {
        readers.push(Events::open(program.address(), &path(&posts)).await);
    }
    let begun = Instant::now();
    redis.signal("-STOP");
    let reading: Vec<_> = readers
        .into_iter()
        .map(|mut reader| {
            tokio::spawn(async move {
                assert!(reader.ends_within(HEALED).await, "open after {:?}", begun.elapsed());
                begun.elapsed()
            })
        })
        .collect();
    let mut ended = Vec::new();
    for reader in reading {
        ended.push(reader.await.unwrap());
    }
    // The streams do not end all at once, or all clients would come back at once.
    ended.sort_unstable();
    assert!(ended[0] > Duration::from_millis(2800) && ended[49] < HEALED, "{ended:?}");
    assert!(ended[49] - ended[0] > Duration::from_secs(1), "{ended:?}");
    assert_eq!(program.figure("onetap_live_streams_closed_stale_total").await, 50);
    program.send("GET", &path(&posts)).await.assert_problem(503, "store_unavailable");
    redis.signal("-CONT");
    program.until_ready().await;
    let mut again = Events::open(program.address(), &path(&posts)).await;
    again.next().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_is_cut_and_costs_nothing_meanwhile() {
    let args = ["--store", "memory:", "--write-timeout-ms", "2000", "--shutdown-grace-ms", "60000"];
    let mut program = Program::start(&args);
    // Large events: many reactions with their newest users.
    let posts = posts(20);
    let mut client = Connection::open(program.address()).await;
    for post in &posts {
        for i in 0..100 {
            let path = format!("/v1/posts/{post}/reactions/r{}/users/{}", i % 10, 1 + i / 10);
            client.send("PUT", path, &[], "").await.ok(201);
        }
    }
    let path = path(&posts) + "&recent=10";
    let silent = Events::open(program.address(), &path).await;
    let mut reader = Events::open(program.address(), &path).await;
    let reading = tokio::spawn(async move { while reader.next().await.is_some() {} });
    let stop = Arc::new(AtomicBool::new(false));
    let tapping = taps(program.address(), posts.clone(), &stop);
    let memory = program.memory_kb();
    program.until_figure("onetap_live_streams_cut_slow_total", 1).await;
    // The other stream goes on.
    assert_eq!(program.figure("onetap_live_streams").await, 1);
    assert!(program.figure("onetap_live_events_superseded_total").await > 0);
    let grown = program.memory_kb().saturating_sub(memory);
    assert!(grown < 8 * 1024, "{grown} KiB");
    drop(silent);
    // A stop does not wait for a client that does not read.
    let _silent = Events::open(program.address(), &path).await;
    let superseded = program.figure("onetap_live_events_superseded_total").await;
    let has_begun =
        || async { program.figure("onetap_live_events_superseded_total").await > superseded };
    program.until("a full socket", has_begun).await;
    stop.store(true, Ordering::Relaxed);
    tapping.await.unwrap();
    let begun = Instant::now();
    program.terminate();
    reading.await.unwrap();
    assert_eq!(program.exit_code().await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
