//! A verb that only the tests have: it shows what a new verb needs.

use deadpool_redis::redis::Value;

use super::answer::{ItemResult, Unreadable, failed};
use super::tap::shared_args;
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Partition, PostId, Reaction};

const SHAPE: Shape = Shape { keys: 2, shared_args: 5, args: 2, answers: 2 };

static DROP: Script = lua!("drop", Effect::Removes, SHAPE, shared_args);

/// Deletes one reaction of a post; answers how many users had it.
#[derive(Debug)]
pub(crate) struct DropOne {
    pub(crate) post: PostId,
    pub(crate) reaction: Reaction,
}

impl Operation for DropOne {
    type Answer = u64;

    const SCRIPTS: &'static [&'static Script] = &[&DROP];

    fn script(&self) -> &'static Script {
        &DROP
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn partition(&self) -> Partition {
        self.post.partition()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_post(key, &self.post));
        keys.key(|keys, key| keys.write_members(key, &self.post, &self.reaction));
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        args.arg(self.reaction.as_str()).arg(not_after);
    }

    fn read(&self, elements: &[Value]) -> ItemResult<u64> {
        match elements {
            [Value::Int(0..=2), Value::Int(removed)] => {
                Ok(Ok(u64::try_from(*removed).map_err(|_| Unreadable)?))
            }
            [Value::Int(status), ..] => failed(*status, &format_args!("post {}", self.post)),
            _ => Err(Unreadable),
        }
    }
}
