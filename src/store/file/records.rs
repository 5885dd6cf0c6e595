//! Idempotency records in the file; the rules are those of [`crate::domain::Record`].

use std::time::Duration;

use redb::{ReadableTable, Table};

use super::file_error::FileResult;
use super::keys;
use crate::domain::{
    Details, Fate, Form, KeyReused, Keyed, Micros, Outcome, Reaction, Record, Revision, Tap,
};

type Posts<'txn> = Table<'txn, &'static [u8], &'static [u8]>;
type Expiry<'txn> = Table<'txn, (u64, &'static [u8; 16], &'static [u8; 16]), ()>;

/// Expiry time, letter of the form, active, changed, count, revision. What the caller named
/// follows, and for few taps a zero byte and details.
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
pub(super) fn read(bytes: &[u8]) -> FileResult<Option<Record>> {
    let odd = || keys::odd("record");
    let (fixed, text) = bytes.split_at_checked(FIXED).ok_or_else(odd)?;
    let number = |at: usize| keys::number(&fixed[at..at + 8], "record");
    let Some(form) = Form::from_letter(&fixed[8..9]) else { return Ok(None) };
    let text = str::from_utf8(text).map_err(|_| odd())?;
    let (named, details) = match text.split_once('\0') {
        None => (text, None),
        Some((named, details)) => (named, Some(Box::new(read_details(details)?))),
    };
    if !named.starts_with(',') {
        keys::reaction(named.as_bytes())?;
    }
    Ok(Some(Record {
        expires_at: Micros(number(0)?),
        form,
        named: named.to_owned(),
        outcome: Outcome {
            active: fixed[9] == 1,
            changed: fixed[10] == 1,
            count: number(11)?,
            revision: Revision(number(19)?),
            replayed: false,
            details,
        },
    }))
}

/// The details of an outcome: a comma and each reaction that was counted, then a space, each that
/// was replaced, `=` and its count.
fn write_details(details: &Details) -> String {
    let counted = details.counted.iter().map(|reaction| format!(",{reaction}"));
    let replaced = details.replaced.iter().map(|(reaction, count)| format!(" {reaction}={count}"));
    counted.chain(replaced).collect()
}

fn read_details(text: &str) -> FileResult<Details> {
    let odd = || keys::odd("record");
    let reaction = |name: &str| name.parse::<Reaction>().map_err(|_| odd());
    let mut parts = text.split(' ');
    let mut counted = parts.next().unwrap_or_default().split(',');
    if counted.next() != Some("") {
        return Err(odd());
    }
    let replaced = parts.map(|part| {
        let (name, count) = part.split_once('=').ok_or_else(odd)?;
        Ok((reaction(name)?, count.parse().map_err(|_| odd())?))
    });
    Ok(Details {
        counted: counted.map(reaction).collect::<FileResult<_>>()?,
        replaced: replaced.collect::<FileResult<_>>()?,
    })
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
    let details = outcome.details.as_ref().map(|it| format!("\0{}", write_details(it)));
    let value = [
        &expires_at.0.to_be_bytes()[..],
        form.letter().as_bytes(),
        &[u8::from(outcome.active), u8::from(outcome.changed)],
        &outcome.count.to_be_bytes(),
        &outcome.revision.0.to_be_bytes(),
        tap.act.named().as_bytes(),
        details.as_deref().unwrap_or_default().as_bytes(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the previous release wrote: the reaction ends the record.
    #[test]
    fn a_record_of_the_previous_release_is_read() {
        let mut old = 9_u64.to_be_bytes().to_vec();
        old.extend(b"s\x01\x01");
        old.extend(3_u64.to_be_bytes());
        old.extend(5_u64.to_be_bytes());
        old.extend("👍".as_bytes());
        let record = read(&old).expect("a record").expect("of a known form");
        assert_eq!((record.form, &record.named[..]), (Form::Set, "👍"));
        assert_eq!((record.outcome.count, record.outcome.revision), (3, Revision(5)));
        assert_eq!((record.expires_at, record.outcome.details), (Micros(9), None));
    }

    #[test]
    fn details_come_back_as_they_were() {
        let reaction = |name: &str| name.parse::<Reaction>().expect("a reaction");
        let counted = vec![reaction("👍"), reaction("+1")];
        let replaced = vec![(reaction("-1"), 0), (reaction("❤️"), 12)];
        for details in [
            Details::default(),
            Details { counted: counted.clone(), replaced: Vec::new() },
            Details { counted: Vec::new(), replaced: replaced.clone() },
            Details { counted, replaced },
        ] {
            assert_eq!(read_details(&write_details(&details)).expect("details"), details);
        }
        for odd in ["x", ",like,", ", like", ",like love", " love=", " =2"] {
            assert!(read_details(odd).is_err(), "{odd}");
        }
    }
}
