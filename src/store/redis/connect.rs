//! Opening connections: finding the server, and the look at it before it is used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::Pool;
use deadpool_redis::redis::aio::{MultiplexedConnection, SendError};
use deadpool_redis::redis::{self, PushInfo, PushKind, Value};
use futures_util::future::join_all;

use super::address::{Address, Form, Node};
use super::complaints::Complaints;
use super::connection::{Connection, Health};
use super::dial::{ConnectError, Dialer};
use super::inspect::Inspector;
use super::keys::{self, Keys};
use super::slots::SlotMap;
use super::topology::Topology;
use super::{RedisOptions, sentinel};
use crate::domain::Partition;
use crate::store::StoreError;

/// How connections are made.
pub(super) struct Connector {
    address: Address,
    dialer: Dialer,
    inspector: Inspector,
    timeout: Duration,
    /// Where the nodes of a cluster are.
    topology: Option<Topology>,
    layout_checked: AtomicBool,
    /// The server that took writes when last one was found, where there is but one.
    primary: Mutex<Option<Node>>,
    /// Lend connections for exclusive use.
    pools: Mutex<HashMap<Node, Pool>>,
    /// The address, for people; never the password.
    pub(super) place: String,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(options: &RedisOptions, keys: &Keys) -> Result<Self, String> {
        let (address, timeout) = (options.address.clone(), options.connect_timeout);
        let topology = match &address.form {
            Form::Cluster(seeds) => Some(Topology::new(seeds.clone())),
            Form::Single(_) | Form::Sentinel { .. } => None,
        };
        let inspector = Inspector {
            cluster: topology.is_some(),
            layout_key: keys.layout(),
            strict: options.strict,
            warnings: Complaints::default(),
        };
        Ok(Self {
            place: address.place(),
            dialer: Dialer::new(&address, options.ca.as_deref(), timeout)?,
            address,
            inspector,
            timeout,
            topology,
            layout_checked: AtomicBool::new(false),
            primary: Mutex::default(),
            pools: Mutex::default(),
        })
    }

    /// Where the nodes are, if it is a cluster.
    pub(super) fn cluster(&self) -> Option<&Topology> {
        self.topology.as_ref()
    }

    /// A new connection whose reader runs on the current runtime, after a look at what is there: to
    /// this node of a cluster, or else to the server that takes writes now.
    pub(super) async fn open(&self, node: Option<&Node>) -> Result<Connection, ConnectError> {
        let opened = self.in_time(self.find(node)).await;
        if let (Err(_), Some(topology)) = (&opened, &self.topology) {
            topology.want();
        }
        opened
    }

