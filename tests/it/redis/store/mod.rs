//! What only the store in Redis can meet: tampering, foreign keys, another layout, flushes.

mod limits;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use onetap::domain::{Act, Forget, Form, PostId, Tap, Verb};
use onetap::store::redis::{ConnectError, RedisOptions, RedisSource, RedisStore};
use onetap::store::{News, ReactorsQuery, Retention, Store, StoreError, SummaryQuery};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use tokio::sync::{mpsc, watch};

use crate::support::fault_proxy::FaultProxy;
use crate::support::redis_server::{Kind, RedisServer, options, shared};
use crate::support::{changes, keyed_tap, post, prefix, reaction, soon, tap};

/// A store, a connection to look at its data, and the keys of a post.
struct Bench {
    store: RedisStore,
    redis: MultiplexedConnection,
    prefix: String,
}

impl Bench {
    async fn new() -> Self {
        let (server, prefix) = (shared(Kind::Redis), prefix());
        let source = RedisSource::new(&server.options(&prefix)).unwrap();
        Self { store: source.attach(), redis: server.client().await, prefix }
    }

    async fn tap(&self, verb: Verb, post: PostId, user: u64) -> Result<u64, StoreError> {
        self.store.tap(tap(verb, post, user, "like"), soon()).await.map(|outcome| outcome.count)
    }

    /// All keys with the prefix, sorted, except those of the first start and of hints.
    async fn keys(&mut self) -> Vec<String> {
        let mut keys: Vec<String> = self.redis.keys(format!("{}:*", self.prefix)).await.unwrap();
        let hints = |key: &str| key.rsplit_once(':').is_some_and(|(rest, _)| rest.ends_with("}:u"));
        keys.retain(|key| {
            !key.ends_with(":layout") && !key.ends_with(":d:user-index") && !hints(key)
        });
        keys.sort();
        keys
    }

    /// The whole value of a key.
    async fn dump(&mut self, key: &str) -> Option<Vec<u8>> {
        redis::cmd("DUMP").arg(key).query_async(&mut self.redis).await.unwrap()
    }

    /// The keys of a post: counts, likes, log. A tap on the post creates them.
    async fn keys_of(&mut self, post: PostId) -> [String; 3] {
        self.tap(Verb::Set, post, 1).await.unwrap();
        let keys = self.keys().await;
        let like = keys.iter().find(|key| key.ends_with(&format!("{post}:like"))).unwrap().clone();
        let counts = like.strip_suffix(":like").unwrap().to_owned();
        let tag = counts.split_once(":p:").unwrap().0;
        [counts.clone(), like, format!("{tag}:log")]
    }
}

/// The 16 bytes of the id that a key of a post ends with.
fn uuid_of(key: &str) -> [u8; 16] {
    let id: PostId = key[key.len() - 36..].parse().unwrap();
    *id.as_uuid().as_bytes()
}

#[tokio::test]
async fn a_post_has_exactly_the_keys_that_the_layout_names() {
    let mut bench = Bench::new().await;
    let [counts, like, log] = bench.keys_of(post()).await;
    assert_eq!(bench.keys().await, {
        let floor = log.replace(":log", ":floor");
        let mut all = [log, floor, counts.clone(), like.clone()];
        all.sort();
        all
    });
    let ttl: Vec<i64> =
        redis::pipe().ttl(&counts).ttl(&like).query_async(&mut bench.redis).await.unwrap();
    assert_eq!(ttl, [-1, -1], "no data expires");
    let pattern = format!("{}u:*", counts.split_once("p:").unwrap().0);
    let hints: Vec<String> = bench.redis.keys(pattern).await.unwrap();
    let entries: Vec<(Vec<u8>, u64)> =
        bench.redis.zrange_withscores(&hints[0], 0, -1).await.unwrap();
    let hint = [b"1 ", uuid_of(&counts).as_slice(), b"like"].concat();
    assert_eq!((hints.len(), entries), (1, vec![(hint, 0)]));
}

#[tokio::test]
async fn what_nobody_has_leaves_no_key_and_no_field() {
    let mut bench = Bench::new().await;
    let post = post();
    let [counts, like, _] = bench.keys_of(post).await;
    let love = bench.store.tap(tap(Verb::Set, post, 1, "love"), soon()).await.unwrap();
    assert!(love.changed);
    assert_eq!(bench.tap(Verb::Unset, post, 1).await, Ok(0));
    assert!(!bench.redis.exists::<_, bool>(&like).await.unwrap());
    assert!(!bench.redis.hexists::<_, _, bool>(&counts, "like").await.unwrap());
    let last = bench.store.tap(tap(Verb::Unset, post, 1, "love"), soon()).await.unwrap();
    // Nothing of the post is left. Its revision is now the partition's floor.
    let floor = counts.replace(&format!("p:{post}"), "floor");
    let mut left = bench.keys().await;
    left.sort();
    assert_eq!(left, [floor.clone(), counts.replace(&format!("p:{post}"), "log")]);
    assert_eq!(bench.redis.get::<_, u64>(&floor).await.unwrap(), last.revision.0);
}

