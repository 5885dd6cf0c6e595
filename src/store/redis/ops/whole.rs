//! A whole set: afterwards the user has exactly these reactions on the post.

use std::sync::Arc;

use deadpool_redis::redis::Value;

use super::answer::{self, ItemResult, Judged};
use super::tap::shared_args;
use super::verdict::{self, Allowed};
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Group, Palette, Partition, Reaction, Refusal, Tap, resolve};

/// A set with an idempotency key has one more key, its record.
const SHAPE: Shape = Shape { keys: 3, shared_args: 5, args: 7, answers: 3 };

static EXACTLY: Script = lua!("exactly", Effect::Adds, SHAPE, shared_args);
static CLEAR_FULL: Script = lua!("clear_full", Effect::Removes, SHAPE, shared_args);

/// A whole set, with the palette that the service presumes.
#[derive(Debug)]
pub(crate) struct WholeSet {
    pub(crate) tap: Tap,
    /// The reactions as they are counted, or why the palette refuses the set.
    wanted: Result<Vec<Reaction>, Refusal>,
    pub(crate) palette: Arc<Palette>,
}

impl WholeSet {
    pub(crate) fn new(tap: Tap, named: &[Reaction], palette: Arc<Palette>) -> Self {
        Self { tap, wanted: resolve(&palette, named), palette }
    }
}

impl Operation for WholeSet {
    type Answer = Judged;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&EXACTLY, &CLEAR_FULL];

    fn script(&self) -> &'static Script {
        &EXACTLY
    }

    fn script_when_full(&self) -> Option<&'static Script> {
        self.tap.act.only_removes().then_some(&CLEAR_FULL)
    }

    fn retry(&self) -> Retry {
        if self.tap.keyed.is_some() { Retry::Safe } else { Retry::Never }
    }

    fn partition(&self) -> Partition {
        self.tap.post.partition()
    }

    /// Each reaction that it names may be added or removed.
    fn weight(&self) -> usize {
        1 + self.wanted.as_ref().map_or(0, Vec::len)
    }

    fn extra_keys(&self) -> usize {
        self.tap.keyed.is_some().into()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        let post = &self.tap.post;
        keys.key(|keys, key| keys.write_post(key, post));
        keys.key(|keys, key| keys.write_log(key, post.partition()));
        keys.key(|keys, key| keys.write_hints(key, post.partition(), self.tap.user));
        if let Some(keyed) = &self.tap.keyed {
            keys.key(|keys, key| keys.write_record(key, post.partition(), &keyed.key));
        }
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        let Tap { post, user, keyed, actor, act, add, .. } = &self.tap;
        let allowed = self.wanted.as_ref().map_or(Allowed::Contradicts, |_| Allowed::Yes);
        args.post(*post)
            .user(*user)
            .arg(not_after)
            .arg(keyed.as_ref().map_or("", |keyed| keyed.form.letter()))
            .spelled(|text| {
                verdict::write(text, &self.palette, (*add, allowed), None, *actor, Group::None);
            })
            .arg(&*act.named())
            .spelled(|text| {
                text.clear();
                for reaction in self.wanted.iter().flatten() {
                    let allowed = self.palette.verdict(reaction).allowed;
                    text.push(if allowed { '1' } else { '0' });
                    text.push_str(reaction.as_str());
                    text.push(' ');
                }
            });
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Judged> {
        let (post, refusal) = (self.tap.post, self.wanted.as_ref().err());
        answer::judged(elements, &self.palette, refusal, &format_args!("post {post}"))
    }
}
