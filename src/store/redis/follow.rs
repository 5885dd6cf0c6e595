//! Following the change log by a blocking read. It has a connection of its own to each server where
//! something is watched: the blocking read would stop a lane.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::redis::{self, RedisError, Value};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::cluster::Topology;
use super::keys;
use super::lane::LaneContext;
use super::log_entry::{log_entry, log_place};
use super::net::{Connection, Node};
use super::value::text;
use crate::domain::Partition;
use crate::store::follow::{Heard, MOST_ENTRIES, PACE, RETRY, Unheard};
use crate::store::{LogPosition, News, WatchedPartitions};

/// How long a read blocks. A partition that is newly watched waits no longer than this.
const BLOCK: Duration = Duration::from_millis(BLOCK_MILLIS);
const BLOCK_MILLIS: u64 = 100;

/// How late a reply may be before the follower gives the server up.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often onetap checks whether partitions have moved.
const LOOK: Duration = Duration::from_millis(250);

/// Follows the watched partitions, each at the server that has it.
pub(super) async fn follow(
    context: Arc<LaneContext>,
    mut watched: WatchedPartitions,
    news: mpsc::Sender<News>,
) {
    let (mut followers, mut followed) = (FuturesUnordered::new(), HashSet::new());
    loop {
        let wanted: Vec<Partition> = watched.borrow_and_update().iter().copied().collect();
        let (nodes, homeless) = nodes(&context, wanted);
        for node in nodes {
            if followed.insert(node.clone()) {
                let (context, watched, news) =
                    (Arc::clone(&context), watched.clone(), news.clone());
                followers.push(Follower { context, node, watched, news }.run());
            }
        }
        if (Heard { lost: homeless, ..Heard::default() }).tell(&news).await.is_err() {
            return;
        }
        tokio::select! {
            Some(node) = followers.next() => drop(followed.remove(&node)),
            changed = watched.changed() => if changed.is_err() { return },
            () = news.closed() => return,
            () = sleep(LOOK), if context.connector.cluster().is_some() => {}
        }
    }
}

/// The servers that have these partitions, and the partitions that no server has. Without a cluster
/// there is one server, and it has no name.
fn nodes(context: &LaneContext, wanted: Vec<Partition>) -> (HashSet<Option<Node>>, Vec<Partition>) {
    let Some(topology) = context.connector.cluster() else {
        return (wanted.first().map(|_| None).into_iter().collect(), Vec::new());
    };
    let map = topology.map().unwrap_or_default();
    let owner = |partition: &Partition| map.owner(keys::slot(*partition)).cloned();
    let nodes = wanted.iter().filter_map(owner).map(Some).collect();
    let homeless: Vec<_> = wanted.into_iter().filter(|wanted| owner(wanted).is_none()).collect();
    if !homeless.is_empty() {
        topology.want();
    }
    (nodes, homeless)
}

/// Follows the watched partitions of one server.
struct Follower {
    context: Arc<LaneContext>,
    node: Option<Node>,
    watched: WatchedPartitions,
    news: mpsc::Sender<News>,
}

/// The last position read in each partition, by the key of its log.
type Places = BTreeMap<String, (Partition, LogPosition)>;

impl Follower {
    /// Runs until its server has no watched partition or the receiver is closed. Returns its
    /// server.
    async fn run(self) -> Option<Node> {
        let mut heard = Instant::now();
        while !self.mine().is_empty() {
            let ended = match self.context.connector.open(self.node.as_ref()).await {
                Ok(connection) => self.follow_on(connection, &mut heard).await,
                Err(_) => Ok(()),
            };
            // Whatever ended it: partitions may have moved, and other followers take them over.
            self.context.connector.cluster().into_iter().for_each(Topology::want);
            let lost = Heard { lost: self.mine(), heard: Some(heard), ..Heard::default() };
            if ended.is_err() || lost.tell(&self.news).await.is_err() {
                break;
            }
            if !self.mine().is_empty() {
                sleep(RETRY).await;
            }
        }
        self.node
    }

