//! Cross-origin resource sharing: which web pages may call.
//!
//! onetap reads no cookie, so no response allows credentials. Without configured origins no
//! response has a CORS header.

use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, IF_NONE_MATCH, LINK, ORIGIN, RETRY_AFTER,
};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::super::extract::ONETAP_ACTOR;
use super::super::problem::{RATE_LIMIT, RATE_LIMIT_POLICY};
use super::request_id::X_REQUEST_ID;

/// How long a browser may cache the answer to a preflight request.
const MAX_AGE: Duration = Duration::from_secs(3600);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The origin of a web page, exactly as browsers send it: `https://forum.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// Text that is not an [`Origin`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOrigin(String);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text.contains('*') {
            return Err(InvalidOrigin(
                "with `*`, every web page that a user opens could tap for that user: name each \
                 origin, such as https://forum.example"
                    .into(),
            ));
        }
        let spelled = canonical(text).ok_or_else(|| {
            let form = "an origin is SCHEME://HOST or SCHEME://HOST:PORT in ASCII";
            InvalidOrigin(format!("{form}, such as https://forum.example"))
        })?;
        if spelled != text {
            return Err(InvalidOrigin(format!(
                "browsers spell this origin {spelled}: write it so"
            )));
        }
        HeaderValue::from_str(text).map(Self).map_err(|error| InvalidOrigin(error.to_string()))
    }
}

impl Origin {
    /// Whether the browser's `Origin` header is this origin.
    pub(super) fn is(&self, said: &HeaderValue) -> bool {
        self.0 == said
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// The origin as browsers spell it: scheme and host in lower case, no default port, no path.
fn canonical(text: &str) -> Option<String> {
    let with_scheme = if text.contains("://") { text.into() } else { format!("https://{text}") };
    let uri: Uri = with_scheme.parse().ok()?;
    let (scheme, host) = (uri.scheme_str()?, uri.host()?);
    let named = !host.is_empty() && text != "null" && !uri.authority()?.as_str().contains('@');
    let port = match (scheme, uri.port_u16()) {
        (_, None) | ("https", Some(443)) | ("http", Some(80)) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    named.then(|| format!("{scheme}://{host}{port}").to_ascii_lowercase())
}

/// Lets pages of these origins read every response, errors too. So this layer is the outermost.
pub(in crate::http) fn around(router: Router, origins: &[Origin]) -> Router {
    // Without configured origins no request pays for the layer.
    if origins.is_empty() { router } else { router.layer(layer(origins)) }
}

fn layer(origins: &[Origin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.0.clone())))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IDEMPOTENCY_KEY, IF_NONE_MATCH, ONETAP_ACTOR])
        .expose_headers([
            DATE,
            ETAG,
            LINK,
            RETRY_AFTER,
            RATE_LIMIT,
            RATE_LIMIT_POLICY,
            IDEMPOTENCY_REPLAYED,
            X_REQUEST_ID,
        ])
        .max_age(MAX_AGE)
        .vary([ORIGIN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for good in [
            "https://forum.example",
            "http://localhost:8000",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "https://xn--mnchen-3ya.example",
            "capacitor://localhost",
        ] {
            assert_eq!(good.parse::<Origin>().expect(good).to_string(), good);
        }
        for (bad, word) in [
            ("*", "every web page"),
            ("", "SCHEME://HOST"),
            ("null", "SCHEME://HOST"),
            ("https://", "SCHEME://HOST"),
            ("https://münchen.example", "ASCII"),
            ("https://user@forum.example", "SCHEME://HOST"),
            ("https://a b", "SCHEME://HOST"),
            ("forum.example", "https://forum.example"),
            ("https://forum.example/", "https://forum.example:"),
            ("https://forum.example/path?x", "https://forum.example:"),
            ("https://Forum.Example", "https://forum.example:"),
            ("https://forum.example:443", "https://forum.example:"),
            ("http://forum.example:80", "http://forum.example:"),
            ("https://*.example", "every web page"),
        ] {
            let why = bad.parse::<Origin>().expect_err(bad).to_string();
            assert!(why.contains(word), "{bad}: {why}");
        }
    }
}
