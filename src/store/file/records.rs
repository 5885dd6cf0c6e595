//! Idempotency records in the file; the rules are those of [`crate::domain::Record`].

use std::time::Duration;

use redb::{ReadableTable, Table};

use super::file_error::FileResult;
use super::keys;
use crate::domain::{Fate, Form, KeyReused, Keyed, Micros, Outcome, Record, Revision, Tap};

type Posts<'txn> = Table<'txn, &'static [u8], &'static [u8]>;
type Expiry<'txn> = Table<'txn, (u64, &'static [u8; 16], &'static [u8; 16]), ()>;

/// Expiry time, letter of the form, active, changed, count, revision; the reaction follows.
const FIXED: usize = 8 + 1 + 1 + 1 + 8 + 8;

/// The answer in the tap's record, if its key has one.
pub(super) fn find(
    posts: &Posts<'_>,
    tap: &Tap,
    now: Micros,
) -> FileResult<Result<Option<Outcome>, KeyReused>> {
    let Some(Keyed { key, form }) = &tap.keyed else { return Ok(Ok(None)) };
    let Some(found) = posts.get(&keys::record(tap.post, key)[..])? else { return Ok(Ok(None)) };
    match read(found.value())? {
        Some(record) => Ok(record.answer(*form, tap, now)),
        None => Ok(Err(KeyReused)),
    }
}

/// None if a later release wrote the record, for a form of request that this one does not have.
fn read(bytes: &[u8]) -> FileResult<Option<Record>> {
    let odd = || keys::odd("record");
    let (fixed, reaction) = bytes.split_at_checked(FIXED).ok_or_else(odd)?;
    let number = |at: usize| keys::number(&fixed[at..at + 8], "record");
    let Some(form) = Form::from_letter(&fixed[8..9]) else { return Ok(None) };
    Ok(Some(Record {
        expires_at: Micros(number(0)?),
        form,
        reaction: keys::reaction(reaction)?,
        outcome: Outcome {
            active: fixed[9] == 1,
            changed: fixed[10] == 1,
            count: number(11)?,
            revision: Revision(number(19)?),
            replayed: false,
        },
    }))
}

/// Writes the record of a tap that has a key. Returns whether it has one.
pub(super) fn keep(
    posts: &mut Posts<'_>,
    expiry: &mut Expiry<'_>,
    tap: &Tap,
    outcome: &Outcome,
    expires_at: Micros,
) -> FileResult<bool> {
    let Some(Keyed { key, form }) = &tap.keyed else { return Ok(false) };
    let value = [
        &expires_at.0.to_be_bytes()[..],
        form.letter().as_bytes(),
        &[u8::from(outcome.active), u8::from(outcome.changed)],
        &outcome.count.to_be_bytes(),
        &outcome.revision.0.to_be_bytes(),
        tap.reaction.as_str().as_bytes(),
    ]
    .concat();
    posts.insert(&keys::record(tap.post, key)[..], &value[..])?;
    expiry.insert((expires_at.0, &keys::head(tap.post), key.as_bytes()), ())?;
    Ok(true)
}

/// Drops the records that are too old, and sets a new expiry time for those that a clock too far
/// ahead has kept: at most `at_most` of each.
pub(super) fn sweep(
    posts: &mut Posts<'_>,
    expiry: &mut Expiry<'_>,
    now: Micros,
    retention: Duration,
    at_most: usize,
) -> FileResult<()> {
    for _ in 0..at_most {
        let Some((then, post, key)) = expiry.first()?.map(|(entry, _)| dated(entry.value())) else {
            break;
        };
        if Fate::at(now, Micros(then), retention) != Fate::Drop {
            break;
        }
        if take(posts, expiry, then, &post, &key)?.is_some() {
            posts.remove(&keys::record_of(&post, &key)[..])?;
        }
    }
    for _ in 0..at_most {
        let Some((then, post, key)) = expiry.last()?.map(|(entry, _)| dated(entry.value())) else {
            break;
        };
        let Fate::Redate(Micros(expires_at)) = Fate::at(now, Micros(then), retention) else {
            break;
        };
        if let Some(mut record) = take(posts, expiry, then, &post, &key)? {
            record[..8].copy_from_slice(&expires_at.to_be_bytes());
            posts.insert(&keys::record_of(&post, &key)[..], &record[..])?;
            expiry.insert((expires_at, &post, &key), ())?;
        }
    }
    Ok(())
}

/// An owned copy of an expiry entry.
fn dated((at, post, key): (u64, &[u8; 16], &[u8; 16])) -> (u64, [u8; 16], [u8; 16]) {
    (at, *post, *key)
}

/// Removes an expiry entry and returns its record. None if the key was used again after that record
/// expired: then the record has a later expiry time.
fn take(
    posts: &Posts<'_>,
    expiry: &mut Expiry<'_>,
    at: u64,
    post: &[u8; 16],
    key: &[u8; 16],
) -> FileResult<Option<Vec<u8>>> {
    expiry.remove((at, post, key))?;
    let record = posts.get(&keys::record_of(post, key)[..])?.map(|found| found.value().to_vec());
    Ok(record.filter(|record| record.starts_with(&at.to_be_bytes())))
}