    async fn find(&self, node: Option<&Node>) -> Result<Connection, ConnectError> {
        let mut problem = ConnectError::Unreachable("no primary is known".into());
        let candidates = match (&self.address.form, node) {
            (_, Some(node)) | (Form::Single(node), None) => vec![node.clone()],
            (Form::Sentinel { sentinels, name }, None) => {
                sentinel::primaries(&self.dialer, sentinels, name, self.timeout).await?
            }
            (Form::Cluster(seeds), None) => seeds.clone(),
        };
        for node in candidates {
            match self.open_at(&node).await {
                Ok(connection) => {
                    *self.primary.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
                    return Ok(connection);
                }
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    async fn open_at(&self, node: &Node) -> Result<Connection, ConnectError> {
        let health = Arc::new(Health::default());
        let news = Arc::clone(&health);
        let news = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                news.mark_broken("it was closed", false);
            }
            Ok::<(), SendError>(())
        };
        let mut multiplexed = self.dialer.dial(node, news).await?;
        let clock = self.inspector.check(&mut multiplexed, &node.to_string()).await?;
        Ok(Connection { multiplexed, clock, health })
    }

    /// Looks at every server that can be reached: whether it is one that may be used.
    pub(super) async fn check_all(&self) -> Result<(), ConnectError> {
        let Some(topology) = &self.topology else { return self.open(None).await.map(drop) };
        self.learn().await?;
        let map = topology.map().unwrap_or_default();
        let opening = map.nodes().into_iter().map(|(node, _)| self.open(Some(node)));
        for opened in join_all(opening).await {
            // A node that cannot be reached leaves the others; its lanes go on trying, and say so.
            if let Err(error @ ConnectError::Foreign(_)) = opened {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Learns the map of the cluster. The first one is taken only if the layout is ours.
    pub(super) async fn learn(&self) -> Result<(), ConnectError> {
        let Some(topology) = &self.topology else { return Ok(()) };
        let accept = |map: Arc<SlotMap>| async move {
            if self.layout_checked.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.in_time(self.check_cluster_layout(&map)).await?;
            self.layout_checked.store(true, Ordering::Relaxed);
            Ok(())
        };
        topology.learn(|node| self.in_time(self.ask_for_map(node)), accept).await
    }

    async fn ask_for_map(&self, node: Node) -> Result<SlotMap, ConnectError> {
        let mut connection = self.dial(&node).await?;
        self.inspector.check_kind(&mut connection, &node.to_string()).await?;
        let reply: Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
        SlotMap::read(&reply, &node)
            .ok_or_else(|| ConnectError::Unreachable("its CLUSTER SLOTS cannot be read".into()))
    }

    /// The layout's key is in a slot like any other.
    async fn check_cluster_layout(&self, map: &SlotMap) -> Result<(), ConnectError> {
        let anybody = map.nodes().into_iter().next().map(|(node, _)| node);
        let anybody = anybody.ok_or_else(|| ConnectError::Unreachable("it has no slots".into()))?;
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("KEYSLOT").arg(&self.inspector.layout_key);
        let slot: u16 = ask.query_async(&mut self.dial(anybody).await?).await?;
        let owner = map.owner(slot).ok_or_else(|| {
            ConnectError::Unreachable(format!("no node has slot {slot}, that of the layout"))
        })?;
        self.inspector.check_layout(&mut self.dial(owner).await?).await
    }

    async fn dial(&self, node: &Node) -> Result<MultiplexedConnection, ConnectError> {
        self.dialer.dial(node, |_| Ok::<(), SendError>(())).await
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::Unreachable(format!(
                "no answer within {} ms",
                self.timeout.as_millis()
            ))),
        }
    }

    /// Reads a stretch of a partition's stream on a connection of its own: the entries behind
    /// `after`, or from the oldest.
    pub(super) async fn read_stream(
        &self,
        partition: Partition,
        key: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Value>, StoreError> {
        let unavailable =
            |error: &dyn std::error::Error| StoreError::Unavailable(error.to_string());
        let pool = self.exclusive(partition).await.map_err(|error| unavailable(&error))?;
        let mut connection = pool.get().await.map_err(|error| unavailable(&error))?;
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(key).arg(start).arg("+").arg("COUNT").arg(limit);
        cmd.query_async(&mut connection).await.map_err(|error| {
            if error.code() == Some("WRONGTYPE") {
                return StoreError::Damaged(format!("{key} is not a stream"));
            }
            self.topology.iter().for_each(Topology::want);
            unavailable(&error)
        })
    }

    /// The pool of the server that has this partition now.
    async fn exclusive(&self, partition: Partition) -> Result<Pool, ConnectError> {
        let node = match &self.topology {
            Some(topology) => {
                if topology.map().is_none() {
                    self.learn().await?;
                }
                topology.map().and_then(|map| map.owner(keys::slot(partition)).cloned())
            }
            None => {
                let known = || self.primary.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if known().is_none() {
                    drop(self.open(None).await?);
                }
                known()
            }
        };
        let no_node = || ConnectError::Unreachable("no node has that slot".into());
        let node = node.ok_or_else(no_node)?;
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&node) {
            return Ok(pool.clone());
        }
        // Of servers that have gone, none is kept.
        let map = self.topology.as_ref().and_then(Topology::map).unwrap_or_default();
        pools.retain(|known, _| map.nodes().iter().any(|(node, _)| *node == known));
        let pool = self.dialer.pool(&node)?;
        pools.insert(node, pool.clone());
        Ok(pool)
    }
}
