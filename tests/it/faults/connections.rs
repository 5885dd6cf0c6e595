//! Each test reproduces a fault between client, service and store that users of another project
//! have reported.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::support::fault_proxy::{Fault, FaultProxy, until};
use crate::support::http::Connection;
use crate::support::keyed_load::KeyedLoad;
use crate::support::redis_server::{Kind, RedisServer, shared};
use crate::support::service::Service;
use crate::support::stopwatch::Stopwatch;
use crate::support::{post, prefix};

async fn ready(service: &Service) -> bool {
    service.send("GET", "/readyz").await.status == 200
}

/// Redis with the settings that lose no acknowledged tap.
fn durable(dir: &std::path::Path) -> RedisServer {
    std::fs::create_dir_all(dir).unwrap();
    let dir = dir.display().to_string();
    RedisServer::start(
        Kind::Redis,
        &["--appendonly", "yes", "--appendfsync", "always", "--dir", &dir],
    )
}

/// Reported as varnishcache/varnish-cache#4413: a proxy loses a response and sends the same bytes
/// again on another connection.
#[tokio::test]
async fn a_request_that_a_proxy_sends_twice() {
    for service in [Service::memory(), Service::redis()] {
        let base = format!("/v1/posts/{}/reactions", post());
        let cases = [
            ("PUT", "a", "", "", true),
            ("DELETE", "b", "", "", false),
            ("POST", "c", "/toggle", "idempotency-key: once\r\n", true),
            // The hazard that the README names: a toggle without a key flips back.
            ("POST", "d", "/toggle", "", false),
        ];
        for (method, reaction, toggle, header, active) in cases {
            let path = format!("{base}/{reaction}/users/7");
            if method == "DELETE" {
                service.send("PUT", &path).await.ok(201);
            }
            let request =
                format!("{method} {path}{toggle} HTTP/1.1\r\nhost: localhost\r\n{header}\r\n");
            for _ in 0..2 {
                let mut stream = TcpStream::connect(service.address).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = [0; 2048];
                let n = stream.read(&mut answer).await.unwrap();
                assert!(answer[..n].starts_with(b"HTTP/1.1 20"));
            }
            let users = service.send("GET", &format!("{base}/{reaction}/users")).await.ok(200);
            assert_eq!(users["users"].as_array().unwrap().len(), usize::from(active), "{reaction}");
        }
    }
}

/// Reported as Openpanel-dev/groupmq#16: the server forgets its scripts, again and again; it
/// restarts; another server takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_scripts_cost_no_request() {
    let dir = std::env::temp_dir().join(prefix());
    let redis = durable(&dir);
    let proxy = FaultProxy::start(redis.address()).await;
    let service = Service::with(&["--store", &proxy.url()]);
    until("the service is ready", async || ready(&service).await).await;
    let load = KeyedLoad::start(service.address, 8, 4);
    load.answers(100).await;
    let mut admin = redis.client().await;
    for _ in 0..10 {
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut admin).await.unwrap();
        load.answers(50).await;
    }
    let done = load.stop().await;
    assert_eq!(done.failures, [], "a flush costs no request");
    done.assert_exactly_once(service.address).await;

    let load = KeyedLoad::start(service.address, 8, 4);
    load.answers(100).await;
    redis.signal("-KILL");
    drop(redis);
    let redis = durable(&dir);
    proxy.repoint(redis.address());
    let back = Instant::now();
    load.answers(100).await;
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    let done = load.stop().await;
    done.assert_exactly_once(service.address).await;

    // A new, empty server: no script, no layout, no state.
    let fresh = RedisServer::start(Kind::Redis, &[]);
    proxy.repoint(fresh.address());
    proxy.cut();
    until("the service is ready", async || ready(&service).await).await;
    let load = KeyedLoad::start(service.address, 8, 4);
    load.answers(200).await;
    let done = load.stop().await;
    assert_eq!(done.failures, []);
    done.assert_exactly_once(service.address).await;
    let _ = std::fs::remove_dir_all(dir);
}

/// How many users toggle a reaction of each post.
const USERS: u64 = 5;

/// Sends all toggles again. A replayed one was applied before, any other is applied now. In the end
/// each toggle was applied once. Each user made an even number of toggles, so each reaction is off.
/// Returns how many were replayed.
async fn send_all_again(witness: &mut Connection, posts: &[String], rounds: usize) -> usize {
    let mut replayed = 0;
    for (i, post) in posts.iter().enumerate() {
        for user in 1..=USERS {
            let path = format!("/v1/posts/{post}/reactions/like/users/{user}/toggle");
            for round in 0..rounds {
                let key = round.to_string();
                let headers = [("idempotency-key", key.as_str())];
                let response = witness.send("POST", &path, &headers, "").await;
                replayed += usize::from(response.header("idempotency-replayed").is_some());
                response.ok(200);
            }
        }
        let path = format!("/v1/posts/{post}/reactions");
        let total = witness.send("GET", path, &[], "").await.ok(200)["total"].as_u64();
        assert_eq!(total, Some(40 * i as u64));
    }
    replayed
}

