//! A user's whole set of reactions on a post, over HTTP.

use onetap::domain::PostId;
use serde_json::{Value, json};

use crate::support::http::Response;
use crate::support::redis_server::{Kind, shared};
use crate::support::service::Service;
use crate::support::{post, prefix};

fn path(post: PostId, user: u64) -> String {
    format!("/v1/posts/{post}/users/{user}/reactions")
}

async fn put(service: &Service, post: PostId, user: u64, reactions: &[&str]) -> Response {
    let body = json!({ "reactions": reactions }).to_string();
    service.send_json("PUT", &path(post, user), &body).await
}

async fn held(service: &Service, post: PostId, user: u64) -> Value {
    service.send("GET", &path(post, user)).await.ok(200)["reactions"].clone()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("r{n:03}")).collect()
}

#[tokio::test]
async fn a_set_is_exactly_what_was_sent() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        let empty = service.send("GET", &path(post, 7)).await.ok(200);
        let expected = json!({ "post_id": post.to_string(), "user_id": "7", "reactions": [],
            "revision": empty["revision"] });
        assert_eq!(empty, expected);
        put(&service, post, 8, &["like"]).await.ok(200);

        let mut last = empty["revision"].as_u64();
        for (wanted, answered, changed) in [
            (&["love", "like"][..], json!(["like", "love"]), true),
            // Doubles count once, in any spelling.
            (&["like", "like", "love", "like"], json!(["like", "love"]), false),
            (&["sad", "❤", "❤️"], json!(["sad", "❤️"]), true),
            (&[], json!([]), true),
            (&[], json!([]), false),
            (&["like"], json!(["like"]), true),
        ] {
            let answer = put(&service, post, 7, wanted).await.ok(200);
            let expected = json!({ "post_id": post.to_string(), "user_id": "7",
                "reactions": answered, "changed": changed, "revision": answer["revision"] });
            assert_eq!(answer, expected, "{wanted:?}");
            let revision = answer["revision"].as_u64();
            assert!(if changed { revision > last } else { revision >= last }, "{wanted:?}");
            last = revision;
            assert_eq!(held(&service, post, 7).await, answered, "{wanted:?}");
        }
        let cleared = service.send("DELETE", &path(post, 7)).await.ok(200);
        assert_eq!((&cleared["reactions"], &cleared["changed"]), (&json!([]), &json!(true)));
        let again = service.send("DELETE", &path(post, 7)).await.ok(200);
        assert_eq!(again["changed"], false);
        // The other user's set is another one.
        assert_eq!(held(&service, post, 8).await, json!(["like"]));
        let seen = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
        assert_eq!(seen["reactions"], json!([{ "reaction": "like", "count": 1 }]));
    }
}

#[tokio::test]
async fn a_set_that_is_refused_writes_nothing() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        put(&service, post, 7, &["like"]).await.ok(200);
        let (many, most) = (names(21), names(20));
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let most: Vec<&str> = most.iter().map(String::as_str).collect();
        put(&service, post, 7, &many).await.assert_problem(422, "too_many_reactions");
        assert_eq!(held(&service, post, 7).await, json!(["like"]));
        // A set that takes the place of another is judged by what it leads to.
        put(&service, post, 7, &most).await.ok(200);
        put(&service, post, 8, &["new"]).await.assert_problem(422, "too_many_reactions");

        let rules = format!("/v1/posts/{post}/rules");
        service.send_json("PUT", &rules, r#"{"add":"existing"}"#).await.ok(200);
        let refused = put(&service, post, 8, &["r001", "new", "r002"]).await;
        refused.assert_problem(422, "reaction_not_allowed");
        assert!(refused.json()["detail"].to_string().contains("new"), "{refused:?}");
        assert_eq!(held(&service, post, 8).await, json!([]));
        put(&service, post, 8, &["r001", "r002"]).await.ok(200);
        service.send("PUT", &format!("/v1/posts/{post}/lock")).await.ok(200);
        put(&service, post, 8, &["r003"]).await.assert_problem(403, "reactions_locked");
        // Removing goes on.
        put(&service, post, 8, &["r002"]).await.ok(200);
        service.send("DELETE", &path(post, 7)).await.ok(200);
    }
}

