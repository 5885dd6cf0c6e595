//! Taps of unknown outcome, and taps that arrive late. With a key they are counted once. Without
//! one the caller gets `outcome_unknown`. No tap is ever counted late.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::support::fault_proxy::{Fault, FaultProxy, until};
use crate::support::http::Response;
use crate::support::post;
use crate::support::redis_server::{Kind, RedisServer, free_port};
use crate::support::service::Service;
use crate::support::stopwatch::Stopwatch;

/// A service, its Redis, and a proxy between them.
struct Bench {
    service: Service,
    proxy: FaultProxy,
    redis: RedisServer,
}

impl Bench {
    async fn new(redis: RedisServer, more: &[&str]) -> Self {
        let proxy = FaultProxy::start(redis.address()).await;
        let url = proxy.url();
        let args = [&["--store", &url][..], more].concat();
        let service = Service::with(&args);
        let bench = Self { service, proxy, redis };
        bench.until_connected().await;
        // A server that does not know a script would refuse a late tap for that reason alone.
        for (method, path) in [("POST", toggle_of(1)), ("PUT", set_of(1)), ("DELETE", set_of(1))] {
            until("a script has run", async || bench.send(method, &path, None).await.status < 300)
                .await;
        }
        bench
    }

    /// Waits for the lanes: a fault while a lane connects would be another test.
    async fn until_connected(&self) {
        until("the lanes of both workers and of the jobs are connected", async || {
            let figures = self.service.send("GET", "/metrics").await.body;
            figures.lines().any(|line| line == "onetap_lanes_connected 8")
        })
        .await;
    }

    async fn send(&self, method: &str, path: &str, key: Option<&str>) -> Response {
        let mut connection = self.service.connect().await;
        let headers = key.map(|key| ("idempotency-key", key));
        connection.send(method, path, headers.as_slice(), "").await
    }

    /// Sends the request in a task.
    async fn sending(&self, method: &'static str, path: &str, key: Option<&str>) -> Sending {
        let mut connection = self.service.connect().await;
        let (path, key) = (path.to_owned(), key.map(str::to_owned));
        tokio::spawn(async move {
            let headers = key.as_deref().map(|key| ("idempotency-key", key));
            connection.send(method, path, headers.as_slice(), "").await
        })
    }

    /// The count by Redis itself.
    async fn count(&self, path: &str) -> u64 {
        let post = path.split('/').nth(3).unwrap();
        let mut client = self.redis.client().await;
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("ot:*:p:{post}:like"))
            .query_async(&mut client)
            .await
            .unwrap();
        let Some(members) = keys.first() else { return 0 };
        redis::cmd("ZCARD").arg(members).query_async(&mut client).await.unwrap()
    }

    async fn changes(&self, path: &str) -> usize {
        let post = path.split('/').nth(3).unwrap();
        let mut client = self.redis.client().await;
        let logs: Vec<String> =
            redis::cmd("KEYS").arg("ot:*:log").query_async(&mut client).await.unwrap();
        let mut found = 0;
        for log in logs {
            let entries: Vec<(String, Vec<String>)> = redis::cmd("XRANGE")
                .arg(log)
                .arg("-")
                .arg("+")
                .query_async(&mut client)
                .await
                .unwrap();
            found += entries.iter().filter(|(_, entry)| entry[1].starts_with(post)).count();
        }
        found
    }
}

type Sending = JoinHandle<Response>;

fn set_of(user: u64) -> String {
    format!("/v1/posts/{}/reactions/like/users/{user}", post())
}

fn toggle_of(user: u64) -> String {
    format!("{}/toggle", set_of(user))
}

async fn command(bench: &Bench, words: &[&str]) {
    let mut client = bench.redis.client().await;
    let (name, rest) = words.split_first().unwrap();
    let _: redis::Value = redis::cmd(name).arg(rest).query_async(&mut client).await.unwrap();
}

