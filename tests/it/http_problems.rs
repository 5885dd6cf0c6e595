//! Each problem tells a caller who has never read the documentation what to change.

use onetap::http::Code;
use serde_json::Value;

use crate::support::service::Service;

const POST: &str = "/v1/posts/0192f0c1-2345-7890-abcd-ef0123456789";

/// Method, path, headers, body, then the code and words of its title and detail.
type Case = (
    &'static str,
    String,
    &'static [(&'static str, &'static str)],
    String,
    Code,
    &'static [&'static str],
);

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];
const KEY: &[(&str, &str)] = &[("idempotency-key", "one")];

fn cases() -> Vec<Case> {
    let path = |rest: &str| format!("{POST}{rest}");
    let (like, toggle) =
        (path("/reactions/like/users/42"), path("/reactions/like/users/42/toggle"));
    let none = String::new;
    let of_no = |post: &str| format!("/v1/posts/{post}/reactions/like/users/42");
    vec![
        (
            "PUT",
            of_no("123"),
            &[],
            none(),
            Code::InvalidPostId,
            &["UUID", "123 to 6f6e6574-6170-8000-8000-00000000007b"],
        ),
        (
            "PUT",
            path("/reactions/like/users/anna"),
            &[],
            none(),
            Code::InvalidUserId,
            &["integer from 1 to 9223372036854775807"],
        ),
        (
            "PUT",
            path("/reactions/Like/users/42"),
            &[],
            none(),
            Code::InvalidReaction,
            &["a-z 0-9 + - _", "one emoji"],
        ),
        (
            "POST",
            toggle.clone(),
            JSON,
            r#"{"form":true}"#.into(),
            Code::InvalidBody,
            &["unknown field `form`, expected `from`"],
        ),
        ("POST", toggle.clone(), JSON, "from".into(), Code::InvalidBody, &["not a JSON object"]),
        (
            "GET",
            path("/reactions?user=42"),
            &[],
            none(),
            Code::InvalidQuery,
            &["`user` is not one of: user_id, recent"],
        ),
        ("GET", path("/users?cursor=x"), &[], none(), Code::InvalidCursor, &["`next_cursor`"]),
        (
            "PUT",
            like.clone(),
            &[("idempotency-key", "\"a")],
            none(),
            Code::InvalidIdempotencyKey,
            &["Not an idempotency key", "quotes"],
        ),
        (
            "PUT",
            path("/reactions/like/users/me"),
            &[],
            none(),
            Code::Unauthenticated,
            &["name the user id"],
        ),
        ("PUT", "/v1/post".into(), &[], none(), Code::NotFound, &["/docs", "/openapi.json"]),
        ("PATCH", like.clone(), &[], none(), Code::MethodNotAllowed, &["`Allow`"]),
        (
            "POST",
            toggle.clone(),
            JSON,
            " ".repeat(65_537),
            Code::BodyTooLarge,
            &["at most 65536 bytes"],
        ),
        (
            "GET",
            path(&format!("?{}", "x".repeat(8192))),
            &[],
            none(),
            Code::UriTooLong,
            &["at most 8192 bytes"],
        ),
        (
            "POST",
            toggle.clone(),
            FORM,
            "from=true".into(),
            Code::UnsupportedMediaType,
            &["The Content-Type is not JSON", "Content-Type: application/json"],
        ),
        (
            "PUT",
            like.clone(),
            KEY,
            none(),
            Code::IdempotencyKeyReused,
            &["used for another request of this user on this post"],
        ),
    ]
}

/// What no request can bring about by itself: the store, the time, or a bug of ours does.
const NOT_THE_CALLERS: [Code; 6] = [
    Code::RequestTimeout,
    Code::Internal,
    Code::Overloaded,
    Code::StoreUnavailable,
    Code::StoreDamaged,
    Code::OutcomeUnknown,
];

#[test]
fn every_problem_of_a_caller_has_a_case() {
    let cases = cases();
    for code in Code::ALL {
        let told = cases.iter().any(|case| case.4 == *code);
        assert!(told != NOT_THE_CALLERS.contains(code), "{code:?}");
    }
}

#[tokio::test]
async fn each_problem_says_what_to_change() {
    let service = Service::memory();
    let mut connection = service.connect().await;
    let toggle = format!("{POST}/reactions/like/users/42/toggle");
    connection.send("POST", &toggle, KEY, "").await.ok(200);
    for (method, path, headers, body, code, words) in cases() {
        let response = service.connect().await.send(method, &path, headers, &body).await;
        response.assert_problem(code.status().as_u16(), code.as_str());
        let problem: Value = serde_json::from_str(&response.body).unwrap();
        let (title, detail) =
            (problem["title"].as_str().unwrap(), problem["detail"].as_str().unwrap());
        assert_ne!(title, detail, "{code:?}: the detail has something to add");
        for word in words {
            assert!(format!("{title}\n{detail}").contains(word), "{code:?}: {title} | {detail}");
        }
        if code == Code::MethodNotAllowed {
            let allow = response.header("allow").unwrap();
            assert!(allow.contains("PUT") && allow.contains("DELETE"), "{allow}");
        }
    }
}