/// A count claims members that do not exist. A tap corrects it, and deletes the post, which is
/// empty.
#[tokio::test]
async fn a_post_that_a_healed_count_empties_is_deleted() {
    let mut bench = Bench::new().await;
    let post = post();
    let [counts, like, _] = bench.keys_of(post).await;
    bench.tap(Verb::Set, post, 1).await.unwrap();
    let _: () = bench.redis.del(&like).await.unwrap();
    let healed = bench.store.tap(tap(Verb::Unset, post, 9, "like"), soon()).await.unwrap();
    assert_eq!((healed.changed, healed.count), (false, 0));
    assert!(!bench.redis.exists::<_, bool>(&counts).await.unwrap());
    let floor = counts.replace(&format!("p:{post}"), "floor");
    assert_eq!(bench.redis.get::<_, u64>(&floor).await.unwrap(), healed.revision.0);
}

/// The script checks the floor before its first write. The floor never falls.
#[tokio::test]
async fn a_foreign_floor_is_damage_and_one_that_is_ahead_stays() {
    let mut bench = Bench::new().await;
    let post = post();
    let [counts, like, _] = bench.keys_of(post).await;
    let floor = counts.replace(&format!("p:{post}"), "floor");
    bench.tap(Verb::Set, post, 1).await.unwrap();
    let _: () = bench.redis.del(&floor).await.unwrap();
    let _: () = bench.redis.lpush(&floor, "another program's").await.unwrap();
    let before = [bench.dump(&counts).await, bench.dump(&like).await, bench.dump(&floor).await];
    for verb in [Verb::Unset, Verb::Toggle] {
        assert!(matches!(bench.tap(verb, post, 1).await, Err(StoreError::Damaged(_))));
    }
    let after = [bench.dump(&counts).await, bench.dump(&like).await, bench.dump(&floor).await];
    assert_eq!(before, after);
    let ahead = 8_000_000_000_000_000_u64;
    let _: () = bench.redis.set(&floor, ahead).await.unwrap();
    bench.tap(Verb::Unset, post, 1).await.unwrap();
    assert_eq!(bench.redis.get::<_, u64>(&floor).await.unwrap(), ahead);
    let first = bench.store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    assert!(first.revision.0 > ahead);
    // A log that cannot be written to leaves the floor as it was, too.
    let log = counts.replace(&format!("p:{post}"), "log");
    let _: () = bench.redis.del(&log).await.unwrap();
    let _: () = bench.redis.set(&log, "another program's").await.unwrap();
    for kept in [Some("17"), None] {
        match kept {
            Some(text) => bench.redis.set::<_, _, ()>(&floor, text).await.unwrap(),
            None => bench.redis.del::<_, ()>(&floor).await.unwrap(),
        }
        assert!(matches!(bench.tap(Verb::Unset, post, 1).await, Err(StoreError::Damaged(_))));
        assert_eq!(bench.redis.get::<_, Option<String>>(&floor).await.unwrap().as_deref(), kept);
    }
}

#[tokio::test]
async fn a_foreign_key_is_damage_and_nothing_is_half_written() {
    let mut bench = Bench::new().await;
    for place in 0..3 {
        let post = post();
        let keys = bench.keys_of(post).await;
        bench.tap(Verb::Set, post, 2).await.unwrap();
        let foreign = &keys[place];
        let _: () = bench.redis.del(foreign).await.unwrap();
        let _: () = bench.redis.set(foreign, "another program's").await.unwrap();
        let mut before = Vec::new();
        for key in &keys {
            before.push(bench.dump(key).await);
        }
        for (verb, user) in [(Verb::Toggle, 1), (Verb::Toggle, 9), (Verb::Set, 9), (Verb::Unset, 1)]
        {
            let result = bench.tap(verb, post, user).await;
            assert!(matches!(result, Err(StoreError::Damaged(_))), "place {place}: {result:?}");
        }
        for (key, before) in keys.iter().zip(before) {
            assert_eq!(bench.dump(key).await, before, "{key} was written");
        }
        // Other posts, of the same batch or not, are not affected.
        let (damaged, well) = tokio::join!(
            bench.tap(Verb::Set, post, 9),
            bench.tap(Verb::Set, crate::support::post(), 9)
        );
        assert!(damaged.is_err());
        assert_eq!(well, Ok(1));
        let _: () = bench.redis.del(foreign).await.unwrap();
    }
}

