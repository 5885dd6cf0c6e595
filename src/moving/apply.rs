//! Steps of an import, applied to a store.

use std::collections::HashMap;

use uuid::Uuid;

use super::row::Row;
use crate::domain::{
    Add, Amended, Amendment, Cause, Edit, EditAct, EditOutcome, ImportOutcome, ImportStep,
    MemberEdit, Once, PostId, Reactor, Rules, RulesEdit, SourceId, StepToken, UserId,
};
use crate::store::{Deadline, Maintenance, ReactorsQuery, Store, StoreError, SummaryQuery};

/// How many reactors a dry run reads at a time.
const PAGE: usize = 1000;

/// What all steps of an import share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the rows come from.
    pub source: SourceId,
    /// Whether to apply rows that are newer than the last tap of a post with live taps.
    pub merge: bool,
    /// Whether only to say what would happen.
    pub dry_run: bool,
    /// Whether to put back what a job has removed, with or without live taps. A member that is
    /// there again keeps its time. Repeated within an hour, a step changes nothing.
    pub restore: bool,
    /// The moderator, if the caller named one.
    pub actor: Option<UserId>,
}

/// Some rows of one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The post.
    pub post: PostId,
    /// How many rows of this post come before these.
    pub from: u64,
    /// The rows.
    pub rows: Vec<StepRow>,
    /// Rules for a post that has the default ones; only with its last rows.
    pub rules: Option<Rules>,
}

/// A row of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// What to do with which member.
    pub edit: MemberEdit,
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members added.
    pub added: u64,
    /// Members that got another time.
    pub moved: u64,
    /// Members removed.
    pub removed: u64,
    /// Rows that were so already.
    pub unchanged: u64,
    /// Rows older than a live tap of the post.
    pub lost: u64,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// Whether it was applied.
    pub outcome: ImportOutcome,
    /// What it did.
    pub counts: Counts,
    /// Whether it changed the rules.
    pub ruled: bool,
}

impl From<Row> for StepRow {
    fn from(row: Row) -> Self {
        let Row { user, reaction, at, active, .. } = row;
        let act = if active { EditAct::Put(at) } else { EditAct::RemoveUpTo(at) };
        Self { edit: MemberEdit { user, reaction, act } }
    }
}

impl Plan {
    /// What makes a repetition of a step harmless. A restoration is not kept from posts with live
    /// taps, so it leaves no mark. Its token keeps a second run from putting back what a user has
    /// removed after the first one.
    fn once(&self, step: &Step) -> Once {
        let Self { source, merge, .. } = *self;
        if !self.restore {
            return Once::Import(ImportStep { source, from: step.from, merge });
        }
        let name = format!("restore {source:?} {} {}", step.post, step.from);
        Once::Step(StepToken(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).into_bytes()))
    }

    /// The edit that this plan makes of a row.
    fn meant(&self, edit: MemberEdit) -> MemberEdit {
        match edit.act {
            EditAct::Put(at) if self.restore => MemberEdit { act: EditAct::Restore(at), ..edit },
            _ => edit,
        }
    }
}

impl Counts {
    fn of(outcomes: &[EditOutcome]) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            *match outcome {
                EditOutcome::Added => &mut counts.added,
                EditOutcome::Moved => &mut counts.moved,
                EditOutcome::Removed => &mut counts.removed,
                EditOutcome::Unchanged => &mut counts.unchanged,
                EditOutcome::Lost => &mut counts.lost,
            } += 1;
        }
        counts
    }
}

/// Applies steps of different posts, each atomically, and answers in their order.
pub async fn apply<S: Store + Maintenance>(
    store: &S,
    plan: Plan,
    steps: &[Step],
    deadline: Deadline,
) -> Vec<Result<Stepped, StoreError>> {
    if plan.dry_run {
        return look(store, steps, deadline).await;
    }
    let amendments = steps.iter().map(|step| Amendment {
        post: step.post,
        cause: Cause::Import,
        actor: plan.actor,
        edits: step.rows.iter().map(|row| row.edit.clone()).map(|edit| plan.meant(edit)).collect(),
        once: plan.once(step),
    });
    let amended = store.amend(amendments.collect(), deadline).await;
    let mut stepped = Vec::with_capacity(steps.len());
    for (step, amended) in steps.iter().zip(amended) {
        stepped.push(match amended {
            Ok(amended) => finish(store, plan, step, &amended, deadline).await,
            Err(error) => Err(error),
        });
    }
    stepped
}

