//! Opens connections: finds the server, and checks it before use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::{MultiplexedConnection, SendError};
use deadpool_redis::redis::{self, PushInfo, PushKind, Value};
use futures_util::future::join_all;
use tokio_util::task::AbortOnDropHandle;

use super::primary::{Primary, Server};
use super::slots::SlotMap;
use super::topology::Topology;
use crate::domain::UserIds;
use crate::store::USER_INDEX;
use crate::store::redis::keys::{self, Keys, document_partition};
use crate::store::redis::net::{
    Address, Checked, ConnectError, Connection, CredentialSource, DEMOTED, Deployment, Dialer,
    Health, Lease, Node, Sentinels, ServerChecks, allowed, watch_role,
};

/// Finds, dials and checks servers.
pub(crate) struct Connector {
    address: Address,
    pub(crate) dialer: Dialer,
    checks: ServerChecks,
    timeout: Duration,
    /// The map of the cluster, if the deployment is one.
    topology: Option<Arc<Topology>>,
    layout_checked: AtomicBool,
    /// The server that takes writes, unless the deployment is a cluster.
    pub(crate) primary: Arc<Primary>,
    /// Held by the one task that watches the sentinels.
    looking_out: tokio::sync::Mutex<()>,
    /// The address, for people; never with the password.
    pub(crate) place: String,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(
        address: Address,
        credentials: CredentialSource,
        keys: &Keys,
        user_ids: UserIds,
        strict: bool,
        timeout: Duration,
    ) -> Self {
        let topology = match &address.deployment {
            Deployment::Cluster(seeds) => Some(Arc::new(Topology::new(seeds.clone()))),
            Deployment::Single(_) | Deployment::Sentinel { .. } => None,
        };
        let checks = ServerChecks {
            cluster: topology.is_some(),
            layout_key: keys.layout(),
            index_key: keys.document(USER_INDEX),
            user_ids,
            keys: keys.probe(),
            strict,
            said: parking_lot::Mutex::default(),
        };
        Self {
            place: address.place(),
            dialer: Dialer::new(credentials, timeout),
            address,
            checks,
            timeout,
            topology,
            layout_checked: AtomicBool::new(false),
            primary: Arc::default(),
            looking_out: tokio::sync::Mutex::default(),
        }
    }

    /// The map of the cluster, if the deployment is one.
    pub(crate) fn cluster(&self) -> Option<&Topology> {
        self.topology.as_deref()
    }

    /// Opens and checks a connection to this node of a cluster, or else to the present primary. Its
    /// reader runs on the current runtime.
    pub(crate) async fn open(&self, node: Option<&Node>) -> Result<Connection, ConnectError> {
        let opened = self.in_time(self.find(node)).await;
        if let (Err(_), Some(topology)) = (&opened, &self.topology) {
            topology.want();
        }
        opened
    }

    async fn find(&self, node: Option<&Node>) -> Result<Connection, ConnectError> {
        let Some(node) = node else { return self.find_primary().await };
        let lease = self.topology.as_ref().and_then(|topology| topology.lease(node));
        let gone = || ConnectError::Unreachable("it has no slots any more".into());
        let lease = lease.ok_or_else(gone)?;
        self.open_at(node, |_| Some(lease)).await?.ok_or_else(gone)
    }

    async fn find_primary(&self) -> Result<Connection, ConnectError> {
        loop {
            let (since, known) = self.primary.known();
            let candidates = match (&self.address.deployment, self.sentinels()) {
                (_, Some(sentinels)) => sentinels.primaries(known).await?,
                (Deployment::Single(node), None) => vec![node.clone()],
                (_, None) => Vec::new(),
            };
            let mut problem = Some(ConnectError::Unreachable("no primary is known".into()));
            for node in candidates {
                let believe =
                    |run_id| self.primary.believe(Server { node: node.clone(), run_id }, since);
                match self.open_at(&node, believe).await {
                    Ok(Some(connection)) => return Ok(connection),
                    // Other lanes have found another primary meanwhile; search again.
                    Ok(None) => {
                        problem = None;
                        break;
                    }
                    Err(error) => problem = Some(error),
                }
            }
            if let Some(problem) = problem {
                return Err(problem);
            }
        }
    }