#[tokio::test]
async fn a_tap_that_the_script_refused_leaves_no_record() {
    let mut bench = Bench::new().await;
    let post = post();
    let [.., log] = bench.keys_of(post).await;
    let _: () = bench.redis.del(&log).await.unwrap();
    let _: () = bench.redis.set(&log, "another program's").await.unwrap();
    let tap = keyed_tap(Form::Toggle, post, 9, "like", "k");
    let refused = bench.store.tap(tap.clone(), soon()).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    let _: () = bench.redis.del(&log).await.unwrap();
    let outcome = bench.store.tap(tap, soon()).await.unwrap();
    assert!(outcome.changed && outcome.active && !outcome.replayed, "{outcome:?}");
}

#[tokio::test]
async fn reads_of_a_foreign_key_are_damage_too() {
    let mut bench = Bench::new().await;
    for place in 0..2 {
        let post = post();
        let keys = bench.keys_of(post).await;
        let _: () = bench.redis.del(&keys[place]).await.unwrap();
        let _: () = bench.redis.set(&keys[place], "another program's").await.unwrap();
        let viewer = Some(crate::support::user(1));
        let query = SummaryQuery { posts: vec![post], viewer, recent: 1 };
        let summary = bench.store.summaries(query, soon()).await;
        assert!(matches!(summary, Err(StoreError::Damaged(_))), "{summary:?}");
        let reaction = (place == 1).then(|| reaction("like"));
        let query = ReactorsQuery { post, reaction, after: None, limit: 5 };
        let reactors = bench.store.reactors(query, soon()).await;
        assert!(matches!(reactors, Err(StoreError::Damaged(_))), "{reactors:?}");
    }
}

#[tokio::test]
async fn a_falsified_count_is_healed_by_the_next_tap() {
    let mut bench = Bench::new().await;
    let post = post();
    let [counts, ..] = bench.keys_of(post).await;
    bench.tap(Verb::Set, post, 2).await.unwrap();
    let stored = |redis: &MultiplexedConnection| {
        let (mut redis, counts) = (redis.clone(), counts.clone());
        async move { redis.hget::<_, _, Option<String>>(counts, "like").await.unwrap() }
    };
    for (falsehood, verb, user, count) in [
        ("9", Verb::Set, 1, 2),
        ("9007199254740993", Verb::Toggle, 3, 3),
        ("-5", Verb::Unset, 9, 3),
        ("9007199254740993", Verb::Set, 1, 3),
        ("no number", Verb::Set, 1, 3),
        ("0", Verb::Toggle, 3, 2),
    ] {
        let revision: u64 = bench.redis.hget(&counts, "_rev").await.unwrap();
        let _: () = bench.redis.hset(&counts, "like", falsehood).await.unwrap();
        assert_eq!(bench.tap(verb, post, user).await, Ok(count), "{falsehood}");
        assert_eq!(stored(&bench.redis).await, Some(count.to_string()));
        // Readers hold the false count under the old revision.
        let healed: u64 = bench.redis.hget(&counts, "_rev").await.unwrap();
        assert!(healed > revision);
    }
    // Somebody deletes the counter alone, then the members alone. No count is negative, and both heal.
    let _: () = bench.redis.del(&counts).await.unwrap();
    assert_eq!(bench.tap(Verb::Toggle, post, 7).await, Ok(3));
    let _: () = bench.redis.del(format!("{counts}:like")).await.unwrap();
    assert_eq!(bench.tap(Verb::Unset, post, 7).await, Ok(0));
    assert_eq!(stored(&bench.redis).await, None);
    assert_eq!(bench.tap(Verb::Toggle, post, 7).await, Ok(1));
}

#[tokio::test]
async fn a_huge_stored_count_is_answered_exactly() {
    let mut bench = Bench::new().await;
    let post = post();
    let [counts, ..] = bench.keys_of(post).await;
    let _: () = bench.redis.hset(&counts, "like", "9007199254740993").await.unwrap();
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let summary = bench.store.summaries(query, soon()).await.unwrap();
    assert_eq!(summary[0].reactions[0].count, 9_007_199_254_740_993);
}

