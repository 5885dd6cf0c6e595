//! Cross-site request forgery: which web pages may write.
//!
//! CORS keeps a page of another origin from reading responses, and from sending PUT and DELETE. It
//! does not stop a POST without a body, for which browsers send no preflight. So we refuse a write
//! when the browser's headers say that it comes from a foreign page.
//!
//! Other clients send no such header and pass. So do old browsers, and browsers on a connection
//! without TLS.

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::super::problem::{Code, Problem};
use super::cors::Origin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request may not write. None for one that may, or that only reads.
pub(super) fn refusal(method: &Method, headers: &HeaderMap, named: &[Origin]) -> Option<Problem> {
    // Another host or port of the same site is another origin. We do not compare `Origin` with
    // `Host`: proxies change `Host`.
    let site = headers.get(&SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    if method.is_safe() || !matches!(site, Some(b"same-site" | b"cross-site")) {
        return None;
    }
    let origin = headers.get(ORIGIN);
    if origin.is_some_and(|origin| named.iter().any(|named| named.is(origin))) {
        return None;
    }
    let page = origin.and_then(|origin| origin.to_str().ok()).unwrap_or("another origin");
    let detail = format!(
        "a page of {page} may not write here; only pages of this service's own origin may, and of \
         origins that the operator names with --cors-origin"
    );
    Some(Problem::new(Code::Forbidden, detail))
}
