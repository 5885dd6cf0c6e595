//! What Redis refuses or lacks: memory, scripts, layouts, and what does not fit a lane.

use super::*;

#[tokio::test]
async fn flushing_the_scripts_costs_no_tap() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let store = server.store();
    let mut redis = server.client().await;
    let post = post();
    for i in 1..=200 {
        if i % 10 == 0 {
            let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut redis).await.unwrap();
        }
        assert_eq!(store.tap(tap(Verb::Set, post, i, "like"), soon()).await.unwrap().count, i);
    }
}

#[tokio::test]
async fn a_layout_of_another_release_is_refused() {
    let server = shared(Kind::Redis);
    let mut redis = server.client().await;
    for foreign in ["2", "0", "", "one"] {
        let prefix = prefix();
        let _: () = redis.set(format!("{prefix}:layout"), foreign).await.unwrap();
        let source = RedisSource::new(&server.options(&prefix)).unwrap();
        let checked = source.check().await;
        assert!(matches!(checked, Err(ConnectError::Foreign(_))), "{checked:?}");
        let store = source.attach();
        let result = store.tap(tap(Verb::Set, post(), 1, "like"), soon()).await;
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
    let prefix = prefix();
    let _: () = redis.lpush(format!("{prefix}:layout"), "a list").await.unwrap();
    let checked = RedisSource::new(&server.options(&prefix)).unwrap().check().await;
    assert!(matches!(checked, Err(ConnectError::Foreign(_))), "{checked:?}");
}

#[tokio::test]
async fn removing_works_when_memory_is_full() {
    let server = RedisServer::start(Kind::Redis, &["--maxmemory-policy", "noeviction"]);
    let store = server.store();
    let mut redis = server.client().await;
    let post = post();
    store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    let _: () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg(1)
        .query_async(&mut redis)
        .await
        .unwrap();
    for verb in [Verb::Set, Verb::Toggle] {
        let result = store.tap(tap(verb, post, 2, "like"), soon()).await;
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
    assert!(matches!(store.probe(soon()).await, Err(StoreError::Unavailable(_))));
    let removed = store.tap(tap(Verb::Unset, post, 1, "like"), soon()).await.unwrap();
    assert_eq!((removed.changed, removed.count), (true, 0));
}

#[tokio::test]
async fn removing_and_reading_work_over_new_connections_when_memory_is_full() {
    let server = RedisServer::start(Kind::Redis, &["--maxmemory-policy", "noeviction"]);
    let prefix = prefix();
    let source = RedisSource::new(&server.options(&prefix)).unwrap();
    let store = source.attach();
    let post = post();
    for user in [1, 2] {
        store.tap(tap(Verb::Set, post, user, "like"), soon()).await.unwrap();
    }
    let mut admin = server.client().await;
    let full = ["SET", "maxmemory", "1"];
    let _: () = redis::cmd("CONFIG").arg(&full).query_async(&mut admin).await.unwrap();
    let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
    let _: u64 = redis::cmd("CLIENT").arg(&kill).query_async(&mut admin).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Both the lane that was cut and that of a service that starts now go on.
    source.check().await.unwrap();
    for (store, user) in [(store, 1), (source.attach(), 2)] {
        let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
        assert_eq!(store.summaries(query, soon()).await.unwrap()[0].total(), 3 - user);
        let removed = store.tap(tap(Verb::Unset, post, user, "like"), soon()).await.unwrap();
        assert!(removed.changed);
    }
}

#[tokio::test]
async fn the_probe_leaves_no_key() {
    let mut bench = Bench::new().await;
    let probes = (0..20).map(|_| bench.store.probe(soon()));
    for probed in futures_util::future::join_all(probes).await {
        probed.unwrap();
    }
    assert!(bench.keys().await.is_empty());
}

/// Anybody may request `/readyz`, so probes must not keep Redis busy.
#[tokio::test]
async fn many_probes_cost_as_much_as_each_by_itself() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let store = RedisSource::new(&server.options("ot")).unwrap().attach();
    store.probe(soon()).await.unwrap();
    let probed = futures_util::future::join_all((0..50).map(|_| store.probe(soon()))).await;
    assert!(probed.iter().all(Result::is_ok));
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut server.client().await)
        .await
        .unwrap();
    let taps = info.lines().find_map(|line| line.strip_prefix("cmdstat_xadd:calls="));
    assert!(taps.is_some_and(|rest| rest.starts_with("102,")), "two taps a probe: {taps:?}");
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_told_from_one_that_can() {
    let cluster = RedisServer::start(
        Kind::Redis,
        &["--cluster-enabled", "yes", "--cluster-config-file", &format!("nodes-{}.conf", prefix())],
    );
    let checked = RedisSource::new(&cluster.options("ot")).unwrap().check().await;
    assert!(
        matches!(&checked, Err(ConnectError::Foreign(why)) if why.contains("cluster")),
        "{checked:?}"
    );

    let primary = RedisServer::start(Kind::Redis, &[]);
    let port = primary.port.to_string();
    let replica = RedisServer::start(Kind::Redis, &["--replicaof", "127.0.0.1", &port]);
    let checked = RedisSource::new(&replica.options("ot")).unwrap().check().await;
    assert!(
        matches!(&checked, Err(ConnectError::Unreachable(why)) if why.contains("replica")),
        "{checked:?}"
    );

    let secret = RedisServer::start(Kind::Redis, &["--requirepass", "x"]);
    for (url, word) in
        [(secret.url(), "password"), (format!("redis://:no@127.0.0.1:{}", secret.port), "wrong")]
    {
        let options = RedisOptions { address: url.parse().unwrap(), ..secret.options("ot") };
        let checked = RedisSource::new(&options).unwrap().check().await;
        assert!(
            matches!(&checked, Err(ConnectError::Foreign(why)) if why.contains(word)),
            "{checked:?}"
        );
    }
}

#[tokio::test]
async fn scores_and_counts_of_another_age_are_damage_or_exact_but_never_a_panic() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let (server, prefix) = (shared(kind), prefix());
        let store = RedisSource::new(&server.options(&prefix)).unwrap().attach();
        let mut admin = server.client().await;
        for score in ["300000000000000000", "9007199254740992", "-5", "1.5", "inf"] {
            let post = post();
            store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
            let keys: Vec<String> = admin.keys(format!("{prefix}:*{post}:like")).await.unwrap();
            let _: () = redis::cmd("ZADD")
                .arg(&keys[0])
                .arg(score)
                .arg("7")
                .query_async(&mut admin)
                .await
                .unwrap();
            let query = ReactorsQuery { post, reaction: None, after: None, limit: 5 };
            let found = store.reactors(query, soon()).await;
            assert!(matches!(found, Err(StoreError::Damaged(_))), "{score}: {found:?}");
        }
        let post = post();
        for name in ["like", "love"] {
            store.tap(tap(Verb::Set, post, 1, name), soon()).await.unwrap();
            let keys: Vec<String> = admin.keys(format!("{prefix}:*{post}")).await.unwrap();
            let _: () = admin.hset(&keys[0], name, u64::MAX.to_string()).await.unwrap();
        }
        let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
        assert_eq!(store.summaries(query, soon()).await.unwrap()[0].total(), u64::MAX);
    }
}