#[tokio::test]
async fn a_revision_beyond_what_lua_can_count_is_damage() {
    let mut bench = Bench::new().await;
    let post = post();
    let [counts, ..] = bench.keys_of(post).await;
    for bad in ["9007199254740992", "1e+17", "soon"] {
        let _: () = bench.redis.hset(&counts, "_rev", bad).await.unwrap();
        let result = bench.tap(Verb::Toggle, post, 1).await;
        assert!(
            bad == "1e+17" || matches!(result, Err(StoreError::Damaged(_))),
            "{bad}: {result:?}"
        );
    }
}

#[tokio::test]
async fn revisions_go_on_from_one_that_is_ahead_of_the_clock() {
    let mut bench = Bench::new().await;
    let post = post();
    let [counts, ..] = bench.keys_of(post).await;
    let ahead: u64 = 8_000_000_000_000_000;
    let _: () = bench.redis.hset(&counts, "_rev", ahead).await.unwrap();
    let mut steps = std::collections::HashSet::new();
    let mut before = ahead;
    for _ in 0..50 {
        let outcome = bench.store.tap(tap(Verb::Toggle, post, 1, "like"), soon()).await.unwrap();
        let step = outcome.revision.0 - before;
        assert!((1..=1024).contains(&step), "{step}");
        steps.insert(step);
        before = outcome.revision.0;
    }
    // Two histories that part here would share hardly any revision.
    assert!(steps.len() > 20, "{steps:?}");
    let entries = changes(&bench.store, post.partition(), 100).await.unwrap();
    let last = &entries.last().unwrap().change;
    assert_eq!(last.revision.0, before);
    assert!(last.occurred_at.0 < ahead, "the time is the clock's, not the revision");
}

#[tokio::test]
async fn the_change_log_is_trimmed_by_age() {
    let server = shared(Kind::Redis);
    let retention = Duration::from_secs(3);
    let kept = Retention { change_log: retention, ..Retention::default() };
    let options = RedisOptions { retention: kept, ..server.options(&prefix()) };
    let store = RedisSource::new(&options).unwrap().attach();
    let post = post();
    for _ in 0..1500 {
        store.tap(tap(Verb::Toggle, post, 1, "like"), soon()).await.unwrap();
    }
    tokio::time::sleep(retention + Duration::from_millis(100)).await;
    for _ in 0..300 {
        store.tap(tap(Verb::Toggle, post, 1, "like"), soon()).await.unwrap();
    }
    let left = changes(&store, post.partition(), 2000).await.unwrap().len();
    // Redis drops whole nodes of 100 entries, so up to one node of old ones may stay.
    assert!((300..=500).contains(&left), "{left} entries are left");
}

/// Entry ids only rise. After a clock was ahead once they stay ahead, so no entry ever looks old.
#[tokio::test]
async fn a_clock_that_was_ahead_once_does_not_stop_the_trimming() {
    let (server, clock) = RedisServer::with_shifted_clock();
    let kept = Retention { change_log: Duration::from_secs(1), ..Retention::default() };
    let options = RedisOptions { retention: kept, ..server.options(&prefix()) };
    let (store, post) = (RedisSource::new(&options).unwrap().attach(), post());
    clock.shift(365 * 24 * 3_600_000);
    store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    clock.shift(0);
    let (watched, watch) = watch::channel(BTreeSet::from([post.partition()]));
    let (teller, mut news) = mpsc::channel(64);
    let follower = store.clone();
    tokio::spawn(async move { follower.follow(watch, teller).await });
    for burst in 0..12 {
        let taps = (0..1000)
            .map(|n| store.tap(tap(Verb::Set, post, 2 + 1000 * burst + n, "like"), soon()));
        for outcome in futures_util::future::join_all(taps).await {
            assert!(outcome.unwrap().changed);
        }
    }
    // A batch in sixteen trims; these are one each.
    for _ in 0..500 {
        store.tap(tap(Verb::Toggle, post, 1, "love"), soon()).await.unwrap();
    }
    let left = changes(&store, post.partition(), 30_000).await.unwrap();
    // Redis trims whole nodes of 100.
    assert!((10_000..=10_600).contains(&left.len()), "{} entries are left", left.len());
    assert!(left[0].change.flag().unwrap().0.integer() > Some(1000), "it is the oldest that go");
    // A follower has heard that it missed changes, and goes on with the next ones.
    let quiet = Duration::from_millis(300);
    while tokio::time::timeout(quiet, news.recv()).await.is_ok() {}
    store.tap(tap(Verb::Unset, post, 1, "like"), soon()).await.unwrap();
    assert_eq!(news.recv().await, Some(News::Changed(vec![post])));
    drop(watched);
}
