//! Palettes, rules and forgetting over Redis: what lies at its keys, and what full memory or foreign
//! data does.

use std::collections::BTreeMap;
use std::sync::Arc;

use onetap::domain::{
    Act, Add, Edit, Exclusive, Forget, PaletteSpec, PostId, Refusal, RulesEdit, Tap, Verb,
};
use onetap::store::redis::RedisStore;
use onetap::store::{Store, StoreError, SummaryQuery};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;

use crate::support::palettes::palettes;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{post, reaction, soon, tap, user};

struct Bench {
    store: RedisStore,
    redis: MultiplexedConnection,
    _server: RedisServer,
}

impl Bench {
    async fn new(kind: Kind, args: &[&str]) -> Self {
        let server = RedisServer::start(kind, args);
        Self { store: server.store(), redis: server.client().await, _server: server }
    }

    async fn rule(&self, post: PostId, edit: Edit) -> Result<u64, StoreError> {
        let edit = RulesEdit { post, edit, actor: None };
        Ok(self.store.rule(edit, soon()).await?.revision.0)
    }

    async fn forget(&self, post: PostId, name: Option<&str>) -> Result<u64, StoreError> {
        let forget = Forget { post, reaction: name.map(reaction), actor: None };
        Ok(self.store.forget(forget, soon()).await?.removed)
    }

    /// The keys of a post, and its hash.
    async fn kept(&mut self, post: PostId) -> (Vec<String>, BTreeMap<String, String>) {
        let mut keys: Vec<String> = self.redis.keys(format!("*:p:{post}*")).await.unwrap();
        keys.sort();
        let hash = match keys.first() {
            Some(key) => self.redis.hgetall(key).await.unwrap(),
            None => BTreeMap::new(),
        };
        (keys, hash)
    }

    async fn total(&self, post: PostId) -> (u64, bool) {
        let query = SummaryQuery { posts: vec![post], viewer: None, recent: 2 };
        let summary = self.store.summaries(query, soon()).await.unwrap().remove(0);
        (summary.total(), summary.rules.locked)
    }
}

/// A palette with one group, of which a user has one.
fn votes() -> PaletteSpec {
    let group = ["up", "down"].map(reaction).to_vec();
    PaletteSpec { exclusive: Exclusive::Groups(vec![group]), ..PaletteSpec::default() }
}

#[tokio::test]
async fn rules_lie_in_the_hash_of_the_post_and_go_with_it() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let mut bench = Bench::new(kind, &[]).await;
        let post = post();
        bench.rule(post, Edit::Rules(Some("qa".parse().unwrap()), Add::Existing)).await.unwrap();
        bench.rule(post, Edit::Lock(true)).await.unwrap();
        let (keys, mut hash) = bench.kept(post).await;
        assert!(hash.remove("_rev").is_some());
        let expected = [("_add", "existing"), ("_locked", "1"), ("_palette", "qa")];
        assert_eq!(hash, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!((keys.len(), bench.total(post).await), (1, (0, true)));
        // The default rules are no fields, and a post without fields is no key.
        bench.rule(post, Edit::Rules(Some("default".parse().unwrap()), Add::All)).await.unwrap();
        assert_eq!(bench.kept(post).await.1.len(), 2);
        let last = bench.rule(post, Edit::Lock(false)).await.unwrap();
        assert!(bench.kept(post).await.0.is_empty());
        let first = bench.store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
        assert!(first.revision.0 > last);
    }
}

