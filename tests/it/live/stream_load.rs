//! Many streams of many posts: what they cost other clients, and that each still gets its events.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::events::{Events, path};
use crate::support::http::Connection;
use crate::support::program::{Program, onetap};
use crate::support::redis_server::{Kind, RedisServer, ShiftedClock, free_port};
use crate::support::{post, posts};

/// The program with each kind of store, and what must outlive it.
async fn programs() -> Vec<(&'static str, Program, Option<RedisServer>, Option<TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    let redis = RedisServer::start(Kind::Redis, &[]);
    let over_redis = Program::start(&["--store", &redis.url()]);
    over_redis.until_ready().await;
    vec![
        ("memory", Program::start(&["--store", "memory:"]), None, None),
        ("file", Program::start(&["--store", &file]), None, Some(folder)),
        ("redis", over_redis, Some(redis), None),
    ]
}

fn like(post: PostId, user: u64) -> String {
    format!("/v1/posts/{post}/reactions/like/users/{user}")
}

/// Taps of another client until stopped, each on its own post. Returns the longest time of a tap. A
/// tap that had to wait for the request timeout of two seconds would be refused.
fn bystander(address: SocketAddr, stop: &Arc<AtomicBool>) -> JoinHandle<Duration> {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let (mut client, mut slowest) = (Connection::open(address).await, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            client.send("PUT", like(post(), 1), &[], "").await.ok(201);
            slowest = slowest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        slowest
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_of_a_hundred_posts_open_at_once_and_are_told() {
    for (store, program, _redis, _folder) in programs().await {
        let (address, stop) = (program.address(), Arc::new(AtomicBool::new(false)));
        let tapping = bystander(address, &stop);
        let begun = Instant::now();
        let streams = (0..100).map(|_| {
            tokio::spawn(async move {
                let posts = posts(100);
                let mut events = Events::open(address, &path(&posts)).await;
                let opened = begun.elapsed();
                for post in posts {
                    let event = events.next().await.expect("the stream has ended");
                    assert_eq!((event.post(), event.total()), (&*post.to_string(), 0));
                }
                (opened, events)
            })
        });
        let mut open = Vec::new();
        for stream in streams.collect::<Vec<_>>() {
            open.push(stream.await.unwrap());
        }
        let (told, opened) = (begun.elapsed(), open.iter().map(|(at, _)| *at).max().unwrap());
        stop.store(true, Ordering::Relaxed);
        let slowest = tapping.await.unwrap();
        println!("{store}: open after {opened:?}, told after {told:?}, slowest tap {slowest:?}");
        assert!(told < Duration::from_secs(10), "{store}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_the_same_posts_begin_in_order_while_all_of_them_change() {
    for (store, program, _redis, _folder) in programs().await {
        let (address, posts) = (program.address(), posts(100));
        let stop = Arc::new(AtomicBool::new(false));
        let tapped: Arc<Vec<AtomicU64>> = Arc::new((0..100).map(|_| AtomicU64::new(0)).collect());
        let tapping: Vec<_> = (0..4)
            .map(|part| {
                let (posts, stop, tapped) = (posts.clone(), Arc::clone(&stop), Arc::clone(&tapped));
                tokio::spawn(async move {
                    let mut client = Connection::open(address).await;
                    for n in (part..).step_by(4) {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        client
                            .send("PUT", like(posts[n % 100], n as u64 + 1), &[], "")
                            .await
                            .ok(201);
                        tapped[n % 100].fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let streams: Vec<_> = (0..60)
            .map(|_| {
                let (posts, stop) = (posts.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut events = Events::open(address, &path(&posts)).await;
                    let mut totals = vec![0; 100];
                    for (post, total) in posts.iter().zip(&mut totals) {
                        let event = events.next().await.expect("the stream has ended");
                        assert_eq!(event.post(), post.to_string());
                        *total = event.total();
                    }
                    // Read until the load ends and no more events come.
                    let mut quiet = false;
                    while !quiet {
                        let stopped = stop.load(Ordering::Relaxed);
                        match events.next_within(Duration::from_secs(1)).await {
                            Some(event) => {
                                let is_its = |post: &PostId| post.to_string() == event.post();
                                totals[posts.iter().position(is_its).unwrap()] = event.total();
                            }
                            None => quiet = stopped,
                        }
                    }
                    totals
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        stop.store(true, Ordering::Relaxed);
        for task in tapping {
            task.await.unwrap();
        }
        let truth: Vec<_> = tapped.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        for stream in streams {
            assert_eq!(stream.await.unwrap(), truth, "{store}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_opened_and_closed_in_a_loop_do_not_hold_up_another() {
    for (store, program, _redis, _folder) in programs().await {
        let (address, own) = (program.address(), post());
        let mut events = Events::open(address, &path(&[own])).await;
        assert_eq!(events.next().await.unwrap().total(), 0);
        let stop = Arc::new(AtomicBool::new(false));
        let opened = Arc::new(AtomicU64::new(0));
        let churning: Vec<_> = (0..8)
            .map(|_| {
                let (stop, opened) = (Arc::clone(&stop), Arc::clone(&opened));
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        drop(Events::open(address, &path(&posts(100))).await);
                        opened.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let (mut client, mut latest) = (Connection::open(address).await, Duration::ZERO);
        for user in 1..=30 {
            client.send("PUT", like(own, user), &[], "").await.ok(201);
            let begun = Instant::now();
            events.until(|event| event.total() == user).await;
            latest = latest.max(begun.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        for task in churning {
            task.await.unwrap();
        }
        println!("{store}: {opened:?} streams came and went; the latest event: {latest:?}");
        // onetap would have closed a stream whose events came later.
        assert!(latest < Duration::from_secs(3), "{store}: {latest:?}");
        program.until_figure("onetap_live_streams", 1).await;
    }
}

#[tokio::test]
async fn a_stream_says_first_when_to_come_back_each_at_a_time_of_its_own() {
    let program = Program::start(&["--store", "memory:"]);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let mut events = Events::open(program.address(), &path(&posts(3))).await;
        let first = events.block().await.unwrap();
        let wait = first.strip_prefix("retry: ").unwrap_or_else(|| panic!("{first}"));
        waits.push(wait.parse::<u64>().unwrap());
        assert_eq!(events.next().await.unwrap().name, "summary");
    }
    assert!(waits.iter().all(|wait| (500..=3000).contains(wait)), "{waits:?}");
    waits.sort_unstable();
    waits.dedup();
    assert_eq!(waits.len(), 20, "{waits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_never_there_ends_a_stream_and_refuses_the_next() {
    let store = format!("redis://127.0.0.1:{}", free_port());
    let program = Program::start(&["--store", &store]);
    let begun = Instant::now();
    let mut first = Events::open(program.address(), &path(&posts(3))).await;
    assert!(first.ends_within(Duration::from_millis(5500)).await);
    assert!(begun.elapsed() > Duration::from_millis(2900), "{:?}", begun.elapsed());
    // This holds for every post, since onetap could follow no log.
    program.send("GET", &path(&posts(1))).await.assert_problem(503, "store_unavailable");
}

/// A store uses a revision again, as after lost changes behind a clock that was ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_state_at_the_same_revision_ends_the_stream() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let program = Program::start(&["--store", &redis.url()]);
    program.until_ready().await;
    let post = post();
    program.send("PUT", &like(post, 1)).await.ok(201);
    let mut events = Events::open(program.address(), &path(&[post])).await;
    assert_eq!(events.next().await.unwrap().total(), 1);
    let mut admin = redis.client().await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("*{post}")).query_async(&mut admin).await.unwrap();
    assert_eq!(keys.len(), 1, "the post: {keys:?}");
    let mut set = redis::cmd("HSET");
    let _: i64 = set.arg(&keys[0]).arg("like").arg(2).query_async(&mut admin).await.unwrap();
    assert!(events.ends_within(Duration::from_secs(32)).await, "it goes on with what is not true");
    let mut again = Events::open(program.address(), &path(&[post])).await;
    assert_eq!(again.next().await.unwrap().total(), 2);
}

/// The program with each kind of store, whose clock the test can change. That is the clock of Redis,
/// or that of the program.
fn with_shifted_clocks(folder: &TempDir) -> Vec<(&'static str, Program, ShiftedClock)> {
    let file = format!("file:{}", folder.path().join("store.redb").display());
    let own = |name, store: &str| {
        let clock = ShiftedClock::new();
        let mut command = onetap(&["--listen", "127.0.0.1:0", "--threads", "2", "--store", store]);
        (name, Program::spawn(command.envs(clock.variables())), clock)
    };
    vec![own("memory", "memory:"), own("file", &file)]
}

/// Reads until every post has this total. No count may come with a revision that is not above that
/// of the count before.
async fn until_all_have(
    events: &mut Events,
    last: &mut HashMap<String, (u64, u64)>,
    posts: usize,
    total: u64,
) {
    let reading = async {
        while last.len() < posts || last.values().any(|(shown, _)| *shown != total) {
            let event = events.next().await.expect("the stream has ended");
            if let Some((shown, revision)) = last.get(event.post()) {
                assert!(event.id >= *revision, "{revision} before {event:?}");
                assert!(event.id > *revision || event.total() == *shown, "{shown}, {event:?}");
            }
            last.insert(event.post().to_owned(), (event.total(), event.id));
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
    assert!(read.is_ok(), "a stream hangs before {total}: {last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_show_every_tap_under_a_rising_revision_while_the_clock_jumps() {
    const JUMPS: [i64; 9] = [0, 10, -10, 0, 3600, 10, -3600, 3600, 0];
    let (folder, (redis, clock)) =
        (tempfile::tempdir().unwrap(), RedisServer::with_shifted_clock());
    let over_redis = Program::start(&["--store", &redis.url()]);
    over_redis.until_ready().await;
    let mut programs = with_shifted_clocks(&folder);
    programs.push(("redis", over_redis, clock));
    for (store, program, clock) in programs {
        let (address, posts) = (program.address(), posts(20));
        let mut streams = Vec::new();
        for _ in 0..5 {
            streams.push((Events::open(address, &path(&posts)).await, HashMap::new()));
        }
        let (mut client, mut user, mut slowest) =
            (Connection::open(address).await, 0, Duration::ZERO);
        for seconds in JUMPS {
            // The clock jumps between two taps on a post, and between those of two posts.
            for round in 0..2 {
                user += 1;
                for (n, post) in posts.iter().enumerate() {
                    if (round, n) == (0, posts.len() / 2) {
                        clock.shift(seconds * 1000);
                    }
                    client.send("PUT", like(*post, user), &[], "").await.ok(201);
                }
            }
            let begun = Instant::now();
            for (events, last) in &mut streams {
                until_all_have(events, last, posts.len(), user).await;
            }
            slowest = slowest.max(begun.elapsed());
        }
        assert_eq!(program.figure("onetap_live_streams_closed_stale_total").await, 0, "{store}");
        println!("{store}: {user} taps on each post were shown, the latest after {slowest:?}");
    }
}
