//! Reading the change log of one partition.

use std::future::Future;

use super::{Deadline, LogEntry, LogPosition, StoreError};
use crate::domain::Partition;

/// A position before every entry.
const START: LogPosition = LogPosition { millis: 0, sequence: 0 };

/// How far a reader has read the log of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCursor {
    /// The position of the last entry that it has read.
    pub position: LogPosition,
    /// The number of that entry, counted from the first that the log ever had. Positions alone do
    /// not show whether an entry between two of them is gone.
    pub ordinal: u64,
}

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The entries behind the cursor, oldest first.
    pub entries: Vec<LogEntry>,
    /// The cursor for the next page.
    pub next: LogCursor,
    /// Whether an entry that the reader has not had is gone. If so, the page begins with the oldest
    /// entry kept.
    pub gap: bool,
}

/// The change log of a store.
///
/// The law, for every store:
///
/// 14. **Gaps.** A page says `gap` exactly if an entry that the reader has not had is gone. The
///     store may have trimmed it, or lost it with its newest changes in a failover or a restore. A
///     page without `gap` continues where the reader stopped and leaves out no entry. A quiet log
///     has no gap. Nor has a log whose reader has had every entry that is gone. One case looks the
///     same: the store lost entries, wrote others, and trimmed exactly up to the reader's ordinal.
pub trait ChangeLog {
    /// Reads at most `limit` entries after the cursor; without a cursor, from the oldest entry
    /// kept.
    fn read(
        &self,
        partition: Partition,
        after: Option<LogCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> impl Future<Output = Result<LogPage, StoreError>> + Send;

    /// The cursor behind the newest entry: for a reader that wants only what changes from now on.
    fn newest(
        &self,
        partition: Partition,
        deadline: Deadline,
    ) -> impl Future<Output = Result<LogCursor, StoreError>> + Send;
}

impl LogCursor {
    /// The cursor behind the last of some entries. `before`: how many entries there were before
    /// them.
    pub(super) fn behind(before: u64, entries: &[LogEntry]) -> Self {
        let position = entries.last().map_or(START, |entry| entry.position);
        Self { position, ordinal: before + entries.len() as u64 }
    }
}

impl LogPage {
    /// Makes a page of what a store has read; None if there is a gap. Then the store reads again,
    /// without the cursor. `dropped`: how many entries the log no longer has. `found`: the entries
    /// from the cursor's position on, the entry at that position included; without a cursor, all.
    pub(super) fn judge(
        after: Option<LogCursor>,
        dropped: u64,
        mut found: Vec<LogEntry>,
        limit: usize,
    ) -> Option<Self> {
        let last = after.unwrap_or(LogCursor { position: START, ordinal: dropped });
        if last.ordinal < dropped {
            return None;
        }
        if last.ordinal > dropped {
            // The log still has the entry that was read last, unless it has a different history.
            if found.first().is_none_or(|first| first.position != last.position) {
                return None;
            }
            found.remove(0);
        }
        Some(Self::behind(last, found, limit))
    }

    /// The page for a reader that has missed entries: from the oldest entry kept on.
    pub(super) fn after_a_gap(dropped: u64, found: Vec<LogEntry>, limit: usize) -> Self {
        let last = LogCursor { position: START, ordinal: dropped };
        Self { gap: true, ..Self::behind(last, found, limit) }
    }

    fn behind(last: LogCursor, mut found: Vec<LogEntry>, limit: usize) -> Self {
        found.truncate(limit);
        let next = found.last().map_or(last, |entry| LogCursor {
            position: entry.position,
            ordinal: last.ordinal + found.len() as u64,
        });
        Self { entries: found, next, gap: false }
    }
}

/// Reads after the cursor, or from the oldest entry if there is a gap. `look` takes a position and
/// a limit. It answers how many entries are gone, and at most `limit` entries from the position on.
pub(super) fn read_with<E>(
    after: Option<LogCursor>,
    limit: usize,
    mut look: impl FnMut(Option<LogPosition>, usize) -> Result<(u64, Vec<LogEntry>), E>,
) -> Result<LogPage, E> {
    // One more than the limit, for the entry at the cursor.
    let most = limit.saturating_add(1);
    let (dropped, found) = look(after.map(|cursor| cursor.position), most)?;
    if let Some(page) = LogPage::judge(after, dropped, found, limit) {
        return Ok(page);
    }
    let (dropped, found) = look(None, limit)?;
    Ok(LogPage::after_a_gap(dropped, found, limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Cause, Change, Micros, Revision, What};

    fn entry(millis: u64) -> LogEntry {
        let change = Change {
            post: "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id"),
            what: What::Reaction {
                user: 1.try_into().expect("a user id"),
                reaction: "like".parse().expect("a reaction"),
                active: true,
                cause: Cause::Tap,
            },
            revision: Revision(millis),
            occurred_at: Micros(millis),
            actor: None,
        };
        LogEntry { position: LogPosition { millis, sequence: 0 }, change }
    }

    fn cursor(millis: u64, ordinal: u64) -> Option<LogCursor> {
        Some(LogCursor { position: LogPosition { millis, sequence: 0 }, ordinal })
    }

    /// Reads a log that once had entries 1 to 9 and has lost the ones before `oldest`.
    fn read(after: Option<LogCursor>, oldest: u64) -> (Vec<u64>, LogCursor, bool) {
        let page = read_with::<()>(after, 3, |from, most| {
            let from = from.map_or(0, |from| from.millis).max(oldest);
            Ok((oldest - 1, (from..=9).map(entry).take(most).collect()))
        });
        let LogPage { entries, next, gap } = page.expect("a page");
        (entries.into_iter().map(|entry| entry.position.millis).collect(), next, gap)
    }

    #[test]
    fn a_gap_is_an_entry_that_the_reader_has_not_had() {
        let next = |ordinal| cursor(ordinal, ordinal).expect("a cursor");
        assert_eq!(read(None, 4), (vec![4, 5, 6], next(6), false));
        assert_eq!(read(cursor(6, 6), 4), (vec![7, 8, 9], next(9), false));
        // The reader has had every entry that is gone, the last of them included.
        assert_eq!(read(cursor(3, 3), 4), (vec![4, 5, 6], next(6), false));
        assert_eq!(read(cursor(2, 2), 4), (vec![4, 5, 6], next(6), true));
        assert_eq!(read(cursor(9, 9), 10), (vec![], next(9), false));
        assert_eq!(read(cursor(8, 8), 10), (vec![], LogCursor { ordinal: 9, ..next(0) }, true));
    }

    #[test]
    fn a_log_with_another_history_is_a_gap() {
        // The entry that was read last is missing, although every entry that is gone is older.
        let another = LogCursor { ordinal: 7, position: LogPosition { millis: 7, sequence: 5 } };
        assert!(read(Some(another), 4).2);
        assert!(read(cursor(12, 12), 4).2);
    }

    #[test]
    fn a_quiet_log_is_none() {
        let empty = |after| read_with::<()>(after, 3, |_, _| Ok((0, Vec::new()))).expect("a page");
        let first = empty(None);
        assert_eq!((first.next.ordinal, first.gap), (0, false));
        assert_eq!(empty(Some(first.next)), first);
        assert!(empty(cursor(5, 1)).gap, "what was read is not there any more");
    }
}
