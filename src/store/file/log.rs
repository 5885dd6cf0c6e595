//! The change log in the file.

use std::collections::HashMap;
use std::time::Duration;

use redb::{ReadableTable, Table};

use super::file_error::FileResult;
use super::{LogEntry, LogPosition, keys, log_entry};
use crate::domain::{Change, Micros, PARTITIONS, Partition};

type Log<'txn> = Table<'txn, (u8, u64, u64), &'static [u8]>;

/// The last place of each log that a transaction has appended to: looking for it costs more than
/// the entry itself.
pub(super) type Ends = HashMap<u8, (u8, u64, u64)>;

/// The number of a partition in the keys.
fn number(partition: Partition) -> u8 {
    u8::try_from(partition.index()).unwrap_or(u8::MAX)
}

/// Appends an entry to the log of its post's partition. Positions rise even when the clock goes
/// back.
pub(super) fn append(
    log: &mut Log<'_>,
    ends: &mut Ends,
    change: &Change,
    now: Micros,
) -> FileResult<()> {
    let (partition, now) = (number(change.post.partition()), now.0 / 1000);
    let last = match ends.get(&partition) {
        Some(last) => Some(*last),
        None => {
            let mut own = log.range((partition, 0, 0)..=(partition, u64::MAX, u64::MAX))?;
            own.next_back().transpose()?.map(|(last, _)| last.value())
        }
    };
    let place = match last {
        Some((_, millis, sequence)) if millis >= now => (partition, millis, sequence + 1),
        _ => (partition, now, 0),
    };
    log.insert(place, &log_entry::encode(change)[..])?;
    ends.insert(partition, place);
    Ok(())
}

/// Drops the oldest entries of a partition that are too old, up to a limit. Returns how many it
/// dropped.
pub(super) fn trim(
    log: &mut Log<'_>,
    partition: Partition,
    now: Micros,
    retention: Duration,
    at_most: usize,
) -> FileResult<usize> {
    let partition = number(partition);
    let (mut last_old, mut old) = (None, 0);
    for found in log.range((partition, 0, 0)..=(partition, u64::MAX, u64::MAX))?.take(at_most) {
        let (place, value) = found?;
        if !occurred_at(place.value(), value.value()).is_old(now, retention) {
            break;
        }
        last_old = Some(place.value());
        old += 1;
    }
    if let Some(last) = last_old {
        log.retain_in((partition, 0, 0)..=last, |_, _| false)?;
    }
    Ok(old)
}

/// Drops this many of a partition's oldest entries.
pub(super) fn cut(log: &mut Log<'_>, partition: Partition, entries: usize) -> FileResult<usize> {
    let partition = number(partition);
    let last = {
        let mut own = log.range((partition, 0, 0)..=(partition, u64::MAX, u64::MAX))?;
        own.nth(entries.saturating_sub(1)).transpose()?.map(|(place, _)| place.value())
    };
    let Some(last) = last else { return Ok(0) };
    log.retain_in((partition, 0, 0)..=last, |_, _| false)?;
    Ok(entries)
}

/// How many entries the log of each partition has. The store counts them when it opens the file,
/// and keeps the numbers in memory: the engine counts whole tables only.
#[derive(Clone, Debug)]
pub(super) struct Lengths(Box<[usize]>);

impl Default for Lengths {
    fn default() -> Self {
        Self(vec![0; PARTITIONS].into())
    }
}

impl Lengths {
    pub(super) fn count(
        log: &impl ReadableTable<(u8, u64, u64), &'static [u8]>,
    ) -> FileResult<Self> {
        let mut lengths = Self::default();
        for found in log.iter()? {
            let (partition, _, _) = found?.0.value();
            lengths.0[usize::from(partition)] += 1;
        }
        Ok(lengths)
    }

    pub(super) fn of(&self, partition: Partition) -> usize {
        self.0[partition.index()]
    }

    pub(super) fn grow(&mut self, partition: Partition) {
        self.0[partition.index()] += 1;
    }

    pub(super) fn shrink(&mut self, partition: Partition, entries: usize) {
        let length = &mut self.0[partition.index()];
        *length = length.saturating_sub(entries);
    }
}

/// When the change of an entry took place. The position shows this too, but not after the clock was
/// put back. It has to do if the entry is not of our form.
fn occurred_at((_, millis, _): (u8, u64, u64), value: &[u8]) -> Micros {
    log_entry::occurred_at(value).unwrap_or(Micros(millis.saturating_mul(1000)))
}

/// How many entries the log of a partition has dropped.
pub(super) fn dropped(
    meta: &impl ReadableTable<&'static str, u64>,
    partition: Partition,
) -> FileResult<u64> {
    Ok(meta.get(&keys::dropped(partition)[..])?.map_or(0, |dropped| dropped.value()))
}

/// The entries after a position, or from the oldest on.
pub(super) fn read(
    log: &impl ReadableTable<(u8, u64, u64), &'static [u8]>,
    partition: Partition,
    after: Option<LogPosition>,
    limit: usize,
) -> FileResult<Vec<LogEntry>> {
    let behind = after.map(|LogPosition { millis, sequence }| LogPosition {
        millis,
        sequence: sequence.saturating_add(1),
    });
    read_from(log, partition, behind, limit)
}

/// The entries from a position on, or from the oldest on.
pub(super) fn read_from(
    log: &impl ReadableTable<(u8, u64, u64), &'static [u8]>,
    partition: Partition,
    from: Option<LogPosition>,
    limit: usize,
) -> FileResult<Vec<LogEntry>> {
    let partition = number(partition);
    let from = from.map_or((partition, 0, 0), |at| (partition, at.millis, at.sequence));
    let mut entries = Vec::new();
    for found in log.range(from..=(partition, u64::MAX, u64::MAX))?.take(limit) {
        let (place, value) = found?;
        let (_, millis, sequence) = place.value();
        let position = LogPosition { millis, sequence };
        entries.push(LogEntry { position, change: log_entry::decode(value.value())? });
    }
    Ok(entries)
}

/// How many entries the log of a partition has.
pub(super) fn length(
    log: &impl ReadableTable<(u8, u64, u64), &'static [u8]>,
    partition: Partition,
) -> FileResult<u64> {
    let partition = number(partition);
    let mut own = log.range((partition, 0, 0)..=(partition, u64::MAX, u64::MAX))?;
    own.try_fold(0, |length, found| found.map(|_| length + 1).map_err(Into::into))
}

/// The position of the last entry.
pub(super) fn end(
    log: &impl ReadableTable<(u8, u64, u64), &'static [u8]>,
    partition: Partition,
) -> FileResult<Option<LogPosition>> {
    let partition = number(partition);
    let mut own = log.range((partition, 0, 0)..=(partition, u64::MAX, u64::MAX))?;
    let last = own.next_back().transpose()?;
    Ok(last.map(|(place, _)| {
        let (_, millis, sequence) = place.value();
        LogPosition { millis, sequence }
    }))
}
