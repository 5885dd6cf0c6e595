//! Law 14, on stores whose logs keep few entries: a reader learns about each gap, and gets no false
//! alarm.

use onetap::domain::{PostId, Verb};
use onetap::store::file::{FileOptions, FileStore};
use onetap::store::memory::MemoryStore;
use onetap::store::redis::{RedisOptions, RedisSource};
use onetap::store::{AnyStore, ChangeLog, LogCursor, LogPage, Retention, Store};
use redis::AsyncCommands as _;

use crate::support::file::OPTIONS;
use crate::support::redis_server::{Kind, RedisServer, options};
use crate::support::{post, soon, tap};

/// How many entries the log keeps, and how many taps the test sends.
const KEPT: u32 = 60;
const TAPS: usize = 400;

fn retention() -> Retention {
    Retention { change_log_entries: KEPT, ..Retention::default() }
}

async fn read(store: &impl ChangeLog, post: PostId, after: Option<LogCursor>) -> LogPage {
    store.read(post.partition(), after, 10_000, soon()).await.unwrap()
}

fn revisions(page: &LogPage) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.change.revision.0).collect()
}

/// One writer, who knows all entries, and readers that stopped at every place of the log.
async fn law_14(store: AnyStore) {
    let (post, quiet) = (post(), post());
    let empty = read(&store, quiet, None).await;
    let mut history = Vec::new();
    let mut cursors = vec![read(&store, post, None).await.next];
    let mut dropped = 0;
    for _ in 0..TAPS {
        let outcome = store.tap(tap(Verb::Toggle, post, 1, "like"), soon()).await.unwrap();
        history.push(outcome.revision.0);
        let oldest = read(&store, post, None).await;
        assert!(!oldest.gap, "who begins with the oldest misses nothing");
        dropped = history.len() - oldest.entries.len();
        assert_eq!(revisions(&oldest), history[dropped..]);
        // Readers far behind, at the very edge, and with all.
        let places = [0, dropped.saturating_sub(1), dropped, history.len() - 1];
        for place in places {
            let page = read(&store, post, Some(cursors[place])).await;
            assert_eq!(page.gap, place < dropped, "at {place}, {dropped} are gone");
            assert_eq!(revisions(&page), history[place.max(dropped)..]);
            assert_eq!(page.next.ordinal, history.len() as u64);
        }
        cursors.push(oldest.next);
        // A page is no longer than it may be, and the next goes on behind it.
        let from = Some(cursors[dropped]);
        let first = store.read(post.partition(), from, 7, soon()).await.unwrap();
        assert_eq!(revisions(&first), history[dropped..history.len().min(dropped + 7)]);
        let rest = read(&store, post, Some(first.next)).await;
        assert_eq!(revisions(&rest), history[history.len().min(dropped + 7)..]);
        assert!(!first.gap && !rest.gap);
    }
    assert!(dropped > 100, "{dropped} entries were trimmed");
    // A quiet partition is no gap, however often somebody looks.
    if quiet.partition() != post.partition() {
        assert_eq!(read(&store, quiet, Some(empty.next)).await, empty);
    }
    let last = read(&store, post, Some(cursors[TAPS])).await;
    assert!(last.entries.is_empty() && !last.gap && last.next == cursors[TAPS]);
}

#[tokio::test]
async fn law_14_in_memory() {
    law_14(AnyStore::Memory(MemoryStore::new(retention()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_14_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("onetap.redb");
    let options = || FileOptions { retention: retention(), ..OPTIONS };
    let store = FileStore::open(&path, options()).unwrap();
    law_14(AnyStore::File(store.clone())).await;
    // A new start remembers what is gone.
    let post = post();
    for _ in 0..300 {
        store.tap(tap(Verb::Toggle, post, 1, "like"), soon()).await.unwrap();
    }
    let before = read(&store, post, None).await;
    drop(store);
    let store = FileStore::open(&path, options()).unwrap();
    assert_eq!(read(&store, post, None).await, before);
    assert!(before.next.ordinal > before.entries.len() as u64);
}

async fn redis(kind: Kind) -> (RedisServer, RedisSource) {
    // Redis trims whole nodes of a stream.
    let server = RedisServer::start(kind, &["--stream-node-max-entries", "10"]);
    let options = RedisOptions { retention: retention(), ..options(&server.url(), "ot") };
    (server, RedisSource::new(&options).unwrap())
}

#[tokio::test]
async fn law_14_in_redis() {
    let (server, source) = redis(Kind::Redis).await;
    let store = source.attach();
    law_14(AnyStore::Redis(store.clone())).await;
    // The log goes, as with a FLUSHALL: who has read some of it cannot know what is missing.
    let post = post();
    let begin = read(&store, post, None).await.next;
    store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    let cursor = read(&store, post, Some(begin)).await.next;
    let mut client = server.client().await;
    let logs: Vec<String> = client.keys("*:log").await.unwrap();
    let _: () = client.del(logs).await.unwrap();
    assert!(read(&store, post, Some(cursor)).await.gap);
    store.tap(tap(Verb::Set, post, 2, "like"), soon()).await.unwrap();
    // There are as many entries again, and they are others.
    let page = read(&store, post, Some(cursor)).await;
    assert!(page.gap);
    assert_eq!(page.entries.len(), 1);
    assert!(!read(&store, post, Some(page.next)).await.gap);
}

#[tokio::test]
async fn law_14_in_valkey() {
    let (_server, source) = redis(Kind::Valkey).await;
    law_14(AnyStore::Redis(source.attach())).await;
}
