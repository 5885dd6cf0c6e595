//! Pools of connections for exclusive use: for reading the log, for jobs and exports.
//!
//! Each connection passes the same checks as those of the lanes, so no part of onetap reads from a
//! server that the lanes have rejected.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_redis::redis::{FromRedisValue, Pipeline};
use deadpool_redis::{Hook, HookError, Pool, PoolError};
use parking_lot::Mutex;

use super::connector::Connector;
use super::topology::Topology;
use crate::domain::Partition;
use crate::store::StoreError;
use crate::store::redis::keys;
use crate::store::redis::net::{ConnectError, Lease, Node};

/// A pool for each server, kept while its lease holds.
#[derive(Debug)]
pub(crate) struct Pools {
    connector: Arc<Connector>,
    pools: Mutex<HashMap<Node, (Lease, Pool)>>,
}

/// The server to read from.
struct Place {
    node: Node,
    lease: Lease,
    /// The generation in which it was found.
    generation: u64,
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
        let unavailable =
            |error: &dyn std::error::Error| StoreError::Unavailable(error.to_string());
        let place = self.place(partition).await.map_err(|error| unavailable(&error))?;
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

    /// The server that has this partition now.
    async fn place(&self, partition: Partition) -> Result<Place, ConnectError> {
        let nobody = || ConnectError::Unreachable("no node has that slot".into());
        let Some(topology) = self.connector.cluster() else {
            if self.connector.primary.known().1.is_none() {
                drop(self.connector.open(None).await?);
            }
            let (generation, node, lease) = self.connector.primary.believed();
            return Ok(Place { node: node.ok_or_else(nobody)?, lease, generation });
        };
        if topology.map().is_none() {
            self.connector.learn().await?;
        }
        let map = topology.map().unwrap_or_default();
        let node = map.owner(keys::slot(partition)).ok_or_else(nobody)?.clone();
        let lease = topology.lease(&node).ok_or_else(nobody)?;
        Ok(Place { node, lease, generation: 0 })
    }

    fn pool(&self, place: Place) -> Result<Pool, ConnectError> {
        let mut pools = self.pools.lock();
        pools.retain(|_, (lease, _)| lease.holds());
        if let Some((_, pool)) = pools.get(&place.node) {
            return Ok(pool.clone());
        }
        let Place { node, lease, generation } = place;
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
        pools.insert(node, (lease, pool.clone()));
        Ok(pool)
    }
}
