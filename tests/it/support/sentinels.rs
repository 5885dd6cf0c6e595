//! A primary, a replica, and sentinels that watch them: real processes on free ports.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use super::redis_server::{Kind, RedisServer, free_port};

/// The sentinels' name for the primary.
pub(crate) const NAME: &str = "main";

/// How long a primary must be silent before the sentinels look for another, in milliseconds.
const DOWN_AFTER_MS: u64 = 1000;

pub(crate) struct Sentinels {
    pub(crate) primary: RedisServer,
    pub(crate) replica: RedisServer,
    pub(crate) sentinels: Vec<RedisServer>,
    _folder: TempDir,
}

impl Sentinels {
    /// Starts them, and waits until every sentinel knows the replica and the other sentinels.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let fast = ["--repl-diskless-sync-delay", "0"];
        let primary = RedisServer::start(Kind::Redis, &fast);
        let of = ["--replicaof", "127.0.0.1", &primary.port.to_string()];
        let replica = RedisServer::start(Kind::Redis, &[&fast[..], &of].concat());
        let sentinels: Vec<_> = (0..3)
            .map(|i| {
                let port = free_port();
                let file = folder.path().join(format!("sentinel-{i}.conf"));
                let lines = format!(
                    "port {port}\nbind 127.0.0.1\ndir {}\n\
                     sentinel monitor {NAME} 127.0.0.1 {} 2\n\
                     sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n\
                     sentinel failover-timeout {NAME} 3000\n",
                    folder.path().display(),
                    primary.port
                );
                std::fs::write(&file, lines).unwrap();
                RedisServer::sentinel(port, file.to_str().unwrap())
            })
            .collect();
        let all = Self { primary, replica, sentinels, _folder: folder };
        let started = Instant::now();
        for sentinel in &all.sentinels {
            let mut connection = sentinel.client().await;
            loop {
                let info: Vec<String> = redis::cmd("SENTINEL")
                    .arg("MASTER")
                    .arg(NAME)
                    .query_async(&mut connection)
                    .await
                    .unwrap();
                let is = |name: &str, value: &str| {
                    info.chunks(2).any(|pair| pair[0] == name && pair[1] == value)
                };
                if is("num-slaves", "1") && is("num-other-sentinels", "2") {
                    break;
                }
                assert!(started.elapsed() < Duration::from_secs(60), "{info:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Self::until_it_follows(&all.replica).await;
        all
    }

    /// Makes one server a replica of the other, as the sentinels do in the end, and waits for it.
    pub(crate) async fn demote(old: &RedisServer, new: &RedisServer) {
        let to = ["127.0.0.1", &new.port.to_string()];
        let mut old_one = old.client().await;
        let _: () = redis::cmd("REPLICAOF").arg(&to).query_async(&mut old_one).await.unwrap();
        Self::until_it_follows(old).await;
    }

    /// Waits until the replica has all writes of the primary.
    async fn until_it_follows(replica: &RedisServer) {
        let mut replica = replica.client().await;
        let started = Instant::now();
        loop {
            // While a replica loads a large copy, it answers late, or answers LOADING.
            let info: Result<String, _> =
                redis::cmd("INFO").arg("replication").query_async(&mut replica).await;
            if info.as_ref().is_ok_and(|info| info.contains("master_link_status:up")) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{info:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the server is a primary. A server cuts its connections when it becomes one.
    pub(crate) async fn until_promoted(server: &RedisServer) -> MultiplexedConnection {
        let started = Instant::now();
        loop {
            if let Ok(mut connection) = server.try_client().await {
                let role: Result<Vec<redis::Value>, _> =
                    redis::cmd("ROLE").query_async(&mut connection).await;
                if role.is_ok_and(|role| role[0] == redis::Value::BulkString(b"master".to_vec())) {
                    return connection;
                }
            }
            assert!(started.elapsed() < Duration::from_secs(60), "never promoted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The address for `--store`.
    pub(crate) fn url(&self) -> String {
        let hosts = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        format!("redis+sentinel://{}/{NAME}", hosts.collect::<Vec<_>>().join(","))
    }
}
