//! A real cluster on free ports, set up with the commands that `redis-cli --cluster` sends.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value};
use tempfile::TempDir;

use super::redis_server::{Kind, RedisServer, free_port};

pub(crate) const SLOTS: u16 = 16_384;

/// A node and its id in the cluster.
pub(crate) struct ClusterNode {
    pub(crate) server: RedisServer,
    pub(crate) id: String,
    bus: u16,
    kind: Kind,
    /// The arguments that started it.
    args: Vec<String>,
}

/// The nodes: first the primaries, then a replica of each, if there are replicas.
pub(crate) struct Cluster {
    pub(crate) primaries: Vec<ClusterNode>,
    pub(crate) replicas: Vec<ClusterNode>,
    folder: TempDir,
}

/// Sends a command. Panics if the node refuses it.
pub(crate) async fn ask<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    words: &[&str],
) -> T {
    let mut cmd = redis::cmd(words[0]);
    cmd.arg(&words[1..]);
    cmd.query_async(connection).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

impl ClusterNode {
    async fn start(kind: Kind, folder: &TempDir, more: &[String]) -> Self {
        let bus = free_port();
        let (bus_text, port) = (bus.to_string(), free_port());
        let file = folder.path().join(format!("nodes-{port}.conf"));
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let args = [
            &["--cluster-enabled", "yes", "--cluster-config-file", file.to_str().unwrap()][..],
            &["--cluster-port", &bus_text, "--cluster-node-timeout", "1000"],
            &["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"],
            &more,
        ];
        let args = args.concat();
        let server = RedisServer::start_on(kind, port, &args);
        let id = ask(&mut server.client().await, &["CLUSTER", "MYID"]).await;
        let args = args.into_iter().map(str::to_owned).collect();
        Self { server, id, bus, kind, args }
    }

    /// Starts the node again after its process ended. It keeps its id, and nothing else.
    fn restart(&mut self) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.server = RedisServer::start_on(self.kind, self.server.port, &args);
    }

    /// Waits until it is a primary.
    pub(crate) async fn until_promoted(&self) {
        let mut connection = self.server.client().await;
        until("the replica is promoted", async || {
            let role: Vec<Value> = ask(&mut connection, &["ROLE"]).await;
            role[0] == Value::BulkString(b"master".to_vec())
        })
        .await;
    }

    /// Waits until the replica has all writes of its primary.
    async fn until_it_follows(&self) {
        let mut connection = self.server.client().await;
        until("the replica follows", async || {
            let info: String = ask(&mut connection, &["INFO", "replication"]).await;
            info.contains("master_link_status:up")
        })
        .await;
    }
}

impl Cluster {
    pub(crate) async fn start(kind: Kind, primaries: u16, with_replicas: bool) -> Self {
        Self::start_with(kind, primaries, with_replicas, |_| Vec::new()).await
    }

