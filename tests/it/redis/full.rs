//! A Redis with full memory: what still works, and how much it may grow.

use std::collections::BTreeMap;
use std::time::Duration;

use onetap::domain::{Act, Form, Outcome, PostId, Tap, Verb};
use onetap::store::redis::{RedisOptions, RedisSource, RedisStore};
use onetap::store::{Retention, Store, StoreError, SummaryQuery};
use redis::aio::MultiplexedConnection;

use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{keyed_tap, post, reaction, soon, tap, user};

/// How many records a partition may add while memory is full.
const RESERVE: usize = 64;

struct Full {
    server: RedisServer,
    store: RedisStore,
    admin: MultiplexedConnection,
    post: PostId,
}

impl Full {
    /// A post with this many users of `like`, in a Redis that accepts no more data.
    async fn with(kind: Kind, users: u64, records: Duration) -> Self {
        let server = RedisServer::start(kind, &["--maxmemory-policy", "noeviction"]);
        let retention = Retention { records, ..Retention::default() };
        let options = RedisOptions { retention, ..server.options("ot") };
        let store = RedisSource::new(&options).unwrap().attach();
        let (admin, post) = (server.client().await, post());
        let sets = (1..=users).map(|id| store.tap(tap(Verb::Set, post, id, "like"), soon()));
        for set in futures_util::future::join_all(sets).await {
            set.unwrap();
        }
        let mut full = Self { server, store, admin, post };
        full.limit("1").await;
        full
    }

    async fn limit(&mut self, bytes: &str) {
        let mut set = redis::cmd("CONFIG");
        let set = set.arg("SET").arg("maxmemory").arg(bytes);
        let _: () = set.query_async(&mut self.admin).await.unwrap();
    }

    /// The number of keys by kind, without hints, which go with what they name; for the log, the
    /// number of its entries.
    async fn kept(&mut self) -> BTreeMap<String, u64> {
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("ot:*").query_async(&mut self.admin).await.unwrap();
        let mut kept = BTreeMap::new();
        for key in keys {
            let kind = key.rsplit_once("}:").map_or(key.as_str(), |(_, rest)| rest);
            let kind = kind.split(':').next().unwrap_or_default().to_owned();
            let n = match kind.as_str() {
                "u" => continue,
                "log" => redis::cmd("XLEN").arg(&key).query_async(&mut self.admin).await.unwrap(),
                _ => 1,
            };
            *kept.entry(kind).or_default() += n;
        }
        kept
    }

    async fn unset(&self, id: u64, key: Option<&str>) -> Result<Outcome, StoreError> {
        let asked = match key {
            Some(key) => keyed_tap(Form::Unset, self.post, id, "like", key),
            None => tap(Verb::Unset, self.post, id, "like"),
        };
        self.store.tap(asked, soon()).await
    }

    async fn total(&self) -> u64 {
        let query = SummaryQuery { posts: vec![self.post], viewer: Some(user(1)), recent: 2 };
        self.store.summaries(query, soon()).await.unwrap()[0].total()
    }
}

fn is_refused(result: &Result<Outcome, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn a_full_redis_takes_removals_and_refuses_what_would_add_to_it() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let mut full = Full::with(kind, 300, Duration::from_secs(600)).await;
        let before = full.kept().await;
        assert_eq!(before["log"], 300);
        assert!(is_refused(&full.store.tap(tap(Verb::Set, full.post, 999, "like"), soon()).await));
        assert!(is_refused(&full.store.tap(tap(Verb::Toggle, full.post, 1, "like"), soon()).await));
        assert!(full.store.probe(soon()).await.is_err(), "it is not ready for taps");
        // A removal without effect writes nothing. With a key it would write a record, so it is refused.
        assert!(!full.unset(999, None).await.unwrap().changed);
        assert!(is_refused(&full.unset(999, Some("nothing-to-remove")).await));
        assert_eq!(full.kept().await, before);
        // Removals go on, and the log gets no longer.
        for id in 1..=200 {
            let outcome = full.unset(id, None).await.unwrap();
            assert_eq!((outcome.changed, outcome.count), (true, 300 - id));
        }
        assert_eq!(full.kept().await, before);
        assert_eq!(full.total().await, 100);
        // With keys, too, as far as there is a reserve. Each counts once.
        let mut taken = 0;
        for id in 201..=280 {
            let key = id.to_string();
            match full.unset(id, Some(&key)).await {
                Ok(outcome) => {
                    assert!(outcome.changed);
                    assert!(full.unset(id, Some(&key)).await.unwrap().replayed);
                    taken += 1;
                }
                refused => {
                    assert!(is_refused(&refused), "{refused:?}");
                    assert!(full.unset(id, None).await.unwrap().changed, "nothing was applied");
                }
            }
        }
        assert_eq!(taken, RESERVE);
        let mut after = full.kept().await;
        assert_eq!((after.remove("k"), after.remove("full")), (Some(RESERVE as u64), Some(1)));
        assert_eq!(after, before);
        assert_eq!(full.total().await, 20);
        full.limit("0").await;
        full.store.tap(tap(Verb::Set, full.post, 999, "like"), soon()).await.unwrap();
        drop(full.server);
    }
}

/// One call that adds must not fail the removals that travel in the same batch.
#[tokio::test]
async fn an_emptied_set_goes_on_beside_sets_that_add() {
    let full = Full::with(Kind::Redis, 60, Duration::from_secs(600)).await;
    let whole = |id: u64, names: &[&str]| {
        let reactions = names.iter().map(|name| reaction(name)).collect();
        let like = tap(Verb::Set, full.post, id, "like");
        full.store.tap(Tap { act: Act::Exactly(reactions), ..like }, soon())
    };
    let pairs = (1..=60).flat_map(|id| [whole(100 + id, &["love"]), whole(id, &[])]);
    let answers = futures_util::future::join_all(pairs).await;
    for pair in answers.chunks(2) {
        assert!(is_refused(&pair[0]), "{:?}", pair[0]);
        assert!(pair[1].as_ref().is_ok_and(|outcome| outcome.changed), "{:?}", pair[1]);
    }
    assert_eq!(full.total().await, 0);
}

#[tokio::test]
async fn the_reserve_is_there_again_when_its_records_have_expired() {
    let mut full = Full::with(Kind::Redis, 300, Duration::from_secs(3)).await;
    for id in 1..=RESERVE as u64 {
        full.unset(id, Some("k")).await.unwrap();
    }
    assert!(is_refused(&full.unset(100, Some("k")).await));
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert!(full.unset(100, Some("k")).await.unwrap().changed);
    assert_eq!(full.kept().await["k"], 1);
}

/// Followers skip ahead when there are too many changes, and must see that they skipped. So the log
/// keeps some entries.
#[tokio::test]
async fn a_short_log_grows_to_what_followers_need_and_no_further() {
    let mut full = Full::with(Kind::Redis, 300, Duration::from_secs(600)).await;
    let log: Vec<String> =
        redis::cmd("KEYS").arg("ot:*:log").query_async(&mut full.admin).await.unwrap();
    let _: u64 = redis::cmd("DEL").arg(&log).query_async(&mut full.admin).await.unwrap();
    for id in 1..=300 {
        full.unset(id, None).await.unwrap();
    }
    assert_eq!(full.kept().await["log"], 128);
    assert_eq!(full.total().await, 0);
}
