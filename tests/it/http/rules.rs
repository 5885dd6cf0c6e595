//! What may be added to a post: its rules and its lock, over HTTP.

use onetap::domain::{Add, Change, PaletteName, PostId, What};
use onetap::store::redis::RedisSource;
use serde_json::{Value, json};

use crate::support::http::Response;
use crate::support::redis_server::{Kind, shared};
use crate::support::service::Service;
use crate::support::{changes, post, prefix, user};

fn like(post: PostId, user: u64) -> String {
    format!("/v1/posts/{post}/reactions/like/users/{user}")
}

async fn rule(service: &Service, post: PostId, body: &Value) -> Response {
    service.send_json("PUT", &format!("/v1/posts/{post}/rules"), &body.to_string()).await
}

async fn summary(service: &Service, post: PostId) -> Value {
    service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200)
}

#[tokio::test]
async fn a_locked_post_takes_nothing_new_and_unlocking_restores_its_rules() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        service.send("PUT", &like(post, 1)).await.ok(201);
        rule(&service, post, &json!({ "add": "existing" })).await.ok(200);
        let lock = format!("/v1/posts/{post}/lock");
        let locked = service.send("PUT", &lock).await.ok(200);
        let expected = json!({ "post_id": post.to_string(), "locked": true,
            "revision": locked["revision"] });
        assert_eq!(locked, expected);
        assert_eq!(service.send("PUT", &lock).await.ok(200), expected, "a repeat changes nothing");
        let seen = summary(&service, post).await;
        assert_eq!((&seen["locked"], &seen["add"]), (&json!(true), &json!("existing")));
        assert_eq!(seen["revision"], locked["revision"]);

        service.send("PUT", &like(post, 2)).await.assert_problem(403, "reactions_locked");
        let toggle = like(post, 2) + "/toggle";
        service.send("POST", &toggle).await.assert_problem(403, "reactions_locked");
        // What is held stays, and may be removed.
        service.send("PUT", &like(post, 1)).await.ok(200);
        service.send("DELETE", &like(post, 1)).await.ok(200);
        service.send("PUT", &like(post, 1)).await.assert_problem(403, "reactions_locked");

        let unlocked = service.send("DELETE", &lock).await.ok(200);
        assert_eq!(unlocked["locked"], false);
        assert!(unlocked["revision"].as_u64() > locked["revision"].as_u64());
        // Nobody has it any more, and only what somebody has may be added.
        service.send("PUT", &like(post, 2)).await.assert_problem(422, "reaction_not_allowed");
        service.send("DELETE", &format!("/v1/posts/{post}/rules")).await.ok(200);
        service.send("PUT", &like(post, 2)).await.ok(201);
    }
}

#[tokio::test]
async fn rules_are_answered_as_they_stand() {
    for service in [Service::memory(), Service::redis()] {
        let (post, path) = (post(), |post: PostId| format!("/v1/posts/{post}/rules"));
        let answer = |add: &str, revision: &Value| {
            json!({ "post_id": post.to_string(), "palette": "default", "add": add,
                "revision": revision })
        };
        let first = service.send("GET", &path(post)).await.ok(200);
        assert_eq!(first, answer("all", &first["revision"]));
        let mut last = first["revision"].as_u64();
        for (body, add) in [
            (json!({ "add": "none" }), "none"),
            (json!({ "palette": "default", "add": "existing" }), "existing"),
            // What is left out is the default.
            (json!({ "palette": "default" }), "all"),
            (json!({ "add": "none" }), "none"),
            (json!({}), "all"),
        ] {
            let ruled = rule(&service, post, &body).await.ok(200);
            assert_eq!(ruled, answer(add, &ruled["revision"]), "{body}");
            assert!(ruled["revision"].as_u64() > last, "{body}");
            last = ruled["revision"].as_u64();
            // A repeat changes nothing, and everyone reads the same.
            assert_eq!(rule(&service, post, &body).await.ok(200), ruled);
            assert_eq!(service.send("GET", &path(post)).await.ok(200)["add"], add);
            assert_eq!(summary(&service, post).await["add"], add);
        }
        rule(&service, post, &json!({ "add": "none" })).await.ok(200);
        service.send("PUT", &like(post, 1)).await.assert_problem(403, "reactions_locked");
        // A lock is not one of the rules, so resetting these keeps it.
        service.send("PUT", &format!("/v1/posts/{post}/lock")).await.ok(200);
        let reset = service.send("DELETE", &path(post)).await.ok(200);
        assert_eq!(reset, answer("all", &reset["revision"]));
        assert_eq!(summary(&service, post).await["locked"], true);
    }
}

