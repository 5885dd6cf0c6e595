//! JSON bodies: within their size, within their time, of the right type, with nothing unknown in
//! them.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::problem::{Code, Problem};
use super::super::state::SharedState;

/// The body of calls that take none: empty, or the empty object.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NoBody {}

/// A JSON body; no body at all counts as the default of `T`.
pub(in crate::http) struct JsonBody<T>(pub(in crate::http) T);

impl<T: DeserializeOwned + Default> FromRequest<SharedState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Problem> {
        use axum::body::HttpBody as _;
        let (parts, body) = request.into_parts();
        // Most taps have no body; they wait for nothing.
        if body.is_end_stream() {
            return Ok(Self(T::default()));
        }
        let max = state.limits.max_body_bytes;
        if declared_length(&parts.headers).is_some_and(|length| length > max as u64) {
            return Err(too_large(max));
        }
        let bytes = tokio::time::timeout(state.limits.body_timeout, collect(body, max))
            .await
            .map_err(|_| Problem::new(Code::RequestTimeout, "the body did not arrive in time"))??;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json(&parts.headers) {
            let detail = "send the body with Content-Type: application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        // serde would read a list as the fields of a struct in their order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::new(Code::InvalidBody, "the body is not a JSON object"));
        }
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("a body has at most {max} bytes"))
}

async fn collect(body: Body, max: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(max)),
        Err(_) => Err(Problem::new(Code::InvalidBody, "the body broke off")),
    }
}

/// `application/json` or `application/*+json`, whatever the parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_lowercase();
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence).is_some_and(
        |kind| {
            kind == "application/json"
                || (kind.starts_with("application/") && kind.ends_with("+json"))
        },
    )
}
