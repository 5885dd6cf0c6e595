//! Redis unreachable, paused, killed and restarted: responses in time, with the right code.

use std::time::{Duration, Instant};

use crate::support::post;
use crate::support::redis_server::{Kind, RedisServer, free_port};
use crate::support::service::Service;

fn path(post: impl std::fmt::Display, user: u64) -> String {
    format!("/v1/posts/{post}/reactions/like/users/{user}")
}

/// Waits until a metric has this value.
async fn until_figure(service: &Service, name: &str, value: u64) {
    let started = Instant::now();
    loop {
        let figures = service.send("GET", "/metrics").await.body;
        if figures.lines().any(|line| line == format!("{name} {value}")) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{name} is not {value}: {figures}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_lanes(service: &Service, connected: u64) {
    until_figure(service, "onetap_lanes_connected", connected).await;
}

/// Waits until the tap lanes of both workers count taps again. Returns how long it took.
async fn until_well(service: &Service) -> Duration {
    let started = Instant::now();
    let mut well = 0;
    // Connections go to the two workers in turn, so four in a row ask each worker twice.
    while well < 4 {
        let ready = service.send("GET", "/readyz").await.status == 200;
        well = if ready { well + 1 } else { 0 };
        assert!(started.elapsed() < Duration::from_secs(20), "it does not recover");
        if !ready {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    started.elapsed()
}

#[tokio::test]
async fn the_service_starts_before_redis_and_recovers_by_itself() {
    let port = free_port();
    let store = format!("redis://127.0.0.1:{port}");
    let service = Service::with(&["--store", &store]);
    let post = post();
    let started = Instant::now();
    for (method, path) in [
        ("PUT", path(post, 1)),
        ("DELETE", path(post, 1)),
        ("POST", format!("{}/toggle", path(post, 1))),
        ("GET", format!("/v1/posts/{post}/reactions")),
        ("GET", format!("/v1/posts/reactions?post_id={post}")),
        ("GET", format!("/v1/posts/{post}/users")),
        ("GET", "/readyz".into()),
    ] {
        let response = service.send(method, &path).await;
        response.assert_problem(503, "store_unavailable");
        // The answer does not contain the error message of the store.
        assert!(!response.body.contains("127.0.0.1"), "{}", response.body);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "known to be away: no waiting");
    service.send("GET", "/healthz").await.ok(200);
    let _redis = RedisServer::start_on(Kind::Redis, port, &[]);
    assert!(until_well(&service).await < Duration::from_secs(5));
    service.send("PUT", &path(post, 1)).await.ok(201);
}

#[tokio::test]
async fn a_killed_redis_is_noticed_while_nothing_is_asked() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let port = redis.port;
    let service = Service::with(&["--store", &redis.url()]);
    until_lanes(&service, 8).await;
    drop(redis);
    until_lanes(&service, 0).await;
    // No tap was in flight, so none may be in doubt.
    for user in 1..=10 {
        let response = service.send("PUT", &path(post(), user)).await;
        response.assert_problem(503, "store_unavailable");
    }
    let _redis = RedisServer::start_on(Kind::Redis, port, &[]);
    assert!(until_well(&service).await < Duration::from_secs(5));
}

#[tokio::test]
async fn an_idle_connection_that_redis_closes_costs_no_tap() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url()]);
    until_lanes(&service, 8).await;
    let mut admin = redis.client().await;
    for user in 1..=20 {
        let killed: u64 = redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
            .query_async(&mut admin)
            .await
            .unwrap();
        assert!(killed >= 1);
        until_figure(&service, "onetap_lane_connections_total", 8 + 8 * user).await;
        until_lanes(&service, 8).await;
        service.send("PUT", &path(post(), user)).await.ok(201);
    }
}