#[tokio::test]
async fn wrong_rules_are_refused_and_nothing_is_written() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        rule(&service, post, &json!({ "add": "existing" })).await.ok(200);
        let before = summary(&service, post).await;
        for (body, word) in [
            (json!({ "palette": "qa" }), "default"),
            (json!({ "palette": "No Name" }), "default"),
            (json!({ "palette": "" }), "default"),
            (json!({ "palette": null }), ""),
            (json!({ "palette": 1 }), ""),
            (json!({ "add": "some" }), "all, existing, none"),
            (json!({ "add": "All" }), "all, existing, none"),
            (json!({ "add": null }), ""),
            (json!({ "locked": true }), "locked"),
        ] {
            let refused = rule(&service, post, &body).await;
            refused.assert_problem(400, "invalid_body");
            let detail = refused.json()["detail"].to_string();
            assert!(detail.contains(word), "{body}: {detail}");
        }
        let path = format!("/v1/posts/{post}/rules");
        service.send_json("PUT", &path, "[]").await.assert_problem(400, "invalid_body");
        service.send("PUT", &format!("{path}?add=none")).await.assert_problem(400, "invalid_query");
        service
            .send_json("DELETE", &path, r#"{"add":"all"}"#)
            .await
            .assert_problem(400, "invalid_body");
        let lock = format!("/v1/posts/{post}/lock");
        service
            .send_json("PUT", &lock, r#"{"locked":false}"#)
            .await
            .assert_problem(400, "invalid_body");
        for path in ["/v1/posts/7/rules", "/v1/posts/7/lock"] {
            service.send("PUT", path).await.assert_problem(400, "invalid_post_id");
        }
        service.send("GET", &lock).await.assert_problem(405, "method_not_allowed");
        for (actor, status, code) in [("0", 400, "invalid_user_id"), ("me", 401, "unauthenticated")]
        {
            let mut connection = service.connect().await;
            let refused = connection.send("PUT", &lock, &[("onetap-actor", actor)], "").await;
            refused.assert_problem(status, code);
        }
        assert_eq!(summary(&service, post).await, before);
    }
}

#[tokio::test]
async fn the_etag_covers_the_rules() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        let paths =
            [format!("/v1/posts/{post}/reactions"), format!("/v1/posts/reactions?post_id={post}")];
        let read = async || {
            let mut tags = Vec::new();
            for path in &paths {
                tags.push(service.send("GET", path).await.header("etag").unwrap().to_owned());
            }
            tags
        };
        let mut seen = vec![read().await];
        for (method, what, body) in [
            ("PUT", "lock", ""),
            ("DELETE", "lock", ""),
            ("PUT", "rules", r#"{"add":"none"}"#),
            ("PUT", "rules", r#"{"add":"existing"}"#),
        ] {
            service.send_json(method, &format!("/v1/posts/{post}/{what}"), body).await.ok(200);
            let tags = read().await;
            assert!(!seen.contains(&tags), "{method} {what}");
            seen.push(tags);
        }
        let held = [("if-none-match", seen[4][0].as_str())];
        let mut connection = service.connect().await;
        assert_eq!(connection.send("GET", &paths[0], &held, "").await.status, 304);
    }
}

