//! The JSON of moderators' calls, and of a user's whole set.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PostIdJson, as_text, is_zero, never_null, palette_of};
use crate::domain::{Forgotten, MOST_NAMED, PostId, Reaction, Revision, Ruled, Rules, UserId};

/// What may be added to a post.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RulesBody {
    /// The name of a palette in the configuration; `default` if it is left out.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = String, required = false, example = "qa")]
    pub(in crate::http) palette: Option<String>,
    /// `all`: every reaction of the palette. `existing`: only reactions that somebody has on the
    /// post. `none`: nothing. `all` if it is left out.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = String, required = false, example = "existing")]
    pub(in crate::http) add: Option<String>,
}

/// The rules of a post.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RulesAnswer {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = uuid::Uuid)]
    post_id: PostId,
    /// The palette that taps are judged by.
    #[schema(example = "qa")]
    palette: String,
    /// `all`, `existing` or `none`.
    #[schema(example = "existing")]
    add: &'static str,
    /// Of the change; if nothing changed, the present revision of the post.
    revision: u64,
}

impl RulesAnswer {
    pub(in crate::http) fn new(post: PostId, rules: &Rules, revision: Revision) -> Self {
        let (palette, add) = (palette_of(rules), rules.add.word());
        Self { post_id: post, palette, add, revision: revision.0 }
    }
}

/// Whether a post is locked.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct LockAnswer {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = uuid::Uuid)]
    post_id: PostId,
    /// Whether nothing may be added.
    locked: bool,
    /// Of the change; if nothing changed, the present revision of the post.
    revision: u64,
}

impl LockAnswer {
    pub(in crate::http) fn new(post: PostId, ruled: &Ruled) -> Self {
        Self { post_id: post, locked: ruled.rules.locked, revision: ruled.revision.0 }
    }
}

/// The reactions that a user is to have on a post.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SetBody {
    /// At most 100 different ones. A double counts once. The list must be there: an empty one
    /// removes all.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = Vec<String>, required = true, max_items = 100, example = json!(["like"]))]
    pub(in crate::http) reactions: Option<Vec<String>>,
}

/// The reactions that a user has on a post after a write.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SetAnswer<'a> {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = uuid::Uuid)]
    post_id: PostId,
    /// A string, because JavaScript rounds integers above 2^53.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "42")]
    user_id: UserId,
    /// All reactions of the user on the post, sorted by name. A reaction stands here by the name
    /// under which it is counted.
    #[schema(value_type = Vec<String>, max_items = 100, example = json!(["like"]))]
    reactions: Vec<&'a str>,
    /// Whether this call changed any of them.
    changed: bool,
    /// Of the last change; if nothing changed, the present revision of the post.
    revision: u64,
}

impl<'a> SetAnswer<'a> {
    pub(in crate::http) fn new(
        post: PostId,
        user: UserId,
        held: &'a [Reaction],
        (changed, revision): (bool, Revision),
    ) -> Self {
        let mut reactions: Vec<_> = held.iter().map(Reaction::as_str).collect();
        reactions.sort_unstable();
        Self { post_id: post, user_id: user, reactions, changed, revision: revision.0 }
    }
}

/// The reactions that a user has on a post.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct UserSetAnswer {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = uuid::Uuid)]
    post_id: PostId,
    /// A string, because JavaScript rounds integers above 2^53.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "42")]
    user_id: UserId,
    /// The reactions of the user on the post, sorted by name; the first 100 of them.
    #[schema(max_items = 100, example = json!(["like"]))]
    reactions: Vec<String>,
    /// How many further reactions the user has. Only there if there are more than 100.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false, minimum = 1)]
    more: usize,
    /// The present revision of the post.
    revision: u64,
}

impl UserSetAnswer {
    pub(in crate::http) fn new(
        post: PostId,
        user: UserId,
        mut held: Vec<Reaction>,
        revision: Revision,
    ) -> Self {
        held.sort_unstable();
        let more = held.len().saturating_sub(MOST_NAMED);
        let reactions = held.iter().take(MOST_NAMED).map(ToString::to_string).collect();
        Self { post_id: post, user_id: user, reactions, more, revision: revision.0 }
    }
}

/// Whether a read-only window is open.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ReadOnlyAnswer {
    /// Whether all processes refuse writes.
    pub(in crate::http) read_only: bool,
}

/// What forgetting did.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ForgottenAnswer {
    /// How many reactions of users it removed.
    removed: u64,
    /// Above every earlier revision of the post. If it removed nothing, the present one.
    revision: u64,
}

impl From<Forgotten> for ForgottenAnswer {
    fn from(Forgotten { removed, revision }: Forgotten) -> Self {
        Self { removed, revision: revision.0 }
    }
}

/// Which posts to forget.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ForgetQuestion {
    /// 1 to 100 post ids. A double counts once.
    #[serde(default)]
    #[schema(required = true, value_type = Vec<uuid::Uuid>, min_items = 1, max_items = 100)]
    pub(in crate::http) post_ids: Vec<PostIdJson>,
}

/// What forgetting did to a post.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ForgottenPost {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = uuid::Uuid)]
    pub(in crate::http) post_id: PostId,
    #[serde(flatten)]
    pub(in crate::http) forgotten: ForgottenAnswer,
}

/// What forgetting did to each post.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ForgottenPosts {
    /// In the order asked, every post present, a doubled one once.
    pub(in crate::http) posts: Vec<ForgottenPost>,
}
