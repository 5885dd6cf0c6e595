//! Steps of an import, applied to a store.

use uuid::Uuid;

use super::row::Row;
use crate::domain::{
    Amended, Amendment, Cause, EditAct, EditOutcome, ImportOutcome, ImportStep, MemberEdit, Once,
    PostId, Rules, SourceId, StepToken, UserId,
};
use crate::store::{Deadline, Maintenance, StoreError};

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
    /// Whether more rows of this post follow.
    pub more: bool,
    /// The rows.
    pub rows: Vec<StepRow>,
    /// The rules of the post, if the input has them; only with its last rows.
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
    /// Whether the post keeps other rules than those of the step.
    pub rules_lost: bool,
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
            return Once::Import(ImportStep { source, from: step.from, more: step.more, merge });
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

impl Stepped {
    fn of(amended: &Amended) -> Self {
        // What an earlier run put back, a user may have taken back since.
        let outcome = if amended.replayed { ImportOutcome::Done } else { amended.import };
        let is_applied = outcome == ImportOutcome::Applied;
        Self {
            outcome,
            counts: if is_applied { Counts::of(&amended.outcomes) } else { Counts::default() },
            ruled: is_applied && amended.rules == EditOutcome::Moved,
            rules_lost: is_applied && amended.rules == EditOutcome::Lost,
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
pub async fn apply<S: Maintenance>(
    store: &S,
    plan: Plan,
    steps: &[Step],
    deadline: Deadline,
) -> Vec<Result<Stepped, StoreError>> {
    let amendments = steps.iter().map(|step| Amendment {
        post: step.post,
        cause: Cause::Import,
        actor: plan.actor,
        edits: step.rows.iter().map(|row| row.edit.clone()).map(|edit| plan.meant(edit)).collect(),
        once: plan.once(step),
        // No job removes rules.
        rules: step.rules.clone().filter(|_| !plan.restore),
        dry_run: plan.dry_run,
    });
    let amended = store.amend(amendments.collect(), deadline).await;
    amended.into_iter().map(|amended| amended.map(|amended| Stepped::of(&amended))).collect()
}
