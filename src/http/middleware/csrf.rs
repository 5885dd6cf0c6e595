//! Which web pages may write.
//!
//! CORS keeps a page of another origin from reading answers, and from sending PUT and DELETE. It
//! does not keep it from sending a POST without a body, which browsers do not ask about first. So
//! writes that a browser says come from a foreign page are refused here. Who is no browser says
//! nothing of the kind, and is not asked; nor does an old browser, or one without TLS.

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::super::problem::{Code, Problem};
use super::cors::Origin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request may not write; nothing if it may, or does not.
pub(super) fn refusal(method: &Method, headers: &HeaderMap, named: &[Origin]) -> Option<Problem> {
    // Another host or port of the same site is another origin. Whether `Origin` is that of `Host`
    // is not looked at: proxies change `Host`.
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
        "a page of {page} may not write here: only those of this service's own origin, and of \
         origins that are named with --cors-origin"
    );
    Some(Problem::new(Code::Forbidden, detail))
}
