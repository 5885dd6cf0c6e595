//! The JSON of imports.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PostIdJson, UserIdJson, as_text, never_null};
use crate::domain::PostId;
use crate::moving::Counts;

/// Rows to import.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ImportBody {
    /// Names what the rows come from: 32 hexadecimal digits, such as a hash of the whole input.
    /// Rows of one source are applied once.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = String, required = true, example = "0f1e2d3c4b5a69788796a5b4c3d2e1f0")]
    pub(in crate::http) source: Option<String>,
    /// On posts with live taps, apply the rows that are newer than the last tap, instead of none.
    #[serde(default)]
    pub(in crate::http) merge: bool,
    /// Only say what would happen.
    #[serde(default)]
    pub(in crate::http) dry_run: bool,
    /// Put back what a job has removed. A reaction that was given since keeps its time. A call that
    /// is repeated after more than an hour puts back what was removed in between, too.
    #[serde(default)]
    pub(in crate::http) restore: bool,
    /// Different posts with at most 1,000 rows together.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = Vec<ImportPost>, required = true, max_items = 1000)]
    pub(in crate::http) posts: Option<Vec<ImportPost>>,
}

/// Rows of one post.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ImportPost {
    #[schema(value_type = uuid::Uuid)]
    pub(in crate::http) post_id: PostIdJson,
    /// How many rows of this source and post come before these. If a post has more rows than a call
    /// takes, send 1,000 in each call but the last.
    #[serde(default)]
    #[schema(format = "uint64")]
    pub(in crate::http) from: u64,
    /// Different members.
    pub(in crate::http) rows: Vec<ImportRow>,
    /// The rules of the post. Send them with its last rows; they apply in the same step. A post
    /// with live taps keeps its own.
    #[serde(default)]
    pub(in crate::http) rules: Option<ImportRules>,
}

/// A row.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ImportRow {
    pub(in crate::http) user_id: UserIdJson,
    #[schema(example = "like")]
    pub(in crate::http) reaction: String,
    /// When the user reacted, or took it back; RFC 3339, not in the future.
    #[schema(format = DateTime)]
    pub(in crate::http) reacted_at: String,
    /// Whether the user has the reaction. `false` removes one that is not newer.
    #[serde(default = "yes")]
    pub(in crate::http) active: bool,
}

fn yes() -> bool {
    true
}

/// Rules of a post, as an export has them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ImportRules {
    #[schema(example = "default")]
    pub(in crate::http) palette: String,
    /// `all`, `existing` or `none`.
    #[schema(example = "all")]
    pub(in crate::http) add: String,
    pub(in crate::http) locked: bool,
}

/// What became of the rows.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ImportAnswer {
    /// In the order of the request.
    pub(in crate::http) posts: Vec<ImportedPost>,
}

/// What became of the rows of one post.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::http) struct ImportedPost {
    #[serde(serialize_with = "text_of_some")]
    #[schema(value_type = uuid::Uuid)]
    pub(in crate::http) post_id: Option<PostId>,
    /// `applied`; `done`: an earlier call has done these rows; `live_taps`: the post has live taps,
    /// so nothing was applied; `behind`: rows of the post that come before these are not there, so
    /// begin with its first row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "applied")]
    pub(in crate::http) outcome: Option<&'static str>,
    /// Instead of an outcome: the code of a problem. After `outcome_unknown` and
    /// `store_unavailable`, send the same rows again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) problem: Option<&'static str>,
    /// Members that were added.
    pub(in crate::http) added: u64,
    /// Members that got another time.
    pub(in crate::http) moved: u64,
    /// Members that were removed.
    pub(in crate::http) removed: u64,
    /// Rows that were so already.
    pub(in crate::http) unchanged: u64,
    /// Rows older than a live tap.
    pub(in crate::http) lost: u64,
    /// Whether the rules changed.
    pub(in crate::http) ruled: bool,
    /// Whether the post keeps other rules than those that were sent.
    pub(in crate::http) rules_lost: bool,
}

fn text_of_some<S: serde::Serializer>(post: &Option<PostId>, to: S) -> Result<S::Ok, S::Error> {
    match post {
        Some(post) => as_text(post, to),
        None => to.serialize_none(),
    }
}

impl ImportedPost {
    pub(in crate::http) fn with(self, counts: Counts) -> Self {
        let Counts { added, moved, removed, unchanged, lost } = counts;
        Self { added, moved, removed, unchanged, lost, ..self }
    }
}
