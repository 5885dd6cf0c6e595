//! A cluster: all nodes are used, and a lost node costs only its own posts.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use onetap::domain::PostId;

use crate::support::cluster::{Cluster, ask};
use crate::support::events::{self, Events};
use crate::support::fault_proxy::until;
use crate::support::keyed_load::KeyedLoad;
use crate::support::load::{Answer, Load, assert_sound};
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::service::Service;
use crate::support::{post, posts};

fn path(post: PostId, user: u64) -> String {
    format!("/v1/posts/{post}/reactions/like/users/{user}")
}

async fn well(service: &Service) {
    until("the service is ready", || async { service.send("GET", "/readyz").await.status == 200 })
        .await;
}

/// Posts in partitions from `from` up to but without `to`.
fn posts_within(from: usize, to: usize, n: usize) -> Vec<PostId> {
    let within = |post: &PostId| (from..to).contains(&post.partition().index());
    std::iter::repeat_with(post).filter(within).take(n).collect()
}

fn counted(answers: &[Answer], posts: &[PostId]) -> (usize, usize) {
    let own: Vec<_> = answers.iter().filter(|answer| posts.contains(&answer.post)).collect();
    (own.iter().filter(|answer| answer.status < 300).count(), own.len())
}

/// Reported as vutran1710/PyrateLimiter#151, taskforcesh/bullmq#3760, redis/redis#4560 on a
/// cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_posts_are_counted_on_every_node() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let cluster = Cluster::start(kind, 3, false).await;
        let service = Service::with(&["--store", &cluster.url()]);
        well(&service).await;
        let posts = posts(1000);
        let mut connection = service.connect().await;
        for (i, post) in posts.iter().enumerate() {
            let answer = connection.send("PUT", path(*post, 1), &[], "").await.ok(201);
            assert_eq!(answer["count"], 1);
            let toggle = format!("{}/toggle", path(*post, 2));
            let answer = connection.send("POST", toggle, &[], "").await.ok(200);
            assert_eq!(answer["count"], 2);
            if i % 2 == 0 {
                let answer = connection.send("DELETE", path(*post, 1), &[], "").await.ok(200);
                assert_eq!(answer["count"], 1);
            }
        }
        // Pages hold posts of all nodes.
        for (n, page) in posts.chunks(100).enumerate() {
            let ids: Vec<_> = page.iter().map(|post| format!("post_id={post}")).collect();
            let path = format!("/v1/posts/reactions?{}&user_id=1", ids.join("&"));
            let answer = connection.send("GET", path, &[], "").await.ok(200);
            let summaries = answer["posts"].as_array().unwrap();
            for (i, (post, summary)) in page.iter().zip(summaries).enumerate() {
                let even = (n * 100 + i) % 2 == 0;
                assert_eq!(summary["post_id"], post.to_string());
                assert_eq!(summary["total"], if even { 1 } else { 2 });
                assert_eq!(summary["reactions"][0]["mine"], !even);
            }
        }
        let used: BTreeSet<usize> = posts.iter().map(|post| post.partition().index()).collect();
        assert!(used.len() > 200, "nearly all partitions: {}", used.len());
        for node in &cluster.primaries {
            let mut admin = node.server.client().await;
            let keys: u64 = ask(&mut admin, &["DBSIZE"]).await;
            assert!(keys > 500, "its third: {keys}");
            let info: String = ask(&mut admin, &["INFO", "errorstats"]).await;
            for error in ["CROSSSLOT", "MOVED", "ASK", "TRYAGAIN"] {
                assert!(!info.contains(error), "{info}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_slots_move_taps_are_refused_at_worst_and_never_wrong() {
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let service = Service::with(&["--store", &cluster.url()]);
    well(&service).await;
    // Partitions 0 and 1 move from the first node to the second; 100 and 200 stay.
    let (moving, staying) = (posts_within(0, 2, 30), posts_within(100, 201, 30));
    let all = [&moving[..], &staying[..]].concat();
    let load = Load::start(service.address, 8, all.clone(), true);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for partition in 0..2 {
        cluster.move_slot(64 * partition, 0, 1, Duration::from_millis(10)).await;
    }
    let moved = Instant::now();
    let settled = moved + Duration::from_secs(1);
    tokio::time::sleep(Duration::from_millis(2000)).await;
    let answers = load.stop().await;
    let (ok, sent) = counted(&answers, &staying);
    assert!(ok == sent && sent > 100, "no other slot is touched: {ok} of {sent}");
    let (ok, sent) = counted(&answers, &moving);
    assert!(ok > 100, "{ok} of {sent}");
    let after: Vec<_> = answers.iter().filter(|answer| answer.at > settled).collect();
    assert!(!after.is_empty() && after.iter().all(|answer| answer.status < 300));
    assert!(answers.iter().all(|answer| answer.status != 504), "a refusal leaves no doubt");
    assert_sound(service.address, &all).await;
    let mut admin = cluster.primaries[1].server.client().await;
    let keys: u64 = ask(&mut admin, &["CLUSTER", "COUNTKEYSINSLOT", "64"]).await;
    assert!(keys > 0, "it is there now");
}

/// The latest total of each post on the open stream, and how many streams have ended.
type Watching = Arc<Mutex<(HashMap<String, u64>, usize)>>;

/// Watches posts on a stream, and opens it again half a second after it has ended.
fn watch(address: SocketAddr, posts: Vec<PostId>) -> Watching {
    let seen = Watching::default();
    let watching = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let stream = Events::try_open(address, &events::path(&posts)).await;
            if let Some(mut stream) = stream.filter(|stream| stream.head.contains(" 200 ")) {
                while let Some(event) = stream.next().await {
                    let total = event.total();
                    watching.lock().unwrap().0.insert(event.post().to_owned(), total);
                }
            }
            {
                let mut watching = watching.lock().unwrap();
                watching.0.clear();
                watching.1 += 1;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_have_the_true_counts_after_the_slots_of_their_posts_moved() {
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let service = Program::start(&["--store", &cluster.url()]);
    service.until_ready().await;
    // Partitions 0 and 1 move from the first node to the second; 100 to 200 stay.
    let (moving, staying) = (posts_within(0, 2, 30), posts_within(100, 201, 30));
    // One of them changes before the move only, one between the two slots.
    let [before, between] = *posts_within(0, 1, 2) else { unreachable!() };
    let all = [&moving[..], &staying, &[before, between]].concat();
    let watching: Vec<_> = (0..10).map(|_| watch(service.address, all.clone())).collect();
    service.send("PUT", &path(before, 1)).await.ok(201);
    let load = Load::start(service.address, 8, [&moving[..], &staying].concat(), true);
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.move_slot(0, 0, 1, Duration::from_millis(10)).await;
    until("taps are counted at the new place", async || {
        service.send("PUT", &path(between, 1)).await.status < 300
    })
    .await;
    cluster.move_slot(64, 0, 1, Duration::from_millis(10)).await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let (ok, sent) = counted(&load.stop().await, &moving);
    assert!(ok > 100, "{ok} of {sent}");
    let stopped = Instant::now();
    let mut truth = HashMap::new();
    for post in &all {
        let read = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
        truth.insert(post.to_string(), read["total"].as_u64().unwrap());
    }
    assert!(truth[&before.to_string()] == 1 && truth[&between.to_string()] == 1);
    for seen in &watching {
        while seen.lock().unwrap().0 != truth {
            assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}, {truth:?}", seen.lock());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let ended: Vec<_> = watching.iter().map(|seen| seen.lock().unwrap().1).collect();
    println!(
        "true after {:?}; of each reader, this many streams ended: {ended:?}",
        stopped.elapsed()
    );
}

/// Records move with their slot, and the service retries taps in doubt at the new place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taps_with_keys_are_counted_once_while_connections_die_and_slots_move() {
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let service = Service::with(&["--store", &cluster.url()]);
    well(&service).await;
    let load = KeyedLoad::on(service.address, 6, posts_within(0, 3, 20));
    let cut = async || {
        for node in &cluster.primaries {
            let mut admin = node.server.client().await;
            let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
            let _: u64 = ask(&mut admin, &kill).await;
        }
    };
    for slot in [0, 64, 128] {
        for _ in 0..5 {
            load.answers(40).await;
            cut().await;
        }
        cluster.move_slot(slot, 0, 1, Duration::from_millis(2)).await;
    }
    for _ in 0..5 {
        load.answers(40).await;
        cut().await;
    }
    let done = load.stop().await;
    assert!(done.answered > 500, "{}", done.answered);
    until("it has settled", || async { service.send("GET", "/readyz").await.status == 200 }).await;
    done.assert_exactly_once(service.address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_takes_only_its_own_slots_along() {
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let service = Service::with(&["--store", &cluster.url()]);
    well(&service).await;
    let (lost, others) = (posts_within(0, 80, 20), posts_within(90, 256, 40));
    let load = Load::start(service.address, 8, [&lost[..], &others[..]].concat(), true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.primaries[0].server.signal("-KILL");
    let killed = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let answers = load.stop().await;
    let (ok, sent) = counted(&answers, &others);
    assert!(ok == sent && sent > 100, "the others go on: {ok} of {sent}");
    let late = killed + Duration::from_millis(500);
    let of_lost = answers.iter().filter(|answer| answer.at > late && lost.contains(&answer.post));
    let statuses: BTreeSet<u16> = of_lost.map(|answer| answer.status).collect();
    assert_eq!(statuses, [503].into(), "nothing of a lost node is in doubt for long");
    assert_sound(service.address, &others).await;
    service.send("GET", "/readyz").await;
    well(&service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_node_delays_nobody_elses_taps() {
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let service = Service::with(&["--store", &cluster.url(), "--request-timeout-ms", "1500"]);
    well(&service).await;
    let (silent, other) = (posts_within(0, 80, 1)[0], posts_within(90, 256, 1)[0]);
    for user in [1, 2] {
        service.send("PUT", &path(other, user)).await.ok(201);
        service.send("PUT", &path(silent, user)).await.ok(201);
    }
    cluster.primaries[0].server.signal("-STOP");
    let (mut waits, mut goes_on) = (service.connect().await, service.connect().await);
    let held = tokio::spawn(async move { waits.send("PUT", path(silent, 3), &[], "").await });
    let started = Instant::now();
    for user in 3..30 {
        goes_on.send("PUT", path(other, user), &[], "").await.ok(201);
        assert_eq!(goes_on.send("GET", "/readyz", &[], "").await.status, 200);
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    held.await.unwrap().assert_problem(504, "outcome_unknown");
    cluster.primaries[0].server.signal("-CONT");
    until("it is back", || async { service.send("PUT", &path(silent, 4)).await.status == 201 })
        .await;
    let listed = service.send("GET", &format!("/v1/posts/{silent}/users")).await.ok(200);
    assert_eq!(listed["users"].as_array().unwrap().len(), 3, "the third came too late: {listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_promoted_takes_over() {
    let cluster = Cluster::start(Kind::Redis, 3, true).await;
    let service = Service::with(&["--store", &cluster.url()]);
    well(&service).await;
    let (lost, others) = (posts_within(0, 80, 20), posts_within(90, 256, 40));
    let load = Load::start(service.address, 8, [&lost[..], &others[..]].concat(), false);
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.primaries[0].server.signal("-KILL");
    let mut replica = cluster.replicas[0].server.client().await;
    let started = Instant::now();
    loop {
        let role: Vec<redis::Value> = ask(&mut replica, &["ROLE"]).await;
        if role[0] == redis::Value::BulkString(b"master".to_vec()) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "never promoted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let promoted = Instant::now();
    until("taps are counted again", || async {
        let post = posts_within(0, 80, 1)[0];
        service.send("PUT", &path(post, 1)).await.status == 201
    })
    .await;
    assert!(promoted.elapsed() < Duration::from_secs(5), "{:?}", promoted.elapsed());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let answers = load.stop().await;
    let (ok, sent) = counted(&answers, &others);
    assert!(ok == sent && sent > 100, "the others go on: {ok} of {sent}");
    assert_sound(service.address, &lost).await;
}

#[tokio::test]
async fn one_form_taken_for_another_is_one_line_and_exit_code_64() {
    let cluster = Cluster::start(Kind::Redis, 2, false).await;
    let single = RedisServer::start(Kind::Redis, &[]);
    let node = format!("redis://127.0.0.1:{}", cluster.primaries[0].server.port);
    let mut first = cluster.primaries[0].server.client().await;
    // The cluster says which node has the layout key.
    let slot: u16 = ask(&mut first, &["CLUSTER", "KEYSLOT", "foreign:layout"]).await;
    let owner = &cluster.primaries[usize::from(slot / 8192)];
    let mut owner = owner.server.client().await;
    let _: () = ask(&mut owner, &["SET", "foreign:layout", "99"]).await;
    for (store, more, words) in [
        (node, vec![], ["node of a cluster", "redis+cluster://"]),
        (single.url().replace("redis:", "redis+cluster:"), vec![], ["single Redis", "redis://"]),
        (cluster.url(), vec!["--key-prefix", "foreign"], ["foreign:layout", "99"]),
        (cluster.url(), vec!["--strict"], ["keeps nothing over a restart", "--strict"]),
    ] {
        let args = [&["--listen", "127.0.0.1:0", "--store", &store][..], &more].concat();
        let output = outcome(&mut onetap(&args));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        let last = said.lines().last().unwrap();
        for word in words {
            assert!(last.starts_with("onetap: ") && last.contains(word), "{said}");
        }
    }
}

/// Keys move one by one. A moved key is not a missing one.
#[tokio::test]
async fn what_has_left_with_its_slot_is_never_taken_for_missing() {
    let cluster = Cluster::start(Kind::Redis, 2, false).await;
    let service = Service::with(&["--store", &cluster.url(), "--request-timeout-ms", "500"]);
    well(&service).await;
    let [last, split, gone] = *posts_within(0, 1, 3) else { unreachable!() };
    for (post, users) in [(last, 1), (split, 2), (gone, 2)] {
        for user in 1..=users {
            service.send("PUT", &path(post, user)).await.ok(201);
        }
    }
    let (from, to) = (&cluster.primaries[0], &cluster.primaries[1]);
    let (mut source, mut target) = (from.server.client().await, to.server.client().await);
    let _: () = ask(&mut target, &["CLUSTER", "SETSLOT", "0", "IMPORTING", &from.id]).await;
    let _: () = ask(&mut source, &["CLUSTER", "SETSLOT", "0", "MIGRATING", &to.id]).await;

    // No key has moved yet. The member set disappears with its last member, in the middle of the tap.
    let answer = service.send("DELETE", &path(last, 1)).await.ok(200);
    assert_eq!((&answer["changed"], &answer["count"]), (&true.into(), &0.into()));
    let summary = |post: PostId| format!("/v1/posts/{post}/reactions?user_id=1&recent=1");
    // Nothing of the post is left, and a script must not look at missing keys in a slot that moves.
    service.send("GET", &summary(last)).await.assert_problem(503, "store_unavailable");

    // The members of one post leave, and all but the members of another.
    let port = to.server.port.to_string();
    let keys: Vec<String> = ask(&mut source, &["KEYS", "*"]).await;
    let key = |end: String| keys.iter().find(|key| key.ends_with(&end)).unwrap().clone();
    for key in [key(format!("{split}:like")), key(format!(":p:{gone}"))] {
        let migrate = ["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"];
        let _: () = ask(&mut source, &migrate).await;
    }
    for post in [split, gone] {
        service.send("GET", &summary(post)).await.assert_problem(503, "store_unavailable");
        let list = format!("/v1/posts/{post}/users");
        service.send("GET", &list).await.assert_problem(503, "store_unavailable");
        for method in ["PUT", "DELETE"] {
            let answer = service.send(method, &path(post, 1)).await;
            answer.assert_problem(503, "store_unavailable");
        }
    }
    cluster.move_slot(0, 0, 1, Duration::ZERO).await;
    until("it has moved", || async { service.send("GET", &summary(last)).await.status == 200 })
        .await;
    let read = service.send("GET", &summary(last)).await.ok(200);
    assert_eq!((&read["total"], &read["revision"]), (&0.into(), &answer["revision"]));
    for post in [split, gone] {
        until("it has moved", || async { service.send("GET", &summary(post)).await.status == 200 })
            .await;
        let read = service.send("GET", &summary(post)).await.ok(200);
        assert_eq!((&read["total"], &read["reactions"][0]["mine"]), (&2.into(), &true.into()));
        assert_eq!(service.send("DELETE", &path(post, 1)).await.ok(200)["count"], 1);
    }
}

/// How often a server has run commands with this prefix.
async fn runs(server: &RedisServer, command: &str) -> u64 {
    let info: String = ask(&mut server.client().await, &["INFO", "commandstats"]).await;
    let line = format!("cmdstat_{command}");
    let lines = info.lines().filter_map(|l| l.strip_prefix(&line)?.split_once(":calls="));
    lines.map(|(_, rest)| rest.split(',').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_cut_off_does_not_turn_the_map_back() {
    let cluster = Cluster::start(Kind::Redis, 2, true).await;
    let quick = ["--redis-connect-timeout-ms", "300", "--request-timeout-ms", "500"];
    let service = Service::with(&[&["--store", &cluster.url()][..], &quick].concat());
    well(&service).await;
    let (old, post) = (&cluster.primaries[0].server, posts_within(0, 100, 1)[0]);
    service.send("PUT", &path(post, 1)).await.ok(201);
    let _: u64 = ask(&mut old.client().await, &["WAIT", "1", "5000"]).await;
    cluster.cut_off_and_replace(0).await;
    // First only the other nodes run, then only the old one.
    old.signal("-STOP");
    until("taps are counted at the new one", async || {
        service.send("PUT", &path(post, 2)).await.status == 201
    })
    .await;
    let others = || cluster.nodes().map(|node| &node.server).filter(|node| node.port != old.port);
    others().for_each(|other| other.signal("-STOP"));
    old.signal("-CONT");
    // Count only new commands: its sockets hold earlier ones.
    let asked = runs(old, "cluster|slots").await;
    until("it has been asked for its map", async || {
        let answer = service.send("PUT", &path(post, 3)).await;
        assert!(answer.status > 500, "by a primary of the past: {} {}", answer.status, answer.body);
        runs(old, "cluster|slots").await > asked + 2
    })
    .await;
    others().for_each(|other| other.signal("-CONT"));
    until("the others are back", async || service.send("PUT", &path(post, 4)).await.status == 201)
        .await;
    let keys: Vec<String> = ask(&mut old.client().await, &["KEYS", &format!("*{post}:like")]).await;
    let left: Vec<String> = ask(&mut old.client().await, &["ZRANGE", &keys[0], "0", "-1"]).await;
    assert!(!left.contains(&"3".into()) && !left.contains(&"4".into()), "{left:?}");
    let listed = service.send("GET", &format!("/v1/posts/{post}/users")).await.ok(200);
    let users: Vec<_> = listed["users"].as_array().unwrap().iter().map(|u| &u["user_id"]).collect();
    assert!(["1", "2", "4"].iter().all(|user| users.contains(&&(*user).into())), "{listed}");
}