/// Reported as redis-rs/redis-rs#489, #325, deadpool-rs/deadpool#97: clients disconnect at any
/// moment. No client gets another's response. Each tap is applied fully or not at all: flag,
/// count, log entry and record agree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_leave_nothing_half_done() {
    const POSTS: usize = 8;
    const ROUNDS: usize = 240;
    let (url, prefix) = (shared(Kind::Redis).url(), prefix());
    // A long timeout and few clients: this test is not about a flood, which may be refused.
    let patient = ["--request-timeout-ms", "10000", "--key-prefix", &prefix, "--store", &url];
    let service = Arc::new(Service::with(&patient));
    // Counts far enough apart that an answer of another post would show.
    let posts: Vec<String> = (0..POSTS).map(|_| post().to_string()).collect();
    for (i, post) in posts.iter().enumerate() {
        for user in 0..40 * i {
            let path = format!("/v1/posts/{post}/reactions/like/users/{}", 1000 + user);
            service.send("PUT", &path).await.ok(201);
        }
    }
    let hurried = |i: usize, user: u64| {
        let (service, path) = (
            Arc::clone(&service),
            format!("/v1/posts/{}/reactions/like/users/{user}/toggle", posts[i]),
        );
        tokio::spawn(async move {
            // About how long an answer takes on this machine. The client learns it from its own
            // requests, and hangs up before, during and after the work of the service.
            let mut usual = Duration::from_millis(5);
            for round in 0..ROUNDS {
                let mut stream = TcpStream::connect(service.address).await.unwrap();
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: localhost\r\nidempotency-key: {round}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                let moment = (round as u64 * 7919 + user * 104_729) % 5000;
                let patience = usual.mul_f64(moment as f64 / 5000.0);
                let mut answer = vec![0; 4096];
                let read = tokio::time::timeout(patience, stream.read(&mut answer)).await;
                usual = usual.mul_f64(if read.is_ok() { 0.95 } else { 1.1 });
                if let Ok(Ok(n @ 1..)) = read {
                    let text = String::from_utf8_lossy(&answer[..n]).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
                    // The read may have returned only a part of the answer. Then there is nothing
                    // to check.
                    if body.len() < length.unwrap().parse().unwrap() {
                        continue;
                    }
                    let answer: serde_json::Value = serde_json::from_str(body).unwrap();
                    let least = 40 * i as u64;
                    let count = answer["count"].as_u64().unwrap_or_else(|| panic!("{answer}"));
                    assert!((least..=least + USERS).contains(&count), "post {i}: {answer}");
                    assert_eq!(answer["user_id"], user.to_string());
                }
            }
        })
    };
    let storm: Vec<_> = (0..POSTS).flat_map(|i| (1..=USERS).map(move |u| (i, u))).collect();
    let storm: Vec<_> = storm.into_iter().map(|(i, user)| hurried(i, user)).collect();
    let query: String = posts.iter().map(|post| format!("post_id={post}&")).collect();
    let mut witness = service.connect().await;
    while storm.iter().any(|client| !client.is_finished()) {
        let path = format!("/v1/posts/reactions?{}", query.trim_end_matches('&'));
        let page = witness.send("GET", path, &[], "").await.ok(200);
        for (i, seen) in page["posts"].as_array().unwrap().iter().enumerate() {
            assert_eq!(seen["post_id"], posts[i]);
            let (least, total) = (40 * i as u64, seen["total"].as_u64().unwrap());
            assert!((least..=least + USERS).contains(&total), "post {i}: {seen}");
        }
    }
    for client in storm {
        client.await.unwrap();
    }
    let replayed = send_all_again(&mut witness, &posts, ROUNDS).await;
    let all = POSTS * USERS as usize * ROUNDS;
    assert!(replayed > all / 4, "{replayed} of {all}: the storm applied too little to prove much");
}

