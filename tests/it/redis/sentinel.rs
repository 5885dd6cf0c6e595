//! A primary under sentinels: found, lost, found again.

use std::time::{Duration, Instant};

use crate::support::fault_proxy::{FaultProxy, until};
use crate::support::load::{Answer, Load, assert_sound};
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::sentinels::{NAME, Sentinels};
use crate::support::service::Service;
use crate::support::{post, posts};

/// How soon after a promotion taps must be counted again.
const SOON: Duration = Duration::from_secs(5);

/// Waits until a tap is counted. Asserts that this is soon after the promotion at `since`.
async fn counts_again(service: &Service, since: Instant) {
    until("taps are counted again", || async {
        let path = format!("/v1/posts/{}/reactions/like/users/1", post());
        service.send("PUT", &path).await.status == 201
    })
    .await;
    assert!(since.elapsed() < SOON, "{:?} after the promotion", since.elapsed());
}

/// Asserts that the first and the last taps were counted, and more than 100 in all.
fn assert_interrupted_only(answers: &[Answer]) {
    let counted = answers.iter().filter(|answer| answer.status < 300).count();
    let (first, last) = (&answers[..20], &answers[answers.len() - 20..]);
    for answer in first.iter().chain(last) {
        assert!(answer.status < 300, "before and after, all is well: {}", answer.status);
    }
    assert!(counted > 100, "{counted} of {}", answers.len());
}

async fn well(service: &Service) {
    until("the service is ready", || async { service.send("GET", "/readyz").await.status == 200 })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_by_the_sentinels_taps_are_counted_on_the_new_primary() {
    let all = Sentinels::start().await;
    let service = Service::with(&["--store", &all.url()]);
    well(&service).await;
    let load = Load::start(service.address, 8, posts(40), false);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut sentinel = all.sentinels[0].client().await;
    let order = ["FAILOVER", NAME];
    let _: () = redis::cmd("SENTINEL").arg(&order).query_async(&mut sentinel).await.unwrap();
    let mut promoted = Sentinels::until_promoted(&all.replica).await;
    counts_again(&service, Instant::now()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let posts = load.posts.clone();
    assert_interrupted_only(&load.stop().await);
    assert_sound(service.address, &posts).await;
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut promoted).await.unwrap();
    assert!(keys > 40, "the taps are there: {keys}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_is_replaced_by_the_one_that_is_promoted() {
    let all = Sentinels::start().await;
    let service = Service::with(&["--store", &all.url()]);
    well(&service).await;
    // One sentinel is silent. That may cost time, but no answer.
    all.sentinels[2].signal("-STOP");
    let load = Load::start(service.address, 8, posts(40), false);
    tokio::time::sleep(Duration::from_millis(300)).await;
    all.primary.signal("-KILL");
    // Before the promotion, onetap promises nothing.
    Sentinels::until_promoted(&all.replica).await;
    counts_again(&service, Instant::now()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let posts = load.posts.clone();
    let answers = load.stop().await;
    assert!(answers.iter().any(|answer| answer.status >= 500), "nobody noticed");
    assert_interrupted_only(&answers);
    assert_sound(service.address, &posts).await;
    all.sentinels[2].signal("-CONT");
}

/// Reported as envoyproxy/ratelimit#1191, redis/go-redis#790: the old primary keeps its
/// connections after its demotion, and refuses every write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_primary_is_left_for_where_new_connections_go() {
    let old = RedisServer::start(Kind::Redis, &["--repl-diskless-sync-delay", "0"]);
    let of = ["--replicaof", "127.0.0.1", &old.port.to_string()];
    let new = RedisServer::start(Kind::Redis, &of);
    let proxy = FaultProxy::start(old.address()).await;
    let service = Service::with(&["--store", &proxy.url()]);
    well(&service).await;
    let load = Load::start(service.address, 8, posts(40), false);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (mut to_old, mut to_new) = (old.client().await, new.client().await);
    let to = ["127.0.0.1", &new.port.to_string()];
    let _: () =
        redis::cmd("REPLICAOF").arg("NO").arg("ONE").query_async(&mut to_new).await.unwrap();
    let demoted = Instant::now();
    let _: () = redis::cmd("REPLICAOF").arg(&to).query_async(&mut to_old).await.unwrap();
    let settled = Instant::now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let repointed = Instant::now();
    proxy.repoint(new.address());
    counts_again(&service, repointed).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let posts = load.posts.clone();
    let answers = load.stop().await;
    let between = |answer: &&Answer| answer.at > settled && answer.at < repointed;
    let refused: Vec<&Answer> = answers.iter().filter(between).collect();
    // A tap answered just after the order may have been counted before it.
    let grace = demoted + Duration::from_millis(100);
    let counted = refused.iter().filter(|answer| answer.status < 300 && answer.at > grace).count();
    assert!(!refused.is_empty() && counted == 0, "{counted} of {} counted", refused.len());
    assert!(refused.iter().any(|answer| answer.status == 503));
    assert_interrupted_only(&answers);
    assert_sound(service.address, &posts).await;
}

#[tokio::test]
async fn what_is_wrong_about_sentinels_is_one_line_and_exit_code_64() {
    let all = Sentinels::start().await;
    let unknown = all.url().replace(&format!("/{NAME}"), "/other");
    let sentinel = format!("redis://127.0.0.1:{}", all.sentinels[0].port);
    let redis = format!("redis+sentinel://127.0.0.1:{}/{NAME}", all.primary.port);
    for (store, words) in [
        (unknown, ["knows no primary named `other`", "sentinel monitor"]),
        (sentinel, ["is a sentinel", "redis+sentinel://"]),
        (redis, ["is not a sentinel", "redis://"]),
    ] {
        let output = outcome(&mut onetap(&["--listen", "127.0.0.1:0", "--store", &store]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        let last = said.lines().last().unwrap();
        for word in words {
            assert!(last.starts_with("onetap: ") && last.contains(word), "{said}");
        }
    }
}

#[tokio::test]
async fn sentinels_that_are_away_are_waited_for_and_may_want_the_password() {
    let all = Sentinels::start().await;
    for server in [&all.primary, &all.replica] {
        let mut admin = server.client().await;
        let secret = ["SET", "requirepass", "pw", "masterauth", "pw"];
        let _: () = redis::cmd("CONFIG").arg(&secret).query_async(&mut admin).await.unwrap();
    }
    for (i, sentinel) in all.sentinels.iter().enumerate() {
        let mut admin = sentinel.client().await;
        let auth = ["SET", NAME, "auth-pass", "pw"];
        let _: () = redis::cmd("SENTINEL").arg(&auth).query_async(&mut admin).await.unwrap();
        if i == 0 {
            let user = ["SETUSER", "default", "resetpass", ">pw"];
            let _: () = redis::cmd("ACL").arg(&user).query_async(&mut admin).await.unwrap();
        }
        sentinel.signal("-STOP");
    }
    let store = all.url().replace("://", "://:pw@");
    let service = Program::start(&["--store", &store]);
    service.until_logged("no sentinel answers").await;
    service.send("GET", "/readyz").await.assert_problem(503, "store_unavailable");
    // Only the sentinel that wants a password is there.
    all.sentinels[0].signal("-CONT");
    service.until_ready().await;
    all.sentinels.iter().for_each(|sentinel| sentinel.signal("-CONT"));
}
