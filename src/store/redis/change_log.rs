//! Reading the change log of a partition, over a pooled connection: a page is too large for a lane.

use std::sync::Arc;

use deadpool_redis::redis::{self, Value};
use tokio::time::{Instant, timeout_at};

use super::cluster::Pools;
use super::keys::Keys;
use super::log_entry::log_entry;
use crate::domain::Partition;
use crate::store::change_log::LogPage;
use crate::store::{Deadline, LogCursor, LogEntry, LogPosition, StoreError};

/// A script, because the entries and the number of dropped ones must be of one moment.
const SCRIPT: &str = include_str!(concat!(env!("OUT_DIR"), "/lua/log.lua"));

/// The logs of all partitions.
#[derive(Debug)]
pub(super) struct ChangeLogs {
    pools: Arc<Pools>,
    keys: Keys,
}

impl ChangeLogs {
    pub(super) fn new(pools: Arc<Pools>, keys: Keys) -> Self {
        Self { pools, keys }
    }

    /// Reads a page, by the law of [`crate::store::ChangeLog`].
    pub(super) async fn read(
        &self,
        partition: Partition,
        after: Option<LogCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<LogPage, StoreError> {
        let read = async {
            let place = after.map(|cursor| cursor.position);
            // One more than the limit, for the entry at the cursor.
            let (gone, found) = self.look(partition, place, limit.saturating_add(1)).await?;
            if let Some(page) = LogPage::judge(after, gone, found, limit) {
                return Ok(page);
            }
            let (gone, found) = self.look(partition, None, limit).await?;
            Ok(LogPage::after_a_gap(gone, found, limit))
        };
        let late = |_| StoreError::Unavailable("no reply in time".into());
        timeout_at(Instant::from_std(deadline.0), read).await.map_err(late)?
    }

    /// The cursor behind the newest entry.
    pub(super) async fn newest(
        &self,
        partition: Partition,
        deadline: Deadline,
    ) -> Result<LogCursor, StoreError> {
        let late = |_| StoreError::Unavailable("no reply in time".into());
        let read = self.entries(partition, "+", 1);
        let read = timeout_at(Instant::from_std(deadline.0), read).await;
        let (before, found) = read.map_err(late)??;
        Ok(LogCursor::behind(before, &found))
    }

    /// How many entries are gone, and the entries from a position on.
    async fn look(
        &self,
        partition: Partition,
        from: Option<LogPosition>,
        most: usize,
    ) -> Result<(u64, Vec<LogEntry>), StoreError> {
        let start = from.map_or("-".into(), |at| format!("{}-{}", at.millis, at.sequence));
        self.entries(partition, &start, most).await
    }

    async fn entries(
        &self,
        partition: Partition,
        start: &str,
        most: usize,
    ) -> Result<(u64, Vec<LogEntry>), StoreError> {
        let key = self.keys.log(partition);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut commands = redis::pipe();
        commands.cmd("EVAL").arg(SCRIPT).arg(1).arg(&key).arg(start).arg(most);
        let (values,): (Vec<Value>,) = self.pools.query(partition, &commands, &key).await?;
        read(&values).ok_or_else(|| StoreError::Damaged("the change log of a partition".into()))
    }
}

fn read(values: &[Value]) -> Option<(u64, Vec<LogEntry>)> {
    let (Value::Int(gone), entries) = values.split_first()? else { return None };
    let entries = entries.iter().map(log_entry).collect::<Option<_>>()?;
    Some((u64::try_from(*gone).ok()?, entries))
}