/// Reported as blacksky-algorithms/rsky#224, deadpool-rs/deadpool#9, #195: the store is paused.
/// Every request gets its response in time, also the last of many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_hangs_nobody() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let args = ["--store", &redis.url(), "--request-timeout-ms", "1000"];
    let bounded = [&args[..], &["--redis-queue-calls", "200"]].concat();
    let service = Arc::new(Service::with(&bounded));
    until("the service is ready", async || ready(&service).await).await;
    let post = post().to_string();
    service.send("POST", &format!("/v1/posts/{post}/reactions/love/users/1/toggle")).await.ok(200);
    redis.signal("-STOP");
    let ask = |user: u64| {
        let service = Arc::clone(&service);
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}/toggle");
        tokio::spawn(async move {
            let mut connection = service.connect().await;
            let sent = Instant::now();
            let response = connection.send("POST", path, &[], "").await;
            (response, sent.elapsed())
        })
    };
    let asked: Vec<_> = (1..=2000).map(ask).collect();
    service.send("GET", "/healthz").await.ok(200);
    let mut codes = BTreeSet::new();
    for request in asked {
        let (response, took) = request.await.unwrap();
        assert!(matches!(response.status, 503 | 504), "{response:?}");
        assert!(response.header("retry-after").is_some());
        assert!(took < Duration::from_secs(4), "{took:?}");
        codes.insert(response.json()["code"].as_str().unwrap().to_owned());
    }
    assert!(codes.contains("overloaded") && codes.contains("outcome_unknown"), "{codes:?}");
    assert!(!ready(&service).await);
    redis.signal("-CONT");
    let back = Instant::now();
    until("the service is ready", async || ready(&service).await).await;
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    // The calls that waited in the sockets ran after their deadline, so none was applied.
    let summary = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
    assert_eq!(summary["total"], 1, "{summary}");
}

/// Reported as BasedHardware/omi#9541, redis-rs/redis-rs#1190: a connection ends, because the
/// server closes it, dies, or drops idle clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_comes_back() {
    let dir = std::env::temp_dir().join(prefix());
    let redis = durable(&dir);
    let proxy = FaultProxy::start(redis.address()).await;
    let service = Service::with(&["--store", &proxy.url(), "--request-timeout-ms", "1500"]);
    until("the service is ready", async || ready(&service).await).await;
    let load = KeyedLoad::start(service.address, 8, 4);
    let mut admin = redis.client().await;
    for _ in 0..10 {
        load.answers(100).await;
        let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
        let _: u64 = redis::cmd("CLIENT").arg(&kill).query_async(&mut admin).await.unwrap();
    }
    load.answers(100).await;
    let done = load.stop().await;
    // If a tap has a key, the service itself asks the store again what became of the tap.
    assert!(done.failures.len() <= 10 * 8, "{} of {}", done.failures.len(), done.answered);
    done.assert_exactly_once(service.address).await;

    let load = KeyedLoad::start(service.address, 8, 4);
    load.answers(100).await;
    redis.signal("-KILL");
    drop(redis);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let redis = durable(&dir);
    proxy.repoint(redis.address());
    let back = Stopwatch::start();
    load.answers(8).await;
    assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.fault(Fault::BlackHole);
    tokio::time::sleep(Duration::from_secs(4)).await;
    proxy.fault(Fault::None);
    proxy.cut();
    let recovered = Instant::now() + Duration::from_secs(2);
    load.answers(500).await;
    tokio::time::sleep_until(recovered.into()).await;
    load.answers(500).await;
    let mut admin = redis.client().await;
    let _: () =
        redis::cmd("CONFIG").arg(&["SET", "timeout", "1"]).query_async(&mut admin).await.unwrap();
    let done = load.stop().await;
    assert!(done.failures.iter().all(|(at, _)| *at < recovered), "errors after the recovery");
    done.assert_exactly_once(service.address).await;
    // Idle for longer than the server keeps a connection.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    service
        .send("POST", &format!("/v1/posts/{}/reactions/like/users/1/toggle", post()))
        .await
        .ok(200);
    let _ = std::fs::remove_dir_all(dir);
}

