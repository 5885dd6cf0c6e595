//! Records of taps with an idempotency key, as [`crate::domain::Records`] has them in memory.

use std::time::Duration;

use redb::{ReadableTable, Table};

use super::keys;
use super::trouble::Found;
use crate::domain::{KeyReused, Keyed, Micros, Outcome, Revision, Tap};

type Posts<'txn> = Table<'txn, &'static [u8], &'static [u8]>;
type Expiry<'txn> = Table<'txn, (u64, &'static [u8; 16], &'static [u8; 16]), ()>;

/// expires at, letter of the form, active, changed, count, revision; then the reaction.
const FIXED: usize = 8 + 1 + 1 + 1 + 8 + 8;

/// What was answered to this tap before, if its key has a record.
pub(super) fn find(
    posts: &Posts<'_>,
    tap: &Tap,
    now: Micros,
) -> Found<Result<Option<Outcome>, KeyReused>> {
    let Some(Keyed { key, form }) = &tap.keyed else { return Ok(Ok(None)) };
    let Some(found) = posts.get(&keys::record(tap.post, key)[..])? else { return Ok(Ok(None)) };
    let bytes = found.value();
    let (fixed, reaction) = bytes.split_at_checked(FIXED).ok_or_else(|| keys::odd("record"))?;
    let number = |at: usize| keys::number(&fixed[at..at + 8], "record");
    if number(0)? <= now.0 {
        return Ok(Ok(None));
    }
    if fixed[8..9] != *form.letter().as_bytes() || reaction != tap.reaction.as_str().as_bytes() {
        return Ok(Err(KeyReused));
    }
    Ok(Ok(Some(Outcome {
        active: fixed[9] == 1,
        changed: fixed[10] == 1,
        count: number(11)?,
        revision: Revision(number(19)?),
        replayed: true,
    })))
}

/// Keeps what is answered to a tap, if it has a key. Says whether it has.
pub(super) fn keep(
    posts: &mut Posts<'_>,
    expiry: &mut Expiry<'_>,
    tap: &Tap,
    outcome: &Outcome,
    expires_at: Micros,
) -> Found<bool> {
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
) -> Found<()> {
    for _ in 0..at_most {
        let Some((then, post, key)) = expiry.first()?.map(|(entry, _)| dated(entry.value())) else {
            break;
        };
        if then > now.0 {
            break;
        }
        if take(posts, expiry, then, &post, &key)?.is_some() {
            posts.remove(&keys::record_of(&post, &key)[..])?;
        }
    }
    let expires_at = now.later(retention).0;
    for _ in 0..at_most {
        let Some((then, post, key)) = expiry.last()?.map(|(entry, _)| dated(entry.value())) else {
            break;
        };
        if then <= Micros(expires_at).later(retention).0 {
            break;
        }
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
) -> Found<Option<Vec<u8>>> {
    expiry.remove((at, post, key))?;
    let record = posts.get(&keys::record_of(post, key)[..])?.map(|found| found.value().to_vec());
    Ok(record.filter(|record| record.starts_with(&at.to_be_bytes())))
}