/// The script runs, and its reply is lost with the connection. The service retries by itself, and
/// the record makes that safe.
#[tokio::test]
async fn a_tap_with_a_key_whose_reply_is_lost_is_answered_and_counted_once() {
    let bench = Bench::new(RedisServer::start(Kind::Redis, &[]), &[]).await;
    for (i, key) in [Some("k"), Some("other"), None].into_iter().enumerate() {
        let path = toggle_of(7);
        bench.until_connected().await;
        bench.proxy.fault(Fault::SwallowReplies);
        let sending = bench.sending("POST", &path, key).await;
        until("the tap has run", async || bench.count(&path).await == 1).await;
        bench.proxy.fault(Fault::None);
        bench.proxy.cut();
        let response = sending.await.unwrap();
        if key.is_some() {
            let answer = response.ok(200);
            assert_eq!((&answer["active"], &answer["count"]), (&true.into(), &1.into()), "{i}");
        } else {
            response.assert_problem(504, "outcome_unknown");
        }
        assert_eq!((bench.count(&path).await, bench.changes(&path).await), (1, 1));
    }
}

/// Reported as redis/redis-py#261, redis/jedis#3187: the client times out and retries, while both
/// attempts wait inside the server.
#[tokio::test]
async fn timed_out_and_retried_runs_once() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let bench = Bench::new(redis, &["--request-timeout-ms", "500"]).await;
    for (method, key) in [("POST", Some("k")), ("PUT", None), ("PUT", Some("k")), ("DELETE", None)]
    {
        let path = if method == "POST" { toggle_of(7) } else { set_of(7) };
        if method == "DELETE" {
            assert_eq!(bench.send("PUT", &path, None).await.status, 201);
        }
        let before = bench.changes(&path).await;
        command(&bench, &["CLIENT", "PAUSE", "4000", "WRITE"]).await;
        let (started, mut unknown) = (Instant::now(), 0);
        let response = loop {
            let response = bench.send(method, &path, key).await;
            match response.status {
                200 | 201 => break response,
                503 => {}
                504 => unknown += 1,
                other => panic!("{other}: {response:?}"),
            }
            assert!(started.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        assert!(unknown > 0, "none was in doubt");
        assert_eq!(response.json()["active"], method != "DELETE");
        assert_eq!(bench.count(&path).await, u64::from(method != "DELETE"));
        assert_eq!(bench.changes(&path).await, before + 1, "{method} {key:?}");
    }
}

/// A clock that is wrong, or jumps ahead or back. The service retries a tap that is refused for it,
/// with the time from the refusal. No caller notices.
#[tokio::test]
async fn a_clock_that_jumps_costs_no_tap() {
    let (redis, clock) = RedisServer::with_shifted_clock();
    let bench = Bench::new(redis, &[]).await;
    let path = toggle_of(7);
    let mut last = 0;
    for (i, shift) in [0, 3_600_000, -3_600_000, 0, -1000, 1500, 0].into_iter().enumerate() {
        clock.shift(shift);
        let answer = bench.send("POST", &path, None).await.ok(200);
        assert_eq!(answer["active"], i % 2 == 0, "at {shift}");
        let revision = answer["revision"].as_u64().unwrap();
        assert!(revision > last, "revisions go on upwards at {shift}");
        last = revision;
    }
    assert_eq!(bench.changes(&path).await, 7);
}

/// A tap that waited in a socket past its deadline does not run later, even if the server's clock
/// was set back meanwhile.
#[tokio::test]
async fn a_clock_that_was_put_back_lets_no_late_tap_run() {
    for (shift, key) in [(0, None), (-3_600_000, None), (-3_600_000, Some("k")), (3_600_000, None)]
    {
        let (redis, clock) = RedisServer::with_shifted_clock();
        let bench = Bench::new(redis, &["--request-timeout-ms", "1000"]).await;
        let path = toggle_of(7);
        bench.proxy.fault(Fault::HoldRequests);
        bench.send("POST", &path, key).await.assert_problem(504, "outcome_unknown");
        clock.shift(shift);
        bench.proxy.fault(Fault::None);
        until("the service is ready", async || {
            bench.service.send("GET", "/readyz").await.status == 200
        })
        .await;
        assert_eq!(bench.changes(&path).await, 0, "it ran late at {shift}");
        assert_eq!(bench.send("POST", &path, key).await.ok(200)["count"], 1);
    }
}

/// A server that has just been demoted refuses taps. Once it or another accepts writes again, the
/// service retries them within their deadline. That is safe without a key too: a refusal proves
/// that nothing ran.
#[tokio::test]
async fn what_redis_refused_is_sent_again_within_its_time() {
    let bench = Bench::new(RedisServer::start(Kind::Redis, &[]), &[]).await;
    let path = toggle_of(7);
    command(&bench, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let sending = bench.sending("POST", &path, None).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    command(&bench, &["REPLICAOF", "NO", "ONE"]).await;
    let answer = sending.await.unwrap().ok(200);
    assert_eq!(answer["count"], 1);
    assert_eq!(bench.changes(&path).await, 1);
    // If the server stays a replica, the answer says that nothing was applied.
    command(&bench, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let started = Stopwatch::start();
    bench.send("POST", &path, None).await.assert_problem(503, "store_unavailable");
    assert!(started.elapsed() < Duration::from_millis(2500));
}

/// Redis dies with taps in flight, and is back before their deadline.
#[tokio::test]
async fn a_tap_with_a_key_outlives_a_restart_of_redis() {
    let durable = tempdir();
    let dir = durable.display().to_string();
    let args = ["--appendonly", "yes", "--appendfsync", "always", "--dir", &dir];
    let bench = Bench::new(RedisServer::start(Kind::Redis, &args), &[]).await;
    let path = toggle_of(7);
    bench.proxy.fault(Fault::SwallowReplies);
    let sending = bench.sending("POST", &path, Some("k")).await;
    until("the tap has run", async || bench.count(&path).await == 1).await;
    let Bench { service, proxy, redis } = bench;
    drop(redis);
    proxy.fault(Fault::None);
    let redis = RedisServer::start(Kind::Redis, &args);
    proxy.repoint(redis.address());
    let bench = Bench { service, proxy, redis };
    let answer = sending.await.unwrap().ok(200);
    assert_eq!((&answer["active"], &answer["count"]), (&true.into(), &1.into()));
    assert_eq!((bench.count(&path).await, bench.changes(&path).await), (1, 1));
    let _ = std::fs::remove_dir_all(durable);
}

/// The service retries as often as the deadline allows.
#[tokio::test]
async fn a_tap_with_a_key_waits_for_redis_as_long_as_it_has_time() {
    let times = ["--request-timeout-ms", "6000"];
    let bench = Bench::new(RedisServer::start(Kind::Redis, &[]), &times).await;
    let path = toggle_of(7);
    bench.proxy.fault(Fault::SwallowReplies);
    let sending = bench.sending("POST", &path, Some("k")).await;
    until("the tap has run", async || bench.count(&path).await == 1).await;
    // No server listens there.
    bench.proxy.repoint(SocketAddr::from(([127, 0, 0, 1], free_port())));
    bench.proxy.fault(Fault::None);
    bench.proxy.cut();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    bench.proxy.repoint(bench.redis.address());
    assert_eq!(sending.await.unwrap().ok(200)["count"], 1);
    assert_eq!((bench.count(&path).await, bench.changes(&path).await), (1, 1));
}

/// Refusals of later attempts do not show what happened to the first one.
#[tokio::test]
async fn a_tap_in_doubt_stays_in_doubt_while_redis_is_away() {
    let bench = Bench::new(RedisServer::start(Kind::Redis, &[]), &[]).await;
    let path = toggle_of(7);
    bench.proxy.fault(Fault::SwallowReplies);
    let sending = bench.sending("POST", &path, Some("k")).await;
    until("the tap has run", async || bench.count(&path).await == 1).await;
    drop(bench.redis);
    sending.await.unwrap().assert_problem(504, "outcome_unknown");
    let known = bench.service.send("POST", &path).await;
    known.assert_problem(503, "store_unavailable");
}

fn tempdir() -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("onetap-{}", crate::support::prefix()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

/// No byte arrives and no connection closes. Every request gets its response in time, the service
/// goes on over another connection, and the held commands never run.
#[tokio::test]
async fn a_black_hole_costs_time_and_nothing_else() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let bench = Bench::new(redis, &["--request-timeout-ms", "500"]).await;
    let path = toggle_of(7);
    bench.proxy.fault(Fault::BlackHole);
    let started = Stopwatch::start();
    let sending = bench.sending("POST", &path, None).await;
    let keyed = bench.sending("POST", &path.replace("users/7", "users/8"), Some("k")).await;
    for sending in [sending, keyed] {
        let response = sending.await.unwrap();
        assert!(matches!(response.status, 503 | 504), "{response:?}");
    }
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    bench.service.send("GET", "/healthz").await.ok(200);
    bench.proxy.cut();
    bench.proxy.fault(Fault::None);
    until("the service is ready", async || {
        bench.service.send("GET", "/readyz").await.status == 200
    })
    .await;
    assert_eq!(bench.changes(&path).await, 0);
    assert_eq!(bench.send("POST", &path, None).await.ok(200)["count"], 1);
}