#[tokio::test]
async fn a_tap_is_judged_by_the_palette_that_the_post_names() {
    let bench = Bench::new(Kind::Redis, &[]).await;
    let post = post();
    let few = PaletteSpec { reactions: Some(vec![reaction("yes")]), ..PaletteSpec::default() };
    let palettes = palettes(&[("qa", few), ("votes", votes())]);
    let tap = |verb, name| Tap { palettes: Arc::clone(&palettes), ..tap(verb, post, 1, name) };
    let judged = |name| bench.store.tap(tap(Verb::Set, name), soon());
    assert!(judged("like").await.unwrap().changed);
    bench.rule(post, Edit::Rules(Some("qa".parse().unwrap()), Add::All)).await.unwrap();
    let refused = judged("love").await;
    assert_eq!(refused, Err(StoreError::Refused(Refusal::NotInPalette(reaction("love")))));
    assert!(judged("yes").await.unwrap().changed);
    // What is held stays, and may be removed.
    assert!(!judged("like").await.unwrap().changed);
    assert!(bench.store.tap(tap(Verb::Unset, "like"), soon()).await.unwrap().changed);
    bench.rule(post, Edit::Rules(Some("votes".parse().unwrap()), Add::All)).await.unwrap();
    assert!(judged("up").await.unwrap().changed);
    let replaced = judged("down").await.unwrap();
    assert_eq!(replaced.replaced(), [(reaction("up"), 0)]);
    // A palette that this service does not have offers nothing.
    bench.rule(post, Edit::Rules(Some("gone".parse().unwrap()), Add::All)).await.unwrap();
    let refused = judged("up").await;
    assert_eq!(refused, Err(StoreError::Refused(Refusal::NotInPalette(reaction("up")))));
    assert!(bench.store.tap(tap(Verb::Toggle, "down"), soon()).await.unwrap().changed);
}

#[tokio::test]
async fn full_memory_lets_a_moderator_forget_and_a_user_leave() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let mut bench = Bench::new(kind, &["--maxmemory-policy", "noeviction"]).await;
        let post = post();
        for (id, name) in [(1, "like"), (1, "love"), (2, "like"), (3, "sad")] {
            bench.store.tap(tap(Verb::Set, post, id, name), soon()).await.unwrap();
        }
        let mut set = redis::cmd("CONFIG");
        let set = set.arg("SET").arg("maxmemory").arg("1");
        let _: () = set.query_async(&mut bench.redis).await.unwrap();
        let clear = Tap { act: Act::Exactly(Vec::new()), ..tap(Verb::Set, post, 1, "like") };
        let cleared = bench.store.tap(clear, soon()).await.unwrap();
        assert!(cleared.changed && !cleared.active);
        assert_eq!(bench.total(post).await.0, 2);
        assert!(matches!(
            bench.rule(post, Edit::Lock(true)).await,
            Err(StoreError::Unavailable(_))
        ));
        assert_eq!(bench.forget(post, Some("sad")).await, Ok(1));
        assert_eq!(bench.forget(post, None).await, Ok(1));
        assert!(bench.kept(post).await.0.is_empty());
        assert_eq!(bench.forget(post, None).await, Ok(0));
    }
}

#[tokio::test]
async fn a_foreign_key_of_another_reaction_is_damage_and_nothing_is_half_written() {
    let mut bench = Bench::new(Kind::Redis, &[]).await;
    let post = post();
    let palettes = palettes(&[("default", votes())]);
    for (id, name) in [(1, "up"), (2, "up"), (3, "down")] {
        bench.store.tap(tap(Verb::Set, post, id, name), soon()).await.unwrap();
    }
    let (keys, before) = bench.kept(post).await;
    let up = keys.iter().find(|key| key.ends_with(":up")).unwrap();
    let _: () = bench.redis.del(up).await.unwrap();
    let _: () = bench.redis.set(up, "another program's").await.unwrap();
    let set = Tap { palettes, ..tap(Verb::Set, post, 1, "down") };
    let whole = Tap { act: Act::Exactly(vec![reaction("sad")]), ..set.clone() };
    for asked in [set, whole] {
        let answer = bench.store.tap(asked, soon()).await;
        assert!(matches!(answer, Err(StoreError::Damaged(_))), "{answer:?}");
    }
    // A plain tap meets it when it counts what the user has.
    let one = PaletteSpec { max_per_user_and_post: Some(1), ..PaletteSpec::default() };
    let palettes = self::palettes(&[("default", one)]);
    let plain = Tap { palettes, ..tap(Verb::Set, post, 9, "down") };
    let answer = bench.store.tap(plain, soon()).await;
    assert!(matches!(answer, Err(StoreError::Damaged(_))), "{answer:?}");
    assert!(matches!(bench.forget(post, None).await, Err(StoreError::Damaged(_))));
    assert_eq!(bench.kept(post).await, (keys, before));
    // A log that cannot be written to stops the step, too.
    let post = crate::support::post();
    bench.store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    let (keys, before) = bench.kept(post).await;
    let log = keys[0].replace(&format!("p:{post}"), "log");
    let _: () = bench.redis.del(&log).await.unwrap();
    let _: () = bench.redis.set(&log, "another program's").await.unwrap();
    assert!(matches!(bench.forget(post, None).await, Err(StoreError::Damaged(_))));
    assert!(matches!(bench.rule(post, Edit::Lock(true)).await, Err(StoreError::Damaged(_))));
    let clear = Tap { act: Act::Exactly(Vec::new()), ..tap(Verb::Set, post, 1, "like") };
    assert!(matches!(bench.store.tap(clear, soon()).await, Err(StoreError::Damaged(_))));
    assert_eq!(bench.kept(post).await, (keys, before));
}

