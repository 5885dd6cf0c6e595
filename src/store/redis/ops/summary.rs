//! The summary of a post.

use deadpool_redis::redis::Value;

use super::answer::{ItemResult, list, reactor};
use super::rules::rules;
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Partition, PostId, Reaction, ReactionSummary, Revision, Summary, UserId};
use crate::store::StoreError;
use crate::store::redis::value::{number, text};

const SHAPE: Shape = Shape { keys: 1, shared_args: 1, args: 2, answers: 1 };

static SUMMARY: Script = lua!("summary", Effect::Reads, SHAPE, super::script::read_work);

/// Reads the summary of a post.
#[derive(Debug)]
pub(crate) struct ReadSummary {
    pub(crate) post: PostId,
    pub(crate) viewer: Option<UserId>,
    pub(crate) recent: usize,
}

impl Operation for ReadSummary {
    type Answer = Summary;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&SUMMARY];

    fn script(&self) -> &'static Script {
        &SUMMARY
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
        match self.viewer {
            Some(user) => args.user(user),
            None => args.arg(""),
        };
        args.arg(self.recent);
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Summary> {
        let post = self.post;
        Ok(list(elements, post)?.and_then(|values| {
            // The script could read it, so someone else wrote what onetap never writes.
            read(values, post, self.viewer.is_some())
                .ok_or_else(|| StoreError::Damaged(format!("the counts of post {post}")))
        }))
    }
}

fn read(values: &[Value], post: PostId, with_viewer: bool) -> Option<Summary> {
    let ([revision, ruled @ ..], rest) = values.split_first_chunk::<4>()?;
    let (revision, rules) = (Revision(number(revision)?), rules(ruled)?);
    let mut reactions = Vec::with_capacity(rest.len() / 4);
    for group in rest.chunks(4) {
        let [name, count, Value::Int(mine), Value::Array(newest)] = group else { return None };
        let reaction: Reaction = text(name)?.parse().ok()?;
        let reactor = |pair: &[Value]| reactor(pair.first()?, pair.get(1)?, reaction.clone());
        let recent = newest.chunks(2).map(reactor).collect::<Option<_>>()?;
        let mine = with_viewer.then_some(*mine == 1);
        reactions.push(ReactionSummary { count: number(count)?, mine, recent, reaction });
    }
    Some(Summary::new(post, revision, rules, reactions))
}
