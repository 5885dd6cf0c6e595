//! The state of the service: liveness, readiness, metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use super::super::dto::{HealthAnswer, ReadyProblems};
use super::super::problem::{Code, Problem};
use super::super::state::{Operation, Reactions};
use crate::store::StoreError;
use crate::telemetry::Format;

/// Whether the process answers. It asks nothing else, not even the store.
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, description = "The process answers", body = HealthAnswer)),
)]
pub(in crate::http) async fn live() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "ok" })
}

/// Whether taps can be counted: runs the real write path on a post that no caller can reach.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "onetap can count taps", body = HealthAnswer),
        ReadyProblems,
    ),
)]
pub(in crate::http) async fn ready(
    State(operation): State<Arc<Operation>>,
    State(reactions): State<Arc<Reactions>>,
) -> Result<Json<HealthAnswer>, Problem> {
    let store = reactions.store.kind();
    let checked = operation.readiness.check(&reactions.store, reactions.deadline()).await;
    checked.map_err(|error| match error {
        // Only the operator can act on the reason. No reason contains a password.
        StoreError::Unavailable(why) => {
            let detail = format!("the store ({store}) is not ready: {why}; onetap keeps trying");
            Problem::new(Code::StoreUnavailable, detail)
        }
        StoreError::Overloaded => Problem::new(
            Code::Overloaded,
            format!("the store ({store}) is not ready: more is waiting than it can take; onetap keeps trying"),
        ),
        other => other.into(),
    })?;
    Ok(Json(HealthAnswer { status: "ok" }))
}

/// Figures in the OpenMetrics text format, or in Prometheus' own (0.0.4) where `Accept` prefers
/// `text/plain`.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "The figures", content(
        (String = "application/openmetrics-text"),
        (String = "text/plain"),
    ))),
)]
pub(in crate::http) async fn metrics(
    State(operation): State<Arc<Operation>>,
    State(reactions): State<Arc<Reactions>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    operation.readiness.refresh(&reactions.store, reactions.deadline()).await;
    let format = if wants_plain_text(&headers) { Format::Prometheus } else { Format::OpenMetrics };
    let kind = HeaderValue::from_static(format.content_type());
    let text = operation.registry.encode(format).into_bytes();
    let mut answer = reactions.answers.answer(kind, text).await?;
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
}

/// Whether `Accept` prefers `text/plain` to OpenMetrics. A client that names neither gets
/// OpenMetrics.
fn wants_plain_text(headers: &HeaderMap) -> bool {
    let (mut plain, mut open) = (0.0_f32, 0.0_f32);
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        match kind.as_str() {
            "text/plain" => plain = plain.max(weight),
            "application/openmetrics-text" => open = open.max(weight),
            _ => {}
        }
    }
    plain > open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_accept_prefers() {
        for (accept, plain) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/plain"), true),
            (Some("text/plain;version=0.0.4"), true),
            (Some("Text/Plain; version=0.0.4; q=0.5, */*;q=0.1"), true),
            (
                Some("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"),
                false,
            ),
            (Some("application/openmetrics-text;q=0.2, text/plain;q=0.9"), true),
            (Some("text/plain;q=0"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept))));
            assert_eq!(wants_plain_text(&headers), plain, "{accept:?}");
        }
    }
}