    /// Opens and checks a connection to this node. None if `lease`, which gets the server's run id,
    /// gives none.
    async fn open_at(
        &self,
        node: &Node,
        lease: impl FnOnce(Option<String>) -> Option<Lease>,
    ) -> Result<Option<Connection>, ConnectError> {
        let health = Arc::new(Health::default());
        let news = Arc::clone(&health);
        let news = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                news.mark_broken("it was closed", false);
            }
            Ok::<(), SendError>(())
        };
        let mut multiplexed = self.dialer.dial(node, news).await?;
        let Checked { server_micros, run_id } =
            self.checks.check(&mut multiplexed, &node.to_string()).await?;
        Ok(lease(run_id).map(|lease| {
            let demoted = self.demoted(Arc::clone(&health), lease.clone());
            let role = tokio::spawn(watch_role(multiplexed.clone(), demoted));
            let _role = AbortOnDropHandle::new(role);
            Connection { multiplexed, server_micros, health, lease, _role }
        }))
    }

    /// What to do when the server of a connection becomes a replica: all lanes leave it. In a
    /// cluster it refuses the commands itself, so only the map must be learned again.
    fn demoted(&self, health: Arc<Health>, lease: Lease) -> impl FnOnce() + use<> {
        let (primary, topology) = (Arc::clone(&self.primary), self.topology.clone());
        move || {
            health.mark_broken(DEMOTED, true);
            match topology {
                Some(topology) => topology.want(),
                None => primary.leave(&lease),
            }
        }
    }

    /// Checks the server of a pooled connection to this node as if a lane had opened it. The search
    /// for the primary began in generation `since`.
    pub(crate) async fn look_at(
        &self,
        connection: &mut MultiplexedConnection,
        node: &Node,
        since: u64,
    ) -> Result<(), ConnectError> {
        let Checked { run_id, .. } = self.checks.check(connection, &node.to_string()).await?;
        if self.topology.is_none() {
            self.primary.believe(Server { node: node.clone(), run_id }, since);
        }
        Ok(())
    }

    /// Watches the sentinels. When they name another primary, ends the lease of the old one and
    /// calls `news`. One task does so for all lanes.
    pub(crate) async fn look_out(&self, news: impl Fn()) {
        let Some(sentinels) = self.sentinels() else { return };
        let _alone = self.looking_out.lock().await;
        let elected = |node: &Node| {
            if self.primary.doubt_unless_at(node) {
                news();
            }
        };
        sentinels.watch(elected).await;
    }

    fn sentinels(&self) -> Option<Sentinels<'_>> {
        let Deployment::Sentinel { sentinels: nodes, name } = &self.address.deployment else {
            return None;
        };
        Some(Sentinels { dialer: &self.dialer, nodes, name, timeout: self.timeout })
    }

    /// Checks every server that can be reached.
    pub(crate) async fn check_all(&self) -> Result<(), ConnectError> {
        let Some(topology) = &self.topology else { return self.open(None).await.map(drop) };
        self.learn().await?;
        let map = topology.map().unwrap_or_default();
        let opening = map.nodes().into_iter().map(|(node, _)| self.open(Some(node)));
        for opened in join_all(opening).await {
            // An unreachable node does not fail the check; its lanes keep trying, and log it.
            if let Err(error @ ConnectError::Foreign(_)) = opened {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Learns the map of the cluster. Accepts the first map only if the layout is ours.
    pub(crate) async fn learn(&self) -> Result<(), ConnectError> {
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
        self.checks.check_kind(&mut connection, &node.to_string()).await?;
        // Both at once, the epochs first. A change in between makes the map look older than it is,
        // and the next round learns it.
        let (mut epochs, mut slots) = (redis::cmd("CLUSTER"), redis::cmd("CLUSTER"));
        let (epochs, slots) = (epochs.arg("NODES"), slots.arg("SLOTS"));
        let mut another = connection.clone();
        let (epochs, slots) = tokio::join!(
            epochs.query_async(&mut another),
            slots.query_async::<Value>(&mut connection)
        );
        let epochs: Option<String> = allowed(epochs)?;
        SlotMap::read(&slots?, epochs.as_deref(), &node)
            .ok_or_else(|| ConnectError::Unreachable("its CLUSTER SLOTS cannot be read".into()))
    }

    /// The layout key has a slot like any other key.
    async fn check_cluster_layout(&self, map: &SlotMap) -> Result<(), ConnectError> {
        let anybody = map.nodes().into_iter().next().map(|(node, _)| node);
        let anybody = anybody.ok_or_else(|| ConnectError::Unreachable("it has no slots".into()))?;
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("KEYSLOT").arg(&self.checks.layout_key);
        let slot: u16 = ask.query_async(&mut self.dial(anybody).await?).await?;
        let owner = map.owner(slot).ok_or_else(|| {
            ConnectError::Unreachable(format!("no node has slot {slot}, that of the layout"))
        })?;
        let index = map.owner(keys::slot(document_partition(USER_INDEX))).ok_or_else(|| {
            ConnectError::Unreachable("no node has the slot of the index's document".into())
        })?;
        let (mut layout, mut index) = (self.dial(owner).await?, self.dial(index).await?);
        self.checks.check_layout(&mut layout, &mut index).await
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
}