/// Says what steps would do, by reading.
async fn look<S: Store>(
    store: &S,
    steps: &[Step],
    deadline: Deadline,
) -> Vec<Result<Stepped, StoreError>> {
    let mut stepped = Vec::with_capacity(steps.len());
    for step in steps {
        stepped.push(look_at(store, step, deadline).await);
    }
    stepped
}

async fn look_at<S: Store>(
    store: &S,
    step: &Step,
    deadline: Deadline,
) -> Result<Stepped, StoreError> {
    let member = |edit: &MemberEdit| (edit.user, edit.reaction.clone());
    let mut has: HashMap<_, _> = step.rows.iter().map(|row| (member(&row.edit), None)).collect();
    let mut after = None;
    loop {
        let query = ReactorsQuery { post: step.post, reaction: None, after, limit: PAGE };
        let page = store.reactors(query, deadline).await?;
        after = page.next().cloned();
        for Reactor { reacted_at, user, reaction } in page.reactors {
            if let Some(at) = has.get_mut(&(user, reaction)) {
                *at = Some(reacted_at);
            }
        }
        if after.is_none() {
            break;
        }
    }
    let outcomes = step.rows.iter().map(|row| {
        let has = has.get(&member(&row.edit)).copied().flatten();
        match (&row.edit.act, has) {
            (EditAct::Put(_), None) => EditOutcome::Added,
            (EditAct::Put(at), Some(has)) if *at > has => EditOutcome::Moved,
            (EditAct::RemoveUpTo(at), Some(has)) if has <= *at => EditOutcome::Removed,
            _ => EditOutcome::Unchanged,
        }
    });
    let counts = Counts::of(&outcomes.collect::<Vec<_>>());
    Ok(Stepped { outcome: ImportOutcome::Applied, counts, ruled: step.rules.is_some() })
}

async fn finish<S: Store>(
    store: &S,
    plan: Plan,
    step: &Step,
    amended: &Amended,
    deadline: Deadline,
) -> Result<Stepped, StoreError> {
    // What an earlier run put back, a user may have taken back since.
    let outcome = if amended.replayed { ImportOutcome::Done } else { amended.import };
    let counts = match outcome {
        ImportOutcome::Applied => Counts::of(&amended.outcomes),
        ImportOutcome::Done | ImportOutcome::LiveTaps | ImportOutcome::Behind => Counts::default(),
    };
    let is_in = matches!(outcome, ImportOutcome::Applied | ImportOutcome::Done);
    let ruled = match &step.rules {
        // The rows are in, so no error may say that nothing was applied.
        Some(rules) if is_in => rule(store, plan, step.post, rules, deadline)
            .await
            .map_err(|_| StoreError::OutcomeUnknown)?,
        _ => false,
    };
    Ok(Stepped { outcome, counts, ruled })
}

/// Gives a post the rules of which it has the default ones, so that it changes no moderator's.
async fn rule<S: Store>(
    store: &S,
    plan: Plan,
    post: PostId,
    rules: &Rules,
    deadline: Deadline,
) -> Result<bool, StoreError> {
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let found = store.summaries(query, deadline).await?;
    let found = found.into_iter().next().map(|summary| summary.rules).unwrap_or_default();
    // Two edits, each judged by itself: a run that stops between them leaves the other to the next.
    let lock = (rules.locked && !found.locked).then_some(Edit::Lock(true));
    let is_default = found.palette.is_none() && found.add == Add::default();
    let of_taps = is_default.then(|| Edit::Rules(rules.palette.clone(), rules.add));
    let mut changed = false;
    for edit in [lock, of_taps].into_iter().flatten() {
        let edit = RulesEdit { post, edit, actor: plan.actor };
        changed |= store.rule(edit, deadline).await?.changed;
    }
    Ok(changed)
}
