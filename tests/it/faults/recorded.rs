//! The fault suite: a mixed load goes on while one thing after another breaks. It records requests
//! and responses, and the checker of `onetap-loadtest` must accept the record. No acknowledged tap
//! may be lost, except the newest where replication itself may lose them.
//!
//! Each fault runs with and without idempotency keys. `ONETAP_FAULT_TAPS` sets the least number of
//! operations (`make faults`: 1,200,000), `ONETAP_FAULT_ROUNDS` the least number of strikes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onetap_loadtest::client::Target;
use onetap_loadtest::soak::{self, SoakOptions, SoakReport};
use onetap_loadtest::verify::Rules;
use tempfile::TempDir;

use crate::support::cluster::{Cluster, ask};
use crate::support::fault_proxy::{Fault, FaultProxy, until};
use crate::support::program::{Program, onetap};
use crate::support::redis_server::{Kind, RedisServer, free_port};
use crate::support::sentinels::{NAME, Sentinels};
use crate::support::service::Service;
use crate::support::stopwatch::Stopwatch;

pub(crate) fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn pause(millis: u64) -> tokio::time::Sleep {
    tokio::time::sleep(Duration::from_millis(millis))
}

/// A fault, and the load during it.
pub(crate) struct Trial {
    name: &'static str,
    service: SocketAddr,
    request_timeout: Duration,
    rules: Rules,
    users: u64,
}

impl Trial {
    pub(crate) fn new(name: &'static str, service: SocketAddr, request_timeout: Duration) -> Self {
        Self { name, service, request_timeout, rules: Rules::default(), users: 50 }
    }

    /// A trial with failovers, which may lose the newest changes. It has few users, so that the
    /// load sees each state again between two failovers: the checker must know the losses of the
    /// first before the second.
    fn failover(name: &'static str, service: SocketAddr) -> Self {
        let rules = Rules { allow_lost_suffix: true };
        Self { rules, users: 10, ..Self::new(name, service, TWO_SECONDS) }
    }

    /// Lets the fault strike until there were enough operations. It waits for the same number of
    /// operations before each strike (750 by default). Half of the operations have no key, half
    /// have one.
    pub(crate) async fn run(self, mut strike: impl AsyncFnMut(u64)) -> [SoakReport; 2] {
        let taps = variable("ONETAP_FAULT_TAPS", 3000) / 2;
        let rounds = variable("ONETAP_FAULT_ROUNDS", 3) / 2 + 1;
        let (mut reports, mut round) = (Vec::new(), 0);
        for keys in [false, true] {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let begun = Arc::new(AtomicU64::new(0));
            let options = SoakOptions {
                connections: 16,
                users: self.users,
                keys,
                request_timeout: self.request_timeout,
                rules: self.rules,
                begun: Arc::clone(&begun),
                ..SoakOptions::new(folder.path().join("history.ndjson"))
            };
            let target = Target::new(&format!("http://{}", self.service)).unwrap();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let load = tokio::spawn(soak::run(target, options, async { drop(stopped.await) }));
            let end = round + rounds;
            while round < end || begun.load(Ordering::Relaxed) < taps {
                let goal = begun.load(Ordering::Relaxed) + taps / rounds;
                let waited = Instant::now();
                while begun.load(Ordering::Relaxed) < goal {
                    assert!(waited.elapsed() < Duration::from_secs(120), "the load stands still");
                    pause(1).await;
                }
                strike(round).await;
                round += 1;
            }
            drop(stop);
            let report = load.await.unwrap().unwrap();
            self.show(&report, keys, rounds);
            if !report.verdict.is_right() {
                let kept = folder.keep();
                panic!("{}: {:?}, in {}", self.name, report.verdict.violations, kept.display());
            }
            reports.push(report);
        }
        reports.try_into().expect("two")
    }

    fn show(&self, report: &SoakReport, keys: bool, rounds: u64) {
        let SoakReport { verdict, took, .. } = report;
        println!(
            "fault: {} | keys {} | struck {rounds}+ | taps {} | answered {} | refused {} | \
             unknown {} | replayed {} | lost {} | violations {} | {:.0}/s",
            self.name,
            if keys { "yes" } else { "no" },
            verdict.attempts,
            verdict.answered,
            verdict.refused,
            verdict.unknown,
            verdict.replayed,
            verdict.lost,
            verdict.violations.len(),
            verdict.attempts as f64 / took.as_secs_f64(),
        );
    }
}

/// A Redis that keeps what it acknowledged. Its port stays the same over restarts.
struct Durable {
    server: Option<RedisServer>,
    port: u16,
    folder: TempDir,
}

impl Durable {
    fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut durable = Self { server: None, port: free_port(), folder };
        durable.restart();
        durable
    }

    fn restart(&mut self) {
        // The old server must be gone before another can use its port.
        self.server = None;
        let dir = self.folder.path().to_str().unwrap();
        let args = ["--appendonly", "yes", "--appendfsync", "always", "--dir", dir];
        self.server = Some(RedisServer::start_on(Kind::Redis, self.port, &args));
    }

    fn server(&self) -> &RedisServer {
        self.server.as_ref().unwrap()
    }

    fn url(&self) -> String {
        self.server().url()
    }
}