    /// The watched partitions of its server.
    fn mine(&self) -> Vec<Partition> {
        let watched: Vec<Partition> = self.watched.borrow().iter().copied().collect();
        let Some(topology) = self.context.connector.cluster() else { return watched };
        let map = topology.map().unwrap_or_default();
        let is_mine = |partition: &Partition| map.owner(keys::slot(*partition));
        watched.into_iter().filter(|partition| is_mine(partition) == self.node.as_ref()).collect()
    }

    /// Follows over one connection until it fails or nothing is watched any more. Sets `heard` to
    /// the last time the server answered.
    async fn follow_on(&self, connection: Connection, heard: &mut Instant) -> Result<(), Unheard> {
        let mut places = Places::new();
        loop {
            let mine: HashSet<Partition> = self.mine().into_iter().collect();
            // A server that was replaced receives no more changes.
            if mine.is_empty() || !connection.lease.holds() {
                return Ok(());
            }
            places.retain(|_, (partition, _)| mine.contains(partition));
            let known: HashSet<Partition> =
                places.values().map(|(partition, _)| *partition).collect();
            let new = mine.into_iter().filter(|partition| !known.contains(partition)).collect();
            let Ok(found) = timeout(PATIENCE, begin(self, &connection, new, &mut places)).await
            else {
                return Ok(());
            };
            *heard = Instant::now();
            found.tell(&self.news).await?;
            if places.is_empty() {
                sleep(RETRY).await;
                continue;
            }
            let Ok(Ok(read)) = timeout(BLOCK + PATIENCE, read(&connection, &places)).await else {
                return Ok(());
            };
            *heard = Instant::now();
            take(read, &mut places).tell(&self.news).await?;
            sleep(PACE).await;
        }
    }
}

/// Finds the ends of the logs of some partitions. If it cannot read the log of one, it still
/// follows the others.
async fn begin(
    follower: &Follower,
    connection: &Connection,
    new: Vec<Partition>,
    places: &mut Places,
) -> Heard {
    let ends = new.into_iter().map(|partition| async move {
        let key = follower.context.settings.keys.log(partition);
        let mut cmd = redis::cmd("XREVRANGE");
        cmd.arg(&key).arg("+").arg("-").arg("COUNT").arg(1);
        let found: Result<Value, RedisError> =
            cmd.query_async(&mut connection.multiplexed.clone()).await;
        let end = match &found {
            Ok(Value::Array(entries)) => match entries.first() {
                None => Some(LogPosition { millis: 0, sequence: 0 }),
                Some(entry) => log_place(entry),
            },
            _ => None,
        };
        (partition, key, end)
    });
    let mut found = Heard::default();
    for (partition, key, end) in join_all(ends).await {
        match end {
            Some(end) => {
                places.insert(key, (partition, end));
                found.following.push(partition);
            }
            None => found.lost.push(partition),
        }
    }
    found
}

/// Waits for entries after the positions.
async fn read(connection: &Connection, places: &Places) -> Result<Value, RedisError> {
    let mut cmd = redis::cmd("XREAD");
    cmd.arg("COUNT").arg(MOST_ENTRIES).arg("BLOCK").arg(BLOCK_MILLIS).arg("STREAMS");
    for key in places.keys() {
        cmd.arg(key);
    }
    for (_, LogPosition { millis, sequence }) in places.values() {
        cmd.arg(format!("{millis}-{sequence}"));
    }
    cmd.query_async(&mut connection.multiplexed.clone()).await
}

/// Reads a reply: `{log: [entry, …], …}`. A log with too many entries or an unreadable one loses
/// its position; the follower begins it again at its end.
fn take(reply: Value, places: &mut Places) -> Heard {
    let mut found = Heard::default();
    let Value::Map(logs) = reply else { return found };
    for (key, entries) in &logs {
        let Some(key) = text(key) else { continue };
        let entries: Option<Vec<_>> = match entries {
            Value::Array(entries) => entries.iter().map(log_entry).collect(),
            _ => None,
        };
        match (places.get_mut(key), entries.and_then(|entries| found.add(&entries))) {
            (Some((_, place)), Some(last)) => *place = last,
            _ => drop(places.remove(key)),
        }
    }
    found
}
