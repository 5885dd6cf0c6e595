//! The map of a cluster, learned from its nodes: which node has which slots.
//!
//! Code that finds a sign of an outdated map calls [`want`](Topology::want). The lanes of each
//! runtime have a task that then [learns](Topology::learn) it.
//!
//! A node that is cut off from the others claims its slots until it hears which node has taken them
//! over. So onetap rejects a map that is older than the one it has, for up to 10 seconds
//! ([`BEHIND`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex as StdMutex;
use tokio::sync::{Mutex, Notify, watch};

use super::slots::SlotMap;
use crate::store::redis::net::{ConnectError, Lease, Node};

/// The most nodes asked at once.
const ASKED: usize = 4;

/// The age up to which a map counts as fresh. When a slot has moved, nodes refuse many calls at the
/// same time. All these calls need only one new map.
const FRESH: Duration = Duration::from_millis(50);

/// For how long onetap rejects older maps while no node gives a newer one. A node that is cut off
/// needs less time until it learns what the others have done, or refuses all commands. If all maps
/// are still older, the cluster was rebuilt, and its epochs ([`SlotMap::is_behind`]) began again.
const BEHIND: Duration = Duration::from_secs(10);

/// What onetap knows of the cluster.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// No node has answered yet.
    Nothing,
    /// The first nodes asked gave no usable answer; this is why.
    Failed(String),
    /// The map, until onetap learns a newer one.
    Map(Arc<SlotMap>),
}

#[derive(Debug)]
pub(crate) struct Topology {
    seeds: Vec<Node>,
    known: watch::Sender<Known>,
    /// The lease of each node that has slots.
    leases: StdMutex<HashMap<Node, Lease>>,
    wanted: Notify,
    /// Held by the task that is asking.
    asked: Mutex<Asked>,
    rounds: AtomicUsize,
}

#[derive(Debug, Default)]
struct Asked {
    /// When the map was last learned.
    learned: Option<Instant>,
    /// Since when the nodes have given only older maps.
    behind: Option<Instant>,
}

impl Topology {
    pub(crate) fn new(seeds: Vec<Node>) -> Self {
        Self {
            seeds,
            known: watch::Sender::new(Known::Nothing),
            leases: StdMutex::default(),
            wanted: Notify::new(),
            asked: Mutex::default(),
            rounds: AtomicUsize::new(0),
        }
    }

    pub(crate) fn map(&self) -> Option<Arc<SlotMap>> {
        match &*self.known.borrow() {
            Known::Map(map) => Some(Arc::clone(map)),
            Known::Nothing | Known::Failed(_) => None,
        }
    }

    /// The lease of this node, if it has slots.
    pub(crate) fn lease(&self, node: &Node) -> Option<Lease> {
        let leases = self.leases.lock();
        leases.get(node).cloned()
    }

    /// Asks for a new map.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until someone wants a new map.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Waits for the end of the first attempt to learn the map.
    pub(crate) async fn attempted(&self) -> Known {
        let mut known = self.known.subscribe();
        let settled = known.wait_for(|known| !matches!(known, Known::Nothing)).await;
        settled.map_or(Known::Nothing, |known| known.clone())
    }

    /// From now on no map counts as fresh that was learned before.
    pub(crate) async fn outdate(&self) {
        self.asked.lock().await.learned = None;
    }

    /// Learns the map from the first node that gives one, unless the map is fresh. `ask` asks one
    /// node; `accept` checks a new map.
    pub(crate) async fn learn<A, C>(
        &self,
        ask: impl Fn(Node) -> A,
        accept: impl FnOnce(Arc<SlotMap>) -> C,
    ) -> Result<(), ConnectError>
    where
        A: Future<Output = Result<SlotMap, ConnectError>>,
        C: Future<Output = Result<(), ConnectError>>,
    {
        let mut asked = self.asked.lock().await;
        if asked.learned.is_some_and(|last| last.elapsed() < FRESH) {
            return Ok(());
        }
        let learned = async {
            let map = Arc::new(self.ask_all(ask, &mut asked.behind).await?);
            accept(Arc::clone(&map)).await?;
            Ok::<_, ConnectError>(map)
        };
        match learned.await {
            Ok(map) => {
                asked.learned = Some(Instant::now());
                // The same map again is no news.
                if self.map().as_ref() != Some(&map) {
                    self.believe(map);
                }
                Ok(())
            }
            Err(error) => {
                // An earlier map is better than none.
                if self.map().is_none() {
                    self.known.send_replace(Known::Failed(error.to_string()));
                }
                Err(error)
            }
        }
    }

    /// Ends the leases of nodes that have lost their slots, and publishes the map.
    fn believe(&self, map: Arc<SlotMap>) {
        let mut leases = self.leases.lock();
        let gone = leases.extract_if(|node, _| !map.has(node));
        gone.for_each(|(_, lease)| lease.end());
        for owner in map.owners() {
            leases.entry(owner.clone()).or_default();
        }
        drop(leases);
        self.known.send_replace(Known::Map(map));
    }

