//! The tables of the file, and the encoding of their entries. No other file builds a key.
//!
//! All entries of a post, except the names of its forgotten sets, lie side by side in one table. So
//! a tap on a small post touches one page of the table, however many kinds of entries it writes:
//!
//! | key | value |
//! | --- | --- |
//! | POST | revision, rules and generation of the post: see [`super::values`] |
//! | POST `c` REACTION | count, and the generation of the set if it is not 0 |
//! | POST `m` SET USER | µs at which the user reacted |
//! | POST `o` SET µs USER | nothing: the members in the order of their times |
//! | POST `r` KEY | the record of a tap with an idempotency key |
//! | POST `i` | the mark of imports: see [`super::steps`] |
//! | POST `s` TOKEN | what a step of a job answered: see [`super::steps`] |
//! | NIL `g` POST GENERATION REACTION | nothing: a set that was forgotten and is not freed yet |
//!
//! SET is REACTION 0 for the set of generation 0, and REACTION 1 GENERATION for a later one. A set
//! that is forgotten keeps its entries for a while. The reaction's next set has a generation of its
//! own, so that nobody finds the old entries.
//!
//! Numbers are eight bytes, big-endian. A user is written as text, because the bytes of this text
//! order users with equal times. The user is the last part of a key, so it needs no end mark. NIL
//! is the nil UUID, which no post has.

use redb::TableDefinition;
use uuid::Uuid;

use super::Given;
use super::file_error::{FileError, FileResult};
use crate::domain::{
    IdempotencyKey, Micros, Partition, PostId, Reaction, StepToken, UserId, UserIds,
};

/// The layout that this release reads and writes.
pub(super) const LAYOUT: u64 = 1;

/// The layout number in [`META`] of a file whose users have ids of this kind. A release that
/// supports only integers does not know the number for text ids, and refuses the file.
pub(super) fn layout_of(ids: UserIds) -> u64 {
    match ids {
        UserIds::Integer => LAYOUT,
        UserIds::Text => LAYOUT + (1 << 32),
    }
}

/// Numbers of the whole file, by name.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("onetap");
/// The name in [`META`] of the layout number.
pub(super) const META_LAYOUT: &str = "layout";
/// The name in [`META`] of the number of group commits so far.
pub(super) const META_COMMITS: &str = "commits";
/// The name in [`META`] of a lower bound of all floors. The greater of it and the partition's own
/// floor counts. It is 0 in a new file. An earlier release kept the clock of the last commit there.
pub(super) const META_FLOOR: &str = "floor";

/// The name in [`META`] of the number that `commits` had after the last commit of a release that
/// keeps [`GIVEN`]. If it is another one, an earlier release has written to the file since.
pub(super) const META_INDEXED: &str = "indexed";

/// The name in [`META`] of a partition's floor. A post without state has the floor as its revision,
/// and its first change gets a greater one.
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

/// What users gave: user, µs, post, reaction. Not in a file that only earlier releases have
/// written; so are the two tables below.
pub(super) const GIVEN: TableDefinition<&[u8], ()> = TableDefinition::new("given");
/// Documents by name: version, expiry time or 0, body.
pub(super) const DOCUMENTS: TableDefinition<&str, &[u8]> = TableDefinition::new("documents");
/// The expiry times of marks, steps and documents: µs, then the key of what expires.
pub(super) const UNTIL: TableDefinition<&[u8], ()> = TableDefinition::new("until");

const COUNT: u8 = b'c';
const MEMBER: u8 = b'm';
const ORDER: u8 = b'o';
const RECORD: u8 = b'r';
const FORGOTTEN: u8 = b'g';
const MARK: u8 = b'i';
const STEP: u8 = b's';
/// In [`UNTIL`]: begins the name of a document.
const DOCUMENT: u8 = b'd';
/// In [`UNTIL`]: begins a key of [`POSTS`].
const ENTRY: u8 = b'e';
/// Ends a reaction in the keys of a set. No reaction contains this byte. So the keys of a set for
/// `like` never begin like those of a set for `liked`.
const END: u8 = 0;
/// Ends a reaction before the generation of a set. No reaction contains this byte either.
const GENERATION: u8 = 1;
const NIL: [u8; 16] = [0; 16];

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

/// The range of all counts of a post: the first key, and a bound above the last key.
pub(super) fn counts(post: PostId) -> (Key, Key) {
    (of(post, COUNT, &[]), of(post, COUNT + 1, &[]))
}

