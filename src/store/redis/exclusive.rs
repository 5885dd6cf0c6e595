//! Connections for exclusive use, where a command is not a script: lent by a pool, and looked at as
//! those of the lanes are. So behind one name nobody is read whom the lanes would not believe.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use deadpool_redis::redis::{self, Value};
use deadpool_redis::{Hook, HookError, Pool, PoolError};

use super::address::Node;
use super::connect::Connector;
use super::dial::ConnectError;
use super::keys;
use super::standing::Standing;
use super::topology::Topology;
use crate::domain::Partition;
use crate::store::StoreError;

/// A pool for each server, as long as that has its standing.
#[derive(Debug)]
pub(super) struct Exclusive {
    connector: Arc<Connector>,
    pools: Mutex<HashMap<Node, (Standing, Pool)>>,
}

/// A server to read from.
struct Place {
    node: Node,
    standing: Standing,
    /// The generation of primaries in which it was found.
    generation: u64,
}

impl Exclusive {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, pools: Mutex::default() }
    }

    /// Reads a stretch of a partition's stream: the entries behind `after`, or from the oldest.
    pub(super) async fn read_stream(
        &self,
        partition: Partition,
        key: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Value>, StoreError> {
        let unavailable =
            |error: &dyn std::error::Error| StoreError::Unavailable(error.to_string());
        let place = self.place(partition).await.map_err(|error| unavailable(&error))?;
        let standing = place.standing.clone();
        let node = place.node.clone();
        let pool = self.pool(place).map_err(|error| unavailable(&error))?;
        let mut connection = pool.get().await.map_err(|error| {
            // Its credentials may have been replaced; the next pool has those of then.
            if let PoolError::Backend(_) | PoolError::PostCreateHook(_) = &error {
                self.pools.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
            }
            unavailable(&error)
        })?;
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(key).arg(start).arg("+").arg("COUNT").arg(limit);
        let read = cmd.query_async(&mut connection).await.map_err(|error| {
            if error.code() == Some("WRONGTYPE") {
                return StoreError::Damaged(format!("{key} is not a stream"));
            }
            self.connector.cluster().into_iter().for_each(Topology::want);
            unavailable(&error)
        });
        if standing.holds() {
            read
        } else {
            Err(StoreError::Unavailable(standing.why_lost().into()))
        }
    }

    /// The server that has this partition now.
    async fn place(&self, partition: Partition) -> Result<Place, ConnectError> {
        let nobody = || ConnectError::Unreachable("no node has that slot".into());
        let Some(topology) = self.connector.cluster() else {
            if self.connector.primary.known().1.is_none() {
                drop(self.connector.open(None).await?);
            }
            let (generation, node, standing) = self.connector.primary.believed();
            return Ok(Place { node: node.ok_or_else(nobody)?, standing, generation });
        };
        if topology.map().is_none() {
            self.connector.learn().await?;
        }
        let map = topology.map().unwrap_or_default();
        let node = map.owner(keys::slot(partition)).ok_or_else(nobody)?.clone();
        let standing = topology.standing(&node).ok_or_else(nobody)?;
        Ok(Place { node, standing, generation: 0 })
    }

    fn pool(&self, place: Place) -> Result<Pool, ConnectError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, (standing, _)| standing.holds());
        if let Some((_, pool)) = pools.get(&place.node) {
            return Ok(pool.clone());
        }
        let Place { node, standing, generation } = place;
        let (connector, at, known) = (Arc::clone(&self.connector), node.clone(), standing.clone());
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
        pools.insert(node, (standing, pool.clone()));
        Ok(pool)
    }
}
