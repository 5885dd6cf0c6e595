//! What disagrees in a store, because somebody has written into it.

use std::path::Path;
use std::time::{Duration, Instant};

use onetap::domain::Palettes;
use onetap::jobs::{Lists, Rates, State, Task};
use onetap::store::redis::RedisSource;
use onetap::store::{AnyStore, Maintenance as _, USER_INDEX};
use redb::TableDefinition;
use redis::AsyncCommands as _;

use super::{Jobs, are, held, put};
use crate::support::file::open_at;
use crate::support::redis_server::{Kind, RedisServer, shared};
use crate::support::{posts, prefix, soon, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_finds_what_disagrees_and_repairs_it() {
    let (server, prefix) = (shared(Kind::Redis), prefix());
    let source = RedisSource::new(&server.options(&prefix)).unwrap();
    let store = AnyStore::Redis(source.attach());
    let (jobs, posts) = (Jobs::over(&store), posts(40));
    let members = [(7, "like", 10), (8, "like", 20), (8, "love", 30)];
    for post in &posts {
        put(&store, *post, &members).await;
    }
    // A count that is wrong, and an index that is gone.
    let mut client = server.client().await;
    let mut keys = async |pattern: String| -> Vec<String> { client.keys(pattern).await.unwrap() };
    let hints = keys(format!("{prefix}:*:u:*")).await;
    let post = keys(format!("{prefix}:*:p:{}", posts[3])).await;
    assert!(!hints.is_empty() && post.len() == 1);
    let mut client = server.client().await;
    let _: () = client.del(hints).await.unwrap();
    let _: () = client.hset(&post[0], "like", 9).await.unwrap();
    assert_eq!(jobs.done(Task::Erase { user: user(7) }).await.numbers.get("found"), 0);

    for (repair, repaired) in [(false, 0), (true, 40), (true, 0)] {
        let job = jobs.done(Task::Audit { repair }).await;
        let drifted = if repair && repaired == 0 { 0 } else { 40 };
        assert_eq!(job.numbers.get("drifted"), drifted, "{job:?}");
        assert_eq!(job.numbers.get("repaired"), repaired, "{job:?}");
        let lines = jobs.lines(&job).await;
        assert_eq!(lines.len() as u64, drifted);
        let wrong = r#"{"count":9,"members":2,"reaction":"like","what":"count"}"#;
        let named = lines.iter().filter(|line| line.contains(wrong)).count();
        assert_eq!(named, usize::from(drifted > 0), "{lines:?}");
    }
    for post in &posts {
        assert_eq!(held(&store, *post).await, are(&members));
    }
    assert_eq!(store.given(user(8), None, 100, soon()).await.unwrap().given.len(), 80);
    assert_eq!(jobs.done(Task::Erase { user: user(7) }).await.numbers.get("removed"), 40);
}

async fn given(store: &AnyStore, id: u64) -> usize {
    store.given(user(id), None, 1_000, soon()).await.unwrap().given.len()
}

/// Processes of an earlier release write members without hints. The background audit of any process
/// finds that, and has the index completed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_background_audit_has_an_index_with_gaps_completed() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let source = RedisSource::new(&server.options(&prefix())).unwrap();
    let (store, posts) = (AnyStore::Redis(source.attach()), posts(60));
    for post in &posts {
        put(&store, *post, &[(7, "like", 10), (8, "love", 20)]).await;
    }
    assert!(store.document(USER_INDEX, soon()).await.unwrap().is_some());
    let mut client = server.client().await;
    let hints: Vec<String> = client.keys("*:u:*").await.unwrap();
    let _: () = client.del(hints).await.unwrap();
    assert_eq!(given(&store, 7).await, 0);
    let rates = Rates { jobs: 1_000_000, audit: 1_000 };
    let jobs = Jobs::at_rates(&store, Palettes::unconfigured(), rates);
    let started = Instant::now();
    let audit = loop {
        let listed = jobs.book.page(None, 10, soon()).await.unwrap().jobs;
        let done = listed.into_iter().find(|job| job.state == State::Done);
        if let Some(job) = done
            && store.document(USER_INDEX, soon()).await.unwrap().is_some()
        {
            break job;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no audit completes the index");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((audit.task, audit.actor), (Task::Audit { repair: true }, None));
    assert_eq!(audit.numbers.get("repaired"), 60);
    assert_eq!((given(&store, 7).await, given(&store, 8).await), (60, 60));
    assert_eq!(jobs.done(Task::Erase { user: user(7) }).await.numbers.get("removed"), 60);
}

/// Audits with repair. Returns the lines about damage.
async fn damage(store: &AnyStore) -> Vec<String> {
    let jobs = Jobs::over(store);
    let job = jobs.start(Task::Audit { repair: true }, Lists::default()).await;
    let job = jobs.ended(&job).await;
    assert_eq!(job.state, State::Failed, "{job:?}");
    let mut lines = jobs.lines(&job).await;
    lines.retain(|line| line.contains("\"damaged\""));
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sound_reactions_of_a_damaged_post_get_into_the_index() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let source = RedisSource::new(&server.options(&prefix())).unwrap();
    let (store, posts) = (AnyStore::Redis(source.attach()), posts(3));
    let many: Vec<(u64, &str, u64)> = (1_000..2_500).map(|id| (id, "like", id)).collect();
    for post in &posts {
        put(&store, *post, &[(7, "like", 10), (7, "love", 20), (7, "sad", 30)]).await;
    }
    put(&store, posts[0], &many).await;
    let mut client = server.client().await;
    let hints: Vec<String> = client.keys("*:u:*").await.unwrap();
    let _: () = client.del(hints).await.unwrap();
    let key = async |end: &str| -> String {
        let mut client = server.client().await;
        let keys: Vec<String> = client.keys(format!("*:p:{end}")).await.unwrap();
        keys.into_iter().next().unwrap()
    };
    // One reaction of a post, and the counts of another post, hold what onetap did not write.
    for odd in [format!("{}:sad", posts[0]), posts[1].to_string()] {
        let key = key(&odd).await;
        let _: () = client.del(&key).await.unwrap();
        let _: () = client.set(&key, "odd").await.unwrap();
    }
    let lines = damage(&store).await;
    assert!(lines.iter().any(|line| line.contains(&posts[0].to_string())), "{lines:?}");
    // Two of the first post, three of each other.
    assert_eq!(given(&store, 7).await, 2 + 3 + 3);
    for id in [1_000, 2_499] {
        assert_eq!(given(&store, id).await, 1, "{id}");
    }
}

/// Changes a closed file behind the store's back.
fn changed(file: &Path, change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>)) {
    let engine = redb::Database::open(file).unwrap();
    let txn = engine.begin_write().unwrap();
    change(&mut txn.open_table(TableDefinition::new("posts")).unwrap());
    let given = TableDefinition::<&[u8], ()>::new("given");
    assert!(txn.delete_table(given).unwrap());
    txn.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_a_file_ends_no_walk_and_keeps_nothing_sound_out_of_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let (store, mut posts) = (AnyStore::File(open_at(&file)), posts(30));
    posts.sort();
    for post in &posts {
        put(&store, *post, &[(7, "like", 10), (7, "sad", 20), (8, "like", 30)]).await;
    }
    drop(store);
    let of = |post: usize, rest: &[u8]| [&posts[post].as_uuid().as_bytes()[..], rest].concat();
    changed(&file, |table| {
        // Entries of no post, before, between and behind the posts, and of no form in two posts.
        for odd in [vec![0, 1], vec![1; 15], of(3, &[])[..9].to_vec(), of(4, &[u8::MAX, 1])] {
            table.insert(&odd[..], &b"odd"[..]).unwrap();
        }
        table.insert(&[u8::MAX; 20][..], &b"odd"[..]).unwrap();
        table.insert(&of(5, b"mNo Name")[..], &b"odd"[..]).unwrap();
        table.remove(&of(6, &[b"osad\0", &20u64.to_be_bytes()[..], b"7"].concat())[..]).unwrap();
    });
    let store = AnyStore::File(open_at(&file));
    assert_eq!(given(&store, 7).await, 0);
    let lines = damage(&store).await;
    let odd: Vec<_> = lines.iter().filter(|line| !line.contains("post_id")).collect();
    assert_eq!(
        odd,
        [r#"{"damaged":"5 entries of the store file belong to no post"}"#],
        "{lines:?}"
    );
    // All but the one that no list of the post has.
    assert_eq!((given(&store, 7).await, given(&store, 8).await), (59, 30));
    // Other jobs find all posts, too.
    let jobs = Jobs::over(&store);
    let task = Task::Rename {
        from: crate::support::reaction("like"),
        to: crate::support::reaction("love"),
        listed: false,
    };
    let started = jobs.start(task, Lists::default()).await;
    let job = jobs.ended(&started).await;
    assert!(job.numbers.get("removed") >= 2 * 28, "{job:?}");
    assert_eq!(job.state, State::Failed, "it could not see everything");
}
