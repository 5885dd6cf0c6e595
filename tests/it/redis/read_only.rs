//! A read-only window over several processes: once it has begun, nothing changes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use onetap::domain::{Partition, PostId};
use onetap::store::redis::RedisSource;
use onetap::store::{AnyStore, DocumentWrite, Maintenance as _, StoreError};
use redis::aio::MultiplexedConnection;

use crate::support::cluster::Cluster;
use crate::support::fault_proxy::{Fault, FaultProxy, until};
use crate::support::load::{Answer, Load, assert_sound};
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer, options};
use crate::support::service::Service;
use crate::support::stopwatch::Stopwatch;
use crate::support::{post, posts, prefix, soon};

const WINDOW: &str = "/v1/read-only";

/// The server's clock, in µs.
async fn now(client: &mut MultiplexedConnection) -> u64 {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(client).await.unwrap();
    seconds * 1_000_000 + micros
}

/// The greatest revision of these posts. A revision is the time of its change.
async fn newest(service: &Service, posts: &[PostId]) -> u64 {
    let mut newest = 0;
    for post in posts {
        let summary = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
        newest = newest.max(summary["revision"].as_u64().unwrap());
    }
    newest
}

fn statuses(answers: &[Answer], from: Instant) -> BTreeSet<u16> {
    answers.iter().filter(|answer| answer.at > from).map(|answer| answer.status).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_a_window_has_begun_nothing_changes_in_any_process() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let url = redis.url();
    let (one, other) = (Service::with(&["--store", &url]), Service::with(&["--store", &url]));
    let mut client = redis.client().await;
    let loads = [
        Load::start(one.address, 25, posts(30), true),
        Load::start(other.address, 25, posts(30), true),
    ];
    let all = [&loads[0].posts[..], &loads[1].posts[..]].concat();
    tokio::time::sleep(Duration::from_millis(300)).await;

    one.send("PUT", WINDOW).await.ok(200);
    let (begun, at) = (Instant::now(), now(&mut client).await);
    // The users go on tapping for a while.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(newest(&one, &all).await < at, "a change after the window had begun");
    let ending = Instant::now();
    other.send("DELETE", WINDOW).await.ok(200);
    let ended = Instant::now();
    until("both take taps again", || async {
        let path = |user| format!("/v1/posts/{}/reactions/like/users/{user}", post());
        one.send("PUT", &path(1)).await.status == 201
            && other.send("PUT", &path(1)).await.status == 201
    })
    .await;
    assert!(ended.elapsed() < Duration::from_secs(2), "{:?}", ended.elapsed());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut answers = Vec::new();
    for load in loads {
        answers.extend(load.stop().await);
    }
    assert!(answers.iter().all(|answer| [200, 201, 503].contains(&answer.status)));
    let inside: Vec<_> = answers.into_iter().filter(|answer| answer.at < ending).collect();
    assert_eq!(statuses(&inside, begun), [503].into());
    assert!(newest(&one, &all).await > at, "taps count again");
    assert_sound(one.address, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_stopped_meanwhile_does_not_write_afterwards() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let url = redis.url();
    let (moderates, stopped) =
        (Service::with(&["--store", &url]), Program::start(&["--store", &url]));
    let mut client = redis.client().await;
    let load = Load::start(stopped.address, 50, posts(60), false);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stopped.signal("-STOP");
    moderates.send("PUT", WINDOW).await.ok(200);
    let at = now(&mut client).await;
    let begun = Instant::now();
    stopped.signal("-CONT");
    until("it has heard of the window", || async {
        let path = format!("/v1/posts/{}/reactions/like/users/1", post());
        stopped.send("PUT", &path).await.body.contains("read_only")
    })
    .await;
    let posts = load.posts.clone();
    let answers = load.stop().await;
    assert!(newest(&moderates, &posts).await < at, "it wrote after the window had begun");
    assert!(answers.iter().filter(|answer| answer.status < 300).count() > 50);
    assert!(statuses(&answers, begun).contains(&503));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taps_that_the_network_holds_back_are_not_applied_in_the_window() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let proxy = FaultProxy::start(redis.address()).await;
    let moderates = Service::with(&["--store", &redis.url()]);
    let behind = Service::with(&["--store", &proxy.url(), "--request-timeout", "10s"]);
    let mut client = redis.client().await;
    let load = Load::start(behind.address, 20, posts(30), false);
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.fault(Fault::HoldRequests);
    moderates.send("PUT", WINDOW).await.ok(200);
    let at = now(&mut client).await;
    proxy.fault(Fault::None);
    until("it has heard of the window", || async {
        let path = format!("/v1/posts/{}/reactions/like/users/1", post());
        behind.send("PUT", &path).await.body.contains("read_only")
    })
    .await;
    let posts = load.posts.clone();
    let answers = load.stop().await;
    assert!(newest(&moderates, &posts).await < at, "a tap was applied late");
    assert!(answers.iter().any(|answer| answer.status == 504), "the proxy held some back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_away_longer_than_a_lease_is_used_again_at_once() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url()]);
    let path = |user: u64| format!("/v1/posts/{}/reactions/like/users/{user}", post());
    service.send("PUT", &path(1)).await.ok(201);
    redis.signal("-STOP");
    let stopped = Instant::now();
    let mut seen = BTreeSet::new();
    while stopped.elapsed() < Duration::from_secs(6) {
        let refused = service.send("PUT", &path(1)).await;
        assert!(!refused.body.contains("read_only"), "nobody knows that: {}", refused.body);
        seen.insert(refused.status);
    }
    assert!(seen.is_subset(&[503, 504].into()), "{seen:?}");
    redis.signal("-CONT");
    until("it is ready", || async { service.send("GET", "/readyz").await.status == 200 }).await;
    service.send("PUT", &path(2)).await.ok(201);
}

/// A window waits for four seconds until it has begun, so no write may be applied after that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_has_no_more_time_than_its_lease_however_long_requests_may_take() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url(), "--request-timeout", "9s"]);
    let (post, path) =
        (post(), |post, user| format!("/v1/posts/{post}/reactions/like/users/{user}"));
    until("all lanes are connected", || async {
        let figures = service.send("GET", "/metrics").await.body;
        figures.lines().any(|line| line == "onetap_lanes_connected 8")
    })
    .await;
    service.send("PUT", &path(post, 1)).await.ok(201);
    redis.signal("-STOP");
    let asked = Stopwatch::start();
    // Of a tap that had to wait for a look, the outcome is known.
    let status = service.send("PUT", &path(post, 2)).await.status;
    assert!([503, 504].contains(&status), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    redis.signal("-CONT");
    until("it is ready", || async { service.send("GET", "/readyz").await.status == 200 }).await;
    let read = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
    assert_eq!(read["total"], 1, "it was applied late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_a_window_that_the_store_loses_is_told_that_the_outcome_is_unknown() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url()]);
    let mut client = redis.client().await;
    let lose = async {
        loop {
            let mut keys = redis::cmd("KEYS");
            let keys: Vec<String> =
                keys.arg("*:d:read-only").query_async(&mut client).await.unwrap();
            if let Some(key) = keys.first() {
                let _: () = redis::cmd("DEL").arg(key).query_async(&mut client).await.unwrap();
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let (begun, ()) = tokio::join!(service.send("PUT", WINDOW), lose);
    begun.assert_problem(504, "outcome_unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_whose_first_document_is_in_doubt_is_an_unknown_outcome() {
    let (redis, prefix) = (RedisServer::start(Kind::Redis, &[]), prefix());
    let proxy = FaultProxy::start(redis.address()).await;
    let source = RedisSource::new(&options(&proxy.url(), &prefix)).unwrap();
    let store = AnyStore::Redis(source.attach());
    // Redis must know the script: the reply that it does not is lost, too.
    let body = Some(b"{}".to_vec());
    let other =
        || DocumentWrite { name: "other".into(), expected: 0, body: body.clone(), keep: None };
    until("it is connected", async || store.write_document(other(), soon()).await.is_ok()).await;
    let mut client = redis.client().await;
    // Reads go on. The write of the document waits in Redis.
    let pause = ["PAUSE", "60000", "WRITE"];
    let _: () = redis::cmd("CLIENT").arg(&pause).query_async(&mut client).await.unwrap();
    let beginning = tokio::spawn(async move { store.set_read_only(true).await });
    until("a write waits", async || {
        let info: String =
            redis::cmd("INFO").arg("clients").query_async(&mut client.clone()).await.unwrap();
        info.contains("blocked_clients:1")
    })
    .await;
    // It is applied, nobody hears of it, and the store stays away.
    proxy.fault(Fault::SwallowReplies);
    let _: () = redis::cmd("CLIENT").arg("UNPAUSE").query_async(&mut client).await.unwrap();
    until("the document is there", async || {
        let mut keys = redis::cmd("KEYS");
        let keys = keys.arg(format!("{prefix}:*:d:read-only"));
        !keys.query_async::<Vec<String>>(&mut client.clone()).await.unwrap().is_empty()
    })
    .await;
    proxy.fault(Fault::BlackHole);
    proxy.cut();
    assert_eq!(beginning.await.unwrap(), Err(StoreError::OutcomeUnknown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_of_a_cluster_ends_no_lease() {
    // The documents lie at several nodes.
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let service = Service::with(&["--store", &cluster.url()]);
    until("it is ready", || async { service.send("GET", "/readyz").await.status == 200 }).await;
    service.send("PUT", WINDOW).await.ok(200);
    let path = |post| format!("/v1/posts/{post}/reactions/like/users/1");
    let others: Vec<PostId> = std::iter::repeat_with(post)
        .filter(|post| (90..256).contains(&Partition::index(post.partition())))
        .take(20)
        .collect();
    service.send("PUT", &path(others[0])).await.assert_problem(503, "read_only");
    service.send("DELETE", WINDOW).await.ok(200);
    service.send("PUT", &path(others[0])).await.ok(201);
    for node in 0..3 {
        // One after the other, each is lost for longer than a lease.
        let of_others = |post: &PostId| post.partition().index() * 3 / 256 != node;
        let posts: Vec<PostId> = std::iter::repeat_with(post).filter(of_others).take(8).collect();
        cluster.primaries[node].server.signal("-STOP");
        let stopped = Instant::now();
        while stopped.elapsed() < Duration::from_secs(6) {
            for post in &posts {
                let status = service.send("PUT", &path(*post)).await.status;
                assert!([200, 201].contains(&status), "{status} with node {node} stopped");
            }
        }
        cluster.primaries[node].server.signal("-CONT");
        let its = std::iter::repeat_with(post).find(|post| !of_others(post)).unwrap();
        until("its posts take taps again", async || {
            service.send("PUT", &path(its)).await.status < 300
        })
        .await;
    }
}
