//! What is known of a cluster: which node has which slots, learned from the nodes themselves.
//!
//! Whoever meets a sign that it is out of date says that it is [wanted](Topology::want) anew; the
//! [lanes](super::routes) of each runtime have a task that then [learns](Topology::learn) it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Mutex, Notify, watch};

use super::address::Node;
use super::dial::ConnectError;
use super::slots::SlotMap;
use super::standing::Standing;

/// The most nodes that are asked at once.
const ASKED: usize = 4;

/// How old a map may be that need not be learned anew: calls that come back at once say one thing.
const FRESH: Duration = Duration::from_millis(50);

/// What is known.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// Nobody has been asked yet, or nobody has answered yet.
    Nothing,
    /// The first who were asked gave no usable answer; this is why.
    Failed(String),
    /// This, until something better is learned.
    Map(Arc<SlotMap>),
}

#[derive(Debug)]
pub(super) struct Topology {
    seeds: Vec<Node>,
    known: watch::Sender<Known>,
    wanted: Notify,
    /// Held by the one who asks; when the map was learned last.
    learned: Mutex<Option<Instant>>,
    rounds: AtomicUsize,
}

impl Topology {
    pub(super) fn new(seeds: Vec<Node>) -> Self {
        Self {
            seeds,
            known: watch::Sender::new(Known::Nothing),
            wanted: Notify::new(),
            learned: Mutex::default(),
            rounds: AtomicUsize::new(0),
        }
    }

    pub(super) fn map(&self) -> Option<Arc<SlotMap>> {
        match &*self.known.borrow() {
            Known::Map(map) => Some(Arc::clone(map)),
            Known::Nothing | Known::Failed(_) => None,
        }
    }

    /// The standing of this node, if it has slots.
    pub(super) fn standing(&self, node: &Node) -> Option<Standing> {
        let standing = Standing::Node(self.known.subscribe(), node.clone());
        standing.holds().then_some(standing)
    }

    /// Says that the map may be out of date.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until the map may be out of date.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Waits until a first attempt to learn the map has ended.
    pub(super) async fn attempted(&self) -> Known {
        let mut known = self.known.subscribe();
        let settled = known.wait_for(|known| !matches!(known, Known::Nothing)).await;
        settled.map_or(Known::Nothing, |known| known.clone())
    }

    /// Learns the map from the first node that gives it, unless that has just been done.
    /// `ask` asks one node; `accept` has a last look at what is new.
    pub(super) async fn learn<A, C>(
        &self,
        ask: impl Fn(Node) -> A,
        accept: impl FnOnce(Arc<SlotMap>) -> C,
    ) -> Result<(), ConnectError>
    where
        A: Future<Output = Result<SlotMap, ConnectError>>,
        C: Future<Output = Result<(), ConnectError>>,
    {
        let mut last = self.learned.lock().await;
        if last.is_some_and(|last| last.elapsed() < FRESH) {
            return Ok(());
        }
        let learned = async {
            let map = Arc::new(self.ask_all(ask).await?);
            accept(Arc::clone(&map)).await?;
            Ok::<_, ConnectError>(map)
        };
        match learned.await {
            Ok(map) => {
                *last = Some(Instant::now());
                // The same map, told again, is no news to anybody.
                if self.map().as_ref() != Some(&map) {
                    self.known.send_replace(Known::Map(map));
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

    /// Asks some nodes at once; the first answer counts.
    async fn ask_all<A>(&self, ask: impl Fn(Node) -> A) -> Result<SlotMap, ConnectError>
    where
        A: Future<Output = Result<SlotMap, ConnectError>>,
    {
        let mut seen = HashSet::new();
        let map = self.map().unwrap_or_default();
        let known = map.nodes().into_iter().map(|(node, _)| node);
        let mut nodes: Vec<&Node> = known.chain(&self.seeds).collect();
        nodes.retain(|node| seen.insert(*node));
        // Others each time: some may be gone for good, or cut off from the rest.
        let turn = self.rounds.fetch_add(1, Ordering::Relaxed) % nodes.len().max(1);
        nodes.rotate_left(turn);
        let mut asked: FuturesUnordered<A> =
            nodes.into_iter().take(ASKED).map(|node| ask(node.clone())).collect();
        let mut problem = ConnectError::Unreachable("no node of the cluster answers".into());
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(map) => return Ok(map),
                Err(error @ ConnectError::Foreign(_)) => problem = error,
                Err(ConnectError::Unreachable(_)) => {}
            }
        }
        Err(problem)
    }
}
