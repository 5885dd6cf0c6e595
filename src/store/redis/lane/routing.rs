//! Routes each call to a lane: the only one, or in a cluster that of the partition's node.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::task::AbortOnDropHandle;

use super::call::Call;
use super::context::LaneContext;
use super::lane::{Lane, Requeue};
use crate::domain::Partition;
use crate::store::redis::cluster::{Known, SlotMap, Topology};
use crate::store::redis::net::Node;
use crate::store::{Deadline, StoreError};

/// The pause before onetap asks a cluster for its map again: after a success, and after a failure.
const SHORT_PAUSE: Duration = Duration::from_millis(50);
const LONG_PAUSE: Duration = Duration::from_millis(500);

/// The lanes of one runtime.
#[derive(Clone, Debug)]
pub(crate) enum Lanes {
    /// One server has all partitions.
    One(Arc<LaneContext>, mpsc::Sender<Call>),
    /// Each node serves its partitions.
    PerNode(Arc<NodeLanes>),
}

/// The same for a lane. Weak, so that the lane ends when all others have dropped the lanes.
#[derive(Clone, Debug)]
pub(super) enum WeakLanes {
    One(Arc<LaneContext>, mpsc::WeakSender<Call>),
    PerNode(Weak<NodeLanes>),
}

impl Lanes {
    /// Opens the lanes on the current runtime.
    pub(crate) fn open(context: &Arc<LaneContext>) -> Self {
        if context.connector.cluster().is_some() {
            return Self::PerNode(NodeLanes::open(context));
        }
        let (lane, incoming) = channel(context);
        let back = WeakLanes::One(Arc::clone(context), lane.downgrade());
        tokio::spawn(Lane::new(Arc::clone(context), incoming, back, None).run());
        Self::One(Arc::clone(context), lane)
    }

    /// The first time, waits until onetap knows which node has which partition.
    pub(crate) async fn ready(&self, deadline: Deadline) -> Result<(), StoreError> {
        match self {
            Self::One(..) => Ok(()),
            Self::PerNode(nodes) => nodes.ready(deadline).await,
        }
    }

    /// Puts a call on its lane, or fails it.
    pub(crate) fn send(&self, call: Call) {
        match self {
            Self::One(context, lane) => put(context, lane, call),
            Self::PerNode(nodes) => nodes.send(call),
        }
    }

    /// One partition of each server.
    pub(crate) fn one_partition_each(&self) -> Vec<Partition> {
        match self {
            Self::One(..) => vec![Partition::FIRST],
            Self::PerNode(nodes) => match nodes.topology().and_then(Topology::map) {
                Some(map) => map.nodes().into_iter().map(|(_, first)| first).collect(),
                None => vec![Partition::FIRST],
            },
        }
    }
}

impl WeakLanes {
    fn upgrade(&self) -> Option<Lanes> {
        match self {
            Self::One(context, lane) => Some(Lanes::One(Arc::clone(context), lane.upgrade()?)),
            Self::PerNode(nodes) => nodes.upgrade().map(Lanes::PerNode),
        }
    }
}

impl Requeue for WeakLanes {
    fn requeue(&self, call: Call) {
        match self.upgrade() {
            Some(lanes) => lanes.send(call),
            None => call.fail(StoreError::Unavailable("the service is stopping".into())),
        }
    }
}

/// Half of the bound is the channel, the other half the lane's own queue.
fn channel(context: &LaneContext) -> (mpsc::Sender<Call>, mpsc::Receiver<Call>) {
    mpsc::channel(context.queue_bound.div_ceil(2))
}

fn put(context: &LaneContext, lane: &mpsc::Sender<Call>, call: Call) {
    match lane.try_send(call) {
        Ok(()) => {}
        Err(TrySendError::Full(call)) => {
            context.stats.overloads.add(1);
            call.fail(StoreError::Overloaded);
        }
        Err(TrySendError::Closed(call)) => {
            call.fail(StoreError::Unavailable("the service is stopping".into()));
        }
    }
}

