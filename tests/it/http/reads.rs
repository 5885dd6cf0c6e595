//! Reads over HTTP: summaries, pages of posts, reactors, ETags, cursors.

use onetap::domain::PostId;
use serde_json::{Value, json};

use crate::support::post;
use crate::support::service::Service;

async fn put(service: &Service, post: PostId, reaction: &str, user: u64) {
    let path = format!("/v1/posts/{post}/reactions/{reaction}/users/{user}");
    service.send("PUT", &path).await.ok(201);
}

async fn get(service: &Service, path: &str) -> Value {
    service.send("GET", path).await.ok(200)
}

#[tokio::test]
async fn a_summary_has_the_fields_that_were_asked_for() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        let path = format!("/v1/posts/{post}/reactions");
        let empty = get(&service, &path).await;
        let expected = json!({ "post_id": post.to_string(), "revision": empty["revision"],
            "palette": "default", "add": "all", "locked": false, "total": 0, "reactions": [] });
        assert_eq!(empty, expected);

        put(&service, post, "love", 1).await;
        put(&service, post, "%F0%9F%91%8D", 1).await;
        put(&service, post, "%F0%9F%91%8D", 2).await;
        let plain = get(&service, &path).await;
        let expected = json!({ "post_id": post.to_string(), "revision": plain["revision"],
            "palette": "default", "add": "all", "locked": false, "total": 3,
            "reactions": [{"reaction": "👍", "count": 2}, {"reaction": "love", "count": 1}] });
        assert_eq!(plain, expected);

        let seen = get(&service, &format!("{path}?user_id=2&recent=1")).await;
        let recent = seen["reactions"][0]["recent"].as_array().unwrap();
        assert_eq!(recent.len(), 1);
        assert_eq!(recent[0]["user_id"], "2");
        assert_eq!(
            recent[0]["reacted_at"].as_str().unwrap().len(),
            "2026-11-25T08:30:00.000001Z".len()
        );
        assert_eq!(seen["reactions"][0]["mine"], true);
        assert_eq!(seen["reactions"][1]["mine"], false);
    }
}

#[tokio::test]
async fn an_etag_is_for_one_viewer_and_one_answer() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        put(&service, post, "like", 1).await;
        let single = format!("/v1/posts/{post}/reactions?user_id");
        let page = format!("/v1/posts/reactions?post_id={post}&user_id");
        for path in [single, page] {
            let mut connection = service.connect().await;
            let first = connection.send("GET", format!("{path}=1"), &[], "").await;
            let tag = first.header("etag").expect("an ETag").to_owned();
            assert_eq!(first.header("vary"), Some("Authorization"));
            for held in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
                let headers = [("if-none-match", held.as_str())];
                let again = connection.send("GET", format!("{path}=1"), &headers, "").await;
                assert_eq!((again.status, again.body.as_str()), (304, ""), "{held}");
                assert_eq!(again.header("etag"), Some(tag.as_str()));
                assert_eq!(again.header("vary"), Some("Authorization"));
            }
            let held = [("if-none-match", tag.as_str())];
            connection.send("GET", format!("{path}=9"), &held, "").await.ok(200);
            put(&service, post, "like", if path.contains("post_id") { 3 } else { 2 }).await;
            let changed = connection.send("GET", format!("{path}=1"), &held, "").await;
            changed.ok(200);
            assert_ne!(changed.header("etag"), Some(tag.as_str()));
        }
    }
}

#[tokio::test]
async fn a_page_of_posts_comes_in_the_order_asked_each_once() {
    for service in [Service::memory(), Service::redis()] {
        let posts: Vec<PostId> = (0..5).map(|_| post()).collect();
        put(&service, posts[1], "like", 7).await;
        put(&service, posts[3], "like", 8).await;
        let asked = [3, 0, 1, 3, 4, 0].map(|i: usize| posts[i].to_string());
        let query = asked.iter().map(|id| format!("post_id={id}")).collect::<Vec<_>>().join("&");
        let by_get = get(&service, &format!("/v1/posts/reactions?{query}&user_id=7")).await;
        let order: Vec<_> =
            by_get["posts"].as_array().unwrap().iter().map(|p| p["post_id"].clone()).collect();
        assert_eq!(order, [3, 0, 1, 4].map(|i: usize| json!(posts[i].to_string())));
        assert_eq!(by_get["posts"][2]["reactions"][0]["mine"], true);
        assert_eq!(by_get["posts"][0]["reactions"][0]["mine"], false);
        for user in [json!("7"), json!(7)] {
            let body = json!({ "post_ids": asked, "user_id": user, "recent": 1 }).to_string();
            let by_post =
                service.send_json("POST", "/v1/posts/reactions/query", &body).await.ok(200);
            assert_eq!(by_post["posts"].as_array().unwrap().len(), 4);
            assert_eq!(by_post["posts"][2]["reactions"][0]["mine"], true);
            assert_eq!(by_post["posts"][2]["reactions"][0]["recent"][0]["user_id"], "7");
        }
    }
}

