//! What may be tapped, for front ends.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::super::dto::{PalettesAnswer, RequestProblems};
use super::super::extract::Query;
use super::super::problem::Problem;
use super::super::state::{JSON, Reactions};
use super::summaries::is_held;

/// Palettes change seldom, so front ends may be behind by a minute.
const CACHED: HeaderValue = HeaderValue::from_static("max-age=60");

/// The palettes: what front ends may offer.
///
/// They come from the configuration of the service. Caches may keep the answer for a minute. There
/// are at most 32 palettes, and the body has less than 500 kB.
#[utoipa::path(
    get,
    path = "/v1/palettes",
    responses(
        (status = 200, description = "All palettes", body = PalettesAnswer,
            headers(("ETag" = String, description = "A hash of the answer"))),
        (status = 304, description = "Unchanged since the ETag"),
        RequestProblems,
    ),
)]
pub(in crate::http) async fn of_service(
    State(reactions): State<Arc<Reactions>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.only(&[])?;
    let offer = reactions.offer();
    let held = offer.tag.to_str().is_ok_and(|tag| is_held(&headers, tag));
    let mut response = match held {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(CONTENT_TYPE, JSON)], Bytes::clone(&offer.body)).into_response(),
    };
    response.headers_mut().insert(ETAG, offer.tag.clone());
    response.headers_mut().insert(CACHE_CONTROL, CACHED);
    Ok(response)
}
