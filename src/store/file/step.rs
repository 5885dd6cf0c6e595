//! One write on the tables of a transaction. The rules are those of [`decide()`]; this file only
//! stores.

use std::collections::BTreeMap;

use redb::{ReadableTable as _, Table, WriteTransaction};

use super::file_error::FileResult;
use super::keys::{self, Set};
use super::log::Lengths;
use super::seen::{Seen, SeenByUser, floor};
use super::values::{Counted, Head};
use super::{Retention, StoreError, log, records};
use crate::domain::{
    Change, Decision, Forget, Forgotten, KeyReused, Micros, Outcome, Partition, PostId, PostWrite,
    Reaction, Ruled, RulesEdit, Tap, UserId, What, decide, decide_forget, decide_rules,
};
use crate::store::USER_INDEX;

/// The tables, open for writing.
pub(super) struct Tables<'txn> {
    pub(super) posts: Table<'txn, &'static [u8], &'static [u8]>,
    pub(super) log: Table<'txn, (u8, u64, u64), &'static [u8]>,
    pub(super) expiry: Table<'txn, (u64, &'static [u8; 16], &'static [u8; 16]), ()>,
    pub(super) meta: Table<'txn, &'static str, u64>,
    pub(super) given: Table<'txn, &'static [u8], ()>,
    pub(super) documents: Table<'txn, &'static str, &'static [u8]>,
    pub(super) until: Table<'txn, &'static [u8], ()>,
    pub(super) retention: Retention,
    /// The length of each log, with the entries of this transaction.
    pub(super) lengths: Lengths,
    /// How many jobs wrote something.
    pub(super) written: usize,
    /// By how many entries each log has grown.
    pub(super) grown: BTreeMap<Partition, usize>,
    /// Where the logs end that have grown.
    ends: log::Ends,
    /// Entries of the index that are not written yet, and whether they go in or out.
    indexing: Vec<(keys::Key, bool)>,
}

/// A member that a step adds or removes.
struct Move {
    set: Set,
    user: UserId,
    /// When the user reacted; None for a member that the step adds.
    since: Option<Micros>,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(
        txn: &'txn WriteTransaction,
        retention: Retention,
        lengths: Lengths,
    ) -> FileResult<Self> {
        let mut tables = Self {
            posts: txn.open_table(keys::POSTS)?,
            log: txn.open_table(keys::LOG)?,
            expiry: txn.open_table(keys::EXPIRY)?,
            meta: txn.open_table(keys::META)?,
            given: txn.open_table(keys::GIVEN)?,
            documents: txn.open_table(keys::DOCUMENTS)?,
            until: txn.open_table(keys::UNTIL)?,
            retention,
            lengths,
            written: 0,
            grown: BTreeMap::new(),
            ends: log::Ends::new(),
            indexing: Vec::new(),
        };
        if !is_indexed(&tables.meta)? {
            // An earlier release wrote members without entries in the index.
            tables.documents.remove(USER_INDEX)?;
        }
        Ok(tables)
    }

    /// Applies one tap. It reads before it writes, so that damaged data stays as it is.
    pub(super) fn tap(
        &mut self,
        tap: &Tap,
        now: Micros,
    ) -> FileResult<Result<Outcome, StoreError>> {
        match records::find(&self.posts, tap, now)? {
            Ok(None) => {}
            Ok(Some(answered)) => return Ok(Ok(answered)),
            Err(KeyReused) => return Ok(Err(StoreError::KeyReused)),
        }
        let seen = Seen::look(&self.posts, &self.meta, tap.post)?;
        let decided = decide(&SeenByUser(&seen, tap.user), tap, now)?;
        let Decision { outcome, changes, counts, post } = match decided {
            Ok(decision) => decision,
            Err(refusal) => return Ok(Err(StoreError::Refused(refusal))),
        };
        let counts = counts.into_iter().map(|(reaction, count)| Ok((seen.set(&reaction)?, count)));
        let counts = counts.collect::<FileResult<Vec<_>>>()?;
        let moves = changes.iter().filter_map(|change| self.movement(&seen, &change.what));
        let moves = moves.collect::<FileResult<Vec<_>>>()?;
        let head = Head { revision: outcome.revision, ..seen.head };
        moves.into_iter().try_for_each(|it| self.move_member(&it, now))?;
        changes.iter().try_for_each(|change| self.append(change, now))?;
        counts.iter().try_for_each(|(set, count)| self.write_count(set, *count))?;
        self.write_post(tap.post, &head, post)?;
        let expires_at = now.later(self.retention.records);
        let recorded = records::keep(&mut self.posts, &mut self.expiry, tap, &outcome, expires_at)?;
        self.written += usize::from(post != PostWrite::Keep || recorded);
        Ok(Ok(outcome))
    }

