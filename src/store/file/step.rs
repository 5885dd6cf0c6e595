//! A tap on the tables of one write transaction, by the rules of [`crate::domain::machine`].

use std::collections::BTreeMap;

use redb::{ReadableTable, Table, WriteTransaction};

use super::log::Lengths;

use super::trouble::Found;
use super::{Retention, keys, log, records};
use crate::domain::{
    Cause, Change, KeyReused, Micros, Outcome, PARTITIONS, Partition, PostId, Reaction, Revision,
    Tap,
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
    ) -> Found<Self> {
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
    pub(super) fn tap(&mut self, tap: &Tap, now: Micros) -> Found<Result<Outcome, KeyReused>> {
        match records::find(&self.posts, tap, now)? {
            Ok(None) => {}
            Ok(Some(answered)) => return Ok(Ok(answered)),
            Err(reused) => return Ok(Err(reused)),
        }
        let head = self.number(&keys::head(tap.post), "revision")?.map(Revision);
        let member = keys::member(tap.post, &tap.reaction, tap.user);
        let since = self.number(&member, "member")?.map(Micros);
        let kept = self.number(&keys::count(tap.post, &tap.reaction), "count")?.unwrap_or(0);

        let active = tap.verb.turns(since.is_some());
        let (changed, expected) = match (since, active) {
            (None, true) => {
                self.posts.insert(&member[..], &now.0.to_be_bytes()[..])?;
                let place = keys::order(tap.post, &tap.reaction, now, tap.user);
                self.posts.insert(&place[..], &[][..])?;
                (true, kept.saturating_add(1))
            }
            (Some(at), false) => {
                self.posts.remove(&member[..])?;
                let place = keys::order(tap.post, &tap.reaction, at, tap.user);
                self.posts.remove(&place[..])?;
                (true, kept.saturating_sub(1))
            }
            _ => (false, kept),
        };
        let count = self.counted(tap, expected)?;
        let mut revision = match head {
            Some(head) => head,
            None => floor(&self.meta, tap.post.partition())?,
        };
        if changed || count != kept {
            revision = Revision::next(revision, now);
            self.keep_count(tap, count)?;
            self.keep_revision(tap.post, revision, count)?;
        }
        if changed {
            log::append(&mut self.log, &change(tap, active, revision, now), now)?;
            self.lengths.grow(tap.post.partition());
            *self.grown.entry(tap.post.partition()).or_default() += 1;
        }
        let outcome = Outcome { active, changed, count, revision, replayed: false };
        let expires_at = now.later(self.retention.records);
        let recorded = records::keep(&mut self.posts, &mut self.expiry, tap, &outcome, expires_at)?;
        self.written += usize::from(changed || count != kept || recorded);
        Ok(Ok(outcome))
    }

    /// Writes and takes back what no post has: what the probe shows is that a commit works.
    pub(super) fn probe(&mut self) -> Found<()> {
        self.posts.insert(&[0; 16][..], &[][..])?;
        self.posts.remove(&[0; 16][..])?;
        self.written += 1;
        Ok(())
    }

    /// Drops what is too old: records, and log entries of the partition whose turn it is and of
    /// those that would outgrow their turns.
    pub(super) fn sweep(&mut self, turn: Partition, now: Micros) -> Found<()> {
        // Twice as many as may have come, so that it never falls behind.
        let enough = |come: usize| 2 * come + 16;
        let Retention { change_log, change_log_entries, records, .. } = self.retention;
        records::sweep(&mut self.posts, &mut self.expiry, now, records, enough(self.written))?;
        let trimmed = log::trim(&mut self.log, turn, now, change_log, TRIMMED_PER_TURN)?;
        self.lengths.shrink(turn, trimmed);
        for (&partition, &come) in &self.grown {
            if come > TRIMMED_IN_TURN {
                let trimmed = log::trim(&mut self.log, partition, now, change_log, enough(come))?;
                self.lengths.shrink(partition, trimmed);
            }
            let surplus = self.lengths.of(partition).saturating_sub(change_log_entries as usize);
            // In bunches: its oldest pages are not at hand.
            if surplus >= CUT_AT_ONCE {
                let cut = log::cut(&mut self.log, partition, surplus.min(TRIMMED_PER_TURN + come))?;
                self.lengths.shrink(partition, cut);
            }
        }
        Ok(())
    }

    /// Counts the commit, and says how long the logs are with it.
    pub(super) fn end(mut self, commits: u64) -> Found<Lengths> {
        self.meta.insert(keys::META_COMMITS, commits)?;
        Ok(self.lengths)
    }

    /// Writes the revision of a post that has reactions. One that has none any more is not kept:
    /// the floor of its partition rises to its revision instead.
    fn keep_revision(&mut self, post: PostId, revision: Revision, count: u64) -> Found<()> {
        let (from, end) = keys::counts(post);
        if count > 0 || self.posts.range::<&[u8]>(&from[..]..&end[..])?.next().is_some() {
            self.posts.insert(&keys::head(post)[..], &revision.0.to_be_bytes()[..])?;
            return Ok(());
        }
        self.posts.remove(&keys::head(post)[..])?;
        if revision > floor(&self.meta, post.partition())? {
            self.meta.insert(&keys::floor(post.partition())[..], revision.0)?;
        }
        Ok(())
    }

    fn number(&self, key: &[u8], of: &str) -> Found<Option<u64>> {
        self.posts.get(key)?.map(|found| keys::number(found.value(), of)).transpose()
    }

    /// How many members there are: counted, or as expected where there are too many to count.
    fn counted(&self, tap: &Tap, expected: u64) -> Found<u64> {
        let (from, end) = keys::orders(tap.post, &tap.reaction);
        let mut counted = 0;
        for member in self.posts.range::<&[u8]>(&from[..]..&end[..])?.take(COUNTED + 1) {
            member?;
            counted += 1;
        }
        Ok(if counted > COUNTED as u64 { expected.max(counted) } else { counted })
    }

    fn keep_count(&mut self, Tap { post, reaction, .. }: &Tap, count: u64) -> Found<()> {
        let key = keys::count(*post, reaction);
        if count == 0 {
            self.posts.remove(&key[..])?;
        } else {
            self.posts.insert(&key[..], &count.to_be_bytes()[..])?;
        }
        Ok(())
    }
}

/// The revision of the posts of a partition that have no state.
pub(super) fn floor(
    meta: &impl ReadableTable<&'static str, u64>,
    partition: Partition,
) -> Found<Revision> {
    let number = |name: &str| Ok::<_, redb::StorageError>(meta.get(name)?.map(|n| n.value()));
    Ok(Revision(number(keys::META_FLOOR)?.max(number(&keys::floor(partition))?).unwrap_or(0)))
}

fn change(tap: &Tap, active: bool, revision: Revision, now: Micros) -> Change {
    let Tap { post, user, .. } = *tap;
    let reaction: Reaction = tap.reaction.clone();
    Change { post, user, reaction, active, revision, occurred_at: now, cause: Cause::Tap }
}