#[tokio::test]
async fn a_page_of_posts_has_its_bounds() {
    let service = Service::memory();
    let query =
        |n: usize| (0..n).map(|_| format!("post_id={}", post())).collect::<Vec<_>>().join("&");
    let path = |query: &str| format!("/v1/posts/reactions?{query}");
    assert_eq!(get(&service, &path(&query(100))).await["posts"].as_array().unwrap().len(), 100);
    service.send("GET", &path(&query(101))).await.assert_problem(400, "invalid_query");
    service.send("GET", "/v1/posts/reactions").await.assert_problem(400, "invalid_query");
    service.send("GET", &path("post_id=x")).await.assert_problem(400, "invalid_post_id");
    // A double counts once, also towards the bound.
    let double = format!("{}&post_id={}", query(99), post());
    let last = double.rsplit('=').next().unwrap().to_owned();
    get(&service, &path(&format!("{double}&post_id={last}"))).await;

    let ids = |n: usize| (0..n).map(|_| post().to_string()).collect::<Vec<_>>();
    for (body, code) in [
        (json!({ "post_ids": ids(101) }), "invalid_body"),
        (json!({ "post_ids": [] }), "invalid_body"),
        (json!({}), "invalid_body"),
        (json!({ "post_ids": "x" }), "invalid_body"),
        (json!({ "post_ids": [1] }), "invalid_post_id"),
        (json!({ "post_ids": [null] }), "invalid_body"),
        (json!({ "post_ids": ids(1), "limit": 1 }), "invalid_body"),
        (json!({ "post_ids": ids(1), "recent": 21 }), "invalid_body"),
        (json!({ "post_ids": ids(1), "recent": -1 }), "invalid_body"),
        (json!({ "post_ids": ids(1), "user_id": true }), "invalid_body"),
        (json!({ "post_ids": ids(1), "user_id": 0 }), "invalid_user_id"),
        (json!({ "post_ids": ids(1), "user_id": -1 }), "invalid_user_id"),
        (json!({ "post_ids": ids(1), "user_id": 1.5 }), "invalid_user_id"),
        (json!({ "post_ids": ids(1), "user_id": "01" }), "invalid_user_id"),
        (
            json!({ "post_ids": ids(1), "user_id": 9_223_372_036_854_775_808_u64 }),
            "invalid_user_id",
        ),
        (json!({ "post_ids": ["nil"] }), "invalid_post_id"),
    ] {
        let response =
            service.send_json("POST", "/v1/posts/reactions/query", &body.to_string()).await;
        response.assert_problem(400, code);
    }
    let body = json!({ "post_ids": ids(100) }).to_string();
    service.send_json("POST", "/v1/posts/reactions/query", &body).await.ok(200);
}

#[tokio::test]
async fn queries_are_read_strictly() {
    let service = Service::memory();
    let post = post();
    let summary = format!("/v1/posts/{post}/reactions");
    let reactors = format!("/v1/posts/{post}/reactions/like/users");
    let all = format!("/v1/posts/{post}/users");
    for limit in ["0", "101", "-1", "x", "", "+5", "1.0", "99999999999999999999999"] {
        for path in [&reactors, &all] {
            let response = service.send("GET", &format!("{path}?limit={limit}")).await;
            response.assert_problem(400, "invalid_query");
        }
    }
    for query in ["recent=21", "recent=-1", "recent=x", "limit=5", "recent=1&recent=2", "x"] {
        let response = service.send("GET", &format!("{summary}?{query}")).await;
        response.assert_problem(400, "invalid_query");
    }
    for user in ["0", "01", "-1", "+1", "x", "", "9223372036854775808", "1%00"] {
        let response = service.send("GET", &format!("{summary}?user_id={user}")).await;
        response.assert_problem(400, "invalid_user_id");
    }
    get(&service, &format!("{reactors}?limit=100")).await;
    get(&service, &format!("{summary}?recent=20&user_id=9223372036854775807")).await;
}

