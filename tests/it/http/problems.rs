//! Each problem tells callers who have never read the documentation what to change.

use onetap::http::Code;
use serde_json::Value;

use crate::support::service::Service;

const POST: &str = "/v1/posts/0192f0c1-2345-7890-abcd-ef0123456789";
const TAP: &str = "/reactions/like/users/42";
const TOGGLE: &str = "/reactions/like/users/42/toggle";
const JSON: Headers = &[("content-type", "application/json")];
const FORM: Headers = &[("content-type", "application/x-www-form-urlencoded")];
const FOREIGN: Headers = &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
const TWO_HOSTS: Headers = &[("host", "evil.example")];
const KEY: Headers = &[("idempotency-key", "one")];
/// A post that is locked, and one that takes only what somebody has.
const LOCKED: &str = "/v1/posts/0192f0c1-2345-7890-abcd-ef012345678a";
const EXISTING: &str = "/v1/posts/0192f0c1-2345-7890-abcd-ef012345678b";
const HALF_QUOTED: Headers = &[("idempotency-key", "\"one")];

/// A cursor of an export that has read seven changes of the first partition, which has none here.
const EXPIRED: &str = "/v1/export?since=AmNkZxjZgJFhFIxkAACKaJfq";

type Headers = &'static [(&'static str, &'static str)];

/// Method, path (relative to the post's, unless it begins with `/v1`), headers, body; then the
/// code, and words of title and detail.
type Case = (&'static str, &'static str, Headers, &'static str, Code, &'static [&'static str]);

const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("it is ASCII"),
    }
}

