//! Idempotency records in the file; the rules are those of [`crate::domain::Record`].

use std::time::Duration;

use redb::{ReadableTable, Table};

use super::file_error::FileResult;
use super::keys;
use crate::domain::{Fate, Form, KeyReused, Keyed, Micros, Outcome, Record, Revision, Tap};

type Posts<'txn> = Table<'txn, &'static [u8], &'static [u8]>;
type Expiry<'txn> = Table<'txn, (u64, &'static [u8; 16], &'static [u8; 16]), ()>;

/// expires at, letter of the form, active, changed, count, revision; then the reaction.
const FIXED: usize = 8 + 1 + 1 + 1 + 8 + 8;

/// What was answered to this tap before, if its key has a record.
pub(super) fn find(
    posts: &Posts<'_>,
    tap: &Tap,
    now: Micros,
) -> FileResult<Result<Option<Outcome>, KeyReused>> {
    let Some(Keyed { key, form }) = &tap.keyed else { return Ok(Ok(None)) };
    let Some(found) = posts.get(&keys::record(tap.post, key)[..])? else { return Ok(Ok(None)) };
    Ok(read(found.value())?.answer(*form, tap, now))
}

fn read(bytes: &[u8]) -> FileResult<Record> {
    let odd = || keys::odd("record");
    let (fixed, reaction) = bytes.split_at_checked(FIXED).ok_or_else(odd)?;
    let number = |at: usize| keys::number(&fixed[at..at + 8], "record");
    Ok(Record {
        expires_at: Micros(number(0)?),
        form: Form::from_letter(&fixed[8..9]).ok_or_else(odd)?,
        reaction: keys::reaction(reaction)?,
        outcome: Outcome {
            active: fixed[9] == 1,
            changed: fixed[10] == 1,
            count: number(11)?,
            revision: Revision(number(19)?),
            replayed: false,
        },
    })
}

/// Keeps what is answered to a tap, if it has a key. Says whether it has.
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

/// Drops records that are too old, and gives those a date that were kept by a clock too far ahead,
/// at most so many of each.
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

/// An entry of the expiries as one's own.
fn dated((at, post, key): (u64, &[u8; 16], &[u8; 16])) -> (u64, [u8; 16], [u8; 16]) {
    (at, *post, *key)
}

/// Takes an entry from the expiries, and says which record it is of. A key that was used anew after
/// its record had gone has a later one.
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
