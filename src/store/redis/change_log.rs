//! Reading the change log of a partition, on a pooled connection: a page is too much for a lane.

use deadpool_redis::redis::{self, Value};

use super::cluster::Pools;
use super::keys::Keys;
use super::log_entry::log_entry;
use crate::domain::Partition;
use crate::store::{Deadline, LogEntry, LogPosition, StoreError};

/// The logs of all partitions.
#[derive(Debug)]
pub(super) struct ChangeLogs {
    pools: Pools,
    keys: Keys,
}

impl ChangeLogs {
    pub(super) fn new(pools: Pools, keys: Keys) -> Self {
        Self { pools, keys }
    }

    /// Reads at most `limit` entries behind a place, or from the oldest.
    pub(super) async fn read(
        &self,
        partition: Partition,
        after: Option<LogPosition>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let key = self.keys.log(partition);
        let start =
            after.map_or_else(|| "-".to_owned(), |at| format!("({}-{}", at.millis, at.sequence));
        let mut commands = redis::pipe();
        commands.cmd("XRANGE").arg(&key).arg(start).arg("+").arg("COUNT").arg(limit);
        let read = self.pools.query::<(Vec<Value>,)>(partition, &commands, &key);
        let (values,) = tokio::time::timeout_at(tokio::time::Instant::from_std(deadline.0), read)
            .await
            .map_err(|_| StoreError::Unavailable("no reply in time".into()))??;
        let entries: Option<Vec<_>> = values.iter().map(log_entry).collect();
        entries.ok_or_else(|| StoreError::Damaged("the change log of a partition".into()))
    }
}
