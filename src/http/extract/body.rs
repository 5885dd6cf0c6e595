//! JSON bodies: within the size limit, within the timeout, of the right type, without unknown
//! fields.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::limits::BodyLimits;
use super::super::problem::{Code, Problem};
use super::super::server::{Phase, Watch};

/// The detail when `--max-request-bytes-in-flight` is used up.
const NO_ROOM: &str = "requests that are on their way fill --max-request-bytes-in-flight; nothing was \
                       applied; try again";

/// The detail of a 408.
const LATE: &str = "the body did not arrive in time; send it again, or raise --body-timeout";

/// The details when the body is not one JSON object.
const NO_OBJECT: &str = "the body is not a JSON object; send one, such as {}";
const BROKEN: &str = "the connection ended inside the body; send all of it";

/// The body of calls without fields: empty, or the empty object.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NoBody {}

/// A JSON body. An absent body counts as the default of `T`.
pub(in crate::http) struct JsonBody<T>(pub(in crate::http) T);

/// The same for a call whose lists are long: at least [`LONG_BYTES`] are allowed.
pub(in crate::http) struct LongBody<T>(pub(in crate::http) T);

/// Ten thousand users and ten thousand posts, each a text in JSON.
const LONG_BYTES: usize = 2 << 20;

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for JsonBody<T>
where
    BodyLimits: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        use axum::body::HttpBody as _;
        // Most taps have no body, so there is nothing to wait for.
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        read(request, BodyLimits::from_ref(state)).await.map(Self)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for LongBody<T>
where
    BodyLimits: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limits = BodyLimits::from_ref(state);
        let max_bytes = limits.max_bytes.max(LONG_BYTES);
        read(request, BodyLimits { max_bytes, ..limits }).await.map(Self)
    }
}

async fn read<T: DeserializeOwned + Default>(
    request: Request,
    limits: BodyLimits,
) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let BodyLimits { timeout, max_bytes: max } = limits;
    let declared = declared_length(&parts.headers);
    if declared.is_some_and(|length| length > max as u64) {
        return Err(too_large(max));
    }
    // A body without a Content-Length may be as long as the limit.
    let expected = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(max);
    let watch = parts.extensions.get::<Arc<Watch>>();
    if watch.is_some_and(|watch| !watch.expect_body(expected)) {
        return Err(Problem::new(Code::Overloaded, NO_ROOM));
    }
    let bytes = tokio::time::timeout(timeout, collect(body, max))
        .await
        .map_err(|_| Problem::new(Code::RequestTimeout, LATE))??;
    if let Some(watch) = watch {
        watch.enter(Phase::Answering);
    }
    if bytes.is_empty() {
        return Ok(T::default());
    }
    if !is_json(&parts.headers) {
        let detail = "send the body with Content-Type: application/json";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    // serde would accept a list, as the fields of a struct in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(Code::InvalidBody, NO_OBJECT));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(Code::InvalidBody, what_is_wrong(&error)))
}

/// serde says itself which field is wrong, and what it has to be.
fn what_is_wrong(error: &serde_json::Error) -> String {
    match error.is_data() {
        true => error.to_string(),
        false => format!("the body is not valid JSON ({error}); send one JSON object"),
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("a body has at most {max} bytes; send a smaller one"))
}

/// Copies each chunk: a chunk that is kept, however small, keeps a whole read buffer alive.
async fn collect(mut body: Body, max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::InvalidBody, BROKEN))?;
        let Ok(part) = frame.into_data() else { continue };
        if part.len() > max - bytes.len() {
            return Err(too_large(max));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// `application/json` or `application/*+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_lowercase();
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence).is_some_and(
        |kind| {
            kind == "application/json"
                || (kind.starts_with("application/") && kind.ends_with("+json"))
        },
    )
}