/// Reported as idempot-dev/idempot-js#187, jcagarcia/grape-idempotency#10: one key arrives at the
/// same time at two instances of the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_at_two_instances_takes_effect_once() {
    let (url, prefix) = (shared(Kind::Redis).url(), prefix());
    let args = ["--store", &url, "--key-prefix", &prefix];
    let services = [Service::with(&args), Service::with(&args)];
    let mut connections = Vec::new();
    for i in 0..20 {
        connections.push(services[i % 2].connect().await);
    }
    for round in 0..200 {
        let path = format!("/v1/posts/{}/reactions/like/users/7/toggle", post());
        let barrier = Arc::new(Barrier::new(connections.len()));
        let racing: Vec<_> = connections
            .drain(..)
            .map(|mut connection| {
                let (path, barrier) = (path.clone(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    let key = [("idempotency-key", "\"8e03978e\"")];
                    let response = connection.send("POST", path, &key, "").await;
                    (connection, response)
                })
            })
            .collect();
        let (mut firsts, mut bodies) = (0, BTreeSet::new());
        for racer in racing {
            let (connection, response) = racer.await.unwrap();
            firsts += usize::from(response.header("idempotency-replayed").is_none());
            assert_eq!(response.status, 200);
            bodies.insert(response.body);
            connections.push(connection);
        }
        assert_eq!((firsts, bodies.len()), (1, 1), "round {round}");
        assert!(bodies.first().unwrap().contains(r#""active":true,"changed":true,"count":1"#));
    }
}

/// Reported as nensii21/devlink#1195, #773, jcagarcia/grape-idempotency#13: two users send the same
/// key, as happens with clients that number their keys 1, 2, 3.
#[tokio::test]
async fn a_key_is_its_users_own() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        for user in 1..=5 {
            let path = format!("/v1/posts/{post}/reactions/like/users/{user}/toggle");
            let mut connection = service.connect().await;
            let response = connection.send("POST", path, &[("idempotency-key", "1")], "").await;
            assert!(response.header("idempotency-replayed").is_none());
            let answer = response.ok(200);
            assert_eq!(
                (&answer["count"], &answer["user_id"]),
                (&user.into(), &user.to_string().into())
            );
        }
    }
}

/// redis/redis#6062: after a failover the newest values are gone, and no client learns it. Only the
/// taps that the old primary acknowledged but did not replicate are lost. The remaining state is
/// consistent, and revisions rise above those that were answered. A key whose record was lost
/// counts once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failover_rolls_back_is_the_newest_and_the_rest_agrees() {
    let old = RedisServer::start(Kind::Redis, &["--repl-diskless-sync-delay", "0"]);
    let of = ["--replicaof", "127.0.0.1", &old.port.to_string()];
    let new = RedisServer::start(Kind::Redis, &of);
    let proxy = FaultProxy::start(old.address()).await;
    let service = Service::with(&["--store", &proxy.url()]);
    until("the service is ready", async || ready(&service).await).await;
    let post = post().to_string();
    let toggle = async |user: u64| {
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}/toggle");
        service.connect().await.send("POST", path, &[("idempotency-key", "k")], "").await
    };
    for user in 1..=20 {
        assert_eq!(toggle(user).await.ok(200)["count"], user);
    }
    let (mut admin, mut promoted) = (old.client().await, new.client().await);
    // WAIT waits for the writes of its own connection, and so for all writes before them.
    let _: () = redis::cmd("SET").arg("written").arg("last").query_async(&mut admin).await.unwrap();
    until("the replica has it all", async || {
        let mut admin = admin.clone();
        let carried = redis::cmd("WAIT").arg(1).arg(100).query_async::<u64>(&mut admin).await;
        carried.unwrap() == 1
    })
    .await;
    // From here on, only the old primary has the following taps: it no longer replicates.
    let order = ["NO", "ONE"];
    let _: () = redis::cmd("REPLICAOF").arg(&order).query_async(&mut promoted).await.unwrap();
    let mut told = 0;
    for user in 21..=30 {
        told = toggle(user).await.ok(200)["revision"].as_u64().unwrap();
    }
    proxy.repoint(new.address());
    proxy.cut();
    until("the service is ready", async || ready(&service).await).await;
    let seen = async || {
        let path = format!("/v1/posts/{post}/reactions");
        let summary = service.send("GET", &path).await.ok(200);
        let listed =
            service.send("GET", &format!("/v1/posts/{post}/users?limit=100")).await.ok(200);
        let users = listed["users"].as_array().unwrap().iter();
        let users = users.map(|user| user["user_id"].as_str().unwrap().parse().unwrap());
        let users: BTreeSet<u64> = users.collect();
        assert_eq!(summary["total"].as_u64(), Some(users.len() as u64), "{summary}");
        users
    };
    assert_eq!(seen().await, (1..=20).collect(), "the newest are lost, and only they");
    for user in 15..=30 {
        let response = toggle(user).await;
        let replayed = response.header("idempotency-replayed").is_some();
        assert_eq!(replayed, user <= 20, "{user}: the record goes with its tap");
        let answer = response.ok(200);
        assert_eq!(answer["count"], user, "{answer}");
        assert!(replayed || answer["revision"].as_u64() > Some(told), "{answer}");
        told = told.max(answer["revision"].as_u64().unwrap());
    }
    assert_eq!(seen().await, (1..=30).collect());
}