async fn service(store: &str, request_timeout_ms: u64) -> Service {
    service_with(store, request_timeout_ms, &[]).await
}

/// A service with short retention, so that a new replica copies the data quickly.
async fn service_of_copies(store: &str) -> Service {
    let short = ["--idempotency-retention-seconds", "20", "--change-log-retention-seconds", "20"];
    service_with(store, 2000, &short).await
}

async fn service_with(store: &str, request_timeout_ms: u64, more: &[&str]) -> Service {
    let millis = request_timeout_ms.to_string();
    let args = ["--store", store, "--request-timeout-ms", &millis];
    let service = Service::with(&[&args, more].concat());
    until("the service is ready", async || service.send("GET", "/readyz").await.status == 200)
        .await;
    service
}

pub(crate) const TWO_SECONDS: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_flushed() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = service(&redis.url(), 2000).await;
    let trial = Trial::new("SCRIPT FLUSH", service.address, TWO_SECONDS);
    let mut admin = redis.client().await;
    let reports = trial.run(async |_| ask::<()>(&mut admin, &["SCRIPT", "FLUSH"]).await).await;
    for report in reports {
        assert!(report.errors.is_empty(), "a flush costs no request: {:?}", report.errors);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_killed() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = service(&redis.url(), 2000).await;
    let trial = Trial::new("CLIENT KILL", service.address, TWO_SECONDS);
    let mut admin = redis.client().await;
    let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
    let (mut strikes, mut killed) = (0, 0);
    let reports = trial
        .run(async |_| {
            strikes += 1;
            killed += ask::<u64>(&mut admin, &kill).await;
        })
        .await;
    assert!(killed > 0);
    for report in reports {
        let failed: u64 = report.errors.values().sum();
        assert!(failed <= strikes * 16, "at most one for each in flight: {:?}", report.errors);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_restarts() {
    let mut redis = Durable::start();
    let service = service(&redis.url(), 2000).await;
    let trial = Trial::new("restart of Redis", service.address, TWO_SECONDS);
    trial
        .run(async |_| {
            let mut admin = redis.server().client().await;
            // Redis ends without an answer.
            let _: Result<(), _> = redis::cmd("SHUTDOWN").query_async(&mut admin).await;
            redis.restart();
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed() {
    let mut redis = Durable::start();
    let service = service(&redis.url(), 2000).await;
    let trial = Trial::new("kill -9 of Redis, appendfsync always", service.address, TWO_SECONDS);
    let mut slowest = Duration::ZERO;
    trial
        .run(async |_| {
            redis.server().signal("-KILL");
            redis.restart();
            // Redis answers while it still reads its file; it is back when it accepts a write.
            let mut admin = redis.server().client().await;
            until("Redis takes a write", async || {
                let mut write = redis::cmd("SET");
                write.arg("written").arg(1).query_async::<()>(&mut admin).await.is_ok()
            })
            .await;
            let back = Stopwatch::start();
            until("a tap is counted", async || {
                let path = format!("/v1/posts/{}/reactions/like/users/1", crate::support::post());
                service.send("PUT", &path).await.status == 201
            })
            .await;
            slowest = slowest.max(back.elapsed());
        })
        .await;
    println!("first tap after Redis was back: {slowest:?} at the latest");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_stands_still() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = service(&redis.url(), 300).await;
    let trial =
        Trial::new("SIGSTOP, SIGCONT of Redis", service.address, Duration::from_millis(300));
    trial
        .run(async |round| {
            redis.signal("-STOP");
            pause([50, 250, 600][round as usize % 3]).await;
            redis.signal("-CONT");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_paused() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = service(&redis.url(), 300).await;
    let trial = Trial::new("CLIENT PAUSE", service.address, Duration::from_millis(300));
    let mut admin = redis.client().await;
    trial
        .run(async |round| {
            let millis = ["100", "290", "500"][round as usize % 3];
            let _: () = ask(&mut admin, &["CLIENT", "PAUSE", millis, "WRITE"]).await;
            pause(550).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_are_swallowed() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let proxy = FaultProxy::start(redis.address()).await;
    let service = service(&proxy.url(), 500).await;
    let trial = Trial::new("swallowed replies", service.address, Duration::from_millis(500));
    let reports = trial
        .run(async |round| {
            proxy.fault(Fault::SwallowReplies);
            pause([5, 100, 700][round as usize % 3]).await;
            proxy.fault(Fault::None);
            proxy.cut();
        })
        .await;
    assert!(reports[0].verdict.filled > 0, "none of the lost replies was of a tap that ran");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_go_nowhere_or_come_late() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let proxy = FaultProxy::start(redis.address()).await;
    let service = service(&proxy.url(), 300).await;
    let trial = Trial::new("black hole; late packets", service.address, Duration::from_millis(300));
    trial
        .run(async |round| {
            if round % 2 == 0 {
                proxy.fault(Fault::BlackHole);
                pause(700).await;
                proxy.cut();
                proxy.fault(Fault::None);
            } else {
                proxy.fault(Fault::HoldRequests);
                pause([150, 500][round as usize / 2 % 2]).await;
                proxy.fault(Fault::None);
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_jumps() {
    let (redis, clock) = RedisServer::with_shifted_clock();
    let service = service(&redis.url(), 500).await;
    let trial = Trial::new("clock of Redis jumps", service.address, Duration::from_millis(500));
    trial
        .run(async |round| {
            // Idempotency records expire by the same clock. So the shift must be shorter than their
            // retention.
            clock.shift([0, 60_000, -60_000, 700, -700, 5][round as usize % 6]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_full() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = service(&redis.url(), 2000).await;
    let path = format!("/v1/posts/{}/reactions/like/users/1", crate::support::post());
    let trial = Trial::new("maxmemory reached", service.address, TWO_SECONDS);
    let mut admin = redis.client().await;
    let reports = trial
        .run(async |_| {
            service.send("PUT", &path).await.ok(201);
            let _: () = ask(&mut admin, &["CONFIG", "SET", "maxmemory", "1"]).await;
            pause(50).await;
            service.send("PUT", &path).await.assert_problem(503, "store_unavailable");
            service.send("DELETE", &path).await.ok(200);
            let _: () = ask(&mut admin, &["CONFIG", "SET", "maxmemory", "0"]).await;
        })
        .await;
    for report in reports {
        assert!(report.verdict.refused > 0 && report.verdict.unknown == 0, "{:?}", report.errors);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_is_killed() {
    let redis = Durable::start();
    let (url, port) = (redis.url(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let start =
        || Program::spawn(&mut onetap(&["--listen", &listen, "--threads", "2", "--store", &url]));
    let mut program = Some(start());
    program.as_ref().unwrap().until_ready().await;
    let trial = Trial::new("kill -9 of the service", listen.parse().unwrap(), TWO_SECONDS);
    trial
        .run(async |_| {
            // Dropping it kills it.
            drop(program.take());
            program = Some(start());
        })
        .await;
}

/// The changes that the old primary has not replicated are lost with it: at most the newest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_fail_over() {
    let all = Sentinels::start().await;
    let service = service_of_copies(&all.url()).await;
    let (mut old, mut new) = (&all.primary, &all.replica);
    Trial::failover("failover by Sentinel", service.address)
        .run(async |round| {
            let mut sentinel = all.sentinels[0].client().await;
            // The sentinels refuse this until they have noticed that there is a replica.
            until("a failover begins", async || {
                let order = ["FAILOVER", NAME];
                let asked = redis::cmd("SENTINEL").arg(&order).query_async(&mut sentinel).await;
                let begun: redis::RedisResult<()> = asked;
                begun.is_ok()
            })
            .await;
            drop(Sentinels::until_promoted(new).await);
            // The old primary continues to answer. Sentinels demote it only after about ten
            // seconds. If it were promoted again before that, the lost changes would come back. So
            // we demote it ourselves.
            pause([0, 1500, 200][round as usize % 3]).await;
            Sentinels::demote(old, new).await;
            std::mem::swap(&mut old, &mut new);
            // Before the next failover, the load must have seen what this failover lost.
            pause(1500).await;
        })
        .await;
}

/// The same for one node of a cluster. The other nodes lose nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_cluster_is_lost() {
    let mut cluster = Cluster::start(Kind::Redis, 3, true).await;
    let service = service_of_copies(&cluster.url()).await;
    Trial::failover("kill -9 of a cluster's node", service.address)
        .run(async |round| {
            // Each round fails one of three shards: its primary dies, its replica is promoted, and
            // the old primary becomes the replica.
            let shard = round as usize % 3;
            cluster.primaries[shard].server.signal("-KILL");
            cluster.replicas[shard].until_promoted().await;
            pause([0, 300][round as usize % 2]).await;
            cluster.restart_as_replica(shard).await;
        })
        .await;
}

/// onetap may refuse taps of a moving slot. It must lose none, and count none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move() {
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let service = service(&cluster.url(), 2000).await;
    let trial = Trial::new("slots of a cluster move", service.address, TWO_SECONDS);
    let mut home = [0; 256];
    for (i, home) in home.iter_mut().enumerate() {
        *home = i * 64 / usize::from(crate::support::cluster::SLOTS.div_ceil(3));
    }
    trial
        .run(async |round| {
            // Each round moves the next eighth of the partitions. Eight rounds move the partitions
            // of this load's posts, whichever they are.
            for i in (0..256).filter(|i| i % 8 == round as usize % 8) {
                let (from, to) = (home[i], (home[i] + 1) % 3);
                let slot = u16::try_from(i * 64).unwrap();
                cluster.move_slot(slot, from, to, Duration::ZERO).await;
                home[i] = to;
            }
        })
        .await;
}
