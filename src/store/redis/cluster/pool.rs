//! Pools of connections for exclusive use: for reading the log, for jobs and exports.
//!
//! Each connection passes the same checks as those of the lanes, so no part of onetap reads from a
//! server that the lanes have rejected.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use deadpool_redis::redis::{self, FromRedisValue, Pipeline};
use deadpool_redis::{Hook, HookError, Pool, PoolError};
use parking_lot::Mutex;

use super::connector::Connector;
use super::slots::receivers;
use super::topology::Topology;
use crate::domain::Partition;
use crate::store::StoreError;
use crate::store::redis::keys;
use crate::store::redis::net::{ConnectError, Lease, Node, run_id};

/// Asks for the run id; the empty text if the user may not run INFO.
const RUN_ID: &str = "#!lua flags=no-writes\nlocal info = redis.pcall('INFO', 'server')\n\
    return type(info) == 'string' and info or ''";

/// A pool for each server, kept while its lease holds.
#[derive(Debug)]
pub(crate) struct Pools {
    connector: Arc<Connector>,
    pools: Mutex<HashMap<Node, (Lease, Pool)>>,
}

/// A server, and what it has.
#[derive(Debug)]
pub(crate) struct Server {
    node: Option<Node>,
    /// Its first partition, by which to ask for it; None if it has none yet.
    first: Option<Partition>,
    /// All its partitions.
    partitions: Vec<usize>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node} {:?}", self.partitions),
            None => f.write_str("the only one"),
        }
    }
}

/// The server to read from.
struct Place {
    node: Node,
    lease: Lease,
    /// The generation in which it was found.
    generation: u64,
    /// Whether its pool is for this query alone.
    is_visit: bool,
}

