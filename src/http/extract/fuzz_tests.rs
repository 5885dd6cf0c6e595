//! Queries, cursors and keys that are nearly right: no extractor panics.

use axum::extract::{FromRequestParts as _, Request};
use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::idempotency::IdempotencyHeader;
use super::{Query, cursor};
use crate::domain::{Micros, Position, PostId, Reaction, UserId};
use crate::http::Access;

const NAMES: [&str; 6] = ["post_id", "user_id", "recent", "limit", "cursor", "hide"];

/// A query, mostly with names that calls take.
fn query() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[0-9]{0,25}",
        "[0-9a-f-]{30,40}",
        "(%[0-9a-fA-F]{0,2}|[a-z+&=;]){0,20}",
        "[!-~]{0,40}",
    ];
    let name =
        prop_oneof![proptest::sample::select(&NAMES[..]).prop_map(str::to_owned), "[!-~]{0,9}"];
    let pair = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    proptest::collection::vec(pair, 0..8).prop_map(|pairs| pairs.join("&"))
}

fn post() -> PostId {
    PostId::from_integer(7, 1).expect("a post")
}

fn place() -> Position {
    let reaction: Reaction = "like".parse().expect("a reaction");
    Position { reacted_at: Micros(1_795_574_075_748_479), user: user(), reaction }
}

fn user() -> UserId {
    "42".parse().expect("a user id")
}

proptest! {
    // How many cases: PROPTEST_CASES, else 256.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn queries(query in query()) {
        let Ok(request) = Request::builder().uri(format!("/v1/x?{query}")).body(()) else {
            return Ok(());
        };
        let mut parts = request.into_parts().0;
        let read = Query::from_request_parts(&mut parts, &Access::default()).now_or_never();
        let Some(Ok(query)) = read else { return Ok(()) };
        let _ = (query.has_only(&NAMES), query.viewer(), query.recent(), query.limit());
        let _ = (query.posts(), query.cursor(), query.since());
    }

    #[test]
    fn cursors(text in "[A-Za-z0-9_-]{0,90}|.{0,20}") {
        let like = "like".parse().expect("a reaction");
        prop_assert!(cursor::decode(post(), None, &text).is_err());
        prop_assert!(cursor::decode(post(), Some(&like), &text).is_err());
        prop_assert!(cursor::decode_given(user(), &text).is_err());
    }

    /// A cursor with one other character is no cursor.
    #[test]
    fn altered_cursors(at in any::<proptest::sample::Index>(), other in "[A-Za-z0-9_=-]") {
        let good = cursor::encode(post(), None, &place());
        prop_assert_eq!(cursor::decode(post(), None, &good).ok(), Some(place()));
        let at = at.index(good.len());
        let altered = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        prop_assert!(altered == good || cursor::decode(post(), None, &altered).is_err());
    }

    #[test]
    fn idempotency_keys(bytes in proptest::collection::vec(prop_oneof![
        any::<u8>(), proptest::sample::select(&b"\"\\ \ta"[..]),
    ], 0..300)) {
        let Ok(request) = Request::builder().header("idempotency-key", bytes).body(()) else {
            return Ok(());
        };
        let mut parts = request.into_parts().0;
        let read = IdempotencyHeader::from_request_parts(&mut parts, &()).now_or_never();
        if let Some(Ok(header)) = read {
            let _ = header.keyed(post(), user(), crate::domain::Form::Toggle);
        }
    }
}