#[tokio::test]
async fn a_stopped_redis_leaves_writes_in_doubt_and_never_runs_them_late() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url(), "--request-timeout-ms", "500"]);
    until_lanes(&service, 8).await;
    // This tap loads the script into Redis. Without it, Redis would refuse the late tap because it
    // does not know the script, and the test would prove nothing.
    service.send("PUT", &path(crate::support::post(), 1)).await.ok(201);
    let post = post();
    redis.signal("-STOP");
    let started = Instant::now();
    let (write, read) = (path(post, 1), format!("/v1/posts/{post}/reactions"));
    let (written, read) = tokio::join!(service.send("PUT", &write), service.send("GET", &read));
    written.assert_problem(504, "outcome_unknown");
    read.assert_problem(503, "store_unavailable");
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    service.send("GET", "/healthz").await.ok(200);
    assert_ne!(service.send("GET", "/readyz").await.status, 200);
    redis.signal("-CONT");
    until_well(&service).await;
    // The command was in the socket. It ran after its `not_after`, so the script refused it.
    let summary = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
    assert_eq!(summary["total"], 0);
    service.send("PUT", &path(post, 1)).await.ok(201);
}

#[tokio::test]
async fn a_connection_that_breaks_with_taps_in_flight_leaves_these_in_doubt() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url()]);
    until_lanes(&service, 8).await;
    let mut admin = redis.client().await;
    let pause = ["PAUSE", "5000", "WRITE"];
    let _: () = redis::cmd("CLIENT").arg(&pause).query_async(&mut admin).await.unwrap();
    let post = post();
    let mut connection = service.connect().await;
    let path = path(post, 1);
    let tap = tokio::spawn(async move { connection.send("PUT", path, &[], "").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
    let _: u64 = redis::cmd("CLIENT").arg(&kill).query_async(&mut admin).await.unwrap();
    let begun = Instant::now();
    tap.await.unwrap().assert_problem(504, "outcome_unknown");
    assert!(begun.elapsed() < Duration::from_secs(1), "it is known at once");
}

#[tokio::test]
async fn a_paused_redis_runs_what_it_held_back_only_within_its_time() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url(), "--request-timeout-ms", "3000"]);
    until_lanes(&service, 8).await;
    service.send("POST", &format!("{}/toggle", path(post(), 1))).await.ok(200);
    let mut admin = redis.client().await;
    for (pause, applied) in [(300, true), (6000, false)] {
        let post = post();
        let _: () = redis::cmd("CLIENT")
            .arg("PAUSE")
            .arg(pause)
            .arg("WRITE")
            .query_async(&mut admin)
            .await
            .unwrap();
        let answer = service.send("POST", &format!("{}/toggle", path(post, 1))).await;
        if applied {
            assert_eq!(answer.ok(200)["count"], 1);
        } else {
            answer.assert_problem(504, "outcome_unknown");
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        until_well(&service).await;
        let summary = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
        assert_eq!(summary["total"], u64::from(applied));
    }
}

#[tokio::test]
async fn foreign_data_is_store_damaged() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url()]);
    let post = post();
    service.send("PUT", &path(post, 1)).await.ok(201);
    let mut admin = redis.client().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:like").query_async(&mut admin).await.unwrap();
    let _: () = redis::cmd("SET").arg(&keys[0]).arg("x").query_async(&mut admin).await.unwrap();
    for (method, path) in [
        ("PUT", path(post, 2)),
        ("POST", format!("{}/toggle", path(post, 1))),
        ("DELETE", path(post, 1)),
        ("GET", format!("/v1/posts/{post}/reactions?recent=1")),
        ("GET", format!("/v1/posts/{post}/reactions/like/users")),
    ] {
        service.send(method, &path).await.assert_problem(503, "store_damaged");
    }
    service.send("PUT", &path(crate::support::post(), 1)).await.ok(201);
}

#[tokio::test]
async fn a_redis_that_is_wrong_when_it_turns_up_keeps_the_service_unready() {
    let port = free_port();
    let service = Service::with(&["--store", &format!("redis://127.0.0.1:{port}")]);
    service.send("GET", "/readyz").await.assert_problem(503, "store_unavailable");
    let redis = RedisServer::start_on(Kind::Redis, port, &[]);
    let mut admin = redis.client().await;
    // The service may have written its layout key to the empty store meanwhile.
    let _: () = redis::cmd("SET").arg("ot:layout").arg("99").query_async(&mut admin).await.unwrap();
    let _: () = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query_async(&mut admin)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    for _ in 0..5 {
        service.send("GET", "/readyz").await.assert_problem(503, "store_unavailable");
        service.send("PUT", &path(post(), 1)).await.assert_problem(503, "store_unavailable");
    }
}
