//! Runs a verb that only this test has beside those that ship.

use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::ops::DropOne;
use super::{CredentialFiles, RedisOptions, RedisSource, RedisStore};
use crate::domain::{PostId, Tap, UserIds, Verb};
use crate::store::{Deadline, Retention, Store as _, StoreError, SummaryQuery};

/// A Redis that ends with the test.
struct Server(Child, u16);

impl Server {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.expect("a free port").port();
        let program = std::env::var_os("ONETAP_TEST_REDIS").unwrap_or("redis-server".into());
        let server = Command::new(program)
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()])
            .args(["--logfile", "/dev/null"])
            .spawn()
            .expect("redis-server is installed: `make tools` does that");
        Self(server, port)
    }

    async fn store(&self) -> RedisStore {
        let source = RedisSource::new(&RedisOptions {
            address: format!("redis://127.0.0.1:{}", self.1).parse().expect("an address"),
            ca: None,
            files: CredentialFiles::default(),
            strict: false,
            user_ids: UserIds::Integer,
            key_prefix: "ot".into(),
            connect_timeout: Duration::from_secs(1),
            queue_bound: 100,
            retention: Retention::default(),
        });
        let source = source.expect("a source");
        let started = Instant::now();
        while source.check().await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "redis-server did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        source.attach()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

async fn drop_one(
    store: &RedisStore,
    post: PostId,
    name: &str,
    deadline: Deadline,
) -> Result<u64, StoreError> {
    let reaction = name.parse().expect("a reaction");
    RedisStore::ask(&store.taps, deadline, DropOne { post, reaction }).await.expect("a lane")
}

#[tokio::test]
async fn a_new_verb_travels_beside_the_others() {
    let server = Server::start();
    let store = server.store().await;
    let post: PostId = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
    for (user, name) in [(1, "like"), (2, "like"), (1, "love")] {
        let (user, reaction) =
            (user.try_into().expect("a user"), name.parse().expect("a reaction"));
        let tap = Tap::new(post, user, Verb::Set, reaction);
        assert!(store.tap(tap, soon()).await.expect("a tap").changed);
    }
    assert_eq!(drop_one(&store, post, "like", soon()).await.expect("an answer"), 2);
    assert_eq!(drop_one(&store, post, "like", soon()).await.expect("an answer"), 0);
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let summary = store.summaries(query, soon()).await.expect("a summary").remove(0);
    let left: Vec<_> =
        summary.reactions.iter().map(|it| (it.reaction.as_str(), it.count)).collect();
    assert_eq!(left, [("love", 1)]);
    // The script checks its deadline, as it does for a tap.
    let late = drop_one(&store, post, "love", Deadline(Instant::now())).await;
    assert!(late.is_err(), "{late:?}");
    assert_eq!(drop_one(&store, post, "love", soon()).await.expect("an answer"), 1);
}