/// The lanes of one runtime to the nodes of a cluster.
#[derive(Debug)]
pub(crate) struct NodeLanes {
    context: Arc<LaneContext>,
    me: Weak<Self>,
    table: Mutex<RoutingTable>,
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

/// The lane of each partition.
#[derive(Debug, Default)]
struct RoutingTable {
    /// The map behind this table.
    map: Arc<SlotMap>,
    lanes: HashMap<Node, mpsc::Sender<Call>>,
    by_partition: Vec<Option<mpsc::Sender<Call>>>,
}

impl NodeLanes {
    fn open(context: &Arc<LaneContext>) -> Arc<Self> {
        let lanes = Arc::new_cyclic(|me| Self {
            context: Arc::clone(context),
            me: me.clone(),
            table: Mutex::default(),
            keeper: OnceLock::new(),
        });
        let keeper = tokio::spawn(keep(Arc::clone(context)));
        // Cannot fail: it is set only here.
        let _ = lanes.keeper.set(AbortOnDropHandle::new(keeper));
        lanes
    }

    fn topology(&self) -> Option<&Topology> {
        self.context.connector.cluster()
    }

    async fn ready(&self, deadline: Deadline) -> Result<(), StoreError> {
        let Some(topology) = self.topology().filter(|topology| topology.map().is_none()) else {
            return Ok(());
        };
        let deadline = tokio::time::Instant::from_std(deadline.0);
        match tokio::time::timeout_at(deadline, topology.attempted()).await {
            Ok(Known::Map(_)) => Ok(()),
            Ok(Known::Failed(problem)) => Err(StoreError::Unavailable(problem)),
            Ok(Known::Nothing) | Err(_) => {
                Err(StoreError::Unavailable("no node of the cluster answers".into()))
            }
        }
    }

    fn send(&self, call: Call) {
        let Some((topology, map)) = self.topology().and_then(|all| Some((all, all.map()?))) else {
            return call.fail(StoreError::Unavailable("no node of the cluster answers".into()));
        };
        if call.returns > 0 {
            // The call came back, so a partition may have moved.
            topology.want();
        }
        let mut table = self.table.lock();
        if !Arc::ptr_eq(&table.map, &map) {
            self.reroute(&mut table, map);
        }
        match table.by_partition.get(call.partition().index()) {
            Some(Some(lane)) => put(&self.context, lane, call),
            _ => {
                topology.want();
                call.fail(StoreError::Unavailable("no node of the cluster has its slot".into()));
            }
        }
    }

    /// Opens lanes to new nodes. A lane to a node that is gone ends by itself, and requeues the
    /// calls that it has not sent.
    fn reroute(&self, table: &mut RoutingTable, map: Arc<SlotMap>) {
        let mut old = std::mem::take(&mut table.lanes);
        for (node, _) in map.nodes() {
            let lane = old.remove(node).unwrap_or_else(|| {
                let (lane, incoming) = channel(&self.context);
                let back = WeakLanes::PerNode(self.me.clone());
                let context = Arc::clone(&self.context);
                tokio::spawn(Lane::new(context, incoming, back, Some(node.clone())).run());
                lane
            });
            table.lanes.insert(node.clone(), lane);
        }
        let lane = |node: Option<&Node>| node.and_then(|node| table.lanes.get(node)).cloned();
        table.by_partition = map.by_partition().map(lane).collect();
        table.map = map;
    }
}

/// Keeps the map of the cluster up to date.
async fn keep(context: Arc<LaneContext>) {
    let Some(topology) = context.connector.cluster() else { return };
    loop {
        if topology.map().is_some() {
            topology.wanted().await;
        }
        match context.connector.learn().await {
            Ok(()) => tokio::time::sleep(SHORT_PAUSE).await,
            Err(error) => {
                let place = &context.connector.place;
                context
                    .connection_warnings
                    .about(&format!("cannot use the cluster at {place}: {error}"));
                topology.want();
                tokio::time::sleep(LONG_PAUSE).await;
            }
        }
    }
}
