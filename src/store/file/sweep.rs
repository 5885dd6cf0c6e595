//! What a commit drops besides its own writes: what is too old, and what is forgotten.

use redb::ReadableTable;

use super::file_error::FileResult;
use super::keys::{self, Set};
use super::seen::Seen;
use super::step::Tables;
use super::{Retention, log, records};
use crate::domain::{Micros, PARTITIONS, Partition};

/// The most old entries that a sweep drops from the log whose turn it is.
const TRIMMED_PER_TURN: usize = 1000;
/// The least number of entries by which a sweep cuts a log that is too long.
const CUT_AT_ONCE: usize = 100;
/// A log that grows by no more than this in a commit is trimmed in its turn, which suffices. A
/// sweep also trims the logs that grew by more, but no others, since their oldest pages are not
/// cached.
const TRIMMED_IN_TURN: usize = TRIMMED_PER_TURN / PARTITIONS;

/// The most entries of forgotten sets that a commit drops.
const FREED_AT_ONCE: usize = 1000;

impl Tables<'_> {
    /// Drops what is too old: records, and log entries of the partition whose turn it is and of the
    /// logs that grow too fast for their turns.
    pub(super) fn sweep(&mut self, turn: Partition, now: Micros) -> FileResult<()> {
        // Twice as many as may have been added, so that the sweep never falls behind.
        let enough = |come: usize| 2 * come + 16;
        let Retention { change_log, change_log_entries, records, .. } = self.retention;
        records::sweep(&mut self.posts, &mut self.expiry, now, records, enough(self.written))?;
        self.expire(now)?;
        let trimmed = log::trim(&mut self.log, turn, now, change_log, TRIMMED_PER_TURN)?;
        self.count_dropped(turn, trimmed)?;
        for (partition, come) in std::mem::take(&mut self.grown) {
            let mut dropped = 0;
            if come > TRIMMED_IN_TURN {
                let trimmed = log::trim(&mut self.log, partition, now, change_log, enough(come))?;
                dropped += trimmed;
            }
            let length = self.lengths.of(partition) - dropped;
            let surplus = length.saturating_sub(change_log_entries as usize);
            // In bunches: the oldest pages are not cached.
            if surplus >= CUT_AT_ONCE {
                let cut = log::cut(&mut self.log, partition, surplus.min(TRIMMED_PER_TURN + come))?;
                dropped += cut;
            }
            self.count_dropped(partition, dropped)?;
        }
        Ok(())
    }

    /// Records that a log has dropped entries.
    fn count_dropped(&mut self, partition: Partition, entries: usize) -> FileResult<()> {
        if entries > 0 {
            self.lengths.shrink(partition, entries);
            let dropped = log::dropped(&self.meta, partition)? + entries as u64;
            self.meta.insert(&keys::dropped(partition)[..], dropped)?;
        }
        Ok(())
    }

    /// Drops entries of forgotten sets, a bounded number. Returns whether there are more.
    pub(super) fn free(&mut self) -> FileResult<bool> {
        self.write_index()?;
        let mut left = FREED_AT_ONCE;
        while let Some(set) = next_forgotten(&self.posts)? {
            self.forget_given(&set, left)?;
            for (from, end) in [set.orders(), set.members()] {
                left -= self.drop_first(&from, &end, left)?;
            }
            if left == 0 {
                return Ok(true);
            }
            self.posts.remove(&set.forgotten()[..])?;
        }
        Ok(false)
    }

    /// Drops the first members of a forgotten set from the index of what users gave, at most this
    /// many.
    fn forget_given(&mut self, set: &Set, most: usize) -> FileResult<()> {
        let (from, end) = set.orders();
        let mut gone = Vec::new();
        for entry in self.posts.range::<&[u8]>(&from[..]..&end[..])?.take(most) {
            gone.push(set.member_of_order(entry?.0.value())?);
        }
        if gone.is_empty() {
            return Ok(());
        }
        let seen = Seen::look(&self.posts, &self.meta, set.post)?;
        for (at, user) in gone {
            // An import may have brought the same reaction back, with the same time.
            if seen.since(user, &set.reaction)? != Some(at) {
                self.given.remove(&keys::given(user, &set.given(at))[..])?;
            }
        }
        Ok(())
    }

    /// Drops the first entries of a range, at most this many. Returns how many it dropped.
    fn drop_first(&mut self, from: &[u8], end: &[u8], most: usize) -> FileResult<usize> {
        let (mut last, mut found) = (None, 0);
        for entry in self.posts.range::<&[u8]>(from..end)?.take(most) {
            last = Some(entry?.0.value().to_vec());
            found += 1;
        }
        if let Some(last) = last {
            self.posts.retain_in::<&[u8], _>(from..=&last[..], |_, _| false)?;
        }
        Ok(found)
    }
}

/// The first set that is forgotten and not freed.
pub(super) fn next_forgotten(
    posts: &impl ReadableTable<&'static [u8], &'static [u8]>,
) -> FileResult<Option<Set>> {
    let (from, end) = keys::all_forgotten();
    let first = posts.range::<&[u8]>(&from[..]..&end[..])?.next().transpose()?;
    first.map(|(key, _)| Set::of_forgotten(key.value())).transpose()
}
