//! Forgetting a post, or one reaction of it.

use deadpool_redis::redis::Value;

use super::answer::{self, ItemResult};
use super::tap::shared_args;
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Forget, Forgotten, MAX_KINDS_PER_POST, Partition, Reaction};

/// If all reactions go, the mark of imports goes with them, and there is one more key.
const SHAPE: Shape = Shape { keys: 2, shared_args: 5, args: 4, answers: 3 };

static FORGET: Script = lua!("forget", Effect::Removes, SHAPE, shared_args);

impl Operation for Forget {
    type Answer = Forgotten;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&FORGET];

    fn script(&self) -> &'static Script {
        &FORGET
    }

    /// A second run would forget what came in between.
    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn partition(&self) -> Partition {
        self.post.partition()
    }

    /// It removes the members of each reaction. By default a post has at most that many.
    fn weight(&self) -> usize {
        if self.reaction.is_some() { 1 } else { MAX_KINDS_PER_POST as usize }
    }

    fn extra_keys(&self) -> usize {
        self.reaction.is_none().into()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_post(key, &self.post));
        keys.key(|keys, key| keys.write_log(key, self.post.partition()));
        if self.reaction.is_none() {
            keys.key(|keys, key| keys.write_marks(key, &self.post));
        }
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        args.spelled(|text| self.post.write_to(text))
            .arg(self.reaction.as_ref().map_or("", Reaction::as_str))
            .arg(not_after)
            .actor(self.actor);
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Forgotten> {
        let outcome = answer::outcome(elements, &format_args!("post {}", self.post))?;
        Ok(outcome.map(|it| Forgotten { removed: it.count, revision: it.revision }))
    }
}