    /// Changes the rules of a post.
    pub(super) fn rule(&mut self, edit: &RulesEdit, now: Micros) -> FileResult<Ruled> {
        let seen = Seen::look(&self.posts, &self.meta, edit.post)?;
        let (ruled, change) = decide_rules(edit, &seen.head.rules, seen.head.revision, now);
        if let Some(change) = change {
            let has_kinds = !seen.kinds(1)?.is_empty();
            let (revision, rules) = (ruled.revision, ruled.rules.clone());
            let head = Head { revision, rules, ..seen.head };
            self.append(&change, now)?;
            self.write_post(edit.post, &head, after(&head, has_kinds))?;
            self.written += 1;
        }
        Ok(ruled)
    }

    /// Takes all members of a post, or of one reaction, from every reader's sight. Their entries
    /// stay until [`Tables::free`] drops them.
    pub(super) fn forget(&mut self, forget: &Forget, now: Micros) -> FileResult<Forgotten> {
        let seen = Seen::look(&self.posts, &self.meta, forget.post)?;
        let kinds = seen.kinds(usize::MAX)?;
        let goes = |kind: &&Reaction| forget.reaction.as_ref().is_none_or(|wanted| wanted == *kind);
        let (mut sets, mut removed) = (Vec::new(), 0);
        for kind in kinds.iter().filter(goes) {
            sets.push(seen.set(kind)?);
            removed += seen.size(kind)?;
        }
        let mark = match forget.reaction {
            None => self.mark(forget.post)?,
            Some(_) => None,
        };
        let (forgotten, change) = decide_forget(forget, removed, seen.head.revision, now);
        if let Some(change) = change {
            let (revision, generation) = (forgotten.revision, seen.head.generation + 1);
            let head = Head { revision, generation, ..seen.head };
            for set in &sets {
                self.write_count(set, 0)?;
                self.posts.insert(&set.forgotten()[..], &[][..])?;
            }
            self.append(&change, now)?;
            self.write_post(forget.post, &head, after(&head, sets.len() < kinds.len()))?;
            self.written += 1;
        }
        if let Some((expires_at, _)) = mark {
            self.delete_mark(forget.post, Some(expires_at))?;
            self.written += 1;
        }
        Ok(forgotten)
    }

    /// Writes an entry that no post has and removes it. A commit of that shows that the write path
    /// works.
    pub(super) fn probe(&mut self) -> FileResult<()> {
        self.posts.insert(&keys::probe()[..], &[][..])?;
        self.posts.remove(&keys::probe()[..])?;
        self.written += 1;
        Ok(())
    }

    /// Counts the commit, and returns the lengths of the logs after it.
    pub(super) fn end(mut self, commits: u64) -> FileResult<Lengths> {
        self.write_index()?;
        self.meta.insert(keys::META_COMMITS, commits)?;
        self.meta.insert(keys::META_INDEXED, commits)?;
        Ok(self.lengths)
    }

