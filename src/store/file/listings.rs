//! Reads for exports and jobs: walks over all posts, what a user gave, documents. Each is of one
//! commit.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, TableError};

use super::file_error::{FileError, FileResult};
use super::keys::{self, Set};
use super::seen::Seen;
use super::{Given, WalkPage, documents, step};
use crate::domain::{Micros, PostId, Reaction, UserId};
use crate::store::{Document, USER_INDEX, WalkCursor, WalkedPost};

/// Opens a table that a file of an earlier release does not have.
pub(super) fn open<K: redb::Key + 'static, V: redb::Value + 'static>(
    txn: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> FileResult<Option<ReadOnlyTable<K, V>>> {
    match txn.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A page of posts behind `after`, in the order of their ids. A post with damaged
/// entries is in it, too: a caller that reads the post gets the error.
pub(super) fn walk(
    txn: &ReadTransaction,
    after: Option<PostId>,
    limit: usize,
) -> FileResult<WalkPage> {
    let posts = txn.open_table(keys::POSTS)?;
    let mut from = after.map_or_else(keys::first_post, keys::behind);
    let (mut found, mut odd, mut next) = (Vec::new(), 0, None);
    while let Some(entry) = posts.range::<&[u8]>(&from[..]..)?.next() {
        let (key, _) = entry?;
        let key = key.value();
        let own = keys::post_of(key).ok().filter(|post| key < &keys::behind(*post)[..]);
        let Some(post) = own else {
            odd += 1;
            from = [key, &[0]].concat();
            continue;
        };
        from = keys::behind(post);
        let has_head = key.len() == keys::head(post).len();
        let has_state = match has_head {
            true => Ok(true),
            false => sets(&posts, post).map(|sets| !sets.is_empty()),
        };
        match has_state {
            Ok(false) => {}
            // An audit looks at the members itself.
            Ok(true) | Err(FileError::Damaged(_)) => {
                found.push(WalkedPost { post, own: true, seen: Vec::new() });
            }
            Err(error) => return Err(error),
        }
        if found.len() >= limit.max(1) {
            next = Some(WalkCursor(post.to_string()));
            break;
        }
    }
    let damaged = (odd > 0).then(|| format!("{odd} entries of the store file belong to no post"));
    Ok(WalkPage { posts: found, damaged: damaged.into_iter().collect(), next })
}

/// The sets of a post that have members and are not forgotten, as their entries say.
pub(super) fn sets(
    posts: &impl ReadableTable<&'static [u8], &'static [u8]>,
    post: PostId,
) -> FileResult<Vec<Set>> {
    let (mut from, end) = keys::all_members(post);
    let mut sets = Vec::new();
    while let Some(entry) = posts.range::<&[u8]>(&from[..]..&end[..])?.next() {
        let set = Set::of_member(entry?.0.value())?;
        (_, from) = set.members();
        if posts.get(&set.forgotten()[..])?.is_none() {
            sets.push(set);
        }
    }
    Ok(sets)
}

/// What a user gave before `after`, newest first.
pub(super) fn given(
    txn: &ReadTransaction,
    user: UserId,
    after: Option<&Given>,
    take: usize,
) -> FileResult<Vec<Given>> {
    let Some(index) = open(txn, keys::GIVEN)? else { return Ok(Vec::new()) };
    let (posts, meta) = (txn.open_table(keys::POSTS)?, txn.open_table(keys::META)?);
    let (from, end) = keys::all_given(user);
    let end = after.map_or(end, |after| keys::given(user, after));
    let mut found = Vec::new();
    for entry in index.range::<&[u8]>(&from[..]..&end[..])?.rev() {
        let given = keys::given_of(entry?.0.value())?;
        // What was forgotten leaves entries for a while.
        let seen = Seen::look(&posts, &meta, given.post)?;
        if seen.since(user, &given.reaction)? == Some(given.reacted_at) {
            found.push(given);
            if found.len() == take {
                break;
            }
        }
    }
    Ok(found)
}

/// How many of these members are not in the index.
pub(super) fn not_indexed<P: ReadableTable<&'static [u8], &'static [u8]>>(
    seen: &Seen<'_, P>,
    index: Option<&impl ReadableTable<&'static [u8], ()>>,
    asked: &[(Reaction, UserId)],
) -> FileResult<Vec<(UserId, Set, Micros)>> {
    let mut missing = Vec::new();
    for (reaction, user) in asked {
        let Some(at) = seen.since(*user, reaction)? else { continue };
        let set = seen.set(reaction)?;
        let is_there = match index {
            Some(index) => index.get(&keys::given(*user, &set.given(at))[..])?.is_some(),
            None => false,
        };
        if !is_there {
            missing.push((*user, set, at));
        }
    }
    Ok(missing)
}

/// A document that has not expired.
pub(super) fn document(
    txn: &ReadTransaction,
    name: &str,
    now: Micros,
) -> FileResult<Option<Document>> {
    if name == USER_INDEX && !step::is_indexed(&txn.open_table(keys::META)?)? {
        return Ok(None);
    }
    let Some(table) = open(txn, keys::DOCUMENTS)? else { return Ok(None) };
    let found = table.get(name)?.map(|found| documents::decode(found.value())).transpose()?;
    Ok(found.and_then(|found| found.document(now)))
}
