//! Expensive reads: they are split into pieces, and do not delay taps.

use std::time::Duration;

use onetap::domain::{PostId, Verb};
use onetap::store::redis::RedisStore;
use onetap::store::{Deadline, ReactorsQuery, Store, StoreError, SummaryQuery};

use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{post, posts, reaction, soon, tap, user};

/// Fills posts with this many reactions of this many users each.
async fn fill(store: &RedisStore, posts: &[PostId], reactions: u64, users: u64) {
    for &post in posts {
        let names: Vec<String> = (0..reactions).map(|n| format!("r{n}")).collect();
        let sets = names.iter().flat_map(|name| {
            (1..=users).map(move |id| store.tap(tap(Verb::Set, post, id, name), soon()))
        });
        for set in futures_util::future::join_all(sets).await {
            set.unwrap();
        }
    }
}

async fn calls_of_scripts(server: &RedisServer) -> u64 {
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut server.client().await)
        .await
        .unwrap();
    let line = info.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap_or_default();
    let calls = line.split("calls=").nth(1).and_then(|rest| rest.split(',').next());
    calls.and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

/// The store reads a page of large posts in many calls, and returns it whole and in order.
#[tokio::test]
async fn what_costs_much_is_read_in_pieces_and_answered_whole() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let store = server.store();
    let posts = posts(40);
    fill(&store, &posts, 10, 12).await;
    let before = calls_of_scripts(&server).await;
    let query = SummaryQuery { posts: posts.clone(), viewer: Some(user(3)), recent: 20 };
    let summaries = store.summaries(query, soon()).await.unwrap();
    let large = calls_of_scripts(&server).await - before;
    for (summary, post) in summaries.iter().zip(&posts) {
        assert_eq!((summary.post, summary.reactions.len()), (*post, 10));
        for reaction in &summary.reactions {
            assert_eq!(
                (reaction.count, reaction.mine, reaction.recent.len()),
                (12, Some(true), 12)
            );
        }
    }
    // 40 posts, each about 60 commands' worth, in calls of 500.
    assert!(large >= 4, "{large} calls");
    let before = calls_of_scripts(&server).await;
    let query = SummaryQuery { posts, viewer: None, recent: 0 };
    store.summaries(query, soon()).await.unwrap();
    let small = calls_of_scripts(&server).await - before;
    assert!(small < large, "{small} calls for a page that costs little");
    // Reactors of all reactions, too.
    let query = ReactorsQuery { post: summaries[0].post, reaction: None, after: None, limit: 100 };
    assert_eq!(store.reactors(query, soon()).await.unwrap().reactors.len(), 100);
}

/// One client asks for more than the store can read, while another one taps.
#[tokio::test]
async fn taps_do_not_wait_for_reads() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let options = onetap::store::redis::RedisOptions { queue_bound: 2000, ..server.options("ot") };
    let store = onetap::store::redis::RedisSource::new(&options).unwrap().attach();
    let posts = posts(50);
    fill(&store, &posts, 10, 20).await;
    let reading = |_| {
        let (store, posts) = (store.clone(), posts.clone());
        tokio::spawn(async move {
            let mut refused = 0;
            for _ in 0..5 {
                let query = SummaryQuery { posts: posts.clone(), viewer: None, recent: 20 };
                match store.summaries(query, Deadline::after(Duration::from_secs(2))).await {
                    Ok(_) => {}
                    Err(StoreError::Overloaded | StoreError::Unavailable(_)) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            refused
        })
    };
    let readers: Vec<_> = (0..100).map(reading).collect();
    let tapped = post();
    for id in 1..=50 {
        let deadline = Deadline::after(Duration::from_secs(2));
        let outcome = store.tap(tap(Verb::Set, tapped, id, "like"), deadline).await.unwrap();
        assert_eq!((outcome.count, outcome.changed), (id, true));
    }
    let mut refused = 0;
    for reader in readers {
        refused += reader.await.unwrap();
    }
    assert!(refused > 0, "there was no more than could be read: the test shows nothing");
    let query =
        ReactorsQuery { post: tapped, reaction: Some(reaction("like")), after: None, limit: 100 };
    assert_eq!(store.reactors(query, soon()).await.unwrap().reactors.len(), 50);
}
