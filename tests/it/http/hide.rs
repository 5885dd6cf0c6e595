//! `hide`: users that names and lists leave out. Counts include them.

use std::fmt::Write as _;

use onetap::domain::PostId;
use serde_json::{Value, json};

use crate::support::post;
use crate::support::service::Service;

/// A post on which these users have reacted, in this order.
async fn reacted(service: &Service, users: impl IntoIterator<Item = u64>) -> PostId {
    let post = post();
    for user in users {
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
        service.send("PUT", &path).await.ok(201);
    }
    post
}

fn ids(users: &Value) -> Vec<u64> {
    let users = users.as_array().unwrap().iter();
    users.map(|user| user["user_id"].as_str().unwrap().parse().unwrap()).collect()
}

fn hide(users: impl IntoIterator<Item = u64>) -> String {
    users.into_iter().fold(String::new(), |mut query, user| {
        write!(query, "&hide={user}").unwrap();
        query
    })
}

#[tokio::test]
async fn hidden_users_are_in_no_summary_and_counts_stay() {
    for service in [Service::memory(), Service::redis()] {
        let post = reacted(&service, 1..=30).await;
        let single = format!("/v1/posts/{post}/reactions?recent=3{}", hide([30, 28, 30]));
        let seen = service.send("GET", &single).await.ok(200);
        assert_eq!(seen["reactions"][0]["count"], 30);
        assert_eq!(ids(&seen["reactions"][0]["recent"]), [29, 27, 26]);
        let page = format!("/v1/posts/reactions?post_id={post}&recent=2&hide=30");
        let seen = service.send("GET", &page).await.ok(200);
        assert_eq!(ids(&seen["posts"][0]["reactions"][0]["recent"]), [29, 28]);
        // In a body an id may be a string or an integer.
        let question = json!({ "post_ids": [post.to_string()], "recent": 2, "hide": ["30", 29] });
        let path = "/v1/posts/reactions/query";
        let seen = service.send_json("POST", path, &question.to_string()).await.ok(200);
        assert_eq!(ids(&seen["posts"][0]["reactions"][0]["recent"]), [28, 27]);
        // onetap reads at most twenty users beyond what the call asked for.
        let all = format!("/v1/posts/{post}/reactions?recent=3{}", hide(8..=30));
        let seen = service.send("GET", &all).await.ok(200);
        assert_eq!(ids(&seen["reactions"][0]["recent"]), Vec::<u64>::new());
        assert_eq!(seen["reactions"][0]["count"], 30);
    }
}

/// Reads a list to its end, page by page.
async fn pages(service: &Service, post: PostId, question: Value) -> Vec<Vec<u64>> {
    let (mut pages, mut cursor) = (Vec::new(), Value::Null);
    let path = format!("/v1/posts/{post}/users/query");
    loop {
        let mut question = question.clone();
        if !cursor.is_null() {
            question["cursor"] = cursor;
        }
        let page = service.send_json("POST", &path, &question.to_string()).await.ok(200);
        pages.push(ids(&page["users"]));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return pages;
        }
    }
}

#[tokio::test]
async fn a_list_without_hidden_users_goes_on_to_its_end() {
    for service in [Service::memory(), Service::redis()] {
        let post = reacted(&service, 1..=60).await;
        let hidden: Vec<u64> = (1..=60).filter(|user| user % 3 != 0).collect();
        let expected: Vec<u64> = (1..=60).rev().filter(|user| user % 3 == 0).collect();
        for reaction in [json!("like"), Value::Null] {
            let question = json!({ "reaction": reaction, "limit": 4, "hide": hidden });
            let read = pages(&service, post, question).await;
            assert_eq!(read.concat(), expected, "{reaction}");
            assert!(read.iter().all(|page| page.len() <= 4));
        }
        // If all users that onetap read are hidden, the page is empty and the list goes on.
        let hidden: Vec<u64> = (2..=60).collect();
        let read = pages(&service, post, json!({ "limit": 5, "hide": hidden })).await;
        assert_eq!(read, [vec![], vec![], vec![1]]);
        // The list by GET does the same, and its link to the next page keeps what is hidden.
        let path = format!("/v1/posts/{post}/reactions/like/users?limit=2&hide=60&%68ide=59");
        let first = service.send("GET", &path).await;
        let link = first.header("link").expect("a link to the next page").to_owned();
        assert_eq!(ids(&first.ok(200)["users"]), [58, 57]);
        let next = link.split(['<', '>']).nth(1).unwrap();
        assert!(next.ends_with("&hide=60&%68ide=59"), "{next}");
        assert_eq!(ids(&service.send("GET", next).await.ok(200)["users"]), [56, 55]);
    }
}

#[tokio::test]
async fn who_asks_for_both_lists_in_a_body_is_answered_as_by_get() {
    let service = Service::memory();
    let post = reacted(&service, [1, 2]).await;
    service.send("PUT", &format!("/v1/posts/{post}/reactions/love/users/1")).await.ok(201);
    let path = format!("/v1/posts/{post}/users/query");
    for (question, same) in [
        ("{}", format!("/v1/posts/{post}/users")),
        ("", format!("/v1/posts/{post}/users")),
        (
            r#"{"reaction":"like","limit":1}"#,
            format!("/v1/posts/{post}/reactions/like/users?limit=1"),
        ),
    ] {
        let asked = service.send_json("POST", &path, question).await.ok(200);
        assert_eq!(asked, service.send("GET", &same).await.ok(200), "{question}");
    }
}

#[tokio::test]
async fn too_many_and_invalid_hidden_users_are_refused() {
    let service = Service::memory();
    let post = reacted(&service, [1]).await;
    let query = format!("/v1/posts/{post}/users/query");
    let many = |users: u64| json!({ "hide": (1..=users).collect::<Vec<_>>() }).to_string();
    service.send_json("POST", &query, &many(500)).await.ok(200);
    for (path, body, code) in [
        (&*query, &*many(501), "invalid_body"),
        (
            "/v1/posts/reactions/query",
            &json!({ "post_ids": [post.to_string()],
            "hide": (1..=501).collect::<Vec<_>>() })
            .to_string(),
            "invalid_body",
        ),
        (&query, r#"{"hide":["0"]}"#, "invalid_user_id"),
        (&query, r#"{"hide":[true]}"#, "invalid_body"),
        (&query, r#"{"limit":0}"#, "invalid_body"),
        (&query, r#"{"limit":101}"#, "invalid_body"),
        (&query, r#"{"cursor":"x"}"#, "invalid_cursor"),
        (&query, r#"{"reaction":"No"}"#, "invalid_reaction"),
        (&query, r#"{"hidden":[1]}"#, "invalid_body"),
    ] {
        service.send_json("POST", path, body).await.assert_problem(400, code);
    }
    let me = service.send_json("POST", &query, r#"{"hide":["me"]}"#).await;
    me.assert_problem(401, "unauthenticated");
    for query in ["hide=0", "hide=", "hide=%2B1"] {
        let path = format!("/v1/posts/{post}/reactions?{query}");
        service.send("GET", &path).await.assert_problem(400, "invalid_user_id");
    }
    let path = format!("/v1/posts/{post}/users?{}", &hide(1..=501)[1..]);
    service.send("GET", &path).await.assert_problem(400, "invalid_query");
}
