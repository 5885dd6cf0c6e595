//! A server whose locale orders texts otherwise than by their bytes.

use std::process::Command;

use onetap::domain::{Micros, Reactor, UserId, Verb};
use onetap::store::{ReactorsQuery, Store as _, SummaryQuery};
use redis::AsyncCommands as _;

use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{by, post, reaction, soon, tap};

/// A Redis under en_US. The test compiles that locale itself, since few servers have it.
fn server(kind: Kind) -> (RedisServer, tempfile::TempDir) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let compiled = folder.path().join("en_US.UTF-8");
    let mut localedef = Command::new("localedef");
    localedef.args(["--no-archive", "-i", "en_US", "-f", "UTF-8"]).arg(&compiled);
    let hint = "localedef with the sources of locales (apt-get install locales)";
    // It warns of what the sources leave out, and then ends with 1.
    let _ = localedef.output().expect(hint);
    assert!(compiled.join("LC_COLLATE").exists(), "{hint}");
    let folder_of_locales = folder.path().display().to_string();
    let variables = [("LOCPATH", folder_of_locales), ("LC_ALL", "en_US.UTF-8".to_owned())];
    (RedisServer::with_variables(kind, &variables), folder)
}

#[tokio::test]
async fn users_are_ordered_by_bytes_whatever_the_locale_of_the_server() {
    let users = [
        "+a", "-B", "-a", ".z", "0", "1", "10", "1a", "9", ":", "=", "@b", "@C", "A", "B", "Z",
        "a", "a.b", "aB", "ab", "b", "b-", "z", "|", "~",
    ];
    for kind in [Kind::Redis, Kind::Valkey] {
        let (server, _folder) = server(kind);
        let mut redis = server.client().await;
        let by_bytes: bool = redis::cmd("EVAL")
            .arg("return 'B' < 'a'")
            .arg(0)
            .query_async(&mut redis)
            .await
            .unwrap();
        assert!(!by_bytes, "{kind:?} compares by bytes: this locale shows nothing");

        let (store, post) = (server.store(), post());
        for user in users {
            store.tap(by(user, tap(Verb::Set, post, 1, "like")), soon()).await.unwrap();
        }
        // An import gives many users one time.
        let keys: Vec<String> = redis.keys(format!("*{post}:like")).await.unwrap();
        let same = users.map(|user| (1_000_000, user));
        let _: () = redis.zadd_multiple(&keys[0], &same).await.unwrap();

        let mut expected: Vec<UserId> = users.iter().map(|user| user.parse().unwrap()).collect();
        expected.sort_by(|a, b| b.to_string().as_bytes().cmp(a.to_string().as_bytes()));
        let name = reaction("like");
        for limit in [1, 2, 7, users.len()] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let reaction = Some(name.clone());
                let query = ReactorsQuery { post, reaction, after, limit };
                let page = store.reactors(query, soon()).await.unwrap();
                after = page.next().cloned();
                found.extend(page.reactors.iter().map(|reactor| reactor.user));
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{kind:?}, in pages of {limit}");
        }
        // From the place of each user, and of a user that has gone.
        for (i, user) in expected.iter().copied().enumerate() {
            let place = Reactor { reacted_at: Micros(1_000_000), user, reaction: name.clone() };
            let query = ReactorsQuery { post, reaction: None, after: Some(place), limit: 100 };
            let page = store.reactors(query, soon()).await.unwrap();
            let found: Vec<_> = page.reactors.iter().map(|reactor| reactor.user).collect();
            assert_eq!(found, expected[i + 1..], "{kind:?}, behind {user}");
        }
        let query = SummaryQuery { posts: vec![post], viewer: Some(expected[3]), recent: 5 };
        let summary = store.summaries(query, soon()).await.unwrap().remove(0);
        assert_eq!(summary.reactions[0].mine, Some(true));
        let recent: Vec<_> = summary.reactions[0].recent.iter().map(|r| r.user).collect();
        assert_eq!(recent, expected[..5]);
    }
}
