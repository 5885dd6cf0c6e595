//! What disagrees in a store, because somebody has written into it.

use onetap::jobs::Task;
use onetap::store::redis::RedisSource;
use onetap::store::{AnyStore, Maintenance as _};
use redis::AsyncCommands as _;

use super::{Jobs, are, held, put};
use crate::support::redis_server::{Kind, shared};
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
