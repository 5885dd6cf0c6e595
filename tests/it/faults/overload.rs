//! More requests than the store can handle: bounded memory, responses in time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::support::fault_proxy::until;
use crate::support::http::Connection;
use crate::support::post;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};

/// How many taps a second begin, however long their responses take.
const RATE: u32 = 1500;

/// How much the memory may grow while the store is paused: enough for some hundred waiting
/// requests, each with its connection.
const MAY_GROW_KIB: u64 = 12 * 1024;

/// Taps at a fixed rate. Each one takes an idle connection, or opens a new one.
struct OpenLoop {
    service: SocketAddr,
    idle: Arc<Mutex<Vec<Connection>>>,
    post: String,
    next_user: u32,
}

impl OpenLoop {
    /// Runs for `time`. Returns how often each code came, and the longest time to a response. Calls
    /// `watch` about ten times a second.
    async fn run(
        &mut self,
        time: Duration,
        mut watch: impl FnMut(),
    ) -> (BTreeMap<String, u64>, Duration) {
        let (begun, mut taps, mut sent) = (Instant::now(), JoinSet::new(), 0);
        while begun.elapsed() < time {
            let due = begun.elapsed().as_millis() * u128::from(RATE) / 1000;
            // What was due while this machine stood still is left out.
            sent = sent.max(due.saturating_sub(u128::from(RATE) / 10));
            while sent < due {
                sent += 1;
                self.next_user += 1;
                let (service, idle) = (self.service, Arc::clone(&self.idle));
                let path = format!("{}/{}", self.post, self.next_user);
                taps.spawn(async move {
                    let free = idle.lock().unwrap().pop();
                    let asked = Instant::now();
                    let mut connection = match free {
                        Some(connection) => connection,
                        None => Connection::open(service).await,
                    };
                    let response = connection.send("PUT", path, &[], "").await;
                    let took = asked.elapsed();
                    idle.lock().unwrap().push(connection);
                    let code = match response.status {
                        201 => "counted".to_owned(),
                        _ => response.json()["code"].as_str().unwrap().to_owned(),
                    };
                    (code, took)
                });
            }
            if sent % u128::from(RATE / 10) < 10 {
                watch();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (mut codes, mut slowest) = (BTreeMap::new(), Duration::ZERO);
        while let Some(tap) = taps.join_next().await {
            let (code, took) = tap.unwrap();
            *codes.entry(code).or_default() += 1;
            slowest = slowest.max(took);
        }
        (codes, slowest)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_under_load_costs_no_memory() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let bounds = ["--redis-queue-calls", "100", "--request-timeout-ms", "2000"];
    let service = Program::start(&[&["--store", &redis.url()], &bounds[..]].concat());
    service.until_ready().await;
    let post = format!("/v1/posts/{}/reactions/like/users", post());
    let idle = Arc::new(Mutex::new(Vec::new()));
    let mut load = OpenLoop { service: service.address, idle, post, next_user: 0 };
    let (codes, _) = load.run(Duration::from_secs(1), || {}).await;
    assert!(codes.contains_key("counted"), "{codes:?}");

    let before = service.resident_kib();
    redis.signal("-STOP");
    let mut most = 0;
    let watch = || most = most.max(service.resident_kib());
    let (codes, slowest) = load.run(Duration::from_secs(5), watch).await;
    println!("{codes:?}, {slowest:?} at the latest; {before} KiB, {most} KiB at the most");
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    let nothing_else = ["overloaded", "outcome_unknown", "store_unavailable"];
    assert!(codes.keys().all(|code| nothing_else.contains(&code.as_str())), "{codes:?}");
    assert!(codes.get("overloaded") > Some(&1000), "{codes:?}");
    assert!(most < before + MAY_GROW_KIB, "{before} KiB before, {most} KiB at the most");

    redis.signal("-CONT");
    let back = Instant::now();
    until("taps are counted again", async || {
        let (codes, _) = load.run(Duration::from_millis(50), || {}).await;
        codes.len() == 1 && codes.contains_key("counted")
    })
    .await;
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
}
