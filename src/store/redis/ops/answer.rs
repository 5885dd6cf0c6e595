//! The parts that the replies of all scripts share.

use std::fmt::Display;

use deadpool_redis::redis::Value;

use crate::domain::{
    Details, Micros, Outcome, Palette, PaletteName, PostId, Reaction, Reactor, Refusal, Revision,
};
use crate::store::StoreError;
use crate::store::redis::value::{number, text};

/// 2^53. Times and revisions stay below it until the year 2255.
const REVISION_LIMIT: u64 = 1 << 53;

/// The first element of an item's answer, as in `lua/lib/status.lua`: a failure …
const DAMAGED: i64 = -1;
const TOO_LATE: i64 = -2;
const REFUSED: i64 = -3;
const KEY_REUSED: i64 = -4;
const PUT_BACK: i64 = -5;
const FULL: i64 = -6;
const NOT_READ: i64 = -7;
const OTHER_PALETTE: i64 = -8;
const LOCKED: i64 = -9;
const NOT_IN_PALETTE: i64 = -10;
const NOBODY_HAS: i64 = -11;
const TOO_MANY_KINDS: i64 = -12;
const TOO_MANY_OF_USER: i64 = -13;
const CONTRADICTS: i64 = -14;
#[cfg(test)]
const UNCHANGED: i64 = -15;

/// … or, for a tap, a sum of these.
const ACTIVE: i64 = 1;
const CHANGED: i64 = 2;
const REPLAYED: i64 = 4;

/// A reply that no script of ours gives. For a write, the outcome is then unknown.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// The result of one item of a batch: its value or its own failure.
pub(crate) type ItemResult<T> = Result<Result<T, StoreError>, Unreadable>;

