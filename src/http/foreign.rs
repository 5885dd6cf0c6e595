//! Which web pages may write.
//!
//! CORS keeps a page of another origin from reading answers, and from sending PUT and DELETE. It
//! does not keep it from sending a POST without a body, which browsers do not ask about first. So
//! writes that a browser says come from a foreign page are refused here. Who is no browser says
//! nothing of the kind, and is not asked.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::cors::Origin;
use super::problem::{Code, Problem};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request may not write; nothing if it may, or does not.
pub(super) fn refusal(method: &Method, headers: &HeaderMap, named: &[Origin]) -> Option<Problem> {
    if method.is_safe() {
        return None;
    }
    let origin = headers.get(ORIGIN);
    let is_named = origin.is_some_and(|origin| named.iter().any(|named| named.is(origin)));
    let is_own = || match headers.get(&SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        // The browser knows where the page is from, whatever a proxy has made of the host.
        Some(b"same-origin" | b"none") => true,
        // Another host or port of the same site is another origin.
        Some(b"same-site" | b"cross-site") => false,
        // Old browsers do not say it, and none does where the service is reached without TLS.
        _ => origin.is_none_or(|origin| is_of_host(origin, headers.get(HOST)).unwrap_or(false)),
    };
    if is_named || is_own() {
        return None;
    }
    let page = origin.and_then(|origin| origin.to_str().ok()).unwrap_or("another origin");
    let detail = format!(
        "a page of {page} may not write here: only those of this service's own origin, and of \
         origins that are named with --cors-origin"
    );
    Some(Problem::new(Code::Forbidden, detail))
}

/// Whether this is the origin of a host. The scheme says nothing: TLS ends at the proxy.
fn is_of_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> Option<bool> {
    let (scheme, authority) = origin.to_str().ok()?.split_once("://")?;
    let host = host?.to_str().ok()?;
    let usual_port = if scheme == "https" { ":443" } else { ":80" };
    Some(authority.eq_ignore_ascii_case(host.strip_suffix(usual_port).unwrap_or(host)))
}
