//! Writes: toggle, set, unset.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::super::dto::{TapAnswer, ToggleBody};
use super::super::extract::{JsonBody, NoBody, Query, TapPath};
use super::super::openapi::{TapParams, WriteProblems};
use super::super::problem::{Code, Problem};
use super::super::state::HttpState;
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
    State(state): State<HttpState>,
    path: TapPath,
    query: Query,
    headers: HeaderMap,
    body: JsonBody<ToggleBody>,
) -> Result<Response, Problem> {
    let verb = match body.0.from {
        None => Verb::Toggle,
        Some(false) => Verb::Set,
        Some(true) => Verb::Unset,
    };
    let (tap, outcome) = count(&state, path, verb, query, &headers).await?;
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
    State(state): State<HttpState>,
    path: TapPath,
    query: Query,
    headers: HeaderMap,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    let (tap, outcome) = count(&state, path, Verb::Set, query, &headers).await?;
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
    State(state): State<HttpState>,
    path: TapPath,
    query: Query,
    headers: HeaderMap,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    let (tap, outcome) = count(&state, path, Verb::Unset, query, &headers).await?;
    Ok(Json(TapAnswer::new(&tap, outcome)).into_response())
}

async fn count(
    state: &HttpState,
    TapPath { post, user, reaction }: TapPath,
    verb: Verb,
    query: Query,
    headers: &HeaderMap,
) -> Result<(Tap, Outcome), Problem> {
    query.only(&[])?;
    refuse_idempotency_key(headers)?;
    let tap = Tap { post, user, reaction, verb };
    let outcome = state.store.tap(tap.clone(), state.deadline()).await?;
    Ok((tap, outcome))
}

/// This release keeps no idempotency records. A caller that sends a key counts on one, so ignoring
/// it would be a lie that shows only when a request is repeated.
fn refuse_idempotency_key(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key("idempotency-key") {
        let detail = "this release keeps no idempotency keys: send PUT or DELETE, or `from`";
        return Err(Problem::new(Code::InvalidIdempotencyKey, detail));
    }
    Ok(())
}