#[tokio::test]
async fn rules_that_another_program_wrote_are_damage() {
    let mut bench = Bench::new(Kind::Redis, &[]).await;
    for (field, value) in [("_palette", "x y"), ("_add", "some"), ("_locked", "yes")] {
        let post = post();
        bench.store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
        let key = bench.kept(post).await.0.into_iter().find(|key| !key.ends_with("like")).unwrap();
        let _: () = bench.redis.hset(key, field, value).await.unwrap();
        let before = bench.kept(post).await;
        for verb in [Verb::Set, Verb::Unset] {
            let answer = bench.store.tap(tap(verb, post, 1, "love"), soon()).await;
            assert!(matches!(answer, Err(StoreError::Damaged(_))), "{field}: {answer:?}");
        }
        let answer = bench.rule(post, Edit::Rules(None, Add::All)).await;
        assert!(matches!(answer, Err(StoreError::Damaged(_))), "{field}: {answer:?}");
        assert_eq!(bench.kept(post).await, before);
    }
}

/// A new user's like on a post that has more reactions than anybody may add.
#[tokio::test]
async fn limits_hold_in_posts_that_are_beyond_them() {
    let bench = Bench::new(Kind::Redis, &[]).await;
    let (post, many) = (post(), palettes(&[("default", many())]));
    for n in 0..30 {
        let set = tap(Verb::Set, post, 1, &format!("r{n}"));
        bench.store.tap(Tap { palettes: Arc::clone(&many), ..set }, soon()).await.unwrap();
    }
    let set = |id, name: &str| bench.store.tap(tap(Verb::Set, post, id, name), soon());
    let kinds = StoreError::Refused(Refusal::TooManyKinds(20));
    assert_eq!(set(2, "new").await, Err(kinds));
    for n in 0..20 {
        assert!(set(2, &format!("r{n}")).await.unwrap().changed, "{n}");
    }
    let each = StoreError::Refused(Refusal::TooManyOfUser(20));
    assert_eq!(set(2, "r20").await, Err(each));
    assert!(!set(2, "r19").await.unwrap().changed);
    assert!(bench.store.tap(tap(Verb::Toggle, post, 1, "r29"), soon()).await.unwrap().changed);
    assert_eq!(bench.total(post).await.0, 49);
    let query = SummaryQuery { posts: vec![post], viewer: Some(user(2)), recent: 0 };
    let summary = bench.store.summaries(query, soon()).await.unwrap().remove(0);
    assert_eq!(summary.reactions.iter().filter(|it| it.mine == Some(true)).count(), 20);
}

/// A palette with room for more than the default one has.
fn many() -> PaletteSpec {
    PaletteSpec {
        max_kinds_per_post: Some(100),
        max_per_user_and_post: Some(100),
        ..PaletteSpec::default()
    }
}
