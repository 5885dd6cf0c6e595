//! The tables of the file, and the encoding of their entries. No other file builds a key.
//!
//! All entries of a post lie side by side in one table. So a tap touches one page of it, however
//! many kinds of entries it writes:
//!
//! | key | value |
//! | --- | --- |
//! | POST | revision |
//! | POST `c` REACTION | count |
//! | POST `m` REACTION 0 USER | µs at which the user reacted |
//! | POST `o` REACTION 0 µs USER | nothing: the members in their order |
//! | POST `r` KEY | the record of a tap with an idempotency key |
//!
//! Numbers are eight bytes, big-endian. Users are decimal text, because ties are broken by that
//! text.

use redb::TableDefinition;
use uuid::Uuid;

use super::file_error::{FileError, FileResult};
use crate::domain::{IdempotencyKey, Micros, Partition, PostId, Reaction, UserId};

/// The layout that this release reads and writes.
pub(super) const LAYOUT: u64 = 1;

/// Numbers of the whole file, by name.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("onetap");
/// The number in [`META`] of this layout.
pub(super) const META_LAYOUT: &str = "layout";
/// The number in [`META`] of group commits so far.
pub(super) const META_COMMITS: &str = "commits";
/// The number in [`META`] that is a floor for every partition. It is 0 in a new file. An earlier
/// release kept the clock of the last commit there.
pub(super) const META_FLOOR: &str = "floor";

/// The name in [`META`] of a partition's floor. Revisions of posts without state begin above it.
pub(super) fn floor(partition: Partition) -> String {
    format!("floor/{}", partition.index())
}

/// The name in [`META`] of the number of entries that a partition's log has dropped.
pub(super) fn dropped(partition: Partition) -> String {
    format!("dropped/{}", partition.index())
}

/// All entries of the posts.
pub(super) const POSTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("posts");
/// The change log: partition, milliseconds, number within them.
pub(super) const LOG: TableDefinition<(u8, u64, u64), &[u8]> = TableDefinition::new("log");
/// The expiry times of the records: µs, post, key.
pub(super) const EXPIRY: TableDefinition<(u64, &[u8; 16], &[u8; 16]), ()> =
    TableDefinition::new("expiry");

const COUNT: u8 = b'c';
const MEMBER: u8 = b'm';
const ORDER: u8 = b'o';
const RECORD: u8 = b'r';
/// Ends a reaction. No reaction contains this byte, so no key of one is a prefix of another's.
const END: u8 = 0;

/// A key of [`POSTS`].
pub(super) type Key = Vec<u8>;

fn of(post: PostId, kind: u8, rest: &[&[u8]]) -> Key {
    let mut key = Vec::with_capacity(80);
    key.extend_from_slice(post.as_uuid().as_bytes());
    key.push(kind);
    rest.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// The key of a post's revision; it exists while the post has state.
pub(super) fn head(post: PostId) -> [u8; 16] {
    post.as_uuid().into_bytes()
}

/// The key of a count.
pub(super) fn count(post: PostId, reaction: &Reaction) -> Key {
    of(post, COUNT, &[reaction.as_str().as_bytes()])
}

/// The range of all counts of a post: the first key, and the end behind it.
pub(super) fn counts(post: PostId) -> (Key, Key) {
    (of(post, COUNT, &[]), of(post, COUNT + 1, &[]))
}

/// The reaction in the key of a count.
pub(super) fn reaction_of_count(key: &[u8]) -> FileResult<Reaction> {
    reaction(key.get(17..).unwrap_or_default())
}

/// The key of a member.
pub(super) fn member(post: PostId, reaction: &Reaction, user: UserId) -> Key {
    of(post, MEMBER, &[reaction.as_str().as_bytes(), &[END], user.to_string().as_bytes()])
}

/// The key of a member in the order by time.
pub(super) fn order(post: PostId, reaction: &Reaction, at: Micros, user: UserId) -> Key {
    let (name, at, user) = (reaction.as_str().as_bytes(), at.0.to_be_bytes(), user.to_string());
    of(post, ORDER, &[name, &[END], &at, user.as_bytes()])
}

/// The range of a reaction's members by time, oldest first: the first key, and the end behind it.
pub(super) fn orders(post: PostId, reaction: &Reaction) -> (Key, Key) {
    let name = reaction.as_str().as_bytes();
    (of(post, ORDER, &[name, &[END]]), of(post, ORDER, &[name, &[END + 1]]))
}

/// The time and the user in a key of the order.
pub(super) fn member_of_order(key: &[u8], reaction: &Reaction) -> FileResult<(Micros, UserId)> {
    let rest = key.get(18 + reaction.as_str().len()..).unwrap_or_default();
    let (at, user) = rest.split_first_chunk().ok_or_else(|| odd("order"))?;
    let user = str::from_utf8(user).ok().and_then(|user| user.parse().ok());
    Ok((Micros(u64::from_be_bytes(*at)), user.ok_or_else(|| odd("order"))?))
}

/// The key of a record.
pub(super) fn record(post: PostId, key: &IdempotencyKey) -> Key {
    record_of(&head(post), key.as_bytes())
}

/// The key of a record, from its entry in [`EXPIRY`].
pub(super) fn record_of(post: &[u8; 16], key: &[u8; 16]) -> Key {
    [&post[..], &[RECORD], key].concat()
}

/// Decodes a number.
pub(super) fn number(bytes: &[u8], of: &str) -> FileResult<u64> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| odd(of))
}

/// Decodes a reaction.
pub(super) fn reaction(bytes: &[u8]) -> FileResult<Reaction> {
    str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(|| odd("reaction"))
}

/// Decodes a post.
pub(super) fn post(bytes: &[u8; 16]) -> FileResult<PostId> {
    Uuid::from_bytes(*bytes).try_into().map_err(|_| odd("post"))
}

/// The error for an entry in a form that onetap does not write.
pub(super) fn odd(what: &str) -> FileError {
    FileError::Damaged(format!("an entry of the store file ({what}) is not of onetap's form"))
}
