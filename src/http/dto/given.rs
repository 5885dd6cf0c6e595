//! What a user gave.

use serde::Serialize;
use utoipa::ToSchema;

use super::as_text;
use crate::domain::PostId;
use crate::store::Given;

/// A reaction that the user gave.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct GivenReaction {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = uuid::Uuid)]
    post_id: PostId,
    #[schema(example = "like")]
    reaction: String,
    /// RFC 3339 with microseconds, by the store's clock.
    #[schema(example = "2026-11-25T08:30:00.000001Z", format = DateTime)]
    reacted_at: String,
}

impl GivenReaction {
    pub(in crate::http) fn new(given: &Given) -> Self {
        Self {
            post_id: given.post,
            reaction: given.reaction.to_string(),
            reacted_at: given.reacted_at.to_string(),
        }
    }
}

/// A page of what a user gave.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct GivenAnswer {
    /// Newest first; a post once for each reaction of the user there.
    pub(in crate::http) reactions: Vec<GivenReaction>,
    /// Where the next page begins; null at the end.
    pub(in crate::http) next_cursor: Option<String>,
}