/// The reaction in the key of a count.
pub(super) fn reaction_of_count(key: &[u8]) -> FileResult<Reaction> {
    reaction(key.get(17..).unwrap_or_default())
}

/// The users that have a reaction on a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) post: PostId,
    pub(super) reaction: Reaction,
    /// 0, unless a set of the post was forgotten before this one began.
    pub(super) generation: u64,
}

impl Set {
    fn key(&self, kind: u8, rest: &[&[u8]]) -> Key {
        let mut key = of(self.post, kind, &[self.reaction.as_str().as_bytes()]);
        match self.generation {
            0 => key.push(END),
            later => {
                key.push(GENERATION);
                key.extend_from_slice(&later.to_be_bytes());
            }
        }
        rest.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    /// The range of all keys of a kind: the first key, and a bound above the last key.
    fn keys(&self, kind: u8) -> (Key, Key) {
        let end = match self.generation {
            0 => of(self.post, kind, &[self.reaction.as_str().as_bytes(), &[END + 1]]),
            later => Self { generation: later + 1, ..self.clone() }.key(kind, &[]),
        };
        (self.key(kind, &[]), end)
    }

    /// The key of a member.
    pub(super) fn member(&self, user: UserId) -> Key {
        self.key(MEMBER, &[user.to_string().as_bytes()])
    }

    /// The key of a member in the order by time.
    pub(super) fn order(&self, at: Micros, user: UserId) -> Key {
        self.key(ORDER, &[&at.0.to_be_bytes(), user.to_string().as_bytes()])
    }

    /// The range of the members: the first key, and a bound above the last key.
    pub(super) fn members(&self) -> (Key, Key) {
        self.keys(MEMBER)
    }

    /// The range of the members by time, oldest first: the first key, and a bound above the last.
    pub(super) fn orders(&self) -> (Key, Key) {
        self.keys(ORDER)
    }

    /// The set of a member's key.
    pub(super) fn of_member(key: &[u8]) -> FileResult<Self> {
        let (id, rest) = key.split_first_chunk().ok_or_else(|| odd("member"))?;
        let rest = rest.get(1..).unwrap_or_default();
        let end = rest.iter().position(|b| [END, GENERATION].contains(b));
        let (name, rest) = rest.split_at(end.ok_or_else(|| odd("member"))?);
        let generation = match rest {
            [GENERATION, rest @ ..] => {
                let (generation, _) = rest.split_first_chunk().ok_or_else(|| odd("member"))?;
                u64::from_be_bytes(*generation)
            }
            _ => 0,
        };
        Ok(Self { post: post(id)?, reaction: reaction(name)?, generation })
    }

    /// The time and the user in a key of the order.
    pub(super) fn member_of_order(&self, key: &[u8]) -> FileResult<(Micros, UserId)> {
        let name = 17 + self.reaction.as_str().len();
        let rest = key.get(name + if self.generation == 0 { 1 } else { 9 }..).unwrap_or_default();
        let (at, user) = rest.split_first_chunk().ok_or_else(|| odd("order"))?;
        let user = str::from_utf8(user).ok().and_then(|user| user.parse().ok());
        Ok((Micros(u64::from_be_bytes(*at)), user.ok_or_else(|| odd("order"))?))
    }

    /// What a member of the set gave at this time.
    pub(super) fn given(&self, at: Micros) -> Given {
        Given { reacted_at: at, post: self.post, reaction: self.reaction.clone() }
    }

    /// The key that marks the set as forgotten.
    pub(super) fn forgotten(&self) -> Key {
        let (generation, name) = (self.generation.to_be_bytes(), self.reaction.as_str());
        [&forgotten_of(self.post)[..], &generation, name.as_bytes()].concat()
    }

    /// The set that a key of [`Set::forgotten`] names.
    pub(super) fn of_forgotten(key: &[u8]) -> FileResult<Self> {
        let rest = key.get(17..).unwrap_or_default();
        let (id, rest) = rest.split_first_chunk().ok_or_else(|| odd("forgotten"))?;
        let (generation, name) = rest.split_first_chunk().ok_or_else(|| odd("forgotten"))?;
        let generation = u64::from_be_bytes(*generation);
        Ok(Self { post: post(id)?, reaction: reaction(name)?, generation })
    }
}

fn forgotten_of(post: PostId) -> Key {
    [&NIL[..], &[FORGOTTEN], post.as_uuid().as_bytes()].concat()
}

/// The range of all sets that are forgotten and not freed: the first key, and a bound above the
/// last key.
pub(super) fn all_forgotten() -> (Key, Key) {
    ([&NIL[..], &[FORGOTTEN]].concat(), [&NIL[..], &[FORGOTTEN + 1]].concat())
}

/// The range of the sets of one post that are forgotten and not freed, by generation: the first
/// key, and a bound above the last key.
pub(super) fn forgotten_sets(post: PostId) -> (Key, Key) {
    let from = forgotten_of(post);
    let end = [&from[..], &[u8::MAX; 8]].concat();
    (from, end)
}

/// A bound below all members of a post, and one above them.
pub(super) fn all_members(post: PostId) -> (Key, Key) {
    (of(post, MEMBER, &[]), of(post, MEMBER + 1, &[]))
}

/// A bound below all entries of posts.
pub(super) fn first_post() -> Key {
    [&NIL[..15], &[1]].concat()
}

/// A bound above all entries of a post.
pub(super) fn behind(post: PostId) -> Key {
    of(post, u8::MAX, &[])
}

/// The post in a key of [`POSTS`].
pub(super) fn post_of(key: &[u8]) -> FileResult<PostId> {
    post(key.first_chunk().ok_or_else(|| odd("post"))?)
}

/// The key of the mark of imports.
pub(super) fn mark(post: PostId) -> Key {
    of(post, MARK, &[])
}

/// The key of the answer to a step.
pub(super) fn step(post: PostId, token: &StepToken) -> Key {
    of(post, STEP, &[&token.0])
}

/// The key in [`GIVEN`] of what a user gave.
pub(super) fn given(user: UserId, given: &Given) -> Key {
    let (mut key, _) = all_given(user);
    key.extend_from_slice(&given.reacted_at.0.to_be_bytes());
    key.extend_from_slice(given.post.as_uuid().as_bytes());
    key.extend_from_slice(given.reaction.as_str().as_bytes());
    key
}

/// The range in [`GIVEN`] of what a user gave: a bound below the first key, and one above the last.
pub(super) fn all_given(user: UserId) -> (Key, Key) {
    let mut from = Vec::with_capacity(64);
    user.append_to(&mut from);
    let end = [&from[..], &[u8::MAX; 8]].concat();
    (from, end)
}

/// What a key of [`GIVEN`] says that a user gave.
pub(super) fn given_of(key: &[u8]) -> FileResult<Given> {
    let odd = || odd("given");
    let (_, rest) = UserId::split_from(key).ok_or_else(odd)?;
    let (at, rest) = rest.split_first_chunk().ok_or_else(odd)?;
    let (id, name) = rest.split_first_chunk().ok_or_else(odd)?;
    let reacted_at = Micros(u64::from_be_bytes(*at));
    Ok(Given { reacted_at, post: post(id)?, reaction: reaction(name)? })
}

/// What has an expiry time in [`UNTIL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expiring {
    /// An entry of [`POSTS`].
    Entry(Key),
    /// A document.
    Document(String),
}

impl Expiring {
    /// The key in [`UNTIL`].
    pub(super) fn until(&self, at: Micros) -> Key {
        let (kind, rest) = match self {
            Self::Entry(key) => (ENTRY, &key[..]),
            Self::Document(name) => (DOCUMENT, name.as_bytes()),
        };
        [&at.0.to_be_bytes()[..], &[kind], rest].concat()
    }

    /// The time and what expires then, of a key in [`UNTIL`].
    pub(super) fn of(key: &[u8]) -> FileResult<(Micros, Self)> {
        let odd = || odd("until");
        let (at, rest) = key.split_first_chunk().ok_or_else(odd)?;
        let what = match rest.split_first().ok_or_else(odd)? {
            (&ENTRY, key) => Self::Entry(key.to_vec()),
            (&DOCUMENT, name) => {
                Self::Document(String::from_utf8(name.to_vec()).map_err(|_| odd())?)
            }
            _ => return Err(odd()),
        };
        Ok((Micros(u64::from_be_bytes(*at)), what))
    }
}

/// A key that no post has.
pub(super) fn probe() -> Key {
    NIL.to_vec()
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
