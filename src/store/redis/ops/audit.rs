//! An audit of a post, and its repair.

use deadpool_redis::redis::Value;

use super::answer::{ItemResult, Unreadable, failed};
use super::tap::shared_args;
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Partition, Reaction, Revision, UserId};
use crate::store::redis::keys::user_bucket;
use crate::store::redis::value::text;
use crate::store::{Audited, Drift, WalkedPost};

/// Each member to look up in the index has three more arguments.
const SHAPE: Shape = Shape { keys: 1, shared_args: 5, args: 4, answers: 3 };

static AUDIT: Script = lua!("audit", Effect::Reads, SHAPE, shared_args);
static REPAIR: Script = lua!("repair", Effect::Adds, SHAPE, shared_args);

/// The bit of the status that says that the step changed something.
const CHANGED: i64 = 2;

/// Compares counts, members, rules and revision of a post.
#[derive(Debug)]
pub(crate) struct Audit(pub(crate) Box<PostAudit>);

/// The post to compare, and with what.
#[derive(Debug)]
pub(crate) struct PostAudit {
    pub(crate) post: WalkedPost,
    pub(crate) indexed: Vec<(Reaction, UserId)>,
    pub(crate) repair: bool,
}

impl Operation for Audit {
    type Answer = Audited;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&AUDIT, &REPAIR];

    fn script(&self) -> &'static Script {
        if self.0.repair { &REPAIR } else { &AUDIT }
    }

    /// A second run finds nothing to repair.
    fn retry(&self) -> Retry {
        Retry::Safe
    }

    fn partition(&self) -> Partition {
        self.0.post.post.partition()
    }

    fn weight(&self) -> usize {
        1 + self.0.indexed.len()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_post(key, &self.0.post.post));
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        let PostAudit { post, indexed, .. } = &*self.0;
        args.post(post.post)
            .arg(not_after)
            .spelled(|text| {
                text.clear();
                post.seen.iter().for_each(|reaction| text.extend([" ", reaction.as_str()]));
            })
            .arg(indexed.len());
        for (reaction, user) in indexed {
            args.arg(reaction.as_str()).user(*user).arg(user_bucket(*user));
        }
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Audited> {
        match elements {
            [Value::Int(status @ (0 | CHANGED)), Value::Array(values), Value::Int(revision)] => {
                let drift = values.chunks(4).map(drift).collect::<Option<_>>();
                Ok(Ok(Audited {
                    drift: drift.ok_or(Unreadable)?,
                    repaired: *status == CHANGED,
                    revision: Revision(u64::try_from(*revision).map_err(|_| Unreadable)?),
                }))
            }
            [Value::Int(status), ..] if *status < 0 => {
                failed(*status, &format_args!("post {}", self.0.post.post))
            }
            _ => Err(Unreadable),
        }
    }
}

fn drift(group: &[Value]) -> Option<Drift> {
    let [kind, what, Value::Int(count), Value::Int(members)] = group else { return None };
    let (count, members) = (u64::try_from(*count).ok()?, u64::try_from(*members).ok()?);
    // A field may have any bytes as its name.
    let what = text(what).unwrap_or("a field that is no text");
    Some(match text(kind)? {
        "count" => match what.parse() {
            Ok(reaction) => Drift::Count { reaction, count, members },
            Err(_) => Drift::Damaged(format!("a count of {what:?}, which is no reaction")),
        },
        "damaged" => Drift::Damaged(what.to_owned()),
        "index" => Drift::NotIndexed(count),
        "revision" => Drift::Revision,
        "rules" => Drift::Rules,
        _ => return None,
    })
}
