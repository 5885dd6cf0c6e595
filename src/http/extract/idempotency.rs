//! The `Idempotency-Key` header: a quoted string, as in the IETF draft, or the bare text.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::super::problem::{Code, Problem};
use crate::domain::{Form, IdempotencyKey, InvalidIdempotencyKey, Keyed, PostId, UserId};

const HEADER: &str = "idempotency-key";

/// The text of the key, if the caller sent one. `"a"` and `a` are the same key.
pub(in crate::http) struct IdempotencyHeader(Option<String>);

impl IdempotencyHeader {
    /// The idempotency key of this request.
    pub(in crate::http) fn keyed(
        &self,
        post: PostId,
        user: UserId,
        form: Form,
    ) -> Result<Option<Keyed>, Problem> {
        let Some(text) = &self.0 else { return Ok(None) };
        let key = IdempotencyKey::new(text, post, user).map_err(invalid)?;
        Ok(Some(Keyed { key, form }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        if values.next().is_some() {
            let detail = "the request has more than one Idempotency-Key header; send one";
            return Err(Problem::new(Code::InvalidIdempotencyKey, detail));
        }
        let text = value.to_str().map_err(|_| invalid(InvalidIdempotencyKey))?.trim();
        // A quote at only one end is the caller's mistake, not a bare key.
        if !text.starts_with('"') && !text.ends_with('"') {
            return Ok(Self(Some(text.to_owned())));
        }
        match unquote(text) {
            Some(key) => Ok(Self(Some(key))),
            None => {
                let detail = "the idempotency key has a quote at one end only, text after the closing \
                              quote, or an escape other than `\\\"` and `\\\\`; send it bare, or in one \
                              pair of double quotes";
                Err(Problem::new(Code::InvalidIdempotencyKey, detail))
            }
        }
    }
}

fn invalid(error: InvalidIdempotencyKey) -> Problem {
    Problem::new(Code::InvalidIdempotencyKey, error.to_string())
}

/// The content of a string of RFC 9651, section 3.3.3.
fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut key = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => key.push(c),
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_unquoted_as_the_rfc_says() {
        assert_eq!(unquote(r#""a b""#).as_deref(), Some("a b"));
        assert_eq!(unquote(r#""a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
        assert_eq!(unquote(r#""""#).as_deref(), Some(""));
        for bad in [r#"""#, r#""a"#, r#""a"b""#, r#""a";x"#, r#""a\""#, r#""\x""#] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }
}
