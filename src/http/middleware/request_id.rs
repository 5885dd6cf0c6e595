//! The id of a request. Its log line, its response and a proxy's log share it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header of the id, in requests and in responses.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's own id may have at most this many bytes.
const MOST_BYTES: usize = 128;

/// Makes ids for requests that have none. Each worker has its own, so that workers share no
/// counter.
#[derive(Debug)]
pub(super) struct RequestIds {
    /// Tells this worker's ids from those of all others, before and after a restart.
    prefix: String,
    next: AtomicU32,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let mut prefix = Uuid::new_v4().simple().to_string();
        prefix.truncate(16);
        Self { prefix, next: AtomicU32::new(0) }
    }

    /// The request's own id if it is valid, otherwise a new one.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let mut brought = headers.get_all(&X_REQUEST_ID).iter();
        match (brought.next(), brought.next()) {
            (Some(id), None) if is_id(id.as_bytes()) => id.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.prefix.len() + 9);
        // Writing to a string cannot fail.
        let _ = write!(id, "{}-{number:08x}", self.prefix);
        HeaderValue::try_from(id).expect("letters, digits and a hyphen")
    }
}

/// Visible ASCII without quotes and backslashes: log lines contain it unescaped.
fn is_id(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    (1..=MOST_BYTES).contains(&text.len()) && text.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(brought: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for id in brought {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(id).expect("a header"));
        }
        RequestIds::new().of(&headers).to_str().expect("text").to_owned()
    }

    #[test]
    fn an_id_is_taken_over_if_it_may_stand_in_a_log_line() {
        let longest = "x".repeat(MOST_BYTES);
        for good in
            ["a", "5b1c-77", "Root=1-67891233-abcdef012345678912345678", "id:1/2+3==", &longest]
        {
            assert_eq!(id_of(&[good.as_bytes()]), good);
        }
        let too_long = [b'x'; MOST_BYTES + 1];
        for bad in [&b""[..], b"a b", b"a\tb", b"\"a\"", b"a\\n", "ä".as_bytes(), &too_long] {
            let made = id_of(&[bad]);
            assert!(made.len() == 25 && made.ends_with("-00000000"), "{made}");
        }
        assert_eq!(id_of(&[b"a", b"b"]).len(), 25, "whose of the two?");
    }

    #[test]
    fn ids_that_are_made_are_all_different() {
        let (one, other) = (RequestIds::new(), RequestIds::new());
        let headers = HeaderMap::new();
        let ids = (0..100).flat_map(|_| [one.of(&headers), other.of(&headers)]);
        assert_eq!(ids.collect::<std::collections::HashSet<_>>().len(), 200);
    }
}
