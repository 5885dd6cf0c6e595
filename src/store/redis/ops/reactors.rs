//! A page of the reactors of a post.

use deadpool_redis::redis::Value;

use super::answer::{ItemResult, list, reactor};
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Partition, Position, PostId, Reaction, Reactor};
use crate::store::StoreError;
use crate::store::redis::value::text;

const SHAPE: Shape = Shape { keys: 1, shared_args: 1, args: 4, answers: 1 };

static REACTORS: Script = lua!("reactors", Effect::Reads, SHAPE, super::script::read_work);

/// Reads the newest reactors at or below a position, `take` of each reaction.
#[derive(Debug)]
pub(crate) struct ReadReactors {
    pub(crate) post: PostId,
    /// None for all reactions.
    pub(crate) reaction: Option<Reaction>,
    pub(crate) after: Option<Position>,
    pub(crate) take: usize,
}

impl Operation for ReadReactors {
    type Answer = Vec<Reactor>;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&REACTORS];

    fn script(&self) -> &'static Script {
        &REACTORS
    }

    fn retry(&self) -> Retry {
        Retry::Safe
    }

    fn partition(&self) -> Partition {
        self.post.partition()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_post(key, &self.post));
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, _: i64) {
        args.arg(self.reaction.as_ref().map_or("", Reaction::as_str));
        match &self.after {
            Some(place) => args.arg(place.reacted_at.0).user(place.user),
            None => args.arg("").arg(""),
        };
        args.arg(self.take);
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Vec<Reactor>> {
        let post = self.post;
        let one = |group: &[Value]| {
            let [user, score, reaction] = group else { return None };
            reactor(user, score, text(reaction)?.parse().ok()?)
        };
        Ok(list(elements, post)?.and_then(|values| {
            values.chunks(3).map(one).collect::<Option<_>>().ok_or_else(|| {
                StoreError::Damaged(format!("the members of a reaction on post {post}"))
            })
        }))
    }
}
