//! What changed since a cursor, from the change log of all partitions.

use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use futures_util::{StreamExt as _, TryStreamExt as _};
use twox_hash::XxHash3_128;

use super::export::{
    ExportError, Exported, Moved, Outlet, Pages, Parts, joined, many, sorter, whole_posts,
};
use super::retry::patiently;
use super::row::{Key, Names};
use super::sorted::Sorted;
use crate::domain::{
    Cause, Change, Micros, PARTITIONS, Partition, PostId, Reaction, Reactor, UserId, What,
};
use crate::store::{
    AnyStore, ChangeLog as _, LogCursor, LogPosition, Store as _, StoreError, SummaryQuery,
};

/// How many entries are read at a time, and of how many partitions.
const PAGE: usize = 1000;
const AT_A_TIME: usize = 8;

/// The form of cursors, and the bytes of their checksum.
const FORM: u8 = 2;
const CHECKED: usize = 4;

/// The most bytes of a cursor before they are deflated: three numbers a partition, and one more.
const MOST_BYTES: u64 = 10 * (3 * PARTITIONS as u64 + 1);

/// How far a reader knows the changes of all partitions. As text: base64url of deflated numbers,
/// those of one kind together. A store without changes has about 30 characters, none over 11 kB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesCursor(Vec<LogCursor>);

/// Text that is no [`ChangesCursor`].
#[derive(Debug, thiserror::Error)]
#[error("it is no cursor of an export; use one as an export gave it")]
pub struct InvalidCursor;

/// Why there is no export of changes.
#[derive(Debug, thiserror::Error)]
pub enum SinceError {
    /// The log no longer has all changes since the cursor.
    #[error(
        "the change log no longer has all changes since this cursor; export everything again, and \
         raise --change-log-retention or --change-log-max-entries"
    )]
    Expired,
    /// It could not be read.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl ChangesCursor {
    /// The cursor behind all changes until now.
    ///
    /// # Errors
    ///
    /// If the store does not answer for half a minute.
    pub async fn now(store: &AnyStore) -> Result<Self, StoreError> {
        let of_each = futures_util::stream::iter(Partition::all()).map(|partition| {
            let store = store.clone();
            async move { patiently(|deadline| store.newest(partition, deadline)).await }
        });
        of_each.buffered(AT_A_TIME).try_collect().await.map(Self)
    }

    /// Reads the text of a cursor.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        Self::read(text.trim()).ok_or(InvalidCursor)
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        let (bytes, sum) = bytes.split_last_chunk::<CHECKED>()?;
        let (form, deflated) = bytes.split_first()?;
        if *form != FORM || checksum(bytes) != *sum {
            return None;
        }
        let mut bytes = Vec::new();
        DeflateDecoder::new(deflated).take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        let mut rest = &bytes[..];
        let base = number(&mut rest)?;
        let mut column = || (0..PARTITIONS).map(|_| number(&mut rest)).collect::<Option<Vec<_>>>();
        let (ordinals, places, sequences) = (column()?, column()?, column()?);
        let mut cursors = Vec::with_capacity(PARTITIONS);
        for ((ordinal, place), sequence) in ordinals.into_iter().zip(places).zip(sequences) {
            // An empty log has a position before all others, whatever was read of it.
            let millis = if place == 0 { 0 } else { base.checked_add(place - 1)? };
            cursors.push(LogCursor { position: LogPosition { millis, sequence }, ordinal });
        }
        rest.is_empty().then_some(Self(cursors))
    }
}

impl std::fmt::Display for ChangesCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = self.0.iter().map(|cursor| cursor.position.millis).filter(|millis| *millis > 0);
        let base = known.min().unwrap_or_default();
        let mut numbers = Vec::new();
        push(&mut numbers, base);
        let place = |millis: u64| if millis == 0 { 0 } else { millis - base + 1 };
        self.0.iter().for_each(|cursor| push(&mut numbers, cursor.ordinal));
        self.0.iter().for_each(|cursor| push(&mut numbers, place(cursor.position.millis)));
        self.0.iter().for_each(|cursor| push(&mut numbers, cursor.position.sequence));
        let mut deflated = DeflateEncoder::new(vec![FORM], Compression::best());
        deflated.write_all(&numbers).map_err(|_| std::fmt::Error)?;
        let mut bytes = deflated.finish().map_err(|_| std::fmt::Error)?;
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        f.write_str(&BASE64.encode(bytes))
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKED] {
    let [a, b, c, d, ..] = XxHash3_128::oneshot(bytes).to_be_bytes();
    [a, b, c, d]
}

/// Appends a number, seven bits a byte.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        bytes.push((number & 0x7F).to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7F);
        number |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The changes since a cursor, read and sorted.
pub struct Changes {
    keys: Sorted,
    /// The cursor to go on from.
    pub next: ChangesCursor,
}

impl Changes {
    /// Reads the log.
    ///
    /// # Errors
    ///
    /// If the log has lost some of the changes, or cannot be read.
    pub async fn since(store: &AnyStore, cursor: ChangesCursor) -> Result<Self, SinceError> {
        // What changes while we read may be read twice. It is never left out.
        let next = ChangesCursor::now(store).await.map_err(ExportError::from)?;
        let (keys, sorted) = sorter();
        let each = Partition::all().zip(cursor.0).zip(&next.0);
        for ((partition, from), to) in each.filter(|((_, from), to)| from != *to) {
            let mut from = from;
            loop {
                let read = |deadline| store.read(partition, Some(from), PAGE, deadline);
                let page = patiently(read).await.map_err(ExportError::from)?;
                if page.gap {
                    return Err(SinceError::Expired);
                }
                let changed = page.entries.iter().map(|entry| key(&entry.change)).collect();
                keys.send(changed).await.map_err(|_| ExportError::Gone)?;
                from = page.next;
                if page.entries.len() < PAGE || from.ordinal >= to.ordinal {
                    break;
                }
            }
        }
        drop(keys);
        Ok(Self { keys: joined(sorted).await?, next })
    }

