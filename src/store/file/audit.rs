//! Comparing the entries of a post, and making them agree.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadTransaction, ReadableTable};

use super::file_error::{FileError, FileResult};
use super::keys::{self, Set};
use super::listings;
use super::seen::Seen;
use super::step::{self, Tables};
use super::values::{Counted, Head};
use crate::domain::{Micros, PostId, Reaction, Revision, UserId};
use crate::store::{Audited, Drift};

/// What an audit found, and what would make it right.
struct Findings {
    drift: Vec<Drift>,
    revision: Revision,
    head: Head,
    /// The counts to write.
    counts: Vec<(Set, u64)>,
    /// What to add to the index.
    missing: Vec<(UserId, Set, Micros)>,
    /// Whether the post has members.
    has_members: bool,
}

/// Compares, in one commit.
pub(super) fn audit(
    txn: &ReadTransaction,
    post: PostId,
    indexed: &[(Reaction, UserId)],
) -> FileResult<Audited> {
    let (posts, meta) = (txn.open_table(keys::POSTS)?, txn.open_table(keys::META)?);
    let index = listings::open(txn, keys::GIVEN)?;
    let found = find(&posts, &meta, index.as_ref(), post, indexed);
    found.map_or_else(damaged, |Findings { drift, revision, .. }| {
        Ok(Audited { drift, repaired: false, revision })
    })
}

/// Damage is a finding, too, but its post has no revision that anybody could read.
fn damaged(error: FileError) -> FileResult<Audited> {
    match error {
        FileError::Damaged(what) => {
            let (drift, revision) = (vec![Drift::Damaged(what)], Revision::default());
            Ok(Audited { drift, repaired: false, revision })
        }
        engine @ FileError::Engine(_) => Err(engine),
    }
}

impl Tables<'_> {
    /// Compares and makes everything agree with the members.
    pub(super) fn repair(
        &mut self,
        post: PostId,
        indexed: &[(Reaction, UserId)],
        now: Micros,
    ) -> FileResult<Audited> {
        let found = match find(&self.posts, &self.meta, Some(&self.given), post, indexed) {
            Ok(found) => found,
            Err(error) => return damaged(error),
        };
        let Findings { drift, revision, head, counts, missing, has_members } = found;
        let is_damaged = drift.iter().any(|it| matches!(it, Drift::Damaged(_)));
        if drift.is_empty() || is_damaged {
            return Ok(Audited { drift, repaired: false, revision });
        }
        for (user, set, at) in &missing {
            self.given.insert(&keys::given(*user, &set.given(*at))[..], ())?;
        }
        counts.iter().try_for_each(|(set, count)| self.write_count(set, *count))?;
        let head = Head { revision: Revision::next(revision, now), ..head };
        self.write_post(post, &head, step::after(&head, has_members))?;
        self.written += 1;
        Ok(Audited { drift, repaired: true, revision: head.revision })
    }
}

fn find<P: ReadableTable<&'static [u8], &'static [u8]>>(
    posts: &P,
    meta: &impl ReadableTable<&'static str, u64>,
    index: Option<&impl ReadableTable<&'static [u8], ()>>,
    post: PostId,
    indexed: &[(Reaction, UserId)],
) -> FileResult<Findings> {
    let seen = Seen::look(posts, meta, post)?;
    let (mut drift, mut counts, mut head) = (Vec::new(), Vec::new(), seen.head.clone());
    let shown = shown(posts, post)?;
    let mut sets: BTreeMap<Reaction, Set> = BTreeMap::new();
    for set in listings::sets(posts, post)? {
        let other = shown.get(&set.reaction).is_some_and(|it| it.generation != set.generation);
        if other || sets.contains_key(&set.reaction) {
            drift.push(Drift::Damaged(format!("{} has two sets of members", set.reaction)));
        } else {
            sets.insert(set.reaction.clone(), set);
        }
    }
    let mut has_members = false;
    let kinds: BTreeSet<_> = shown.keys().chain(sets.keys()).cloned().collect();
    for reaction in kinds {
        let set = sets.get(&reaction).cloned().map_or_else(|| seen.set(&reaction), Ok)?;
        let (members, listed) = (length(posts, set.members())?, length(posts, set.orders())?);
        if members != listed {
            let what = format!("{reaction} has {members} members, and {listed} in their order");
            drift.push(Drift::Damaged(what));
        }
        let count = shown.get(&reaction).map_or(0, |counted| counted.count);
        // A count of 0 is none that onetap writes.
        if members != count || members == 0 {
            head.generation = head.generation.max(set.generation);
            counts.push((set, members));
            drift.push(Drift::Count { reaction, count, members });
        }
        has_members |= members > 0;
    }
    let has_state = has_members || !seen.head.rules.is_default();
    if has_state && (!seen.has_state || seen.head.revision == Revision::default()) {
        drift.push(Drift::Revision);
    }
    let missing = listings::not_indexed(&seen, index, indexed)?;
    if !missing.is_empty() {
        drift.push(Drift::NotIndexed(missing.len() as u64));
    }
    let revision = seen.head.revision;
    Ok(Findings { drift, revision, head, counts, missing, has_members })
}

/// The counts that readers see.
fn shown(
    posts: &impl ReadableTable<&'static [u8], &'static [u8]>,
    post: PostId,
) -> FileResult<BTreeMap<Reaction, Counted>> {
    let (from, end) = keys::counts(post);
    let found = posts.range::<&[u8]>(&from[..]..&end[..])?.map(|entry| {
        let (key, value) = entry?;
        Ok((keys::reaction_of_count(key.value())?, Counted::decode(value.value())?))
    });
    found.collect()
}

fn length(
    posts: &impl ReadableTable<&'static [u8], &'static [u8]>,
    (from, end): (keys::Key, keys::Key),
) -> FileResult<u64> {
    let mut length = 0;
    for entry in posts.range::<&[u8]>(&from[..]..&end[..])? {
        entry?;
        length += 1;
    }
    Ok(length)
}
