//! Forgetting the reactions of a post, over HTTP.

use futures_util::future::join_all;
use onetap::domain::PostId;
use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::{post, posts};

/// A post on which three users have reacted, four times.
async fn reacted(service: &Service, post: PostId) -> PostId {
    for (user, reaction) in [(1, "like"), (2, "like"), (3, "like"), (1, "love")] {
        let path = format!("/v1/posts/{post}/reactions/{reaction}/users/{user}");
        service.send("PUT", &path).await.ok(201);
    }
    post
}

async fn summary(service: &Service, post: PostId) -> Value {
    service.send("GET", &format!("/v1/posts/{post}/reactions?recent=3")).await.ok(200)
}

async fn forget(service: &Service, posts: &[PostId]) -> Value {
    let ids: Vec<String> = posts.iter().map(ToString::to_string).collect();
    let body = json!({ "post_ids": ids }).to_string();
    service.send_json("POST", "/v1/posts/reactions/forget", &body).await.ok(200)
}

#[tokio::test]
async fn a_forgotten_post_is_empty_and_goes_on_above_its_revisions() {
    for service in [Service::memory(), Service::redis()] {
        let post = reacted(&service, post()).await;
        let before = summary(&service, post).await;
        service.send("PUT", &format!("/v1/posts/{post}/lock")).await.ok(200);
        let path = format!("/v1/posts/{post}/reactions");
        let gone = service.send("DELETE", &path).await.ok(200);
        assert_eq!(gone, json!({ "removed": 4, "revision": gone["revision"] }));
        assert!(gone["revision"].as_u64() > before["revision"].as_u64());
        let after = summary(&service, post).await;
        assert_eq!((&after["total"], &after["revision"]), (&json!(0), &gone["revision"]));
        // The rules stay.
        assert_eq!(after["locked"], true);
        let users = service.send("GET", &format!("/v1/posts/{post}/users")).await.ok(200);
        assert_eq!(users["users"], json!([]));
        // Again, there is nothing to remove.
        let again = service.send("DELETE", &path).await.ok(200);
        assert_eq!(again, json!({ "removed": 0, "revision": gone["revision"] }));
        service.send("DELETE", &format!("/v1/posts/{post}/lock")).await.ok(200);
        let tap = service.send("PUT", &format!("{path}/like/users/1")).await.ok(201);
        assert!(tap["revision"].as_u64() > gone["revision"].as_u64() && tap["count"] == 1);
    }
}

#[tokio::test]
async fn one_reaction_of_a_post_can_be_forgotten() {
    for service in [Service::memory(), Service::redis()] {
        let post = reacted(&service, post()).await;
        let path = |reaction: &str| format!("/v1/posts/{post}/reactions/{reaction}");
        let gone = service.send("DELETE", &path("like")).await.ok(200);
        assert_eq!(gone["removed"], 3);
        let after = summary(&service, post).await;
        assert_eq!((&after["total"], &after["revision"]), (&json!(1), &gone["revision"]));
        assert_eq!(after["reactions"][0]["reaction"], "love");
        for nobody_has in ["like", "%F0%9F%91%8D"] {
            let again = service.send("DELETE", &path(nobody_has)).await.ok(200);
            assert_eq!(again, json!({ "removed": 0, "revision": gone["revision"] }));
        }
        service.send("DELETE", &path("No")).await.assert_problem(400, "invalid_reaction");
        service.send("GET", &path("love")).await.assert_problem(405, "method_not_allowed");
        assert_eq!(service.send("DELETE", &path("love")).await.ok(200)["removed"], 1);
        assert_eq!(summary(&service, post).await["total"], 0);
    }
}

#[tokio::test]
async fn many_posts_are_forgotten_in_the_order_asked() {
    for service in [Service::memory(), Service::redis()] {
        let all = posts(100);
        reacted(&service, all[3]).await;
        reacted(&service, all[98]).await;
        // A double counts once, at its first place.
        let asked: Vec<PostId> = all.iter().chain(&all[..5]).copied().collect();
        let answer = forget(&service, &asked).await;
        let forgotten = answer["posts"].as_array().unwrap();
        assert_eq!(forgotten.len(), 100);
        for (n, (post, gone)) in all.iter().zip(forgotten).enumerate() {
            let removed = if [3, 98].contains(&n) { 4 } else { 0 };
            let expected = json!({ "post_id": post.to_string(), "removed": removed,
                "revision": gone["revision"] });
            assert_eq!(*gone, expected, "{n}");
        }
        for post in [all[3], all[98]] {
            assert_eq!(summary(&service, post).await["total"], 0);
        }
    }
}

#[tokio::test]
async fn a_list_of_posts_that_is_wrong_forgets_none() {
    for service in [Service::memory(), Service::redis()] {
        let post = reacted(&service, post()).await;
        let many: Vec<String> = posts(101).iter().map(ToString::to_string).collect();
        for (body, code) in [
            (json!({ "post_ids": [post.to_string(), "7"] }), "invalid_post_id"),
            (json!({ "post_ids": [post.to_string(), 7] }), "invalid_post_id"),
            (json!({ "post_ids": many }), "invalid_body"),
            (json!({ "post_ids": [] }), "invalid_body"),
            (json!({}), "invalid_body"),
            (json!({ "post_ids": [post.to_string()], "reaction": "like" }), "invalid_body"),
        ] {
            let path = "/v1/posts/reactions/forget";
            let refused = service.send_json("POST", path, &body.to_string()).await;
            refused.assert_problem(400, code);
        }
        service
            .send("DELETE", "/v1/posts/7/reactions")
            .await
            .assert_problem(400, "invalid_post_id");
        let odd = format!("/v1/posts/{post}/reactions?recent=1");
        service.send("DELETE", &odd).await.assert_problem(400, "invalid_query");
        assert_eq!(summary(&service, post).await["total"], 4);
    }
}

/// Moderators who press the button at once, among users who tap.
#[tokio::test]
async fn forgetting_at_once_counts_every_member_once() {
    for service in [Service::memory(), Service::redis()] {
        let (post, path) = (post(), |post: PostId| format!("/v1/posts/{post}/reactions"));
        let tap = |user: u64| {
            let path = format!("{}/like/users/{user}", path(post));
            let service = &service;
            async move { service.send("PUT", &path).await.ok(201) }
        };
        let forgets = || async { service.send("DELETE", &path(post)).await.ok(200) };
        join_all((1..=40).map(tap)).await;
        let (answers, _) =
            tokio::join!(join_all((0..8).map(|_| forgets())), join_all((41..=80).map(tap)));
        let removed: u64 = answers.iter().map(|answer| answer["removed"].as_u64().unwrap()).sum();
        let left = summary(&service, post).await["total"].as_u64().unwrap();
        assert_eq!(removed + left, 80);
        // A post that nobody has ever reacted to.
        let unknown = service.send("DELETE", &path(posts(1)[0])).await.ok(200);
        assert_eq!(unknown["removed"], 0);
    }
}