#[tokio::test]
async fn the_log_names_the_moderator() {
    let (prefix, post) = (prefix(), post());
    let service = Service::redis_with_prefix(&prefix);
    let mut connection = service.connect().await;
    let by = [("onetap-actor", "9"), ("content-type", "application/json")];
    service.send("PUT", &like(post, 1)).await.ok(201);
    for (method, path, body) in [
        ("PUT", "lock", ""),
        ("PUT", "rules", r#"{"add":"none"}"#),
        ("PUT", "users/1/reactions", r#"{"reactions":[]}"#),
        ("DELETE", "lock", ""),
        ("DELETE", "rules", ""),
    ] {
        connection.send(method, format!("/v1/posts/{post}/{path}"), &by, body).await.ok(200);
    }
    service.send("PUT", &like(post, 1)).await.ok(201);
    let forget = format!("/v1/posts/{post}/reactions");
    assert_eq!(connection.send("DELETE", forget, &by, "").await.ok(200)["removed"], 1);
    let store = RedisSource::new(&shared(Kind::Redis).options(&prefix)).unwrap().attach();
    let log = changes(&store, post.partition(), 100).await.unwrap();
    let log: Vec<Change> = log.into_iter().map(|entry| entry.change).collect();
    let default = |name: &Option<PaletteName>| name.is_none();
    assert!(matches!(&log[1].what, What::Locked(true)), "{log:#?}");
    assert!(matches!(&log[2].what, What::Rules(name, Add::None) if default(name)), "{log:#?}");
    assert!(matches!(&log[3].what, What::Reaction { active: false, .. }), "{log:#?}");
    assert!(matches!(&log[4].what, What::Locked(false)), "{log:#?}");
    assert!(matches!(&log[5].what, What::Rules(name, Add::All) if default(name)), "{log:#?}");
    assert!(matches!(&log[7].what, What::Forgotten(None)), "{log:#?}");
    let actors: Vec<_> = log.iter().map(|change| change.actor).collect();
    let nine = Some(user(9));
    assert_eq!(actors, [None, nine, nine, nine, nine, nine, None, nine]);
}

const PALETTES: &str = "[palettes.default]\nreactions = ['like']\n\
                        [palettes.qa]\nreactions = ['helpful', 'same']\n";

#[tokio::test]
async fn a_post_may_have_another_palette() {
    let (url, prefix) = (shared(Kind::Redis).url(), prefix());
    let redis = ["--store", &url, "--key-prefix", &prefix];
    for args in [&[][..], &redis] {
        let (service, post) = (Service::configured(PALETTES, args), post());
        let helpful = format!("/v1/posts/{post}/reactions/helpful/users/1");
        service.send("PUT", &like(post, 1)).await.ok(201);
        service.send("PUT", &helpful).await.assert_problem(422, "reaction_not_allowed");
        let ruled = rule(&service, post, &json!({ "palette": "qa" })).await.ok(200);
        assert_eq!((&ruled["palette"], &ruled["add"]), (&json!("qa"), &json!("all")));
        assert_eq!(summary(&service, post).await["palette"], "qa");
        service.send("PUT", &helpful).await.ok(201);
        service.send("PUT", &like(post, 2)).await.assert_problem(422, "reaction_not_allowed");
        // What is held from before stays.
        assert_eq!(summary(&service, post).await["total"], 2);
        let refused = rule(&service, post, &json!({ "palette": "no-such" })).await;
        refused.assert_problem(400, "invalid_body");
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("default, qa"), "{detail}");
        assert_eq!(summary(&service, post).await["palette"], "qa");
        // `default` is the name of what a post without rules has.
        let reset = rule(&service, post, &json!({ "palette": "default" })).await.ok(200);
        assert_eq!(reset["palette"], "default");
        service.send("PUT", &like(post, 2)).await.ok(201);
    }
}

#[tokio::test]
async fn a_palette_that_has_left_the_configuration_offers_nothing() {
    let (url, prefix, post) = (shared(Kind::Redis).url(), prefix(), post());
    let redis = ["--store", &url, "--key-prefix", &prefix];
    let before = Service::configured(PALETTES, &redis);
    rule(&before, post, &json!({ "palette": "qa" })).await.ok(200);
    let helpful = |user: u64| format!("/v1/posts/{post}/reactions/helpful/users/{user}");
    before.send("PUT", &helpful(1)).await.ok(201);
    let after = Service::with(&redis);
    let path = format!("/v1/posts/{post}/rules");
    assert_eq!(after.send("GET", &path).await.ok(200)["palette"], "qa");
    for add in [helpful(2), like(post, 1)] {
        after.send("PUT", &add).await.assert_problem(422, "reaction_not_allowed");
    }
    after.send("DELETE", &helpful(1)).await.ok(200);
    // It cannot be named again. The lock and a reset do not name it.
    rule(&after, post, &json!({ "palette": "qa" })).await.assert_problem(400, "invalid_body");
    after.send("PUT", &format!("/v1/posts/{post}/lock")).await.ok(200);
    assert_eq!(summary(&after, post).await["palette"], "qa");
    after.send("DELETE", &format!("/v1/posts/{post}/lock")).await.ok(200);
    after.send("DELETE", &path).await.ok(200);
    after.send("PUT", &like(post, 1)).await.ok(201);
}