fn unavailable(error: &dyn std::error::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl Pools {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, pools: Mutex::default() }
    }

    /// Runs commands in one pipeline at the server that has a partition. `what` names their keys,
    /// for people.
    pub(crate) async fn query<T: FromRedisValue>(
        &self,
        partition: Partition,
        commands: &Pipeline,
        what: &str,
    ) -> Result<T, StoreError> {
        let place = self.place(partition).await.map_err(|error| unavailable(&error))?;
        self.query_at(place, commands, what).await
    }

    /// The same at a server.
    pub(crate) async fn query_server<T: FromRedisValue>(
        &self,
        server: &Server,
        commands: &Pipeline,
        what: &str,
    ) -> Result<T, StoreError> {
        match (server.first, &server.node) {
            (None, Some(node)) => self.query_at(self.visit(node), commands, what).await,
            (first, _) => self.query(first.unwrap_or(Partition::FIRST), commands, what).await,
        }
    }

    async fn query_at<T: FromRedisValue>(
        &self,
        place: Place,
        commands: &Pipeline,
        what: &str,
    ) -> Result<T, StoreError> {
        let lease = place.lease.clone();
        let node = place.node.clone();
        let pool = self.pool(place).map_err(|error| unavailable(&error))?;
        let mut connection = pool.get().await.map_err(|error| {
            // An operator may have replaced its credentials; the next pool reads them again.
            if let PoolError::Backend(_) | PoolError::PostCreateHook(_) = &error {
                self.pools.lock().remove(&node);
            }
            unavailable(&error)
        })?;
        let answer = commands.query_async(&mut connection).await.map_err(|error| {
            if error.code() == Some("WRONGTYPE") {
                return StoreError::Damaged(format!("{what} is of another type"));
            }
            self.connector.cluster().into_iter().for_each(Topology::want);
            unavailable(&error)
        });
        if lease.holds() { answer } else { Err(StoreError::Unavailable(lease.why_lost().into())) }
    }

    /// All servers that have a partition, by a map that was asked for after this call.
    pub(crate) async fn servers_anew(&self) -> Result<Vec<Server>, StoreError> {
        if let Some(topology) = self.connector.cluster() {
            topology.outdate().await;
        }
        self.servers(true).await
    }

    /// The servers to which these are moving slots now. Their keys go one by one, and the map
    /// changes when all have gone.
    pub(crate) async fn receivers(&self, servers: &[Server]) -> Result<Vec<Server>, StoreError> {
        let mut found = BTreeSet::new();
        let mut commands = redis::pipe();
        commands.cmd("CLUSTER").arg("NODES");
        for server in servers {
            let Some(node) = &server.node else { continue };
            let (nodes,): (String,) = self.query_server(server, &commands, "the nodes").await?;
            found.extend(receivers(&nodes, node));
        }
        let server = |node| {
            let known = servers.iter().find(|server| server.node.as_ref() == Some(&node));
            let first = known.and_then(|server| server.first);
            Server { node: Some(node), first, partitions: Vec::new() }
        };
        Ok(found.into_iter().map(server).collect())
    }

    /// All servers that have a partition. `fresh`: learns the map of the cluster first.
    pub(crate) async fn servers(&self, fresh: bool) -> Result<Vec<Server>, StoreError> {
        let Some(topology) = self.connector.cluster() else {
            return Ok(vec![Server {
                node: None,
                first: Some(Partition::FIRST),
                partitions: Vec::new(),
            }]);
        };
        if fresh || topology.map().is_none() {
            let learned = self.connector.learn().await;
            learned.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        let map = topology.map().unwrap_or_default();
        if map.by_partition().any(|node| node.is_none()) {
            return Err(StoreError::Unavailable("no node of the cluster has some slots".into()));
        }
        let server = |(node, first): (&Node, _)| {
            let owners = Partition::all().zip(map.by_partition());
            let own = owners.filter(|it| it.1 == Some(node)).map(|it| it.0.index());
            Server { node: Some(node.clone()), first: Some(first), partitions: own.collect() }
        };
        Ok(map.nodes().into_iter().map(server).collect())
    }

    /// The run id of the process of a server; None if the user may not know.
    pub(crate) async fn run_id(&self, server: &Server) -> Result<Option<String>, StoreError> {
        let mut commands = redis::pipe();
        commands.cmd("EVAL").arg(RUN_ID).arg(0);
        let (info,): (String,) = self.query_server(server, &commands, "INFO").await?;
        Ok(run_id(&info).map(str::to_owned))
    }

    /// The server that has this partition now.
    async fn place(&self, partition: Partition) -> Result<Place, ConnectError> {
        let nobody = || ConnectError::Unreachable("no node has that slot".into());
        let Some(topology) = self.connector.cluster() else {
            if self.connector.primary.known().1.is_none() {
                drop(self.connector.open(None).await?);
            }
            let (generation, node, lease) = self.connector.primary.believed();
            let node = node.ok_or_else(nobody)?;
            return Ok(Place { node, lease, generation, is_visit: false });
        };
        if topology.map().is_none() {
            self.connector.learn().await?;
        }
        let map = topology.map().unwrap_or_default();
        let node = map.owner(keys::slot(partition)).ok_or_else(nobody)?.clone();
        let lease = topology.lease(&node).ok_or_else(nobody)?;
        Ok(Place { node, lease, generation: 0, is_visit: false })
    }

    /// A node that has no partition yet. Its lease ends with the visit.
    fn visit(&self, node: &Node) -> Place {
        let lease = self.connector.cluster().and_then(|topology| topology.lease(node));
        let is_visit = lease.is_none();
        Place { node: node.clone(), lease: lease.unwrap_or_default(), generation: 0, is_visit }
    }

    fn pool(&self, place: Place) -> Result<Pool, ConnectError> {
        let mut pools = self.pools.lock();
        pools.retain(|_, (lease, _)| lease.holds());
        if let Some((_, pool)) = pools.get(&place.node) {
            return Ok(pool.clone());
        }
        let Place { node, lease, generation, is_visit } = place;
        let (connector, at, known) = (Arc::clone(&self.connector), node.clone(), lease.clone());
        let pool = self.connector.dialer.pool(
            &node,
            Hook::async_fn(move |connection, _| {
                let (connector, at, known) = (Arc::clone(&connector), at.clone(), known.clone());
                Box::pin(async move {
                    let found = connector.look_at(connection, &at, generation).await;
                    match found {
                        Ok(()) if known.holds() => Ok(()),
                        Ok(()) => Err(HookError::message(known.why_lost())),
                        Err(error) => Err(HookError::message(error.to_string())),
                    }
                })
            }),
        )?;
        if !is_visit {
            pools.insert(node, (lease, pool.clone()));
        }
        Ok(pool)
    }
}
