//! The audit of all posts: what disagrees, and its repair.

use serde_json::{Value, json};

use super::look::{Look, patience};
use super::perform::{Did, Perform};
use super::plan::{Behind, Drifted, Pending, Plan};
use super::task::Task;
use crate::domain::{Reaction, Reactor, UserId};
use crate::store::{
    AnyStore, Audited, Drift, Maintenance as _, ReactorsQuery, Store as _, StoreError, WalkedPost,
};

/// How many members of a post are compared with the index in one step of the store.
const INDEXED: usize = 1_000;

/// The most posts with findings in a plan: each may have a finding for each of its reactions.
const MOST_DRIFTED: usize = 20;

/// The most findings of a post that a receipt names.
const MOST_FINDINGS: usize = 30;

/// What an audit of some members of a post found, and where the others begin.
pub(super) struct Looked {
    pub(super) audited: Audited,
    pub(super) members: u64,
    pub(super) next: Option<Behind>,
}

/// Audits a post with its next members.
pub(super) async fn audit(
    store: &AnyStore,
    pending: &Pending,
    repair: bool,
) -> Result<Looked, StoreError> {
    let (post, after) = (pending.post, pending.after.clone().map(Reactor::from));
    let query = ReactorsQuery { post, reaction: None, after, limit: INDEXED };
    let page = store.reactors(query, patience()).await?;
    let next = page.next().map(Behind::from);
    let indexed: Vec<(Reaction, UserId)> =
        page.reactors.into_iter().map(|reactor| (reactor.reaction, reactor.user)).collect();
    let members = indexed.len() as u64;
    let walked = WalkedPost { post, own: true, seen: pending.seen.clone() };
    let audited = store.audit(walked, indexed, repair, patience()).await?;
    Ok(Looked { audited, members, next })
}

impl Look<'_> {
    /// The next posts that do not agree with themselves.
    pub(super) async fn audit(&self, plan: &mut Plan) -> Result<(), StoreError> {
        loop {
            let enough = (plan.looked + plan.members) as usize >= self.most;
            if enough || plan.drifted.len() >= MOST_DRIFTED {
                return Ok(());
            }
            let Some(pending) = plan.next.pending.front_mut() else {
                let Some(posts) = self.walked(&mut plan.next).await? else {
                    plan.ends_pass = true;
                    return Ok(());
                };
                plan.next.pending.extend(posts);
                continue;
            };
            let first = pending.after.is_none();
            let looked = match audit(self.store, pending, false).await {
                Ok(looked) => looked,
                Err(StoreError::Damaged(why)) => {
                    plan.damaged.push((pending.post.to_string(), why));
                    plan.looked += 1;
                    plan.next.pending.pop_front();
                    continue;
                }
                Err(error) => return Err(error),
            };
            plan.members += looked.members;
            // What is not about these members was found with the first of them.
            let found = looked.audited.drift.iter();
            let found = found.filter(|drift| first || matches!(drift, Drift::NotIndexed(_)));
            let drift: Vec<Value> = found.take(MOST_FINDINGS).map(finding).collect();
            if !drift.is_empty() {
                plan.drifted.push(Drifted { pending: pending.clone(), drift });
            }
            match looked.next {
                Some(next) => pending.after = Some(next),
                None => {
                    plan.looked += 1;
                    plan.next.pending.pop_front();
                }
            }
        }
    }
}

impl Perform<'_> {
    /// Repairs the posts of the plan, if the job repairs.
    pub(super) async fn repair(&self, did: &mut Did) -> Result<(), StoreError> {
        did.numbers.add("posts", self.plan.looked);
        did.numbers.add("members", self.plan.members);
        for Drifted { pending, drift } in &self.plan.drifted {
            let repair = matches!(self.job.task, Task::Audit { repair: true });
            let mut repaired = false;
            if repair && !self.job.dry_run {
                repaired = self.repair_post(pending).await?;
            }
            did.numbers.add("drifted", 1);
            did.numbers.add(if repaired { "repaired" } else { "not_repaired" }, 1);
            let post = pending.post.to_string();
            did.line(&json!({ "post_id": post, "drift": drift, "repaired": repaired }));
        }
        Ok(())
    }

    /// Repairs a post. Returns whether it agrees with itself afterwards: an earlier run of this
    /// step may have repaired it already.
    async fn repair_post(&self, pending: &Pending) -> Result<bool, StoreError> {
        let mut pending = pending.clone();
        let mut sound = true;
        loop {
            let next = match audit(self.store, &pending, true).await {
                Ok(looked) => looked.next,
                Err(StoreError::Damaged(_)) => return Ok(false),
                Err(error) => return Err(error),
            };
            // With its counts repaired, the post may list members that the index lacks, too.
            match audit(self.store, &pending, true).await {
                Ok(looked) => {
                    let left = looked.audited.drift.iter();
                    let mut left = left.filter(|it| !matches!(it, Drift::NotIndexed(_)));
                    sound &= looked.audited.repaired || left.next().is_none();
                }
                Err(StoreError::Damaged(_)) => return Ok(false),
                Err(error) => return Err(error),
            }
            match next {
                Some(next) => pending.after = Some(next),
                None => return Ok(sound),
            }
        }
    }
}

/// A finding as receipts write it.
fn finding(drift: &Drift) -> Value {
    match drift {
        Drift::Count { reaction, count, members } => {
            json!({ "what": "count", "reaction": reaction.as_str(), "count": count, "members": members })
        }
        Drift::NotIndexed(members) => json!({ "what": "not_indexed", "members": members }),
        Drift::Revision => json!({ "what": "revision" }),
        Drift::Rules => json!({ "what": "rules" }),
        Drift::Damaged(why) => json!({ "what": "damaged", "why": why }),
    }
}
