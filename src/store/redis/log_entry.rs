//! Entries of a partition's change log, in the form of XRANGE and XREAD replies.

use deadpool_redis::redis::Value;

use super::value::text;
use crate::domain::{Add, Cause, Change, Micros, Revision, What};
use crate::store::{LogEntry, LogPosition};

/// An entry of a partition's log: `[id, [field, text]]`.
pub(super) fn log_entry(value: &Value) -> Option<LogEntry> {
    let Value::Array(parts) = value else { return None };
    let [id, Value::Array(fields)] = parts.as_slice() else { return None };
    let [field, entry] = fields.as_slice() else { return None };
    let position = position(id)?;
    Some(LogEntry { position, change: change(text(field)?, text(entry)?)? })
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

/// An entry begins with its post and ends with `revision [occurred_at [actor]]`. The time is
/// missing if it equals the revision. Between them, by the field:
///
/// - `tap`, `replace`, `moderate`: `user reaction 1|0`
/// - `forgotten`: `reaction`, or `*` for all
/// - `locked`: `1|0`
/// - `rules`: `palette add`, and `=` for the default palette
fn change(field: &str, entry: &str) -> Option<Change> {
    let mut words = entry.split(' ');
    let post = words.next()?.parse().ok()?;
    let mut next = || words.next();
    let what = match field {
        "forgotten" => What::Forgotten(match next()? {
            "*" => None,
            reaction => Some(reaction.parse().ok()?),
        }),
        "locked" => What::Locked(flag(next()?)?),
        "rules" => {
            let palette = match next()? {
                "=" => None,
                name => Some(name.parse().ok()?),
            };
            What::Rules(palette, Add::from_word(next()?)?)
        }
        field => {
            let cause = match field {
                "tap" => Cause::Tap,
                "replace" => Cause::Replace,
                "import" => Cause::Import,
                "erase" => Cause::Erase,
                "moderate" => Cause::Moderate,
                _ => return None,
            };
            let (user, reaction) = (next()?.parse().ok()?, next()?.parse().ok()?);
            What::Reaction { user, reaction, active: flag(next()?)?, cause }
        }
    };
    let revision: u64 = next()?.parse().ok()?;
    let occurred_at = Micros(next().map_or(Some(revision), |at| at.parse().ok())?);
    let actor = next().map(|actor| actor.parse().ok()).map_or(Some(None), |it| it.map(Some))?;
    let is_end = next().is_none();
    is_end.then_some(Change { post, what, revision: Revision(revision), occurred_at, actor })
}

fn flag(word: &str) -> Option<bool> {
    match word {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
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
        assert!(matches!(ahead.change.what, What::Reaction { active: false, .. }));
        assert_eq!(ahead.change.occurred_at, Micros(5000));
        for (id, field, words) in [
            ("5", "tap", "7 like 1 5000"),
            ("5-x", "tap", "7 like 1 5000"),
            ("5-1", "other", "7 like 1 5000"),
            ("5-1", "tap", "7 like 2 5000"),
            ("5-1", "tap", "_ like 1 5000"),
            ("5-1", "tap", "7 like 1"),
            ("5-1", "tap", "7 like 1 5000 then"),
        ] {
            assert!(entry(id, field, &of(words)).is_none(), "{id} {field} {words}");
        }
    }
}
