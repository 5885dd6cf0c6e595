//! Redis users with limited rights.

use std::time::Duration;

use onetap::domain::{Form, Verb};
use onetap::store::redis::{ConnectError, RedisSource, RedisStore};
use onetap::store::{ReactorsQuery, Store, StoreError, SummaryQuery};
use redis::aio::MultiplexedConnection;
use tokio::sync::{mpsc, watch};

use crate::support::cluster::Cluster;
use crate::support::fault_proxy::until;
use crate::support::redis_server::{Kind, RedisServer, options};
use crate::support::{changes, keyed_tap, post, posts, prefix, soon, tap};

/// The rights that docs/operations.md tells an operator to grant, for keys with this prefix.
fn documented(prefix: &str) -> Vec<String> {
    let guide = include_str!("../../../docs/operations.md");
    let line = guide.lines().find_map(|line| line.split_once("ACL SETUSER onetap on >PASSWORD "));
    let rules = line.expect("the rules for a user").1.trim_end_matches('`');
    rules.split_whitespace().map(|rule| rule.replace("ot:", &format!("{prefix}:"))).collect()
}

async fn set_user(admin: &mut MultiplexedConnection, rules: &[String]) {
    let mut cmd = redis::cmd("ACL");
    cmd.arg(&["SETUSER", "tapper", "reset", "on", ">pw"]).arg(rules);
    let _: () = cmd.query_async(admin).await.unwrap();
}

fn source(server: &RedisServer, prefix: &str) -> RedisSource {
    let url = format!("redis://tapper:pw@127.0.0.1:{}", server.port);
    RedisSource::new(&options(&url, prefix)).unwrap()
}

async fn keys(admin: &mut MultiplexedConnection, pattern: &str) -> Vec<String> {
    let mut keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(admin).await.unwrap();
    keys.retain(|key| !key.ends_with(":layout"));
    keys
}

async fn set(store: &RedisStore, post: onetap::domain::PostId) -> Result<u64, StoreError> {
    store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.map(|outcome| outcome.count)
}

/// A script does not roll back, so it must know all that it may not do before its first write.
#[tokio::test]
async fn a_user_who_may_not_do_all_of_a_tap_does_nothing_of_it() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let server = RedisServer::start(kind, &[]);
        let mut admin = server.client().await;
        for denied in [
            "time", "evalsha", "get", "hget", "zadd", "zscore", "xadd", "xtrim", "xlen", "zcard",
            "zrem", "hset", "hdel", "hexists", "hlen", "set", "del", "hmget", "hkeys", "unlink",
        ] {
            let prefix = prefix();
            let _: () = redis::cmd("SET")
                .arg(&[&format!("{prefix}:layout"), "1"])
                .query_async(&mut admin)
                .await
                .unwrap();
            let rules = [documented(&prefix), vec![format!("-{denied}")]].concat();
            set_user(&mut admin, &rules).await;
            let source = source(&server, &prefix);
            let refused = source.check().await;
            let Err(ConnectError::Foreign(why)) = refused else { panic!("{denied}: {refused:?}") };
            assert!(why.to_lowercase().contains(denied), "{denied}: {why}");
            let store = source.attach();
            let post = post();
            let keyed = keyed_tap(Form::Toggle, post, 1, "like", "k");
            for tapped in [set(&store, post).await, store.tap(keyed, soon()).await.map(|o| o.count)]
            {
                assert!(matches!(tapped, Err(StoreError::Unavailable(_))), "{denied}: {tapped:?}");
            }
            assert!(store.probe(soon()).await.is_err());
            let left = keys(&mut admin, &format!("{prefix}:*")).await;
            assert!(left.is_empty(), "{kind:?} {denied}: {left:?}");
        }
    }
}

