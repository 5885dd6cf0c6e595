//! How long a URI may be.

use axum::http::Uri;

use super::super::problem::{Code, Problem};

/// The call that takes the ids of posts in its body.
const QUERY: &str = "/v1/posts/reactions/query";

/// Why the request is refused. None if its URI has at most `max_bytes`.
pub(super) fn refusal(uri: &Uri, max_bytes: usize) -> Option<Problem> {
    let length = uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    let detail = || {
        format!("path and query have at most {max_bytes} bytes; ask for many posts by POST {QUERY}")
    };
    (length > max_bytes).then(|| Problem::new(Code::UriTooLong, detail()))
}