const CASES: &[Case] = &[
    (
        "PUT",
        "http://evil.example/v1/posts/0192f0c1-2345-7890-abcd-ef0123456789/reactions/like/users/42",
        &[],
        "",
        Code::ForeignHost,
        &["`evil.example`", "--allowed-host evil.example"],
    ),
    ("PUT", TAP, TWO_HOSTS, "", Code::InvalidHost, &["more than one Host", "send one"]),
    (
        "POST",
        "/v1/posts/reactions/query",
        JSON,
        r#"{"post_ids":[123]}"#,
        Code::InvalidPostId,
        &["UUID", "123 to 6f6e6574-6170-8000-8000-00000000007b"],
    ),
    (
        "POST",
        "/v1/posts/reactions/query",
        JSON,
        r#"{"post_ids":[true]}"#,
        Code::InvalidBody,
        &["a post id is a string: a UUID"],
    ),
    (
        "PUT",
        "/v1/posts/123/reactions/like/users/42",
        &[],
        "",
        Code::InvalidPostId,
        &["UUID", "123 to 6f6e6574-6170-8000-8000-00000000007b"],
    ),
    (
        "PUT",
        "/reactions/like/users/anna",
        &[],
        "",
        Code::InvalidUserId,
        &["integer from 1 to 9223372036854775807"],
    ),
    (
        "PUT",
        "/reactions/Like/users/42",
        &[],
        "",
        Code::InvalidReaction,
        &["a-z 0-9 + - _", "one emoji"],
    ),
    (
        "POST",
        TOGGLE,
        JSON,
        r#"{"form":true}"#,
        Code::InvalidBody,
        &["unknown field `form`, expected `from`"],
    ),
    ("POST", TOGGLE, JSON, "from", Code::InvalidBody, &["not a JSON object"]),
    (
        "GET",
        "/reactions?user=42",
        &[],
        "",
        Code::InvalidQuery,
        &["`user` is not one of: user_id, recent"],
    ),
    ("GET", "/users?cursor=x", &[], "", Code::InvalidCursor, &["`next_cursor`"]),
    (
        "PUT",
        TAP,
        HALF_QUOTED,
        "",
        Code::InvalidIdempotencyKey,
        &["Not an idempotency key", "quotes", "send it bare"],
    ),
    ("PUT", "/reactions/like/users/me", &[], "", Code::Unauthenticated, &["send the user id"]),
    (
        "POST",
        TOGGLE,
        FOREIGN,
        "",
        Code::Forbidden,
        &["page of https://evil.example", "--cors-origin"],
    ),
    ("PUT", "/v1/post", &[], "", Code::NotFound, &["/docs", "/openapi.json"]),
    ("PATCH", TAP, &[], "", Code::MethodNotAllowed, &["`Allow`"]),
    ("POST", TOGGLE, JSON, text(&[b' '; 65_537]), Code::BodyTooLarge, &["at most 65536 bytes"]),
    ("GET", text(&[b'/'; 8192]), &[], "", Code::UriTooLong, &["at most 8192 bytes"]),
    (
        "POST",
        TOGGLE,
        FORM,
        "from=true",
        Code::UnsupportedMediaType,
        &["The Content-Type is not JSON", "Content-Type: application/json"],
    ),
    (
        "PUT",
        TAP,
        KEY,
        "",
        Code::IdempotencyKeyReused,
        &["used for another request of this user on this post"],
    ),
    (
        "PUT",
        "/reactions/ben-is-a-thief/users/42",
        &[],
        "",
        Code::ReactionNotAllowed,
        &["does not have ben-is-a-thief", "GET /v1/palettes lists what it has"],
    ),
    (
        "PUT",
        "/reactions/love/users/42",
        &[],
        "",
        Code::TooManyReactions,
        &["at most 1 different reactions", "add one that somebody has already"],
    ),
    (
        "PUT",
        "/v1/posts/0192f0c1-2345-7890-abcd-ef012345678a/reactions/like/users/42",
        &[],
        "",
        Code::ReactionsLocked,
        &["Nothing may be added", "can still remove"],
    ),
    (
        "PUT",
        "/v1/posts/0192f0c1-2345-7890-abcd-ef012345678b/reactions/like/users/42",
        &[],
        "",
        Code::ReactionNotAllowed,
        &["only reactions that somebody has on this post", "nobody has like"],
    ),
    (
        "PUT",
        "/rules",
        JSON,
        r#"{"palette":"qa"}"#,
        Code::InvalidBody,
        &["the configuration has no palette of this name", "one of: default"],
    ),
    (
        "GET",
        EXPIRED,
        &[],
        "",
        Code::CursorExpired,
        &["no longer has all changes", "export everything again"],
    ),
    (
        "POST",
        "/v1/import",
        JSON,
        r#"{"source":"x","posts":[]}"#,
        Code::InvalidBody,
        &["32 hexadecimal digits"],
    ),
    ("GET", "/v1/export?since=x", &[], "", Code::InvalidCursor, &["use one as an export gave it"]),
    ("PUT", "/rules", JSON, r#"{"add":"some"}"#, Code::InvalidBody, &["all, existing, none"]),
];

/// Codes that no request can cause by itself: they come from the store, from timing, or from a bug
/// of ours.
const NOT_THE_CALLERS: [Code; 8] = [
    Code::RequestTimeout,
    Code::RateLimited,
    Code::Internal,
    Code::Overloaded,
    Code::StoreUnavailable,
    Code::ReadOnly,
    Code::StoreDamaged,
    Code::OutcomeUnknown,
];

#[test]
fn every_problem_of_a_caller_has_a_case() {
    for code in Code::ALL {
        let told = CASES.iter().any(|case| case.4 == *code);
        assert!(told != NOT_THE_CALLERS.contains(code), "{code:?}");
    }
}

#[tokio::test]
async fn each_problem_says_what_to_change() {
    let palette = "[palettes.default]\nreactions = ['like', 'love']\nmax_kinds_per_post = 1\n";
    let service = Service::configured(palette, &[]);
    let mut connection = service.connect().await;
    connection.send("POST", &format!("{POST}{TOGGLE}"), KEY, "").await.ok(200);
    connection.send("PUT", &format!("{LOCKED}/lock"), &[], "").await.ok(200);
    let existing = r#"{"add":"existing"}"#;
    connection.send("PUT", &format!("{EXISTING}/rules"), JSON, existing).await.ok(200);
    for (method, path, headers, body, code, words) in CASES {
        let path = if path.starts_with("/v1") || path.starts_with("http:") {
            (*path).into()
        } else {
            format!("{POST}{path}")
        };
        let response = service.connect().await.send(method, &path, headers, body).await;
        response.assert_problem(code.status().as_u16(), code.as_str());
        let problem: Value = serde_json::from_str(&response.body).unwrap();
        let [title, detail] = ["title", "detail"].map(|name| problem[name].as_str().unwrap());
        assert_ne!(title, detail, "{code:?}: the detail has something to add");
        for word in *words {
            assert!(format!("{title}\n{detail}").contains(word), "{code:?}: {title} | {detail}");
        }
        if *code == Code::MethodNotAllowed {
            let allow = response.header("allow").unwrap();
            assert!(allow.contains("PUT") && allow.contains("DELETE"), "{allow}");
        }
    }
}