    /// Asks some nodes at once. Returns the first map that is not older than the known one. If no
    /// node has given such a map for [`BEHIND`], returns an older one.
    async fn ask_all<A>(
        &self,
        ask: impl Fn(Node) -> A,
        behind_since: &mut Option<Instant>,
    ) -> Result<SlotMap, ConnectError>
    where
        A: Future<Output = Result<SlotMap, ConnectError>>,
    {
        let mut seen = HashSet::new();
        let known = self.map().unwrap_or_default();
        let owners = known.nodes().into_iter().map(|(node, _)| node);
        let mut nodes: Vec<&Node> = owners.chain(&self.seeds).collect();
        nodes.retain(|node| seen.insert(*node));
        // Ask other nodes each time: some may be gone for good, or cut off from the rest.
        let turn = self.rounds.fetch_add(1, Ordering::Relaxed) % nodes.len().max(1);
        nodes.rotate_left(turn);
        let mut asked: FuturesUnordered<A> =
            nodes.into_iter().take(ASKED).map(|node| ask(node.clone())).collect();
        let mut problem = ConnectError::Unreachable("no node of the cluster answers".into());
        let mut behind = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(map) if map.is_behind(&known) => behind = Some(map),
                Ok(map) => {
                    *behind_since = None;
                    return Ok(map);
                }
                Err(error @ ConnectError::Foreign(_)) => problem = error,
                Err(ConnectError::Unreachable(_)) => {}
            }
        }
        let Some(map) = behind else { return Err(problem) };
        if behind_since.get_or_insert_with(Instant::now).elapsed() < BEHIND {
            return Err(ConnectError::Unreachable(
                "each node that answers gives an older map of the slots than the known one".into(),
            ));
        }
        *behind_since = None;
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::Value;

    use super::*;

    fn node(port: u16) -> Node {
        Node { host: "h".into(), port }
    }

    /// A map in which the node at each port has half of the slots, with this epoch.
    fn map(halves: [(u16, u64); 2]) -> SlotMap {
        let nodes = halves.map(|(port, epoch)| format!("id{port} h - - 0 0 {epoch} connected"));
        let range = |first, (port, _): (u16, u64)| {
            let owner = ["h".into(), port.to_string(), format!("id{port}")];
            let [host, _, id] = owner.map(|text| Value::BulkString(text.into()));
            let owner = Value::Array(vec![host, Value::Int(port.into()), id]);
            Value::Array(vec![Value::Int(first), Value::Int(first + 8191), owner])
        };
        let slots = Value::Array(vec![range(0, halves[0]), range(8192, halves[1])]);
        SlotMap::read(&slots, Some(&nodes.join("\n")), &node(0)).expect("a map")
    }

    /// Gives the topology this map, as if the last one were no longer fresh.
    async fn told(topology: &Topology, halves: [(u16, u64); 2]) -> Result<(), ConnectError> {
        topology.asked.lock().await.learned = None;
        topology.learn(|_| async { Ok(map(halves)) }, |_| async { Ok(()) }).await
    }

    #[tokio::test]
    async fn who_comes_back_is_not_who_has_left() {
        let topology = Topology::new(vec![node(1)]);
        assert!(topology.lease(&node(1)).is_none());
        told(&topology, [(1, 1), (2, 2)]).await.expect("the first");
        let [first, other] = [1, 2].map(|port| topology.lease(&node(port)).expect("slots"));
        told(&topology, [(3, 3), (2, 2)]).await.expect("a replica has taken over");
        assert!(!first.holds() && other.holds() && topology.lease(&node(1)).is_none());
        told(&topology, [(1, 4), (2, 2)]).await.expect("and back");
        let back = topology.lease(&node(1)).expect("slots again");
        assert!(!first.holds() && back.holds() && other.holds());
        first.until_lost().await;
    }

    #[tokio::test]
    async fn a_map_that_is_behind_in_any_slot_is_turned_away() {
        let topology = Topology::new(vec![node(1)]);
        told(&topology, [(1, 1), (2, 2)]).await.expect("the first");
        told(&topology, [(3, 3), (4, 4)]).await.expect("both have been replaced");
        let known = topology.map();
        for behind in [[(1, 1), (2, 2)], [(1, 1), (4, 4)], [(3, 3), (2, 2)], [(3, 9), (2, 2)]] {
            let turned_away = told(&topology, behind).await;
            assert!(matches!(turned_away, Err(ConnectError::Unreachable(_))), "{turned_away:?}");
            assert_eq!(topology.map(), known);
        }
        told(&topology, [(3, 3), (4, 5)]).await.expect("slots have moved to it");
    }

    #[tokio::test]
    async fn a_cluster_that_was_put_together_anew_is_believed_in_the_end() {
        let topology = Topology::new(vec![node(1)]);
        told(&topology, [(1, 7), (2, 8)]).await.expect("the first");
        assert!(told(&topology, [(1, 1), (2, 2)]).await.is_err());
        // A map that is not older starts the wait again.
        told(&topology, [(1, 7), (2, 8)]).await.expect("the same again");
        assert!(told(&topology, [(1, 1), (2, 2)]).await.is_err());
        let long_ago = Instant::now().checked_sub(BEHIND);
        assert!(topology.asked.lock().await.behind > long_ago);
        topology.asked.lock().await.behind = long_ago;
        told(&topology, [(1, 1), (2, 2)]).await.expect("there is no other");
        assert_eq!(topology.map().as_deref(), Some(&map([(1, 1), (2, 2)])));
    }
}
