//! Post grants: tokens that are good for some posts alone.

use super::{Keys, key, now, send, signed, token, token_for};
use crate::support::post;

#[tokio::test]
async fn a_token_with_grants_is_good_for_its_posts_alone() {
    let keys = Keys::new();
    for args in [&[][..], &["--require-post-grant"]] {
        let service = keys.service(args);
        let (granted, other) = (post(), post());
        let bearer = token_for(42, 60, Some(vec![granted]));
        let upper = granted.to_string().to_uppercase();
        send(&service, "PUT", &format!("/v1/posts/{upper}/reactions/like/users/me"), &bearer, "")
            .await
            .ok(201);
        for (method, path, body) in [
            ("PUT", "/v1/posts/POST/reactions/like/users/me", ""),
            ("POST", "/v1/posts/POST/reactions/like/users/me/toggle", ""),
            ("DELETE", "/v1/posts/POST/reactions/like/users/me", ""),
            ("PUT", "/v1/posts/POST/users/me/reactions", r#"{"reactions":["like"]}"#),
            ("DELETE", "/v1/posts/POST/users/me/reactions", ""),
            ("GET", "/v1/posts/POST/users/me/reactions", ""),
            ("GET", "/v1/posts/POST/reactions", ""),
            ("GET", "/v1/posts/POST/rules", ""),
            ("GET", "/v1/posts/POST/users", ""),
            ("GET", "/v1/posts/POST/reactions/like/users", ""),
            ("POST", "/v1/posts/POST/users/query", "{}"),
            ("GET", "/v1/posts/reactions?post_id=POST", ""),
            ("GET", "/v1/posts/reactions/stream?post_id=POST", ""),
            ("POST", "/v1/posts/reactions/query", r#"{"post_ids":["POST"]}"#),
        ] {
            let at = |text: &str, post: &str| text.replace("POST", post);
            let (good, bad) = (granted.to_string(), other.to_string());
            let answer = send(&service, method, &at(path, &good), &bearer, &at(body, &good)).await;
            assert!(answer.status < 400, "{method} {path}: {answer:?}");
            let answer = send(&service, method, &at(path, &bad), &bearer, &at(body, &bad)).await;
            answer.assert_problem(403, "forbidden");
            assert!(answer.body.contains(&bad) && answer.body.contains("`posts`"), "{answer:?}");
        }
        // One post without a grant among others.
        let page = format!("/v1/posts/reactions?post_id={granted}&post_id={other}");
        send(&service, "GET", &page, &bearer, "").await.assert_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn without_a_grant_people_reach_no_post_where_one_is_required() {
    let keys = Keys::new();
    let service = keys.service(&["--require-post-grant"]);
    let path = format!("/v1/posts/{}/reactions", post());
    for bearer in [token(42), token_for(42, 60, Some(Vec::new()))] {
        send(&service, "GET", &path, &bearer, "").await.assert_problem(403, "forbidden");
        let tap = format!("{path}/like/users/me");
        send(&service, "PUT", &tap, &bearer, "").await.assert_problem(403, "forbidden");
    }
    send(&service, "GET", &path, &key("read"), "").await.ok(200);
    send(&service, "PUT", &format!("{path}/like/users/7"), &key("act-as"), "").await.ok(201);
    // Without the setting, a token without the claim is good for all posts.
    let free = keys.service(&[]);
    send(&free, "PUT", &format!("{path}/like/users/me"), &token(42), "").await.ok(201);
}

/// A grant may also say what its user may add, as the rules of a post do.
#[tokio::test]
async fn a_grant_says_what_its_user_may_add() {
    let keys = Keys::new();
    let service = keys.service(&["--require-post-grant"]);
    let [nothing, existing, all] = [post(), post(), post()];
    let claims = serde_json::json!({
        "sub": "42",
        "exp": now() + 60,
        "posts": {nothing.to_string(): "none", existing.to_string(): "existing", all.to_string(): "all"},
    });
    let bearer = signed(&claims);
    let tap = async |method, post, name, bearer: &str| {
        let path = format!("/v1/posts/{post}/reactions/{name}/users/{}", "42");
        send(&service, method, &path, bearer, "").await
    };
    tap("PUT", nothing, "like", &bearer).await.assert_problem(403, "reactions_locked");
    tap("PUT", existing, "like", &bearer).await.assert_problem(422, "reaction_not_allowed");
    tap("PUT", all, "like", &bearer).await.ok(201);
    let path = format!("/v1/posts/{existing}/reactions/like/users/7");
    send(&service, "PUT", &path, &key("act-as"), "").await.ok(201);
    tap("PUT", existing, "like", &bearer).await.ok(201);
    // Who has a reaction may always remove it.
    tap("PUT", nothing, "like", &key("act-as")).await.ok(201);
    tap("DELETE", nothing, "like", &bearer).await.ok(200);
    let set = format!("/v1/posts/{nothing}/users/me/reactions");
    let body = r#"{"reactions":["like"]}"#;
    send(&service, "PUT", &set, &bearer, body).await.assert_problem(403, "reactions_locked");
}
