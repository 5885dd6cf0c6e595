//! A step: from its plan to amendments, and from their answers to numbers.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::job::{Job, Numbers};
use super::look::patience;
use super::plan::{Item, Plan, short};
use super::task::Task;
use crate::domain::{
    Amendment, EditAct, EditOutcome, MemberEdit, Micros, Once, PostId, Reaction, StepToken,
};
use crate::store::{AnyStore, Maintenance as _, StoreError};

/// How many amendments go to the store at once.
const AT_ONCE: usize = 128;

/// What a step did.
#[derive(Debug, Default)]
pub(super) struct Did {
    pub(super) numbers: Numbers,
    /// Lines of the receipt.
    pub(super) lines: Vec<u8>,
}

impl Did {
    pub(super) fn line(&mut self, value: &impl serde::Serialize) {
        self.lines.extend(serde_json::to_vec(value).unwrap_or_default());
        self.lines.push(b'\n');
    }

    /// Notes what is damaged: a post, or an entry of the store that belongs to none.
    fn damage(&mut self, post: Option<&String>, why: &str) {
        self.numbers.add("damaged", 1);
        match post {
            Some(post) => self.line(&json!({ "post_id": post, "damaged": short(why) })),
            None => self.line(&json!({ "damaged": short(why) })),
        }
    }
}

/// An edit, and which reaction of the plan it is for.
struct Edit {
    nth: usize,
    post: PostId,
    edit: MemberEdit,
}

/// Makes the changes of a plan. A repetition makes none, and says the same.
pub(super) struct Perform<'a> {
    pub(super) store: &'a AnyStore,
    pub(super) job: &'a Job,
    pub(super) plan: &'a Plan,
}

