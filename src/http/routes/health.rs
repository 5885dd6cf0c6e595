//! How the service is: liveness, readiness, figures.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;

use super::super::dto::HealthAnswer;
use super::super::openapi::ReadyProblems;
use super::super::problem::{Code, Problem};
use super::super::state::SharedState;
use crate::store::file::GONE;
use crate::store::{Store as _, StoreError};

/// Whether the process answers. Touches nothing else.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operation",
    responses((status = 200, description = "It does", body = HealthAnswer)),
)]
pub(in crate::http) async fn live() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "ok" })
}

/// Whether taps can be counted: runs the real write path on a post that no caller can reach.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses(
        (status = 200, description = "They can", body = HealthAnswer),
        ReadyProblems,
    ),
)]
pub(in crate::http) async fn ready(
    State(state): State<SharedState>,
) -> Result<Json<HealthAnswer>, Problem> {
    state.store.probe(state.deadline()).await.map_err(|error| match error {
        // Only who runs the service can do something about it; it names no place.
        StoreError::Unavailable(why) if why == GONE => Problem::new(Code::StoreUnavailable, why),
        other => other.into(),
    })?;
    Ok(Json(HealthAnswer { status: "ok" }))
}

/// Figures in the OpenMetrics text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "The figures", body = String, content_type = "application/openmetrics-text")),
)]
pub(in crate::http) async fn metrics(
    State(state): State<SharedState>,
) -> Result<Response, Problem> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let kind = HeaderValue::from_static(kind);
    state.answers.answer(kind, state.metrics.encode().into_bytes()).await
}
