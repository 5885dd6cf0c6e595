//! One tap: toggle, set, unset.

use deadpool_redis::redis::{Cmd, Value};

use super::answer::{self, ItemResult};
use super::{ArgWriter, BatchFrame, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Outcome, Partition, Tap, Verb};

/// A tap with an idempotency key has one more key, its record.
pub(super) const SHAPE: Shape = Shape { keys: 3, shared_args: 5, args: 5, answers: 3 };

static TOGGLE: Script = lua!("toggle", Effect::Adds, SHAPE, shared_args);
static SET: Script = lua!("set", Effect::Adds, SHAPE, shared_args);
static UNSET: Script = lua!("unset", Effect::Removes, SHAPE, shared_args);
static UNSET_FULL: Script = lua!("unset_full", Effect::Removes, SHAPE, shared_args);

/// The shared arguments of every writing script.
pub(super) fn shared_args(cmd: &mut Cmd, frame: &BatchFrame<'_>) {
    cmd.arg(frame.settings.change_log_retention_millis)
        .arg(frame.not_after)
        .arg(frame.not_before)
        .arg(frame.settings.record_retention_millis)
        .arg(frame.settings.change_log_entries);
}

impl Operation for Tap {
    type Answer = Outcome;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&TOGGLE, &SET, &UNSET, &UNSET_FULL];

    fn script(&self) -> &'static Script {
        match self.verb {
            Verb::Toggle => &TOGGLE,
            Verb::Set => &SET,
            Verb::Unset => &UNSET,
        }
    }

    fn script_when_full(&self) -> Option<&'static Script> {
        (self.verb == Verb::Unset).then_some(&UNSET_FULL)
    }

    fn retry(&self) -> Retry {
        if self.keyed.is_some() { Retry::Safe } else { Retry::Never }
    }

    fn partition(&self) -> Partition {
        self.post.partition()
    }

    fn extra_keys(&self) -> usize {
        self.keyed.is_some().into()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_post(key, &self.post));
        keys.key(|keys, key| keys.write_members(key, &self.post, &self.reaction));
        keys.key(|keys, key| keys.write_log(key, self.post.partition()));
        if let Some(keyed) = &self.keyed {
            keys.key(|keys, key| keys.write_record(key, self.post.partition(), &keyed.key));
        }
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        args.spelled(|text| self.post.write_to(text))
            .arg(self.user.get())
            .arg(self.reaction.as_str())
            .arg(not_after)
            .arg(self.keyed.as_ref().map_or("", |keyed| keyed.form.letter()));
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Outcome> {
        answer::outcome(elements, &format_args!("post {}", self.post))
    }
}
