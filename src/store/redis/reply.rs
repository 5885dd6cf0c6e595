//! Replies of the scripts, parsed into the domain's words.

use std::fmt::Display;

use deadpool_redis::redis::Value;

use crate::domain::{
    Cause, Change, Micros, Outcome, PostId, Reaction, ReactionSummary, Reactor, Revision, Summary,
};
use crate::store::{LogEntry, LogPosition, StoreError};

/// 2^53: no time and no revision reaches it before the year 2255.
const REVISION_LIMIT: u64 = 1 << 53;

/// A reply that no script of ours gives. For a write that leaves open what happened.
#[derive(Debug)]
pub(super) struct Unreadable;

/// What one item of a batch came to: its value or its own failure.
pub(super) type ItemResult<T> = Result<Result<T, StoreError>, Unreadable>;

/// Splits a batch's reply into the store's clock (µs) and the elements of the items.
pub(super) fn split(
    reply: Value,
    answers: usize,
    items: usize,
) -> Result<(i64, Vec<Value>), Unreadable> {
    let Value::Array(mut values) = reply else { return Err(Unreadable) };
    if values.len() != 1 + answers * items {
        return Err(Unreadable);
    }
    let rest = values.split_off(1);
    match values.as_slice() {
        [Value::Int(clock)] => Ok((*clock, rest)),
        _ => Err(Unreadable),
    }
}

/// The failure that a script gives as an item's first element.
fn failure(status: i64, whose: &dyn Display) -> Result<StoreError, Unreadable> {
    match status {
        -1 => Ok(StoreError::Damaged(format!("a key of {whose} is of another type or form"))),
        -2 => {
            Ok(StoreError::Unavailable("the deadline had passed before the tap's turn came".into()))
        }
        -3 => Ok(StoreError::Unavailable("the server refused to read a key of this post".into())),
        -4 => Ok(StoreError::KeyReused),
        -5 => Ok(StoreError::Unavailable("the server's clock was put back".into())),
        -6 => Ok(StoreError::Unavailable(
            "Redis' memory is full: a removal with an idempotency key that removes nothing, or more \
             of them than there is a reserve for"
                .into(),
        )),
        _ => Err(Unreadable),
    }
}

/// Whether the script refused an item for what its clock showed. It ran nothing, and the reply has
/// told what the clock shows.
pub(super) fn is_out_of_time(elements: &[Value]) -> bool {
    matches!(elements.first(), Some(Value::Int(-2 | -5)))
}

/// Whether the server refused to let the script look at a key.
pub(super) fn is_refused_look(elements: &[Value]) -> bool {
    matches!(elements.first(), Some(Value::Int(-3)))
}

/// Whether the script had done enough before it came to this item.
pub(super) fn is_not_read(elements: &[Value]) -> bool {
    matches!(elements, [Value::Int(-7)])
}

pub(super) fn outcome(elements: &[Value], whose: &dyn Display) -> ItemResult<Outcome> {
    match elements {
        [Value::Int(status @ 0..=7), Value::Int(count), Value::Int(revision)] => Ok(Ok(Outcome {
            active: status & 1 == 1,
            changed: status & 2 == 2,
            count: unsigned(*count)?,
            revision: Revision(unsigned(*revision)?),
            replayed: status & 4 == 4,
        })),
        [Value::Int(status), ..] => Ok(Err(failure(*status, whose)?)),
        _ => Err(Unreadable),
    }
}

pub(super) fn summary(elements: &[Value], post: PostId, with_viewer: bool) -> ItemResult<Summary> {
    let values = match elements {
        [Value::Array(values)] => values,
        [Value::Int(status)] => return Ok(Err(failure(*status, &format_args!("post {post}"))?)),
        _ => return Err(Unreadable),
    };
    Ok(read_summary(values, post, with_viewer).ok_or_else(|| {
        // The script read this; a form that onetap never writes was put there by someone else.
        StoreError::Damaged(format!("the counts of post {post}"))
    }))
}

fn read_summary(values: &[Value], post: PostId, with_viewer: bool) -> Option<Summary> {
    let (revision, rest) = values.split_first()?;
    let revision = Revision(number(revision)?);
    let mut reactions = Vec::with_capacity(rest.len() / 4);
    for group in rest.chunks(4) {
        let [name, count, Value::Int(mine), Value::Array(newest)] = group else { return None };
        let reaction: Reaction = text(name)?.parse().ok()?;
        let reactor = |pair: &[Value]| reactor(pair.first()?, pair.get(1)?, reaction.clone());
        let recent = newest.chunks(2).map(reactor).collect::<Option<_>>()?;
        let mine = with_viewer.then_some(*mine == 1);
        reactions.push(ReactionSummary { count: number(count)?, mine, recent, reaction });
    }
    Some(Summary::new(post, revision, reactions))
}