    /// Sends a line for each member that changed, as it is now.
    ///
    /// # Errors
    ///
    /// If the store does not answer for half a minute, or the receiver is gone.
    pub async fn export(self, store: &AnyStore, parts: Parts) -> Result<(), ExportError> {
        let mut outlet = Outlet::new(parts);
        let mut posts = whole_posts(self.keys);
        let mut names = Names::default();
        while let Some(keys) = posts.recv().await {
            if let Some(changed) = Changed::of(&keys?, &mut names) {
                changed.send(store, &mut outlet).await?;
            }
        }
        outlet.flush().await
    }
}

/// What the log says of a member: when it changed last.
#[derive(Clone, Copy)]
pub(crate) struct LastChange {
    pub(crate) at: Micros,
    pub(crate) active: bool,
    /// Whether `at` is the time of the reaction. After an import, for one, it is not.
    pub(crate) is_time: bool,
}

fn key(change: &Change) -> Key {
    match &change.what {
        What::Reaction { user, reaction, active, cause } => {
            let is_time = matches!(cause, Cause::Tap | Cause::Replace);
            let last = LastChange { at: change.occurred_at, active: *active, is_time };
            Key::of_change(change.post, *user, reaction, change.revision, last)
        }
        What::Forgotten(reaction) => Key::of_forgotten(change.post, reaction.as_ref()),
        What::Locked(_) | What::Rules(..) => Key::of_rules(change.post),
    }
}

/// What changed of a post.
struct Changed {
    post: PostId,
    members: Vec<(UserId, Reaction, LastChange)>,
    forgotten: Vec<Option<Reaction>>,
    rules: bool,
}

impl Changed {
    /// From the keys of one post, sorted: of several of one member, the last counts.
    fn of(keys: &[Key], names: &mut Names) -> Option<Self> {
        let post = keys.first()?.post_of_change()?;
        let mut changed = Self { post, members: Vec::new(), forgotten: Vec::new(), rules: false };
        for (i, key) in keys.iter().enumerate() {
            if key.is_rules() {
                changed.rules = true;
            } else if let Some(reaction) = key.forgotten(names) {
                changed.forgotten.push(reaction);
            } else if keys.get(i + 1).is_none_or(|next| !next.same_member(key)) {
                changed.members.push(key.change(names)?);
            }
        }
        Some(changed)
    }

    async fn send(self, store: &AnyStore, outlet: &mut Outlet) -> Result<(), ExportError> {
        let Self { post, members, forgotten, rules } = self;
        if rules || !forgotten.is_empty() {
            let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
            let read = |deadline| store.summaries(query.clone(), deadline);
            let summary = patiently(read).await?.pop();
            let Some(summary) = summary else { return Ok(()) };
            if rules {
                outlet.send(Exported::Rules(post, summary.rules.clone())).await?;
            }
            if !forgotten.is_empty() {
                for reaction in forgotten {
                    outlet.send(Exported::Forgotten(post, reaction)).await?;
                }
                // The log does not name those that are gone. So all that are left are named.
                return many(store, &summary, outlet).await;
            }
        }
        let mut now = HashMap::new();
        if members.iter().any(|(_, _, last)| !last.is_time) {
            let wanted: HashSet<_> =
                members.iter().map(|(user, reaction, _)| (*user, reaction.clone())).collect();
            let mut pages = Pages::of(store, post);
            while let Some(page) = pages.next().await? {
                for Reactor { reacted_at, user, reaction } in page {
                    let member = (user, reaction);
                    if wanted.contains(&member) {
                        now.insert(member, reacted_at);
                    }
                }
            }
        }
        for (user, reaction, last) in members {
            let (reacted_at, active) = match now.get(&(user, reaction.clone())) {
                _ if last.is_time => (last.at, last.active),
                Some(at) => (*at, true),
                None => (last.at, false),
            };
            let reactor = Reactor { reacted_at, user, reaction };
            outlet.send(Exported::Member(Moved { post, reactor, active })).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_all_partitions_and_one_text() {
        let cursor = |n: u64| LogCursor {
            position: LogPosition { millis: 1_795_572_407_166 + n * 977, sequence: n % 3 },
            ordinal: n * 31,
        };
        let mut all: Vec<_> = (0..256).map(cursor).collect();
        all[0] = LogCursor { position: LogPosition { millis: 0, sequence: 0 }, ordinal: 0 };
        all[9] = LogCursor { position: LogPosition { millis: 0, sequence: 0 }, ordinal: 7 };
        let cursor = ChangesCursor(all);
        let text = cursor.to_string();
        assert_eq!(ChangesCursor::parse(&text).ok(), Some(cursor));
        assert!(text.len() < 3000, "{} bytes", text.len());
        let none = LogCursor { position: LogPosition { millis: 0, sequence: 0 }, ordinal: 0 };
        let empty = ChangesCursor(vec![none; PARTITIONS]).to_string();
        assert!(empty.len() < 40, "{empty}");
        for bad in ["", "AQ", &text[1..], &text[..text.len() - 4], &text.replacen('A', "B", 1)] {
            assert!(ChangesCursor::parse(bad).is_err(), "{bad} was read");
        }
    }
}
