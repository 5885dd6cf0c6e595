//! One tap: toggle, set, unset.

use std::sync::Arc;

use deadpool_redis::redis::{Cmd, Value};

use super::answer::{self, ItemResult, Judged};
use super::{
    ArgWriter, BatchFrame, Effect, KeyWriter, Operation, Retry, Script, Shape, lua, verdict,
};
use crate::domain::{Palette, Partition, Reaction, Tap, Verb, Verdict};

/// A tap with an idempotency key has one more key, its record.
pub(super) const SHAPE: Shape = Shape { keys: 4, shared_args: 5, args: 6, answers: 3 };

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

/// A tap on one reaction, with the palette that the service presumes.
#[derive(Debug)]
pub(crate) struct JudgedTap {
    pub(crate) tap: Tap,
    pub(crate) verb: Verb,
    /// The reaction by the name that the caller used.
    pub(crate) reaction: Reaction,
    pub(crate) palette: Arc<Palette>,
}

impl JudgedTap {
    fn verdict(&self) -> Verdict<'_> {
        self.palette.verdict(&self.reaction)
    }
}

impl Operation for JudgedTap {
    type Answer = Judged;
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
        if self.tap.keyed.is_some() { Retry::Safe } else { Retry::Never }
    }

    fn partition(&self) -> Partition {
        self.tap.post.partition()
    }

    fn extra_keys(&self) -> usize {
        self.tap.keyed.is_some().into()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        let (post, counted) = (&self.tap.post, self.verdict().counted);
        keys.key(|keys, key| keys.write_post(key, post));
        keys.key(|keys, key| keys.write_members(key, post, counted));
        keys.key(|keys, key| keys.write_log(key, post.partition()));
        keys.key(|keys, key| keys.write_hints(key, post.partition(), self.tap.user));
        if let Some(keyed) = &self.tap.keyed {
            keys.key(|keys, key| keys.write_record(key, post.partition(), &keyed.key));
        }
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        let Verdict { counted, is_alias, allowed, group } = self.verdict();
        let sent = is_alias.then_some(&self.reaction);
        let Tap { post, user, keyed, actor, add, .. } = &self.tap;
        args.post(*post)
            .user(*user)
            .arg(counted.as_str())
            .arg(not_after)
            .arg(keyed.as_ref().map_or("", |keyed| keyed.form.letter()))
            .spelled(|text| {
                let allowed = (*add, allowed.into());
                verdict::write(text, &self.palette, allowed, sent, *actor, group);
            });
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Judged> {
        let post = self.tap.post;
        answer::judged(elements, &self.palette, None, &format_args!("post {post}"))
    }
}
