//! What a user gave in one partition.

use deadpool_redis::redis::Value;

use super::answer::{ItemResult, Unreadable, failed};
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Micros, Partition, UserId};
use crate::store::Given;
use crate::store::redis::value::{number, text};

const SHAPE: Shape = Shape { keys: 1, shared_args: 1, args: 5, answers: 1 };

/// It drops stale hints, but a run that nobody hears of does no harm. So it counts as a read.
static GIVEN: Script = lua!("given", Effect::Reads, SHAPE, super::script::read_work);

/// The most hints that one run looks at. It blocks Redis for about half a millisecond.
const MOST_LOOKS: u32 = 500;

/// Looks at the hints of a user in a partition, from a place on.
#[derive(Debug)]
pub(crate) struct ReadGiven {
    pub(crate) partition: Partition,
    pub(crate) user: UserId,
    /// The hint to go on from.
    pub(crate) from: Option<Box<[u8]>>,
    /// The greatest time to answer.
    pub(crate) newest: Micros,
    /// How many reactions before that time to answer.
    pub(crate) take: usize,
}

/// What one run found.
#[derive(Debug)]
pub(crate) struct GivenLook {
    /// The newest of these hints, and perhaps more.
    pub(crate) found: Vec<Given>,
    /// The hint to go on from; None if all have been looked at.
    pub(crate) next: Option<Box<[u8]>>,
}

impl Operation for ReadGiven {
    type Answer = GivenLook;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&GIVEN];

    fn script(&self) -> &'static Script {
        &GIVEN
    }

    fn retry(&self) -> Retry {
        Retry::Safe
    }

    fn partition(&self) -> Partition {
        self.partition
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_hints(key, self.partition, self.user));
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, _: i64) {
        args.user(self.user)
            .arg(self.from.as_deref().unwrap_or_default())
            .arg(MOST_LOOKS)
            .arg(self.newest.0)
            .arg(self.take);
    }

    fn read(&self, elements: &[Value]) -> ItemResult<GivenLook> {
        match elements {
            [Value::Array(values)] => look(values).map(Ok).ok_or(Unreadable),
            [Value::Int(status)] => {
                failed(*status, &format_args!("the index of what user {:?} gave", self.user))
            }
            _ => Err(Unreadable),
        }
    }
}

fn look(values: &[Value]) -> Option<GivenLook> {
    let (Value::BulkString(next), rest) = values.split_first()? else { return None };
    let one = |group: &[Value]| {
        let [post, reaction, at] = group else { return None };
        Some(Given {
            reacted_at: Micros(number(at)?),
            post: text(post)?.parse().ok()?,
            reaction: text(reaction)?.parse().ok()?,
        })
    };
    let next = (!next.is_empty()).then(|| next.as_slice().into());
    Some(GivenLook { found: rest.chunks(3).map(one).collect::<Option<_>>()?, next })
}