#[tokio::test]
async fn the_documented_rights_suffice_and_reach_no_other_key() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let (server, prefix) = (RedisServer::start(kind, &[]), prefix());
        let mut admin = server.client().await;
        set_user(&mut admin, &documented(&prefix)).await;
        let source = source(&server, &prefix);
        source.check().await.unwrap();
        let (store, post) = (source.attach(), post());
        store.probe(soon()).await.unwrap();
        let (watching, watched) = watch::channel([post.partition()].into());
        let (news, mut told) = mpsc::channel(10);
        let following = tokio::spawn({
            let store = store.clone();
            async move { store.follow(watched, news).await }
        });
        told.recv().await.expect("it follows");
        assert_eq!(set(&store, post).await, Ok(1));
        told.recv().await.expect("it hears of the tap");
        let keyed = keyed_tap(Form::Toggle, post, 2, "like", "k");
        assert_eq!(store.tap(keyed.clone(), soon()).await.unwrap().count, 2);
        assert!(store.tap(keyed, soon()).await.unwrap().replayed);
        let viewer = Some(crate::support::user(1));
        let query = SummaryQuery { posts: vec![post], viewer, recent: 3 };
        assert_eq!(store.summaries(query, soon()).await.unwrap()[0].total(), 2);
        let query = ReactorsQuery { post, reaction: None, after: None, limit: 1 };
        let page = store.reactors(query, soon()).await.unwrap();
        let after = page.next().cloned();
        let query = ReactorsQuery { post, reaction: None, after, limit: 1 };
        assert_eq!(store.reactors(query, soon()).await.unwrap().reactors.len(), 1);
        for _ in 0..2 {
            let entries = changes(&store, post.partition(), 10).await.unwrap();
            assert_eq!(entries.len(), 2);
        }
        for user in [1, 2] {
            store.tap(tap(Verb::Unset, post, user, "like"), soon()).await.unwrap();
        }
        drop((watching, told));
        following.await.unwrap();
        set_user(&mut admin, &documented("another")).await;
        let refused = self::source(&server, &prefix).check().await;
        assert!(matches!(refused, Err(ConnectError::Foreign(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn rights_that_are_taken_away_cost_one_tap_at_most_and_it_is_in_doubt() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let (server, prefix) = (RedisServer::start(kind, &[]), prefix());
        let mut admin = server.client().await;
        set_user(&mut admin, &documented(&prefix)).await;
        let store = source(&server, &prefix).attach();
        let posts = [post(), post(), post()];
        assert_eq!(set(&store, posts[0]).await, Ok(1));
        let mut take = redis::cmd("ACL");
        take.arg(&["SETUSER", "tapper", "-hset"]);
        let _: () = take.query_async(&mut admin).await.unwrap();
        assert_eq!(set(&store, posts[1]).await, Err(StoreError::OutcomeUnknown));
        for _ in 0..20 {
            let refused = set(&store, posts[2]).await;
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(keys(&mut admin, &format!("*{}*", posts[2])).await, [""; 0]);
        set_user(&mut admin, &documented(&prefix)).await;
        until("taps are counted again", async || set(&store, posts[2]).await == Ok(1)).await;
        assert_eq!(set(&store, posts[1]).await, Ok(1), "what was half written is healed");
    }
}

/// The script flipped the flag and left no record. Another run would flip it back.
#[tokio::test]
async fn a_tap_with_a_key_whose_script_broke_off_is_not_sent_again() {
    let (server, prefix) = (RedisServer::start(Kind::Redis, &[]), prefix());
    let mut admin = server.client().await;
    set_user(&mut admin, &documented(&prefix)).await;
    let store = source(&server, &prefix).attach();
    let post = post();
    store.tap(keyed_tap(Form::Toggle, post, 1, "like", "k1"), soon()).await.unwrap();
    let mut take = redis::cmd("ACL");
    let _: () = take.arg(&["SETUSER", "tapper", "-set"]).query_async(&mut admin).await.unwrap();
    let (asked, tapped) = (store.clone(), keyed_tap(Form::Toggle, post, 2, "like", "k2"));
    let tapping = tokio::spawn(async move { asked.tap(tapped, soon()).await });
    let log = format!("{prefix}:{{*}}:log");
    until("it has flipped", async || {
        let logs = keys(&mut server.client().await, &log).await;
        let entries: usize =
            redis::cmd("XLEN").arg(&logs[0]).query_async(&mut server.client().await).await.unwrap();
        entries == 2
    })
    .await;
    set_user(&mut admin, &documented(&prefix)).await;
    assert_eq!(tapping.await.unwrap(), Err(StoreError::OutcomeUnknown));
    let flag = tap(Verb::Set, post, 2, "like");
    until("taps are counted again", async || store.tap(flag.clone(), soon()).await.is_ok()).await;
    let entries = changes(&store, post.partition(), 10).await.unwrap();
    assert_eq!(entries.len(), 2, "{entries:?}");
}

#[tokio::test]
async fn the_documented_rights_suffice_for_a_cluster() {
    let (cluster, prefix) = (Cluster::start(Kind::Redis, 2, false).await, prefix());
    for node in &cluster.primaries {
        set_user(&mut node.server.client().await, &documented(&prefix)).await;
    }
    let url = cluster.url().replace("://", "://tapper:pw@");
    let source = RedisSource::new(&options(&url, &prefix)).unwrap();
    source.check().await.unwrap();
    let store = source.attach();
    for post in posts(20) {
        assert_eq!(set(&store, post).await, Ok(1));
        let entries = changes(&store, post.partition(), 10).await.unwrap();
        assert!(!entries.is_empty());
    }
}