    /// `more` gives further arguments for each node.
    pub(crate) async fn start_with(
        kind: Kind,
        primaries: u16,
        with_replicas: bool,
        more: impl Fn(usize) -> Vec<String>,
    ) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut nodes = Vec::new();
        for i in 0..usize::from(primaries) * (1 + usize::from(with_replicas)) {
            nodes.push(ClusterNode::start(kind, &folder, &more(i)).await);
        }
        let replicas = nodes.split_off(primaries.into());
        let cluster = Self { primaries: nodes, replicas, folder };
        let mut first = cluster.primaries[0].server.client().await;
        for node in cluster.nodes() {
            let (port, bus) = (node.server.port.to_string(), node.bus.to_string());
            let _: () = ask(&mut first, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        }
        let share = SLOTS.div_ceil(primaries);
        for (i, node) in (0..).zip(&cluster.primaries) {
            let (from, to) = (i * share, ((i + 1) * share).min(SLOTS) - 1);
            let range = ["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()];
            let _: () = ask(&mut node.server.client().await, &range).await;
        }
        let all = cluster.nodes().count();
        cluster.until_info(&format!("cluster_known_nodes:{all}\r")).await;
        for (replica, primary) in cluster.replicas.iter().zip(&cluster.primaries) {
            let mut connection = replica.server.client().await;
            let _: () = ask(&mut connection, &["CLUSTER", "REPLICATE", &primary.id]).await;
        }
        cluster.until_info("cluster_state:ok\r").await;
        cluster.until_info(&format!("cluster_slots_ok:{SLOTS}\r")).await;
        for replica in &cluster.replicas {
            replica.until_it_follows().await;
        }
        cluster
    }

    /// Starts a primary again whose replica took over. It comes back as a replica.
    pub(crate) async fn restart_as_replica(&mut self, shard: usize) {
        std::mem::swap(&mut self.primaries[shard], &mut self.replicas[shard]);
        self.replicas[shard].restart();
        self.replicas[shard].until_it_follows().await;
        self.until_info("cluster_state:ok\r").await;
    }

    /// Cuts a primary off from the other nodes. It goes on answering for its slots, and never hears
    /// that its replica has taken them over. It forgets all others in one step, so that it tells
    /// none of them.
    pub(crate) async fn cut_off_and_replace(&self, shard: usize) {
        let (old, new) = (&self.primaries[shard], &self.replicas[shard]);
        let mut forget = redis::pipe();
        for other in self.nodes().filter(|node| node.id != old.id) {
            forget.atomic().cmd("CLUSTER").arg("FORGET").arg(&other.id).ignore();
        }
        let _: () = forget.query_async(&mut old.server.client().await).await.unwrap();
        let takeover = ["CLUSTER", "FAILOVER", "TAKEOVER"];
        let _: () = ask(&mut new.server.client().await, &takeover).await;
        new.until_promoted().await;
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &ClusterNode> {
        self.primaries.iter().chain(&self.replicas)
    }

    /// Waits until this line stands in the CLUSTER INFO of every node.
    async fn until_info(&self, line: &str) {
        for node in self.nodes() {
            let mut connection = node.server.client().await;
            until(line.trim(), async || {
                let info: String = ask(&mut connection, &["CLUSTER", "INFO"]).await;
                info.contains(line)
            })
            .await;
        }
    }

    /// The address for `--store`, with two of the nodes.
    pub(crate) fn url(&self) -> String {
        let hosts =
            self.primaries.iter().take(2).map(|node| format!("127.0.0.1:{}", node.server.port));
        format!("redis+cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// Adds a primary without slots.
    pub(crate) async fn add(&mut self, kind: Kind) {
        let node = ClusterNode::start(kind, &self.folder, &[]).await;
        let (port, bus) = (node.server.port.to_string(), node.bus.to_string());
        let mut first = self.primaries[0].server.client().await;
        let _: () = ask(&mut first, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        self.primaries.push(node);
        let all = self.nodes().count();
        self.until_info(&format!("cluster_known_nodes:{all}\r")).await;
        self.until_info("cluster_state:ok\r").await;
    }

    /// Moves a slot as `redis-cli --cluster reshard` does, a few keys at a time.
    pub(crate) async fn move_slot(&self, slot: u16, from: usize, to: usize, pause: Duration) {
        self.move_keys(slot, from, to, pause).await;
        self.end_move(slot, from, to).await;
    }

    /// Moves the keys of a slot. The slot itself stays where it is, until [`Cluster::end_move`].
    pub(crate) async fn move_keys(&self, slot: u16, from: usize, to: usize, pause: Duration) {
        let (from, to) = (&self.primaries[from], &self.primaries[to]);
        let (mut source, mut target) = (from.server.client().await, to.server.client().await);
        let slot = slot.to_string();
        let importing = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from.id];
        let _: () = ask(&mut target, &importing).await;
        let migrating = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to.id];
        let _: () = ask(&mut source, &migrating).await;
        let port = to.server.port.to_string();
        loop {
            let few = ["CLUSTER", "GETKEYSINSLOT", &slot, "3"];
            let keys: Vec<String> = ask(&mut source, &few).await;
            if keys.is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            let _: Value = ask(&mut source, &migrate).await;
            tokio::time::sleep(pause).await;
        }
    }

    pub(crate) async fn end_move(&self, slot: u16, from: usize, to: usize) {
        let (from, to) = (&self.primaries[from], &self.primaries[to]);
        let (mut source, mut target) = (from.server.client().await, to.server.client().await);
        let slot = slot.to_string();
        let node = ["CLUSTER", "SETSLOT", &slot, "NODE", &to.id];
        let _: () = ask(&mut target, &node).await;
        let _: () = ask(&mut source, &node).await;
    }
}

/// Waits until the condition holds.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(60), "it never came to be that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
