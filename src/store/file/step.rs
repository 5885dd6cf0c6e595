//! A tap on the tables of one write transaction. The rule is [`decide`]; this file only stores.

use std::collections::BTreeMap;

use redb::{ReadableTable, Table, WriteTransaction};

use super::file_error::FileResult;
use super::log::Lengths;
use super::{Retention, keys, log, records};
use crate::domain::{
    Before, Decision, KeyReused, Micros, Outcome, PARTITIONS, Partition, PostWrite, Revision, Tap,
    decide,
};

/// Up to this many members are counted at every tap, so that no error in a kept count lasts. Beyond
/// it the kept count moves by one, in the transaction in which the member comes or goes.
const COUNTED: usize = 64;
/// At most so many entries are dropped of the log whose turn it is.
const TRIMMED_PER_TURN: usize = 1000;
/// A log that is too long is cut by so many entries at once, at least.
const CUT_AT_ONCE: usize = 100;
/// A log that grows by no more than this in a commit does not outgrow its turns. What grows by more
/// is trimmed in that commit, too; all others are not, since their oldest pages are not at hand.
const TRIMMED_IN_TURN: usize = TRIMMED_PER_TURN / PARTITIONS;

/// The tables, open for writing.
pub(super) struct Tables<'txn> {
    posts: Table<'txn, &'static [u8], &'static [u8]>,
    log: Table<'txn, (u8, u64, u64), &'static [u8]>,
    expiry: Table<'txn, (u64, &'static [u8; 16], &'static [u8; 16]), ()>,
    meta: Table<'txn, &'static str, u64>,
    retention: Retention,
    /// How many entries each log has, with those of this transaction.
    lengths: Lengths,
    /// How many taps wrote something.
    pub(super) written: usize,
    /// How many entries each log has grown by.
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

    /// Applies one tap. It looks before it writes, so that what is damaged stays as it is.
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

    /// Writes and takes back what no post has: what the probe shows is that a commit works.
    pub(super) fn probe(&mut self) -> FileResult<()> {
        self.posts.insert(&[0; 16][..], &[][..])?;
        self.posts.remove(&[0; 16][..])?;
        self.written += 1;
        Ok(())
    }

    /// Drops what is too old: records, and log entries of the partition whose turn it is and of
    /// those that would outgrow their turns.
    pub(super) fn sweep(&mut self, turn: Partition, now: Micros) -> FileResult<()> {
        // Twice as many as may have come, so that it never falls behind.
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
            // In bunches: its oldest pages are not at hand.
            if surplus >= CUT_AT_ONCE {
                let cut = log::cut(&mut self.log, partition, surplus.min(TRIMMED_PER_TURN + come))?;
                dropped += cut;
            }
            self.count_dropped(partition, dropped)?;
        }
        Ok(())
    }

    /// Takes into account that a log has lost its oldest entries.
    fn count_dropped(&mut self, partition: Partition, entries: usize) -> FileResult<()> {
        if entries > 0 {
            self.lengths.shrink(partition, entries);
            let dropped = log::dropped(&self.meta, partition)? + entries as u64;
            self.meta.insert(&keys::dropped(partition)[..], dropped)?;
        }
        Ok(())
    }

    /// Counts the commit, and says how long the logs are with it.
    pub(super) fn end(mut self, commits: u64) -> FileResult<Lengths> {
        self.meta.insert(keys::META_COMMITS, commits)?;
        Ok(self.lengths)
    }

    /// What the file holds before a tap.
    fn before(&self, tap: &Tap, active: bool) -> FileResult<Before> {
        let head = self.number(&keys::head(tap.post), "revision")?.map(Revision);
        let shown = self.number(&keys::count(tap.post, &tap.reaction), "count")?.unwrap_or(0);
        let members = self.members(tap, shown)?;
        Ok(Before {
            active,
            members,
            shown,
            // It matters only where the last member may go.
            others: members > 1 || self.has_other_reactions(tap)?,
            revision: match head {
                Some(head) => head,
                None => floor(&self.meta, tap.post.partition())?,
            },
        })
    }

    /// Adds the user of a tap to the members, or removes the one that is there since `since`.
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

    /// Writes a post's count and revision, as decided.
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

    /// How many members there are: counted, or as shown where there are too many to count.
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

/// The revision of the posts of a partition that have no state.
pub(super) fn floor(
    meta: &impl ReadableTable<&'static str, u64>,
    partition: Partition,
) -> FileResult<Revision> {
    let number = |name: &str| Ok::<_, redb::StorageError>(meta.get(name)?.map(|n| n.value()));
    Ok(Revision(number(keys::META_FLOOR)?.max(number(&keys::floor(partition))?).unwrap_or(0)))
}
