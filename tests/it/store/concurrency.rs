//! Public reports on races and counters (`B…` are their numbers), over HTTP with many connections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::Barrier;

use crate::support::post;
use crate::support::service::Service;

/// Sends a request on each of `n` connections at the same time. Asserts that they overlapped.
async fn at_once(
    service: &Service,
    n: usize,
    request: impl Fn(usize) -> (&'static str, String),
) -> Vec<(u16, Value)> {
    let barrier = Arc::new(Barrier::new(n));
    let mut tasks = Vec::new();
    for i in 0..n {
        let mut connection = service.connect().await;
        let (method, path) = request(i);
        let barrier = Arc::clone(&barrier);
        tasks.push(tokio::spawn(async move {
            barrier.wait().await;
            let sent = Instant::now();
            let response = connection.send(method, path, &[], "").await;
            (sent, Instant::now(), response.status, response.json())
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    // The most requests on their way at one moment.
    let sent = answers.iter().map(|(sent, ..)| (*sent, 1));
    let mut moments: Vec<_> = sent.chain(answers.iter().map(|(_, at, ..)| (*at, -1))).collect();
    moments.sort_unstable();
    let in_flight = moments.iter().scan(0, |now, (_, step)| {
        *now += step;
        Some(*now)
    });
    assert!(in_flight.max() >= Some(2), "one after the other, the requests prove nothing");
    answers.into_iter().map(|(_, _, status, body)| (status, body)).collect()
}

/// Asserts that counts equal members, and that all calls of the API agree.
async fn assert_invariant(service: &Service, post: &str, expected: &[(&str, &[u64])]) {
    let summary = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
    let listed: Vec<_> = summary["reactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["reaction"].as_str().unwrap(), r["count"].as_u64().unwrap()))
        .collect();
    let counted: Vec<_> =
        expected.iter().map(|(name, users)| (*name, users.len() as u64)).collect();
    assert_eq!(listed, counted);
    assert_eq!(summary["total"].as_u64(), Some(counted.iter().map(|(_, n)| n).sum()));
    for (name, users) in expected {
        let path = format!("/v1/posts/{post}/reactions/{name}/users?limit=100");
        let who = service.send("GET", &path).await.ok(200);
        let who: BTreeSet<u64> = who["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|u| u["user_id"].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(who, users.iter().copied().collect());
    }
}

/// Reported as zulip/zulip#21213: 50 identical adds at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_identical_adds_change_one_thing() {
    for (service, posts) in [(Service::memory(), 20), (Service::redis(), 200)] {
        for _ in 0..posts {
            let post = post().to_string();
            let path = format!("/v1/posts/{post}/reactions/like/users/7");
            let answers = at_once(&service, 50, |_| ("PUT", path.clone())).await;
            let changed = answers.iter().filter(|(_, body)| body["changed"] == true).count();
            assert_eq!(changed, 1);
            for (status, body) in answers {
                assert_eq!(status, if body["changed"] == true { 201 } else { 200 });
                assert_eq!((&body["active"], &body["count"]), (&true.into(), &1.into()));
            }
            assert_invariant(&service, &post, &[("like", &[7])]).await;
        }
    }
}

/// Reported as misskey-dev/misskey#6252: key repeat on a user's own reaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_toggles_leaves_others_alone() {
    for service in [Service::memory(), Service::redis()] {
        let post = post().to_string();
        let user = |id: u64| format!("/v1/posts/{post}/reactions/like/users/{id}");
        for id in 2..=5 {
            service.send("PUT", &user(id)).await.ok(201);
        }
        let toggle = format!("{}/toggle", user(1));
        for taps in [101, 100] {
            let mut answers: Vec<_> = at_once(&service, taps, |_| ("POST", toggle.clone()))
                .await
                .into_iter()
                .map(|(status, body)| {
                    assert_eq!(status, 200);
                    (body["revision"].as_u64(), body["active"].as_bool(), body["count"].as_u64())
                })
                .collect();
            answers.sort_unstable();
            for pair in answers.windows(2) {
                assert!(pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1, "{pair:?}");
            }
            assert!(
                answers.iter().all(|(_, on, n)| *n == Some(if *on == Some(true) { 5 } else { 4 }))
            );
            assert_invariant(&service, &post, &[("like", &[1, 2, 3, 4, 5])]).await;
        }
        assert_eq!(service.send("DELETE", &user(1)).await.ok(200)["count"], 4);
        assert_invariant(&service, &post, &[("like", &[2, 3, 4, 5])]).await;
    }
}

/// Reported as sublinks-java/sublinks-api#311: many users at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_counted_to_the_last() {
    for service in [Service::memory(), Service::redis()] {
        let post = post().to_string();
        let watcher = format!("/v1/posts/{post}/reactions");
        let path = |i: usize| format!("/v1/posts/{post}/reactions/like/users/{}", i + 1);
        let answers = at_once(&service, 200, |i| ("PUT", path(i))).await;
        let counts: BTreeSet<u64> =
            answers.iter().map(|(_, body)| body["count"].as_u64().unwrap()).collect();
        assert_eq!(counts, (1..=200).collect());
        let seen = service.send("GET", &watcher).await.ok(200);
        assert_eq!(seen["total"], 200);
        // What is read after a reply never shows less than the reply did.
        for i in (0..200).step_by(20) {
            let told = service.send("DELETE", &path(i)).await.ok(200)["count"].as_u64().unwrap();
            assert_eq!(service.send("GET", &watcher).await.ok(200)["total"].as_u64(), Some(told));
        }
    }
}

/// Reported as AOSSIE-Org/DebateAI#475: removals without effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn surplus_unlikes_take_nothing_off() {
    for service in [Service::memory(), Service::redis()] {
        let post = post().to_string();
        let path = |id: u64| format!("/v1/posts/{post}/reactions/like/users/{id}");
        for id in [1, 2] {
            service.send("PUT", &path(id)).await.ok(201);
        }
        let own = at_once(&service, 100, |_| ("DELETE", path(1))).await;
        assert_eq!(own.iter().filter(|(_, body)| body["changed"] == true).count(), 1);
        let strange = at_once(&service, 20, |_| ("DELETE", path(9))).await;
        for (status, body) in own.iter().chain(&strange) {
            assert_eq!((*status, &body["active"], &body["count"]), (200, &false.into(), &1.into()));
        }
        assert!(strange.iter().all(|(_, body)| body["changed"] == false));
        assert_invariant(&service, &post, &[("like", &[2])]).await;
        service.send("DELETE", &path(2)).await.ok(200);
        assert_invariant(&service, &post, &[]).await;
    }
}

/// Reported as redis/redis#5965, #2721: on posts without reactions no field is missing or in
/// another place.
#[tokio::test]
async fn all_fields_are_there_on_new_and_emptied_posts() {
    for service in [Service::memory(), Service::redis()] {
        let (known, emptied, new) = (post(), post(), post());
        for (post, taps) in [(known, 1), (emptied, 2)] {
            for n in 0..taps {
                let path = format!("/v1/posts/{post}/reactions/like/users/1/toggle");
                let answer = service.send("POST", &path).await.ok(200);
                let fields: Vec<&String> = answer.as_object().unwrap().keys().collect();
                let all = [
                    "active", "changed", "count", "post_id", "reaction", "replaced", "revision",
                    "user_id",
                ];
                assert_eq!(fields, all);
                assert_eq!(answer["count"], 1 - n);
            }
        }
        let orders = [[known, emptied, new], [new, known, emptied], [emptied, new, known]];
        for order in orders {
            let query: Vec<_> = order.iter().map(|post| format!("post_id={post}")).collect();
            let path = format!("/v1/posts/reactions?{}&user_id=1&recent=2", query.join("&"));
            let page = service.send("GET", &path).await.ok(200);
            let posts = page["posts"].as_array().unwrap();
            assert_eq!(posts.len(), 3);
            for (asked, answered) in order.iter().zip(posts) {
                assert_eq!(answered["post_id"], asked.to_string());
                assert_eq!(answered["total"], u64::from(*asked == known));
                assert!(answered["revision"].is_u64());
            }
        }
    }
}

/// discourse/discourse#7691: locks taken in opposite orders. Clients read pages and send taps from
/// the first post to the last, and from the last to the first. All get their responses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_in_opposite_orders_wait_for_nobody() {
    const POSTS: usize = 40;
    const CLIENTS: u64 = 16;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    for service in [Service::memory(), Service::with(&["--store", &file]), Service::redis()] {
        let posts: Vec<String> = (0..POSTS).map(|_| post().to_string()).collect();
        let mut clients = tokio::task::JoinSet::new();
        for user in 1..=CLIENTS {
            let (mut connection, mut posts) = (service.connect().await, posts.clone());
            if user % 2 == 0 {
                posts.reverse();
            }
            clients.spawn(async move {
                let page = serde_json::json!({ "post_ids": posts, "user_id": user, "recent": 2 });
                let (page, json) = (page.to_string(), [("content-type", "application/json")]);
                for round in 0..10 {
                    let method = if round % 2 == 0 { "PUT" } else { "DELETE" };
                    // As fast as they are taken, one after the other.
                    let taps = posts.iter().map(|post| {
                        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
                        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
                    });
                    connection.write(taps.collect::<String>().as_bytes()).await;
                    for _ in &posts {
                        let answer = connection.read().await.unwrap();
                        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
                    }
                    let path = "/v1/posts/reactions/query";
                    let seen = connection.send("POST", path, &json, &page).await.ok(200);
                    for (seen, post) in seen["posts"].as_array().unwrap().iter().zip(&posts) {
                        assert_eq!(seen["post_id"], *post);
                        let like = &seen["reactions"][0];
                        assert_eq!(like["mine"] == true, round % 2 == 0, "{seen}");
                    }
                }
                // Users with an even number leave their reactions on.
                if user % 2 == 0 {
                    for post in &posts {
                        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
                        connection.send("PUT", path, &[], "").await.ok(201);
                    }
                }
            });
        }
        clients.join_all().await;
        let left: Vec<u64> = (1..=CLIENTS).filter(|user| user % 2 == 0).collect();
        for post in &posts {
            assert_invariant(&service, post, &[("like", &left)]).await;
        }
    }
}
