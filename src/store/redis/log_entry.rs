//! Entries of a partition's change log, in the form of XRANGE and XREAD replies.

use deadpool_redis::redis::Value;

use super::value::text;
use crate::domain::{Cause, Change, Micros, Revision};
use crate::store::{LogEntry, LogPosition};

/// An entry of a partition's log: `[id, [field, text]]`.
pub(super) fn log_entry(value: &Value) -> Option<LogEntry> {
    let Value::Array(parts) = value else { return None };
    let [id, Value::Array(fields)] = parts.as_slice() else { return None };
    let [field, entry] = fields.as_slice() else { return None };
    let position = position(id)?;
    let cause = match text(field)? {
        "tap" => Cause::Tap,
        _ => return None,
    };
    Some(LogEntry { position, change: change(text(entry)?, cause)? })
}

/// The position of an entry, even if its text is unreadable.
pub(super) fn log_place(entry: &Value) -> Option<LogPosition> {
    let Value::Array(parts) = entry else { return None };
    position(parts.first()?)
}

fn position(id: &Value) -> Option<LogPosition> {
    let (millis, sequence) = text(id)?.split_once('-')?;
    Some(LogPosition { millis: millis.parse().ok()?, sequence: sequence.parse().ok()? })
}

/// `post user reaction 1|0 revision [occurred_at]`; the time is missing if it equals the revision.
fn change(entry: &str, cause: Cause) -> Option<Change> {
    let mut words = entry.split(' ');
    let post = words.next()?.parse().ok()?;
    let user = words.next()?.parse().ok()?;
    let reaction = words.next()?.parse().ok()?;
    let active = match words.next()? {
        "1" => true,
        "0" => false,
        _ => return None,
    };
    let revision: u64 = words.next()?.parse().ok()?;
    let occurred_at = words.next().map_or(Some(revision), |at| at.parse().ok())?;
    Some(Change {
        post,
        user,
        reaction,
        active,
        revision: Revision(revision),
        occurred_at: Micros(occurred_at),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PostId;

    fn post() -> PostId {
        "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id")
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn an_entry_of_another_form_is_none() {
        let entry = |id: &str, field: &str, text: &str| {
            let fields = Value::Array(vec![bulk(field), bulk(text)]);
            log_entry(&Value::Array(vec![bulk(id), fields]))
        };
        let of = |words: &str| format!("{} {words}", post());
        let read = entry("5-1", "tap", &of("7 like 1 5000")).expect("an entry");
        assert_eq!(read.position, LogPosition { millis: 5, sequence: 1 });
        assert_eq!((read.change.revision, read.change.occurred_at), (Revision(5000), Micros(5000)));
        let ahead = entry("5-1", "tap", &of("7 like 0 5001 5000")).expect("an entry");
        assert_eq!((ahead.change.active, ahead.change.occurred_at), (false, Micros(5000)));
        for (id, field, words) in [
            ("5", "tap", "7 like 1 5000"),
            ("5-x", "tap", "7 like 1 5000"),
            ("5-1", "other", "7 like 1 5000"),
            ("5-1", "tap", "7 like 2 5000"),
            ("5-1", "tap", "0 like 1 5000"),
            ("5-1", "tap", "7 like 1"),
            ("5-1", "tap", "7 like 1 5000 then"),
        ] {
            assert!(entry(id, field, &of(words)).is_none(), "{id} {field} {words}");
        }
    }
}
