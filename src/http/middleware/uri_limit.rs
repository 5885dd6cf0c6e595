//! How long an address may be.

use axum::http::Uri;

use super::super::problem::{Code, Problem};

/// Why a request is not answered; nothing if its address has at most so many bytes.
pub(super) fn refusal(uri: &Uri, max_bytes: usize) -> Option<Problem> {
    let length = uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    let detail = || format!("an address has at most {max_bytes} bytes");
    (length > max_bytes).then(|| Problem::new(Code::UriTooLong, detail()))
}
