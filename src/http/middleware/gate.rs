//! Authentication: who sends a request, and whether this caller may make the call.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, VARY};
use axum::http::{HeaderMap, HeaderValue, Uri};

use super::super::access::AccessRules;
use super::super::permissions::Permit;
use super::super::problem::{Code, Problem};
use crate::auth::{Caller, KeyRing, Standing, VerifiedTokens};

/// Names under which callers put tokens into the query.
const TOKEN_NAMES: [&str; 3] = ["access_token", "token", "authorization"];

/// The gate of one worker.
#[derive(Debug)]
pub struct Gate {
    tokens: Arc<VerifiedTokens>,
    rules: AccessRules,
}

/// Which callers may get a response from a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// The response is the same for all.
    All,
    /// All callers without a token.
    Anonymous,
    /// The caller alone.
    Caller,
}

impl Gate {
    /// Verifies callers by these keys, and lets them do what the rules say.
    pub fn new(ring: &Arc<KeyRing>, rules: AccessRules) -> Self {
        Self { tokens: Arc::new(VerifiedTokens::new(ring)), rules }
    }

    /// Lets the request pass with its caller, or says why not.
    pub(super) fn admit(&self, permit: Permit, request: &mut Request) -> Result<Audience, Problem> {
        if permit == Permit::Anyone {
            return Ok(Audience::All);
        }
        if has_token(request.uri()) {
            let detail = "a token in the address gets into logs and histories; send it in the \
                          header Authorization: Bearer";
            return Err(Problem::new(Code::InvalidQuery, detail));
        }
        let bearer = bearer(request.headers())?;
        let caller = match bearer {
            None => Arc::new(Caller::Anonymous),
            Some(token) => self
                .tokens
                .judge(token, since_1970().as_secs())
                .map_err(|why| Problem::new(Code::Unauthenticated, why.to_string()))?,
        };
        permit.judge(&caller, self.rules)?;
        let standing = (bearer.filter(|_| permit == Permit::Follow))
            .map(|token| Standing::new(&self.tokens, token, &caller));
        if let Some(standing) = standing {
            request.extensions_mut().insert(standing);
        }
        let audience = match *caller {
            Caller::Anonymous => Audience::Anonymous,
            Caller::Person(_) | Caller::Service(_) => Audience::Caller,
        };
        request.extensions_mut().insert(caller);
        Ok(audience)
    }
}

/// The time of the system's clock.
pub(in crate::http) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The token in the header `Authorization`.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let refused = |detail| Err(Problem::new(Code::Unauthenticated, detail));
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return refused("the request has more than one Authorization header; send one");
    }
    let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return refused("the header Authorization is not `Bearer TOKEN`; send that");
    };
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains([' ', ',']) {
        return refused("the header Authorization is not `Bearer TOKEN`; send that");
    }
    Ok(Some(token))
}

fn has_token(uri: &Uri) -> bool {
    let names = uri.query().unwrap_or_default().split('&');
    let mut names = names.map(|pair| pair.split('=').next().unwrap_or_default());
    names.any(|name| TOKEN_NAMES.iter().any(|token| name.eq_ignore_ascii_case(token)))
}

impl Audience {
    /// Tells caches which callers may get a response.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        if self == Self::All {
            return;
        }
        let names = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
        let mut names = names.flat_map(|value| value.split(',')).map(str::trim);
        if !names.any(|name| name.eq_ignore_ascii_case("authorization")) {
            headers.append(VARY, HeaderValue::from_static("Authorization"));
        }
        if self == Self::Anonymous {
            return;
        }
        let private = match headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()) {
            None => "private".to_owned(),
            Some(told) if told.contains("public") => "private, no-cache".to_owned(),
            Some(told) if told.contains("no-store") || told.contains("private") => return,
            Some(told) => format!("private, {told}"),
        };
        if let Ok(private) = HeaderValue::try_from(private) {
            headers.insert(CACHE_CONTROL, private);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::try_from(*value).expect("a header"));
        }
        let found = bearer(&headers).map(|token| token.map(str::to_owned));
        found.map_err(|problem| problem.code())
    }

    #[test]
    fn one_header_has_one_bearer_token() {
        assert_eq!(read(&[]), Ok(None));
        for good in ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER   a.b-c_d "] {
            assert_eq!(read(&[good]), Ok(Some("a.b-c_d".into())), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Basic YTpi",
            "a.b-c_d",
            "Bearer a b",
            "Bearer a,b",
            "Bearerx",
        ] {
            assert_eq!(read(&[bad]), Err(Code::Unauthenticated), "{bad}");
        }
        assert_eq!(read(&["Bearer a", "Bearer a"]), Err(Code::Unauthenticated));
        assert_eq!(read(&["Bearer a", ""]), Err(Code::Unauthenticated));
    }

    #[test]
    fn a_token_in_the_query_is_seen() {
        for (query, seen) in [
            ("access_token=x", true),
            ("limit=1&token=", true),
            ("Access_Token", true),
            ("limit=1", false),
            ("cursor=token", false),
            ("tokens=1", false),
        ] {
            let uri = format!("/v1/x?{query}").parse().expect(query);
            assert_eq!(has_token(&uri), seen, "{query}");
        }
    }
}