    /// The member that a change adds or removes.
    fn movement<P>(&self, seen: &Seen<'_, P>, what: &What) -> Option<FileResult<Move>>
    where
        P: redb::ReadableTable<&'static [u8], &'static [u8]>,
    {
        let What::Reaction { user, reaction, active, .. } = what else { return None };
        let movement = || {
            let set = seen.set(reaction)?;
            let since = match active {
                true => None,
                false => self.number(&set.member(*user), "member")?.map(Micros),
            };
            Ok(Move { set, user: *user, since })
        };
        Some(movement())
    }

    fn move_member(&mut self, Move { set, user, since }: &Move, now: Micros) -> FileResult<()> {
        match since {
            Some(since) => self.remove_member(set, *user, *since),
            None => self.insert_member(set, *user, now),
        }
    }

    /// Adds a member, also to the index of what its user gave.
    pub(super) fn insert_member(&mut self, set: &Set, user: UserId, at: Micros) -> FileResult<()> {
        self.posts.insert(&set.member(user)[..], &at.0.to_be_bytes()[..])?;
        self.posts.insert(&set.order(at, user)[..], &[][..])?;
        self.indexing.push((keys::given(user, &set.given(at)), true));
        Ok(())
    }

    /// Removes a member that has been there since this time.
    pub(super) fn remove_member(&mut self, set: &Set, user: UserId, at: Micros) -> FileResult<()> {
        self.posts.remove(&set.member(user)[..])?;
        self.posts.remove(&set.order(at, user)[..])?;
        self.indexing.push((keys::given(user, &set.given(at)), false));
        Ok(())
    }

    /// Brings the index up to date. An import comes post by post, and the index lies user by user:
    /// in the order of its keys the commit goes over each page once.
    pub(super) fn write_index(&mut self) -> FileResult<()> {
        // Of several changes of one entry, the last one counts.
        self.indexing.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (key, goes_in) in self.indexing.drain(..) {
            match goes_in {
                true => drop(self.given.insert(&key[..], ())?),
                false => drop(self.given.remove(&key[..])?),
            }
        }
        Ok(())
    }

    pub(super) fn append(&mut self, change: &Change, now: Micros) -> FileResult<()> {
        let partition = change.post.partition();
        log::append(&mut self.log, &mut self.ends, change, now)?;
        self.lengths.grow(partition);
        *self.grown.entry(partition).or_default() += 1;
        Ok(())
    }

    /// Writes a count. No count of zero is kept.
    pub(super) fn write_count(&mut self, set: &Set, count: u64) -> FileResult<()> {
        let key = keys::count(set.post, &set.reaction);
        if count == 0 {
            self.posts.remove(&key[..])?;
        } else {
            let counted = Counted { count, generation: set.generation };
            self.posts.insert(&key[..], &counted.encode()[..])?;
        }
        Ok(())
    }

    /// Writes revision, generation and rules of a post, as decided.
    pub(super) fn write_post(
        &mut self,
        post: PostId,
        head: &Head,
        write: PostWrite,
    ) -> FileResult<()> {
        let key = keys::head(post);
        match write {
            PostWrite::Keep => {}
            PostWrite::Write => {
                self.posts.insert(&key[..], &head.encode()[..])?;
            }
            PostWrite::Empty => {
                self.posts.remove(&key[..])?;
                let partition = post.partition();
                if head.revision > floor(&self.meta, partition)? {
                    self.meta.insert(&keys::floor(partition)[..], head.revision.0)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn number(&self, key: &[u8], of: &str) -> FileResult<Option<u64>> {
        self.posts.get(key)?.map(|found| keys::number(found.value(), of)).transpose()
    }
}

/// Whether the index has every member that was added since the store began to keep it: no earlier
/// release has written to the file since.
pub(super) fn is_indexed(meta: &impl redb::ReadableTable<&'static str, u64>) -> FileResult<bool> {
    let number = |name| Ok::<_, redb::StorageError>(meta.get(name)?.map(|n| n.value()));
    Ok(number(keys::META_INDEXED)? == number(keys::META_COMMITS)?)
}

/// What a moderator's change leaves of a post.
pub(super) fn after(head: &Head, has_kinds: bool) -> PostWrite {
    match has_kinds || !head.rules.is_default() {
        true => PostWrite::Write,
        false => PostWrite::Empty,
    }
}
