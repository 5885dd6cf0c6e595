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

/// What to compare.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) post: PostId,
    /// Members to look up in the index.
    pub(super) indexed: Vec<(Reaction, UserId)>,
    /// Whether to compare the rest of the post, too: that counts all its members.
    pub(super) whole: bool,
}

/// Compares, in one commit.
pub(super) fn audit(txn: &ReadTransaction, asked: &Asked) -> FileResult<Audited> {
    let (posts, meta) = (txn.open_table(keys::POSTS)?, txn.open_table(keys::META)?);
    let index = listings::open(txn, keys::GIVEN)?;
    let found = find(&posts, &meta, index.as_ref(), asked);
    found.map_or_else(damaged, |Findings { drift, revision, .. }| {
        Ok(Audited { drift, repaired: false, revision })
    })
}

/// Damage is a finding, too, but its post has no revision that anybody could read.
fn damaged(error: FileError) -> FileResult<Audited> {
    let (drift, revision) = (vec![damage(error)?], Revision::default());
    Ok(Audited { drift, repaired: false, revision })
}

fn damage(error: FileError) -> FileResult<Drift> {
    match error {
        FileError::Damaged(what) => Ok(Drift::Damaged(what)),
        engine @ FileError::Engine(_) => Err(engine),
    }
}

impl Tables<'_> {
    /// Compares and makes everything agree with the members.
    pub(super) fn repair(&mut self, asked: &Asked, now: Micros) -> FileResult<Audited> {
        self.write_index()?;
        let found = match find(&self.posts, &self.meta, Some(&self.given), asked) {
            Ok(found) => found,
            Err(error) => return damaged(error),
        };
        let post = asked.post;
        let Findings { drift, revision, head, counts, missing, has_members } = found;
        for (user, set, at) in &missing {
            self.given.insert(&keys::given(*user, &set.given(*at))[..], ())?;
        }
        let only_index = drift.iter().all(|it| matches!(it, Drift::NotIndexed(_)));
        if only_index || drift.iter().any(|it| matches!(it, Drift::Damaged(_))) {
            self.written += usize::from(!missing.is_empty());
            let repaired = only_index && !drift.is_empty();
            return Ok(Audited { drift, repaired, revision });
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
    asked: &Asked,
) -> FileResult<Findings> {
    let seen = Seen::look(posts, meta, asked.post)?;
    let compared = if asked.whole { compare(posts, &seen) } else { Ok(Findings::of(&seen)) };
    let mut found = match compared {
        Ok(found) => found,
        Err(error) => Findings { drift: vec![damage(error)?], ..Findings::of(&seen) },
    };
    found.missing = listings::not_indexed(&seen, index, &asked.indexed)?;
    if !found.missing.is_empty() {
        found.drift.push(Drift::NotIndexed(found.missing.len() as u64));
    }
    Ok(found)
}

impl Findings {
    /// Nothing.
    fn of<P>(seen: &Seen<'_, P>) -> Self {
        Self {
            drift: Vec::new(),
            revision: seen.head.revision,
            head: seen.head.clone(),
            counts: Vec::new(),
            missing: Vec::new(),
            has_members: false,
        }
    }
}

/// Compares all but the index.
fn compare<P: ReadableTable<&'static [u8], &'static [u8]>>(
    posts: &P,
    seen: &Seen<'_, P>,
) -> FileResult<Findings> {
    let post = seen.post;
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
    Ok(Findings { drift, head, counts, has_members, ..Findings::of(seen) })
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
