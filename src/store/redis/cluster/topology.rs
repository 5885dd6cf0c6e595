//! What is known of a cluster: which node has which slots, learned from the nodes themselves.
//!
//! Whoever meets a sign that it is out of date says that it is [wanted](Topology::want) anew; the
//! lanes of each runtime have a task that then [learns](Topology::learn) it.
//!
//! A node that was cut off from the others gives its slots to itself, until it has heard of who has
//! taken them over. So a map that is behind the one that is known is turned away.

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

/// The most nodes that are asked at once.
const ASKED: usize = 4;

/// How old a map may be that need not be learned anew: calls that come back at once say one thing.
const FRESH: Duration = Duration::from_millis(50);

/// For how long maps that are behind are turned away, if nobody gives a better one. A node that is
/// cut off hears of the others, or refuses everything, long before; what still says so then is a
/// cluster that was put together anew, whose epochs begin anew.
const BEHIND: Duration = Duration::from_secs(10);

/// What is known.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// Nobody has been asked yet, or nobody has answered yet.
    Nothing,
    /// The first who were asked gave no usable answer; this is why.
    Failed(String),
    /// This, until something better is learned.
    Map(Arc<SlotMap>),
}

#[derive(Debug)]
pub(crate) struct Topology {
    seeds: Vec<Node>,
    known: watch::Sender<Known>,
    /// Of each node that has slots.
    leases: StdMutex<HashMap<Node, Lease>>,
    wanted: Notify,
    /// Held by the one who asks.
    asked: Mutex<Asked>,
    rounds: AtomicUsize,
}

#[derive(Debug, Default)]
struct Asked {
    /// When the map was learned last.
    learned: Option<Instant>,
    /// Since when only maps that are behind have been given.
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

    /// Says that the map may be out of date.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until the map may be out of date.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Waits until a first attempt to learn the map has ended.
    pub(crate) async fn attempted(&self) -> Known {
        let mut known = self.known.subscribe();
        let settled = known.wait_for(|known| !matches!(known, Known::Nothing)).await;
        settled.map_or(Known::Nothing, |known| known.clone())
    }

    /// Learns the map from the first node that gives it, unless that has just been done.
    /// `ask` asks one node; `accept` has a last look at what is new.
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
                // The same map, told again, is no news to anybody.
                if self.map().as_ref() != Some(&map) {
                    self.believe(map);
                }
                Ok(())
            }
            Err(error) => {
                // What was learned before is better than nothing.
                if self.map().is_none() {
                    self.known.send_replace(Known::Failed(error.to_string()));
                }
                Err(error)
            }
        }
    }

    /// Takes their lease from the nodes that have no slots any more, and tells all of the map.
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

    /// Asks some nodes at once; the first answer that is not behind what is known counts.
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
        // Others each time: some may be gone for good, or cut off from the rest.
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
                "who answers gives a map of the slots that is older than the one known".into(),
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

    /// A map in which the node at each port has half of the slots, with its epoch.
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

    /// Tells the topology this map, as if there had been time since the last one.
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
        // Whoever is ahead makes them wait anew.
        told(&topology, [(1, 7), (2, 8)]).await.expect("the same again");
        assert!(told(&topology, [(1, 1), (2, 2)]).await.is_err());
        let long_ago = Instant::now().checked_sub(BEHIND);
        assert!(topology.asked.lock().await.behind > long_ago);
        topology.asked.lock().await.behind = long_ago;
        told(&topology, [(1, 1), (2, 2)]).await.expect("there is no other");
        assert_eq!(topology.map().as_deref(), Some(&map([(1, 1), (2, 2)])));
    }
}