#[tokio::test]
async fn reactors_come_in_pages_that_link_to_the_next() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        for user in 1..=7 {
            put(&service, post, "like", user).await;
        }
        put(&service, post, "love", 3).await;
        let mut expected: Vec<Value> = (1..=7).rev().map(|user| json!(user.to_string())).collect();
        let (reactors, all) =
            (format!("/v1/posts/{post}/reactions/like/users"), format!("/v1/posts/{post}/users"));
        assert_eq!(walk(&service, &reactors).await, expected);
        expected.insert(0, json!("3"));
        assert_eq!(walk(&service, &all).await, expected);
        let newest = get(&service, &format!("{all}?limit=1")).await;
        assert_eq!(newest["users"][0]["reaction"], "love");
        let default = get(&service, &all).await;
        assert_eq!(default["users"].as_array().unwrap().len(), 8);
        assert_eq!(default["next_cursor"], Value::Null);
    }
}

/// Follows the `Link` of each page of three.
async fn walk(service: &Service, path: &str) -> Vec<Value> {
    let (mut users, mut next) = (Vec::new(), format!("{path}?limit=3"));
    loop {
        let response = service.send("GET", &next).await;
        let page = response.ok(200);
        users.extend(page["users"].as_array().unwrap().iter().map(|user| user["user_id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(response.header("link"), None);
            return users;
        };
        let link = response.header("link").unwrap();
        next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert_eq!(next, format!("{path}?limit=3&cursor={cursor}"));
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_alone() {
    let service = Service::memory();
    let (post, other) = (post(), post());
    for user in 1..=3 {
        put(&service, post, "like", user).await;
        put(&service, post, "love", user).await;
        put(&service, other, "like", user).await;
    }
    let list = |post: PostId, rest: &str| format!("/v1/posts/{post}/{rest}?limit=1");
    let like = list(post, "reactions/like/users");
    let cursor = get(&service, &like).await["next_cursor"].as_str().unwrap().to_owned();
    get(&service, &format!("{like}&cursor={cursor}")).await;
    for path in [
        list(other, "reactions/like/users"),
        list(post, "reactions/love/users"),
        list(post, "users"),
    ] {
        let response = service.send("GET", &format!("{path}&cursor={cursor}")).await;
        response.assert_problem(400, "invalid_cursor");
    }
    let mut forged: Vec<String> = (0..cursor.len()).map(|n| cursor[..n].to_owned()).collect();
    for i in 0..cursor.len() {
        let swapped = if &cursor[i..=i] == "A" { "B" } else { "A" };
        let mut text = cursor.clone();
        text.replace_range(i..=i, swapped);
        forged.push(text);
    }
    forged.extend([format!("{cursor}A"), format!("{cursor}="), "%00".into(), "x".repeat(5000)]);
    for cursor in forged {
        let response = service.send("GET", &format!("{like}&cursor={cursor}")).await;
        response.assert_problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn what_there_is_not_is_a_problem_too() {
    let service = Service::memory();
    let post = post();
    for path in
        ["/docs/%FF", "/v1", "/v2/posts", "/v1/posts/", "/nothing", "/docs/nothing.js", "//healthz"]
    {
        service.send("GET", path).await.assert_problem(404, "not_found");
    }
    for (method, path, allow) in [
        ("GET", format!("/v1/posts/{post}/reactions/like/users/7/toggle"), "POST"),
        ("PATCH", format!("/v1/posts/{post}/reactions/like/users/7"), "PUT,DELETE"),
        ("DELETE", format!("/v1/posts/{post}/users"), "GET,HEAD"),
        ("POST", "/healthz".into(), "GET,HEAD"),
        ("BREW", "/healthz".into(), "GET,HEAD"),
    ] {
        let response = service.send(method, &path).await;
        response.assert_problem(405, "method_not_allowed");
        assert_eq!(response.header("allow"), Some(allow), "{method} {path}");
    }
    let long = format!("/v1/posts/{post}/reactions?user_id={}", "1".repeat(8192));
    service.send("GET", &long).await.assert_problem(414, "uri_too_long");
    let head = service.send("HEAD", &format!("/v1/posts/{post}/reactions")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
