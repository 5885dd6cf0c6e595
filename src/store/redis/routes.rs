//! Where calls go in: one lane, or, for a cluster, one for each node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::address::Node;
use super::call::Call;
use super::lane::Lane;
use super::slots::SlotMap;
use super::topology::{Known, Topology};
use crate::domain::Partition;
use crate::store::{Deadline, StoreError};

/// The wait between two times that a cluster is asked for its map, if the first went well or not.
const SHORT_PAUSE: Duration = Duration::from_millis(50);
const LONG_PAUSE: Duration = Duration::from_millis(500);

/// The way in to the lanes of one runtime.
#[derive(Clone, Debug)]
pub(super) enum WayIn {
    /// One server takes everything.
    Lane(Arc<Shared>, mpsc::Sender<Call>),
    /// Each node takes the calls for its partitions.
    Nodes(Arc<NodeLanes>),
}

/// The same for a lane, whose end comes when nobody else has the way in.
#[derive(Clone, Debug)]
pub(super) enum WayBack {
    Lane(Arc<Shared>, mpsc::WeakSender<Call>),
    Nodes(Weak<NodeLanes>),
}

impl WayIn {
    /// Opens the lanes on the current runtime.
    pub(super) fn open(shared: &Arc<Shared>) -> Self {
        if shared.connector.cluster().is_some() {
            return Self::Nodes(NodeLanes::open(shared));
        }
        let (lane, incoming) = channel(shared);
        let back = WayBack::Lane(Arc::clone(shared), lane.downgrade());
        tokio::spawn(Lane::new(Arc::clone(shared), incoming, back, None).run());
        Self::Lane(Arc::clone(shared), lane)
    }

    /// Waits, the first time, until it is known where calls go.
    pub(super) async fn ready(&self, deadline: Deadline) -> Result<(), StoreError> {
        match self {
            Self::Lane(..) => Ok(()),
            Self::Nodes(nodes) => nodes.ready(deadline).await,
        }
    }

    /// Puts a call on its lane, or tells it why not.
    pub(super) fn send(&self, call: Call) {
        match self {
            Self::Lane(shared, lane) => put(shared, lane, call),
            Self::Nodes(nodes) => nodes.send(call),
        }
    }

    /// The partitions that have to be tried to try every server.
    pub(super) fn one_partition_each(&self) -> Vec<Partition> {
        match self {
            Self::Lane(..) => vec![Partition::FIRST],
            Self::Nodes(nodes) => match nodes.topology().and_then(Topology::map) {
                Some(map) => map.nodes().into_iter().map(|(_, first)| first).collect(),
                None => vec![Partition::FIRST],
            },
        }
    }
}

impl WayBack {
    pub(super) fn upgrade(&self) -> Option<WayIn> {
        match self {
            Self::Lane(shared, lane) => Some(WayIn::Lane(Arc::clone(shared), lane.upgrade()?)),
            Self::Nodes(nodes) => nodes.upgrade().map(WayIn::Nodes),
        }
    }
}

/// One half of the bound is the channel, the other the lane's own queue.
fn channel(shared: &Shared) -> (mpsc::Sender<Call>, mpsc::Receiver<Call>) {
    mpsc::channel(shared.queue_bound.div_ceil(2))
}

fn put(shared: &Shared, lane: &mpsc::Sender<Call>, call: Call) {
    match lane.try_send(call) {
        Ok(()) => {}
        Err(TrySendError::Full(call)) => {
            shared.stats.overloads.add(1);
            call.fail(StoreError::Overloaded);
        }
        Err(TrySendError::Closed(call)) => {
            call.fail(StoreError::Unavailable("the service is stopping".into()));
        }
    }
}

/// The lanes of one runtime to the nodes of a cluster.
#[derive(Debug)]
pub(super) struct NodeLanes {
    shared: Arc<Shared>,
    me: Weak<Self>,
    routes: Mutex<Routes>,
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

/// Which lane each partition's calls go to.
#[derive(Debug, Default)]
struct Routes {
    /// What they were made from.
    map: Arc<SlotMap>,
    lanes: HashMap<Node, mpsc::Sender<Call>>,
    by_partition: Vec<Option<mpsc::Sender<Call>>>,
}

impl NodeLanes {
    fn open(shared: &Arc<Shared>) -> Arc<Self> {
        let lanes = Arc::new_cyclic(|me| Self {
            shared: Arc::clone(shared),
            me: me.clone(),
            routes: Mutex::default(),
            keeper: OnceLock::new(),
        });
        let keeper = tokio::spawn(keep(Arc::clone(shared)));
        // There is none yet.
        let _ = lanes.keeper.set(AbortOnDropHandle::new(keeper));
        lanes
    }

    fn topology(&self) -> Option<&Topology> {
        self.shared.connector.cluster()
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
            // It came back, so that something may have moved.
            topology.want();
        }
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&routes.map, &map) {
            self.reroute(&mut routes, map);
        }
        match routes.by_partition.get(call.partition().index()) {
            Some(Some(lane)) => put(&self.shared, lane, call),
            _ => {
                topology.want();
                call.fail(StoreError::Unavailable("no node of the cluster has its slot".into()));
            }
        }
    }

    /// Opens lanes to nodes that are new. Those to nodes that have gone end by themselves, and
    /// hand on what they have not sent.
    fn reroute(&self, routes: &mut Routes, map: Arc<SlotMap>) {
        let mut old = std::mem::take(&mut routes.lanes);
        for (node, _) in map.nodes() {
            let lane = old.remove(node).unwrap_or_else(|| {
                let (lane, incoming) = channel(&self.shared);
                let back = WayBack::Nodes(self.me.clone());
                let shared = Arc::clone(&self.shared);
                tokio::spawn(Lane::new(shared, incoming, back, Some(node.clone())).run());
                lane
            });
            routes.lanes.insert(node.clone(), lane);
        }
        let lane = |node: Option<&Node>| node.and_then(|node| routes.lanes.get(node)).cloned();
        routes.by_partition = map.by_partition().map(lane).collect();
        routes.map = map;
    }
}

/// Keeps the map of the cluster up to date.
async fn keep(shared: Arc<Shared>) {
    let Some(topology) = shared.connector.cluster() else { return };
    loop {
        if topology.map().is_some() {
            topology.wanted().await;
        }
        match shared.connector.learn().await {
            Ok(()) => tokio::time::sleep(SHORT_PAUSE).await,
            Err(error) => {
                let place = &shared.connector.place;
                shared.warnings.about(&format!("cannot use the cluster at {place}: {error}"));
                topology.want();
                tokio::time::sleep(LONG_PAUSE).await;
            }
        }
    }
}