#[tokio::test]
async fn an_invalid_set_is_refused() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        put(&service, post, 7, &["like"]).await.ok(200);
        for (body, code) in [
            (json!({ "reactions": ["like", "No"] }), "invalid_reaction"),
            (json!({ "reactions": [""] }), "invalid_reaction"),
            (json!({ "reactions": [1] }), "invalid_body"),
            (json!({ "reactions": "like" }), "invalid_body"),
            (json!({ "reactions": null }), "invalid_body"),
            (json!({ "reactions": names(101) }), "invalid_body"),
            // An empty body could be a mistake, and must not remove all.
            (json!({}), "invalid_body"),
            (json!({ "reactions": [], "user_id": "7" }), "invalid_body"),
        ] {
            let refused = service.send_json("PUT", &path(post, 7), &body.to_string()).await;
            refused.assert_problem(400, code);
        }
        service.send("PUT", &path(post, 7)).await.assert_problem(400, "invalid_body");
        // A hundred, however often each of them is named, are judged.
        let doubled = [names(100), names(100)].concat();
        let body = json!({ "reactions": doubled }).to_string();
        let judged = service.send_json("PUT", &path(post, 7), &body).await;
        judged.assert_problem(422, "too_many_reactions");
        for (user, status, code) in [("0", 400, "invalid_user_id"), ("me", 401, "unauthenticated")]
        {
            for method in ["GET", "DELETE"] {
                let path = format!("/v1/posts/{post}/users/{user}/reactions");
                service.send(method, &path).await.assert_problem(status, code);
            }
        }
        let odd = path(post, 7) + "?recent=1";
        service.send("GET", &odd).await.assert_problem(400, "invalid_query");
        assert_eq!(held(&service, post, 7).await, json!(["like"]));
    }
}

#[tokio::test]
async fn a_set_with_a_key_is_applied_once() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        let mut connection = service.connect().await;
        let headers = [("idempotency-key", "k1"), ("content-type", "application/json")];
        let mut send = async |method: &str, body: &str| {
            connection.send(method, path(post, 7), &headers, body).await
        };
        let first = send("PUT", r#"{"reactions":["love","like"]}"#).await;
        assert_eq!(first.header("idempotency-replayed"), None);
        service.send("DELETE", &path(post, 7)).await.ok(200);
        // The same set, in another order and with a double, is the same request.
        for body in [r#"{"reactions":["love","like"]}"#, r#"{"reactions":["like","love","like"]}"#]
        {
            let again = send("PUT", body).await;
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{body}");
            assert_eq!(again.ok(200), first.ok(200), "{body}");
        }
        assert_eq!(held(&service, post, 7).await, json!([]), "the wish was fulfilled long ago");
        send("PUT", r#"{"reactions":["sad"]}"#).await.assert_problem(422, "idempotency_key_reused");
        send("DELETE", "").await.assert_problem(422, "idempotency_key_reused");
    }
}

#[tokio::test]
async fn a_set_is_judged_by_the_palette_and_answers_what_is_counted() {
    let palettes = "[palettes.default]\nreactions = ['up', 'down', 'like', '👍']\n\
                    exclusive = [['up', 'down']]\naliases = { '+1' = '👍' }\n";
    let (url, prefix) = (shared(Kind::Redis).url(), prefix());
    let redis = ["--store", &url, "--key-prefix", &prefix];
    for args in [&[][..], &redis] {
        let (service, post) = (Service::configured(palettes, args), post());
        let set = put(&service, post, 7, &["+1", "up", "👍"]).await.ok(200);
        assert_eq!(set["reactions"], json!(["up", "👍"]));
        put(&service, post, 7, &["like", "up", "down"])
            .await
            .assert_problem(422, "too_many_reactions");
        put(&service, post, 7, &["like", "love"]).await.assert_problem(422, "reaction_not_allowed");
        assert_eq!(held(&service, post, 7).await, json!(["up", "👍"]), "nothing is written");
        let set = put(&service, post, 7, &["down", "👍"]).await.ok(200);
        assert_eq!((&set["reactions"], &set["changed"]), (&json!(["down", "👍"]), &json!(true)));
        assert_eq!(put(&service, post, 7, &["+1", "down"]).await.ok(200)["changed"], false);
        let seen = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
        let counts = [("down", 1), ("👍", 1)];
        let counts = counts.map(|(name, count)| json!({ "reaction": name, "count": count }));
        assert_eq!(seen["reactions"], json!(counts));
    }
}