pub(super) fn reactors(elements: &[Value], post: PostId) -> ItemResult<Vec<Reactor>> {
    let values = match elements {
        [Value::Array(values)] => values,
        [Value::Int(status)] => return Ok(Err(failure(*status, &format_args!("post {post}"))?)),
        _ => return Err(Unreadable),
    };
    let one = |group: &[Value]| {
        let [user, score, reaction] = group else { return None };
        reactor(user, score, text(reaction)?.parse().ok()?)
    };
    let found = values.chunks(3).map(one).collect::<Option<Vec<_>>>();
    Ok(found
        .ok_or_else(|| StoreError::Damaged(format!("the members of a reaction on post {post}"))))
}

fn reactor(user: &Value, score: &Value, reaction: Reaction) -> Option<Reactor> {
    // The scripts write times of our age; another score was put there by someone else.
    let reacted_at = number(score).filter(|micros| *micros < REVISION_LIMIT)?;
    Some(Reactor { reacted_at: Micros(reacted_at), user: text(user)?.parse().ok()?, reaction })
}

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

/// The place of an entry, whatever it says.
pub(super) fn log_place(entry: &Value) -> Option<LogPosition> {
    let Value::Array(parts) = entry else { return None };
    position(parts.first()?)
}

fn position(id: &Value) -> Option<LogPosition> {
    let (millis, sequence) = text(id)?.split_once('-')?;
    Some(LogPosition { millis: millis.parse().ok()?, sequence: sequence.parse().ok()? })
}

/// `post user reaction 1|0 revision [occurred_at]`; the time is left out where it is the revision.
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

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    text(value)?.parse().ok()
}

fn unsigned(number: i64) -> Result<u64, Unreadable> {
    u64::try_from(number).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post() -> PostId {
        "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id")
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_reply_is_the_clock_and_the_elements_of_every_item() {
        let of = |values: Vec<i64>| Value::Array(values.into_iter().map(Value::Int).collect());
        let (clock, elements) = split(of(vec![9, 1, 2, 3, 4]), 2, 2).expect("a reply");
        assert_eq!((clock, elements), (9, [1, 2, 3, 4].map(Value::Int).to_vec()));
        for (reply, answers, items) in [
            (of(vec![9, 1, 2, 3]), 2, 2),
            (of(vec![9, 1, 2, 3, 4, 5]), 2, 2),
            (of(vec![]), 1, 0),
            (Value::Array(vec![bulk("9"), Value::Int(1)]), 1, 1),
            (Value::Int(9), 0, 0),
            (Value::Nil, 1, 1),
        ] {
            assert!(split(reply.clone(), answers, items).is_err(), "{reply:?}");
        }
    }

    #[test]
    fn what_no_script_answers_is_unreadable_and_never_a_failure() {
        for elements in [
            vec![],
            vec![Value::Nil],
            vec![bulk("3"), Value::Int(1), Value::Int(1)],
            vec![Value::Int(8), Value::Int(1), Value::Int(1)],
            vec![Value::Int(-7), Value::Int(0), Value::Int(0)],
            vec![Value::Int(3), Value::Int(-1), Value::Int(1)],
            vec![Value::Int(3), Value::Int(1), Value::Int(-1)],
        ] {
            assert!(outcome(&elements, &"a post").is_err(), "{elements:?}");
        }
        for elements in [vec![], vec![Value::Nil], vec![Value::Int(1)], vec![Value::Int(-8)]] {
            assert!(summary(&elements, post(), false).is_err(), "{elements:?}");
            assert!(reactors(&elements, post()).is_err(), "{elements:?}");
        }
    }

    #[test]
    fn what_a_script_says_of_a_failure_is_told_apart() {
        let failed = |status| outcome(&[Value::Int(status), Value::Int(0), Value::Int(0)], &"it");
        assert!(matches!(failed(-1), Ok(Err(StoreError::Damaged(_)))));
        for refused in [-2, -3, -5, -6] {
            assert!(matches!(failed(refused), Ok(Err(StoreError::Unavailable(_)))), "{refused}");
        }
        assert!(matches!(failed(-4), Ok(Err(StoreError::KeyReused))));
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