#[tokio::test]
async fn what_a_lane_cannot_queue_is_overload_and_not_applied() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let options = RedisOptions { queue_bound: 8, ..server.options(&prefix()) };
    let store = RedisSource::new(&options).unwrap().attach();
    let post = post();
    store.tap(tap(Verb::Set, post, 1000, "like"), soon()).await.unwrap();
    server.signal("-STOP");
    let tasks: Vec<_> = (1..=100)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(
                async move { (id, store.tap(tap(Verb::Set, post, id, "like"), soon()).await) },
            )
        })
        .collect();
    // The lane refuses them at once: Redis is still stopped.
    let refused = async {
        while tasks.iter().filter(|task| task.is_finished()).count() < 60 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("an overload");
    server.signal("-CONT");
    let mut applied = vec![1000];
    for task in tasks {
        match task.await.unwrap() {
            (id, Ok(_)) => applied.push(id),
            (_, Err(error)) => assert!(matches!(error, StoreError::Overloaded), "{error:?}"),
        }
    }
    assert!(applied.len() > 1, "what the lane could queue is applied when Redis goes on");
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 100 };
    let page = store.reactors(query, soon()).await.unwrap();
    let mut left: Vec<u64> =
        page.reactors.iter().map(|reactor| reactor.user.integer().unwrap()).collect();
    left.sort_unstable();
    applied.sort_unstable();
    assert_eq!(left, applied);
}

/// A host name or address that moves to another server: open connections stay at the old one.
#[tokio::test]
async fn a_read_of_the_log_that_is_led_to_another_server_is_not_believed_alone() {
    let old = RedisServer::start(Kind::Redis, &[]);
    let of = ["--replicaof", "127.0.0.1", &old.port.to_string()];
    let (replica, new) =
        (RedisServer::start(Kind::Redis, &of), RedisServer::start(Kind::Redis, &[]));
    let proxy = FaultProxy::start(old.address()).await;
    let store = RedisSource::new(&options(&proxy.url(), &prefix())).unwrap().attach();
    let post = post();
    store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    for other in [&replica, &new] {
        proxy.repoint(other.address());
        let read = changes(&store, post.partition(), 10).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    }
    // The lane has noticed, and uses the new server as well.
    let there = store.tap(tap(Verb::Set, post, 2, "like"), soon()).await.unwrap();
    assert_eq!(there.count, 1, "the old one would have counted two");
    let entries = changes(&store, post.partition(), 10).await.unwrap();
    assert_eq!(entries.len(), 1);
}

#[tokio::test]
async fn a_batch_is_bounded_by_the_work_of_its_calls() {
    let source = RedisSource::new(&shared(Kind::Redis).options(&prefix())).unwrap();
    let (store, stats) = (source.attach(), source.lane_stats());
    let names: Vec<_> = (0..20).map(|n| reaction(&format!("r{n}"))).collect();
    let set =
        |user| Tap { act: Act::Exactly(names.clone()), ..tap(Verb::Set, post(), user, "like") };
    store.tap(set(1), soon()).await.unwrap();
    // All 64 calls are queued before the lane has its turn. Without a bound on their work, two
    // batches would do.
    let before = stats.batches_sent.get();
    let sets = join_all((1..=64).map(|user| store.tap(set(user), soon()))).await;
    assert!(sets.iter().all(Result::is_ok), "{sets:?}");
    let sent = stats.batches_sent.get() - before;
    assert!((5..=16).contains(&sent), "{sent} batches of whole sets");
    let before = stats.batches_sent.get();
    let forget = |_| Forget { post: post(), reaction: None, actor: None };
    let forgotten = join_all((1..=64).map(forget).map(|one| store.forget(one, soon()))).await;
    assert!(forgotten.iter().all(Result::is_ok), "{forgotten:?}");
    let sent = stats.batches_sent.get() - before;
    assert!((5..=16).contains(&sent), "{sent} batches of forgotten posts");
}
