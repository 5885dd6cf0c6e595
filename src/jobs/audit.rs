//! The audit of all posts: what disagrees, and its repair.

use serde_json::{Value, json};

use super::look::{Look, patience};
use super::perform::{Did, Perform};
use super::plan::{Behind, Drifted, Pending, Plan, short};
use super::task::Task;
use crate::domain::{PostId, Reaction, Reactor, UserId};
use crate::store::{
    AnyStore, Audited, Drift, Maintenance as _, ReactorsQuery, Store as _, StoreError, WalkedPost,
};

/// How many members of a post are compared with the index in one step of the store.
const INDEXED: usize = 1_000;

/// The most posts with findings in a plan: each may have a finding for each of its reactions.
const MOST_DRIFTED: usize = 20;

/// The most findings of a post that a receipt names.
const MOST_FINDINGS: usize = 30;

/// The most reactions of a damaged post that are read each by itself.
const MOST_KINDS: usize = 400;

/// What an audit of some members of a post found, and where the others begin.
pub(super) struct Looked {
    pub(super) audited: Audited,
    pub(super) members: u64,
    pub(super) next: Option<Behind>,
}

/// Audits a post with its next members. With the first of them, it compares the whole post.
pub(super) async fn audit(
    store: &AnyStore,
    pending: &Pending,
    repair: bool,
) -> Result<Looked, StoreError> {
    let (post, after) = (pending.post, pending.after.clone().map(Reactor::from));
    let query = ReactorsQuery { post, reaction: pending.only.clone(), after, limit: INDEXED };
    let page = store.reactors(query, patience()).await?;
    let next = page.next().map(Behind::from);
    let indexed: Vec<(Reaction, UserId)> =
        page.reactors.into_iter().map(|reactor| (reactor.reaction, reactor.user)).collect();
    let members = indexed.len() as u64;
    let audited = if pending.is_first() {
        let walked = WalkedPost { post, own: true, seen: pending.seen.clone() };
        store.audit(walked, indexed, repair, patience()).await?
    } else {
        store.audit_index(post, indexed, repair, patience()).await?
    };
    Ok(Looked { audited, members, next })
}

impl Look<'_> {
    /// The next posts that do not agree with themselves.
    pub(super) async fn audit(&self, plan: &mut Plan) -> Result<(), StoreError> {
        loop {
            let enough = (plan.looked + plan.members) as usize >= self.most;
            if enough || plan.drifted.len() >= MOST_DRIFTED || !plan.has_room() {
                return Ok(());
            }
            let Some(pending) = plan.next.pending.front_mut() else {
                let Some(posts) = self.walked(plan).await? else {
                    plan.ends_pass = true;
                    return Ok(());
                };
                plan.next.pending.extend(posts);
                continue;
            };
            let looked = match audit(self.store, pending, false).await {
                Ok(looked) => looked,
                Err(StoreError::Damaged(why)) => {
                    self.damaged(plan, &why).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            plan.members += looked.members;
            let found = looked.audited.drift.iter().take(MOST_FINDINGS);
            let drift: Vec<Value> = found.map(finding).collect();
            let audited = pending.clone();
            match looked.next {
                Some(next) => pending.after = Some(next),
                None => {
                    plan.looked += u64::from(pending.only.is_none());
                    plan.next.pending.pop_front();
                }
            }
            if !drift.is_empty() {
                plan.note_drift(Drifted { pending: audited, drift });
            }
        }
    }

    /// Notes that the next post is damaged. Its sound reactions are to be in the index all the
    /// same, so each is read by itself.
    async fn damaged(&self, plan: &mut Plan, why: &str) -> Result<(), StoreError> {
        let Some(pending) = plan.next.pending.pop_front() else { return Ok(()) };
        if pending.only.is_some() {
            return Ok(());
        }
        plan.note_damage(Some(pending.post), why);
        plan.looked += 1;
        for name in self.kinds(&pending).await? {
            plan.next.pending.push_front(Pending::of_one(pending.post, name));
        }
        Ok(())
    }

    /// The reactions of a damaged post, as far as anything tells.
    async fn kinds(&self, pending: &Pending) -> Result<Vec<Reaction>, StoreError> {
        let posts: &[PostId] = &[pending.post];
        let counted = self.summaries(posts, &mut Plan::default()).await?;
        let counted = counted.into_iter().flat_map(|it| it.reactions).map(|it| it.reaction);
        let mut kinds: Vec<Reaction> = counted.chain(pending.seen.iter().cloned()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.truncate(MOST_KINDS);
        Ok(kinds)
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
                // The members that follow are not listed before their counts are right.
                let all = drift.iter().any(|found| found["what"] != "not_indexed");
                repaired = self.repair_post(pending, all).await?;
            }
            did.numbers.add("drifted", 1);
            did.numbers.add(if repaired { "repaired" } else { "not_repaired" }, 1);
            let post = pending.post.to_string();
            did.line(&json!({ "post_id": post, "drift": drift, "repaired": repaired }));
        }
        Ok(())
    }

    /// Repairs a post with the members that were audited, and perhaps with all that follow. Returns
    /// whether it agrees with itself afterwards: an earlier run of this step may have repaired it.
    async fn repair_post(&self, pending: &Pending, all: bool) -> Result<bool, StoreError> {
        let mut pending = pending.clone();
        let mut sound = true;
        loop {
            let mut next = None;
            // With its counts repaired, the post may list members that the index lacks, too.
            for again in [false, true] {
                match audit(self.store, &pending, true).await {
                    Ok(looked) => {
                        let mut left = looked.audited.drift.iter();
                        let left = left.any(|it| !matches!(it, Drift::NotIndexed(_)));
                        sound &= !again || looked.audited.repaired || !left;
                        next = looked.next;
                    }
                    Err(StoreError::Damaged(_)) => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            match next {
                Some(next) if all => pending.after = Some(next),
                _ => return Ok(sound),
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
        Drift::Damaged(why) => json!({ "what": "damaged", "why": short(why) }),
    }
}