/// Splits a batch's reply into the store's clock (µs) and the elements of the items.
pub(crate) fn split(
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

/// Turns the failure code of an item into an error.
pub(super) fn failed<T>(status: i64, whose: &dyn Display) -> ItemResult<T> {
    let unavailable = |why: &str| Ok(Err(StoreError::Unavailable(why.into())));
    match status {
        DAMAGED => {
            Ok(Err(StoreError::Damaged(format!("a key of {whose} is of another type or form"))))
        }
        TOO_LATE => Ok(Err(StoreError::too_late())),
        REFUSED => unavailable("the server refused to read a key of this post"),
        KEY_REUSED => Ok(Err(StoreError::KeyReused)),
        PUT_BACK => unavailable("the server's clock was put back"),
        FULL => unavailable(
            "Redis' memory is full: a removal with an idempotency key that removes nothing, or more \
             of them than there is a reserve for",
        ),
        _ => Err(Unreadable),
    }
}

/// Whether the script refused an item because of its clock. It ran nothing, and the reply has the
/// clock's time.
pub(crate) fn is_late(elements: &[Value]) -> bool {
    matches!(elements.first(), Some(Value::Int(TOO_LATE | PUT_BACK)))
}

/// Whether the server refused to let the script read a key.
pub(crate) fn is_refused(elements: &[Value]) -> bool {
    matches!(elements.first(), Some(Value::Int(REFUSED)))
}

/// Whether the script ran out of work before this item.
pub(crate) fn is_not_read(elements: &[Value]) -> bool {
    matches!(elements, [Value::Int(NOT_READ)])
}

pub(super) fn outcome(elements: &[Value], whose: &dyn Display) -> ItemResult<Outcome> {
    match elements {
        [Value::Int(status @ 0..=7), Value::Int(count), Value::Int(revision)] => Ok(Ok(Outcome {
            active: status & ACTIVE != 0,
            changed: status & CHANGED != 0,
            count: unsigned(*count)?,
            revision: Revision(unsigned(*revision)?),
            replayed: status & REPLAYED != 0,
            details: None,
        })),
        [Value::Int(status), ..] => failed(*status, whose),
        _ => Err(Unreadable),
    }
}

/// The answer to a tap that a palette judged.
#[derive(Debug)]
pub(crate) enum Judged {
    /// The tap ran.
    Done(Outcome),
    /// It did not run: the post names this palette, not the one that the call presumed.
    Other(PaletteName),
}

/// Reads the answer to a tap. `contradiction`: why the palette refuses a whole set by itself.
pub(super) fn judged(
    elements: &[Value],
    palette: &Palette,
    contradiction: Option<&Refusal>,
    whose: &dyn Display,
) -> ItemResult<Judged> {
    let [Value::Int(status), what, Value::Int(revision)] = elements else {
        return Err(Unreadable);
    };
    let refused = |refusal: Refusal| Ok(Err(StoreError::Refused(refusal)));
    let reaction = || text(what).and_then(|name| name.parse().ok()).ok_or(Unreadable);
    match *status {
        OTHER_PALETTE => {
            let name = text(what).and_then(|name| name.parse().ok());
            return Ok(Ok(Judged::Other(name.ok_or(Unreadable)?)));
        }
        LOCKED => return refused(Refusal::Locked),
        NOT_IN_PALETTE => return refused(Refusal::NotInPalette(reaction()?)),
        NOBODY_HAS => return refused(Refusal::NobodyHas(reaction()?)),
        TOO_MANY_KINDS => return refused(Refusal::TooManyKinds(palette.max_kinds_per_post())),
        TOO_MANY_OF_USER => {
            return refused(Refusal::TooManyOfUser(palette.max_per_user_and_post()));
        }
        CONTRADICTS => return refused(contradiction.ok_or(Unreadable)?.clone()),
        negative if negative < 0 => return failed(negative, whose),
        _ => {}
    }
    let (count, details) = match what {
        Value::Int(count) => (*count, None),
        _ => details(text(what).ok_or(Unreadable)?).ok_or(Unreadable)?,
    };
    let numbers = [Value::Int(*status), Value::Int(count), Value::Int(*revision)];
    let done = |outcome| Judged::Done(Outcome { details: details.map(Box::new), ..outcome });
    Ok(outcome(&numbers, whose)?.map(done))
}

/// `COUNT ,COUNTED… NAME=COUNT…`, as `lua/lib/wide.lua` writes it.
fn details(text: &str) -> Option<(i64, Option<Details>)> {
    let mut words = text.split(' ');
    let count = words.next()?.parse().ok()?;
    let named = words.next()?.strip_prefix(',')?.split(',').filter(|name| !name.is_empty());
    let counted = named.map(|name| name.parse().ok()).collect::<Option<_>>()?;
    let lost = words.map(|word| {
        let (name, count) = word.split_once('=')?;
        Some((name.parse().ok()?, count.parse().ok()?))
    });
    Some((count, Some(Details { counted, replaced: lost.collect::<Option<_>>()? })))
}

/// The list in an item's answer, or the item's failure.
pub(super) fn list(elements: &[Value], post: PostId) -> ItemResult<&[Value]> {
    match elements {
        [Value::Array(values)] => Ok(Ok(values)),
        [Value::Int(status)] => failed(*status, &format_args!("post {post}")),
        _ => Err(Unreadable),
    }
}

pub(super) fn reactor(user: &Value, score: &Value, reaction: Reaction) -> Option<Reactor> {
    // The scripts write present times; only someone else can have written another score.
    let reacted_at = number(score).filter(|micros| *micros < REVISION_LIMIT)?;
    Some(Reactor { reacted_at: Micros(reacted_at), user: text(user)?.parse().ok()?, reaction })
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
            assert!(list(&elements, post()).is_err(), "{elements:?}");
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
    fn codes_are_those_of_the_scripts() {
        let lua = include_str!("../../../../lua/lib/status.lua");
        for (name, code) in [
            ("DAMAGED", DAMAGED),
            ("TOO_LATE", TOO_LATE),
            ("REFUSED", REFUSED),
            ("KEY_REUSED", KEY_REUSED),
            ("PUT_BACK", PUT_BACK),
            ("FULL", FULL),
            ("NOT_READ", NOT_READ),
            ("OTHER_PALETTE", OTHER_PALETTE),
            ("LOCKED", LOCKED),
            ("NOT_IN_PALETTE", NOT_IN_PALETTE),
            ("NOBODY_HAS", NOBODY_HAS),
            ("TOO_MANY_KINDS", TOO_MANY_KINDS),
            ("TOO_MANY_OF_USER", TOO_MANY_OF_USER),
            ("CONTRADICTS", CONTRADICTS),
            ("UNCHANGED", UNCHANGED),
        ] {
            let line = lua.lines().find_map(|line| line.strip_prefix(&format!("local {name} ")));
            let stated =
                line.and_then(|line| line.trim_start_matches(['=', ' ']).split(' ').next());
            assert_eq!(stated, Some(&*code.to_string()), "{name}");
        }
        assert!(lua.contains("local ACTIVE, CHANGED, REPLAYED = 1, 2, 4\n"));
        assert_eq!([ACTIVE, CHANGED, REPLAYED], [1, 2, 4]);
        assert_eq!(lua.matches(" = -").count(), 15, "a code that Rust does not know");
    }
}
