//! The JSON of jobs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::super::base_path::BasePath;
use super::{PostIdJson, UserIdJson, as_text, never_null};
use crate::domain::Micros;
use crate::jobs::{Job, JobId, Numbers, Task};

/// What a job is to do. Each kind takes only the fields that its description names.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct JobBody {
    /// `audit`, `erase`, `retract`, `rename`, `merge_user`, `copy_post` or `move_post`.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = String, required = true, example = "rename")]
    pub(in crate::http) kind: Option<String>,
    /// `erase`: the user.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = UserIdJson, required = false)]
    pub(in crate::http) user_id: Option<UserIdJson>,
    /// `retract`: 1 to 10,000 users.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = Vec<UserIdJson>, required = false, max_items = 10_000)]
    pub(in crate::http) user_ids: Option<Vec<UserIdJson>>,
    /// `retract`: only this reaction.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = String, required = false)]
    pub(in crate::http) reaction: Option<String>,
    /// `retract`, `rename`: only on these posts, 1 to 10,000.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = Vec<uuid::Uuid>, required = false, max_items = 10_000)]
    pub(in crate::http) posts: Option<Vec<PostIdJson>>,
    /// `retract`: only what was given at this time or later; RFC 3339.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = String, required = false, format = DateTime)]
    pub(in crate::http) since: Option<String>,
    /// `retract`: only what was given at this time or earlier; RFC 3339.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = String, required = false, format = DateTime)]
    pub(in crate::http) until: Option<String>,
    /// What goes: a reaction (`rename`), a user (`merge_user`), a post (`copy_post`, `move_post`).
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = UserIdJson, required = false, example = "heart")]
    pub(in crate::http) from: Option<UserIdJson>,
    /// What it becomes, or who or which post gets it.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = UserIdJson, required = false, example = "love")]
    pub(in crate::http) to: Option<UserIdJson>,
    /// `audit`: whether to repair what disagrees.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = bool, required = false)]
    pub(in crate::http) repair: Option<bool>,
    /// Only count what the job would change.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = bool, required = false)]
    pub(in crate::http) dry_run: Option<bool>,
}

/// A job.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct JobAnswer {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "01a0f3b2c4d5e6f7")]
    id: JobId,
    #[schema(example = "rename")]
    kind: &'static str,
    /// `running`, `done`, `failed` or `cancelled`.
    #[schema(example = "running")]
    state: &'static str,
    /// Whether it ends after the step that is under way, since a moderator has cancelled it.
    cancelling: bool,
    dry_run: bool,
    /// The fields of the request. Of long lists only their lengths, as `users` and `posts`.
    #[schema(value_type = Object)]
    arguments: Value,
    /// How much of `total` is done. `audit` and `rename` count posts, `retract` users, the others
    /// reactions.
    done: u64,
    /// Null until it is known.
    total: Option<u64>,
    /// What the job did so far; a number that is 0 is left out.
    #[schema(value_type = Object)]
    numbers: Numbers,
    /// Where the receipt is; null until the job has ended.
    receipt: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// Null until the job has ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// What was given after this time is not what the job was about.
    #[schema(format = DateTime)]
    holds_until: String,
    /// How often the job has gone through everything.
    passes: u32,
    /// Why the last step failed, while the job runs and tries it again. Of a job that has failed:
    /// why it could not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    error: Option<String>,
}

impl JobAnswer {
    pub(in crate::http) fn new(job: Job, base: &BasePath) -> Self {
        let receipt = job.has_ended().then(|| base.join(&format!("/v1/jobs/{}/receipt", job.id)));
        Self {
            kind: job.task.kind(),
            state: job.state.word(),
            cancelling: job.cancelled && !job.has_ended(),
            dry_run: job.dry_run,
            arguments: arguments(&job),
            done: job.done,
            total: job.total,
            receipt,
            created_at: Micros(job.created).to_string(),
            ended_at: job.ended.map(|at| Micros(at).to_string()),
            holds_until: Micros(job.until).to_string(),
            passes: job.pass,
            id: job.id,
            numbers: job.numbers,
            error: job.error,
        }
    }
}

fn arguments(job: &Job) -> Value {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    match &job.task {
        Task::Audit { repair } => put("repair", json!(repair)),
        Task::Erase { user } => put("user_id", json!(user.to_string())),
        Task::Retract { reaction, since, until, .. } => {
            put("users", json!(job.users));
            reaction.iter().for_each(|it| put("reaction", json!(it.as_str())));
            since.iter().for_each(|at| put("since", json!(Micros(*at).to_string())));
            until.iter().for_each(|at| put("until", json!(Micros(*at).to_string())));
        }
        Task::Rename { from, to, .. } => {
            put("from", json!(from.as_str()));
            put("to", json!(to.as_str()));
        }
        Task::MergeUser { from, to } => {
            put("from", json!(from.to_string()));
            put("to", json!(to.to_string()));
        }
        Task::CopyPost { from, to } | Task::MovePost { from, to } => {
            put("from", json!(from.to_string()));
            put("to", json!(to.to_string()));
        }
    }
    if job.posts > 0 {
        put("posts", json!(job.posts));
    }
    Value::Object(all)
}

/// A page of jobs.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct JobsAnswer {
    /// Newest first.
    pub(in crate::http) jobs: Vec<JobAnswer>,
    /// Where the next page begins; null at the end.
    pub(in crate::http) next_cursor: Option<String>,
}

/// The last line of a receipt.
#[derive(Serialize)]
pub(in crate::http) struct ReceiptEnd {
    /// The job, with its numbers.
    pub(in crate::http) receipt: JobAnswer,
}
