//! Writes: toggle, set, unset.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::super::dto::{TapAnswer, ToggleBody};
use super::super::extract::{JsonBody, NoBody, Query, TapPath};
use super::super::openapi::{TapParams, WriteProblems};
use super::super::problem::Problem;
use super::super::state::SharedState;
use crate::domain::{Outcome, Tap, Verb};
use crate::store::Store as _;

/// Flip a reaction.
///
/// Not idempotent: a request that is sent twice cancels itself. Send `from`, or use PUT and DELETE,
/// where that can happen.
#[utoipa::path(
    post,
    path = "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}/toggle",
    tag = "taps",
    params(TapParams),
    request_body(content = Option<ToggleBody>, content_type = "application/json"),
    responses(
        (status = 200, description = "Counted once", body = TapAnswer),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn toggle(
    State(state): State<SharedState>,
    path: TapPath,
    query: Query,
    body: JsonBody<ToggleBody>,
) -> Result<Response, Problem> {
    let verb = match body.0.from {
        None => Verb::Toggle,
        Some(false) => Verb::Set,
        Some(true) => Verb::Unset,
    };
    let (tap, outcome) = count(&state, path, verb, query).await?;
    Ok(Json(TapAnswer::new(&tap, outcome)).into_response())
}

/// Turn a reaction on.
///
/// Repeating it is never an error. 201 if it was off before.
#[utoipa::path(
    put,
    path = "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}",
    tag = "taps",
    params(TapParams),
    responses(
        (status = 200, description = "It was on already", body = TapAnswer),
        (status = 201, description = "It is on now", body = TapAnswer),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn set(
    State(state): State<SharedState>,
    path: TapPath,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    let (tap, outcome) = count(&state, path, Verb::Set, query).await?;
    let status = if outcome.changed { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(TapAnswer::new(&tap, outcome))).into_response())
}

/// Turn a reaction off.
///
/// Repeating it is never an error.
#[utoipa::path(
    delete,
    path = "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}",
    tag = "taps",
    params(TapParams),
    responses(
        (status = 200, description = "It is off", body = TapAnswer),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn unset(
    State(state): State<SharedState>,
    path: TapPath,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    let (tap, outcome) = count(&state, path, Verb::Unset, query).await?;
    Ok(Json(TapAnswer::new(&tap, outcome)).into_response())
}

async fn count(
    state: &SharedState,
    TapPath { post, user, reaction }: TapPath,
    verb: Verb,
    query: Query,
) -> Result<(Tap, Outcome), Problem> {
    query.only(&[])?;
    let tap = Tap { post, user, reaction, verb };
    let outcome = state.store.tap(tap.clone(), state.deadline()).await?;
    Ok((tap, outcome))
}
