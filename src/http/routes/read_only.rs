//! Moderators: the read-only window.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::super::dto::{ReadOnlyAnswer, WriteProblems};
use super::super::extract::{JsonBody, NoBody, Query};
use super::super::problem::Problem;
use super::super::state::Reactions;

/// Begin a read-only window.
///
/// Every process over this store refuses writes: 503 `read_only`. Reads and streams go on. The
/// window is kept in the store, so restarts do not end it. Over Redis, the answer takes about four
/// seconds: it comes when no process can still apply a write. Repeating is never an error.
#[utoipa::path(
    put,
    path = "/v1/read-only",
    responses((status = 200, description = "It is open", body = ReadOnlyAnswer), WriteProblems),
)]
pub(in crate::http) async fn begin(
    State(reactions): State<Arc<Reactions>>,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Json<ReadOnlyAnswer>, Problem> {
    query.only(&[])?;
    set(&reactions, true).await
}

/// End the read-only window.
///
/// Processes take writes again within half a second. Repeating is never an error. A process that
/// serves with `--read-only` goes on refusing.
#[utoipa::path(
    delete,
    path = "/v1/read-only",
    responses((status = 200, description = "It has ended", body = ReadOnlyAnswer), WriteProblems),
)]
pub(in crate::http) async fn end(
    State(reactions): State<Arc<Reactions>>,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Json<ReadOnlyAnswer>, Problem> {
    query.only(&[])?;
    set(&reactions, false).await
}

async fn set(reactions: &Reactions, read_only: bool) -> Result<Json<ReadOnlyAnswer>, Problem> {
    reactions.store.set_read_only(read_only).await?;
    Ok(Json(ReadOnlyAnswer { read_only }))
}