impl Perform<'_> {
    /// Makes the changes.
    pub(super) async fn run(&self) -> Result<Did, StoreError> {
        let mut did = Did::default();
        for (post, why) in &self.plan.damaged {
            did.damage((!post.is_empty()).then_some(post), why);
        }
        if matches!(self.job.task, Task::Audit { .. }) {
            self.repair(&mut did).await?;
            return Ok(did);
        }
        did.numbers.add("found", self.plan.items.len() as u64);
        if self.job.dry_run {
            return Ok(did);
        }
        let (removed, added) = self.carry(&mut did).await?;
        self.take_back(&removed, &added, &mut did).await?;
        for (item, outcome) in self.plan.items.iter().zip(&removed) {
            match outcome {
                Some(EditOutcome::Removed) => {
                    did.numbers.add("removed", 1);
                    if self.job.task.names_removed() {
                        did.line(&Triple::from(item));
                    }
                }
                Some(_) => did.numbers.add("changed_meanwhile", 1),
                None => {}
            }
        }
        for (removed, added) in removed.iter().zip(&added) {
            let name = match added {
                // Not the newer one of the target: the source was gone. That is counted above.
                Some(EditOutcome::Lost) if *removed == Some(EditOutcome::Unchanged) => continue,
                Some(EditOutcome::Added) => "added",
                Some(EditOutcome::Moved) => "made_older",
                Some(EditOutcome::Lost) => "newer_one_kept",
                Some(EditOutcome::Unchanged | EditOutcome::Removed) => "there_already",
                None => continue,
            };
            did.numbers.add(name, 1);
        }
        Ok(did)
    }

    /// Removes the reactions from where they are, and adds them to where they go. On one post that
    /// is one step. On two it adds first: a reader may see a reaction twice, and never not at all.
    async fn carry(
        &self,
        did: &mut Did,
    ) -> Result<(Vec<Option<EditOutcome>>, Vec<Option<EditOutcome>>), StoreError> {
        let items = || self.plan.items.iter().enumerate();
        let sources = items().filter_map(|(nth, item)| self.source(nth, item));
        let targets = items().filter_map(|(nth, item)| self.target(nth, item));
        let count = self.plan.items.len();
        let (mut removed, mut added) = (vec![None; count], vec![None; count]);
        match self.job.task {
            Task::CopyPost { .. } | Task::MovePost { .. } => {
                for (edit, outcome) in self.amend("to", targets.collect(), did).await? {
                    added[edit.nth] = outcome;
                }
                // What did not arrive stays.
                let arrived = sources.filter(|edit| added[edit.nth].is_some());
                for (edit, outcome) in self.amend("from", arrived.collect(), did).await? {
                    removed[edit.nth] = outcome;
                }
            }
            _ => {
                let pairs = sources.zip(targets.map(Some).chain(std::iter::repeat_with(|| None)));
                let edits: Vec<Edit> =
                    pairs.flat_map(|(from, to)| std::iter::once(from).chain(to)).collect();
                for (edit, outcome) in self.amend("here", edits, did).await? {
                    match edit.edit.act {
                        EditAct::RemoveAt(_) => removed[edit.nth] = outcome,
                        _ => added[edit.nth] = outcome,
                    }
                }
            }
        }
        Ok((removed, added))
    }

    /// Takes back what was added to another post for reactions that users have changed since the
    /// read.
    async fn take_back(
        &self,
        removed: &[Option<EditOutcome>],
        added: &[Option<EditOutcome>],
        did: &mut Did,
    ) -> Result<(), StoreError> {
        let wrong = |nth: &usize| {
            removed[*nth] == Some(EditOutcome::Unchanged) && added[*nth] == Some(EditOutcome::Added)
        };
        let edits = (0..self.plan.items.len()).filter(wrong).map(|nth| {
            let item = &self.plan.items[nth];
            let (post, user, reaction) = self.job.task.target(item);
            let act = EditAct::RemoveAt(Micros(item.at));
            Edit { nth, post, edit: MemberEdit { user, reaction, act } }
        });
        for (_, outcome) in self.amend("back", edits.collect(), did).await? {
            if outcome == Some(EditOutcome::Removed) {
                did.numbers.add("taken_back", 1);
            }
        }
        Ok(())
    }

    /// The edit that removes a reaction from where it is.
    fn source(&self, nth: usize, item: &Item) -> Option<Edit> {
        if matches!(self.job.task, Task::CopyPost { .. }) {
            return None;
        }
        let (user, reaction) = (item.user, item.reaction.clone());
        let act = EditAct::RemoveAt(Micros(item.at));
        Some(Edit { nth, post: item.post, edit: MemberEdit { user, reaction, act } })
    }

    /// The edit that adds a reaction to where it goes.
    fn target(&self, nth: usize, item: &Item) -> Option<Edit> {
        let excluded = match item.excluded.and_then(|list| self.plan.excluded.get(list)) {
            Some(list) => list.names.clone(),
            None => Vec::new(),
        };
        if let Task::Erase { .. } | Task::Retract { .. } | Task::Audit { .. } = self.job.task {
            return None;
        }
        let (post, user, reaction) = self.job.task.target(item);
        let excluded: Arc<[Reaction]> = excluded.into();
        let at = Micros(item.at);
        let act = match self.job.task {
            Task::CopyPost { .. } | Task::MovePost { .. } => EditAct::Merge { at, excluded },
            _ => EditAct::Move { at, excluded },
        };
        Some(Edit { nth, post, edit: MemberEdit { user, reaction, act } })
    }

    /// Applies edits, those of a post in one step. An edit of a damaged post has no outcome.
    async fn amend(
        &self,
        round: &str,
        edits: Vec<Edit>,
        did: &mut Did,
    ) -> Result<Vec<(Edit, Option<EditOutcome>)>, StoreError> {
        let mut by_post: Vec<(PostId, Vec<Edit>)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for edit in edits {
            let place = *places.entry(edit.post).or_insert(by_post.len());
            if place == by_post.len() {
                by_post.push((edit.post, Vec::new()));
            }
            by_post[place].1.push(edit);
        }
        let mut all = Vec::new();
        let mut rest = by_post.into_iter().peekable();
        while rest.peek().is_some() {
            let part: Vec<_> = rest.by_ref().take(AT_ONCE).collect();
            let amendments = part.iter().map(|(post, edits)| self.amendment(round, *post, edits));
            let answers = self.store.amend(amendments.collect(), patience()).await;
            for ((post, edits), answer) in part.into_iter().zip(answers) {
                match answer {
                    Ok(amended) => {
                        let outcomes = amended.outcomes.into_iter().map(Some);
                        all.extend(edits.into_iter().zip(outcomes));
                    }
                    Err(StoreError::Damaged(why)) => {
                        did.damage(Some(&post.to_string()), &why);
                        all.extend(edits.into_iter().map(|edit| (edit, None)));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(all)
    }

    fn amendment(&self, round: &str, post: PostId, edits: &[Edit]) -> Amendment {
        let name = format!("{} {} {round} {post}", self.job.id, self.job.step);
        let token = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let edits = edits.iter().map(|edit| edit.edit.clone()).collect();
        let once = Once::Step(StepToken(token.into_bytes()));
        let actor = self.job.actor;
        Amendment { actor, ..Amendment::new(post, self.job.task.cause(), edits, once) }
    }
}

/// A reaction as exports write it.
#[derive(serde::Serialize)]
struct Triple<'a> {
    post_id: String,
    user_id: String,
    reaction: &'a str,
    reacted_at: String,
}

impl<'a> From<&'a Item> for Triple<'a> {
    fn from(item: &'a Item) -> Self {
        Self {
            post_id: item.post.to_string(),
            user_id: item.user.to_string(),
            reaction: item.reaction.as_str(),
            reacted_at: Micros(item.at).to_string(),
        }
    }
}

#[cfg(test)]
#[path = "perform_tests.rs"]
mod tests;
