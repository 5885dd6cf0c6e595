//! One tap on the tables of a write transaction. The rule is [`decide()`]; this file only stores.

use std::collections::BTreeMap;

use redb::{ReadableTable, Table, WriteTransaction};

use super::file_error::FileResult;
use super::log::Lengths;
use super::{Retention, keys, log, records};
use crate::domain::{
    Before, Decision, KeyReused, Micros, Outcome, PARTITIONS, Partition, PostWrite, Revision, Tap,
    decide,
};

/// With up to this many members, each tap counts them, so that no error in a stored count lasts.
/// With more, the stored count moves by one, in the transaction that adds or removes the member.
const COUNTED: usize = 64;
/// The most old entries that a sweep drops from the log whose turn it is.
const TRIMMED_PER_TURN: usize = 1000;
/// The least number of entries by which a sweep cuts a log that is too long.
const CUT_AT_ONCE: usize = 100;
/// A log that grows by no more than this in a commit is trimmed in its turn, which suffices. A
/// sweep also trims the logs that grew by more, but no others, since their oldest pages are not
/// cached.
const TRIMMED_IN_TURN: usize = TRIMMED_PER_TURN / PARTITIONS;

/// The tables, open for writing.
pub(super) struct Tables<'txn> {
    posts: Table<'txn, &'static [u8], &'static [u8]>,
    log: Table<'txn, (u8, u64, u64), &'static [u8]>,
    expiry: Table<'txn, (u64, &'static [u8; 16], &'static [u8; 16]), ()>,
    meta: Table<'txn, &'static str, u64>,
    retention: Retention,
    /// The length of each log, with the entries of this transaction.
    lengths: Lengths,
    /// How many taps wrote something.
    pub(super) written: usize,
    /// By how many entries each log has grown.
    pub(super) grown: BTreeMap<Partition, usize>,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(
        txn: &'txn WriteTransaction,
        retention: Retention,
        lengths: Lengths,
    ) -> FileResult<Self> {
        Ok(Self {
            posts: txn.open_table(keys::POSTS)?,
            log: txn.open_table(keys::LOG)?,
            expiry: txn.open_table(keys::EXPIRY)?,
            meta: txn.open_table(keys::META)?,
            retention,
            lengths,
            written: 0,
            grown: BTreeMap::new(),
        })
    }

    /// Applies one tap. It reads before it writes, so that damaged data stays as it is.
    pub(super) fn tap(&mut self, tap: &Tap, now: Micros) -> FileResult<Result<Outcome, KeyReused>> {
        match records::find(&self.posts, tap, now)? {
            Ok(None) => {}
            Ok(Some(answered)) => return Ok(Ok(answered)),
            Err(reused) => return Ok(Err(reused)),
        }
        let member = keys::member(tap.post, &tap.reaction, tap.user);
        let since = self.number(&member, "member")?.map(Micros);
        let before = self.before(tap, since.is_some())?;
        let Decision { outcome, change, post } = decide(&before, tap, now);
        if let Some(change) = &change {
            self.move_member(tap, &member, since, now)?;
            log::append(&mut self.log, change, now)?;
            self.lengths.grow(tap.post.partition());
            *self.grown.entry(tap.post.partition()).or_default() += 1;
        }
        self.write_post(tap, &outcome, post)?;
        let expires_at = now.later(self.retention.records);
        let recorded = records::keep(&mut self.posts, &mut self.expiry, tap, &outcome, expires_at)?;
        self.written += usize::from(post != PostWrite::Keep || recorded);
        Ok(Ok(outcome))
    }

    /// Writes an entry that no post has and removes it. A commit of that shows that the write path
    /// works.
    pub(super) fn probe(&mut self) -> FileResult<()> {
        self.posts.insert(&[0; 16][..], &[][..])?;
        self.posts.remove(&[0; 16][..])?;
        self.written += 1;
        Ok(())
    }

    /// Drops what is too old: records, and log entries of the partition whose turn it is and of the
    /// logs that grow too fast for their turns.
    pub(super) fn sweep(&mut self, turn: Partition, now: Micros) -> FileResult<()> {
        // Twice as many as may have been added, so that the sweep never falls behind.
        let enough = |come: usize| 2 * come + 16;
        let Retention { change_log, change_log_entries, records, .. } = self.retention;
        records::sweep(&mut self.posts, &mut self.expiry, now, records, enough(self.written))?;
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

    /// Counts the commit, and returns the lengths of the logs after it.
    pub(super) fn end(mut self, commits: u64) -> FileResult<Lengths> {
        self.meta.insert(keys::META_COMMITS, commits)?;
        Ok(self.lengths)
    }

    /// Reads the state before a tap.
    fn before(&self, tap: &Tap, active: bool) -> FileResult<Before> {
        let head = self.number(&keys::head(tap.post), "revision")?.map(Revision);
        let shown = self.number(&keys::count(tap.post, &tap.reaction), "count")?.unwrap_or(0);
        let members = self.members(tap, shown)?;
        Ok(Before {
            active,
            members,
            shown,
            // This matters only if the last member may go.
            others: members > 1 || self.has_other_reactions(tap)?,
            revision: match head {
                Some(head) => head,
                None => floor(&self.meta, tap.post.partition())?,
            },
        })
    }

    /// Adds the user of a tap to the members, or removes the one that reacted at `since`.
    fn move_member(
        &mut self,
        tap: &Tap,
        member: &[u8],
        since: Option<Micros>,
        now: Micros,
    ) -> FileResult<()> {
        let place = keys::order(tap.post, &tap.reaction, since.unwrap_or(now), tap.user);
        if since.is_some() {
            self.posts.remove(member)?;
            self.posts.remove(&place[..])?;
        } else {
            self.posts.insert(member, &now.0.to_be_bytes()[..])?;
            self.posts.insert(&place[..], &[][..])?;
        }
        Ok(())
    }

    /// Writes the count and revision of a post, as decided.
    fn write_post(&mut self, tap: &Tap, outcome: &Outcome, post: PostWrite) -> FileResult<()> {
        let (head, count) = (keys::head(tap.post), keys::count(tap.post, &tap.reaction));
        match post {
            PostWrite::Keep => return Ok(()),
            PostWrite::Write => {
                self.posts.insert(&head[..], &outcome.revision.0.to_be_bytes()[..])?;
            }
            PostWrite::Empty => {
                self.posts.remove(&head[..])?;
                let partition = tap.post.partition();
                if outcome.revision > floor(&self.meta, partition)? {
                    self.meta.insert(&keys::floor(partition)[..], outcome.revision.0)?;
                }
            }
        }
        if outcome.count == 0 {
            self.posts.remove(&count[..])?;
        } else {
            self.posts.insert(&count[..], &outcome.count.to_be_bytes()[..])?;
        }
        Ok(())
    }

    fn number(&self, key: &[u8], of: &str) -> FileResult<Option<u64>> {
        self.posts.get(key)?.map(|found| keys::number(found.value(), of)).transpose()
    }

    /// The number of members: counted, or the stored count if there are too many to count.
    fn members(&self, tap: &Tap, shown: u64) -> FileResult<u64> {
        let (from, end) = keys::orders(tap.post, &tap.reaction);
        let mut counted = 0;
        for member in self.posts.range::<&[u8]>(&from[..]..&end[..])?.take(COUNTED + 1) {
            member?;
            counted += 1;
        }
        Ok(if counted > COUNTED as u64 { shown.max(counted) } else { counted })
    }

    fn has_other_reactions(&self, tap: &Tap) -> FileResult<bool> {
        let own = keys::count(tap.post, &tap.reaction);
        let (from, end) = keys::counts(tap.post);
        for found in self.posts.range::<&[u8]>(&from[..]..&end[..])?.take(2) {
            if found?.0.value() != own {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The revision of a partition's posts without state.
pub(super) fn floor(
    meta: &impl ReadableTable<&'static str, u64>,
    partition: Partition,
) -> FileResult<Revision> {
    let number = |name: &str| Ok::<_, redb::StorageError>(meta.get(name)?.map(|n| n.value()));
    Ok(Revision(number(keys::META_FLOOR)?.max(number(&keys::floor(partition))?).unwrap_or(0)))
}
