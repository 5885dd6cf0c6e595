//! The limits on what one client can make the store keep, and what still works at these limits.

use crate::support::post;
use crate::support::service::Service;

/// A full memory store refuses a tap that adds, and a tap with a key that removes nothing. It accepts
/// other removals, and they make room again.
#[tokio::test]
async fn a_full_memory_store_refuses_what_would_add_to_it() {
    let service = Service::with(&["--store", "memory:", "--memory-max", "200KiB"]);
    let mut connection = service.connect().await;
    let posts: Vec<_> = (0..2000).map(|_| post()).collect();
    let path = |n: usize| format!("/v1/posts/{}/reactions/like/users/1", posts[n]);
    let mut counted = 0;
    let refused = loop {
        let answer = connection.send("PUT", path(counted), &[], "").await;
        if answer.status != 201 {
            break answer;
        }
        counted += 1;
        assert!(counted < posts.len(), "it is never full");
    };
    refused.assert_problem(503, "overloaded");
    assert!(counted > 100, "{counted} posts of some 800 bytes");
    let key = [("idempotency-key", "k")];
    let in_vain = connection.send("DELETE", path(counted), &key, "").await;
    in_vain.assert_problem(503, "overloaded");
    connection.send("DELETE", path(counted), &[], "").await.ok(200);
    let ready = connection.send("GET", "/healthz", &[], "").await;
    ready.ok(200);
    for n in 0..counted {
        let removed = connection.send("DELETE", path(n), &[], "").await.ok(200);
        assert_eq!(removed["changed"], true);
    }
    connection.send("PUT", path(counted), &key, "").await.ok(201);
}

/// At the limit of its partition, a post's taps with new keys get 503. Taps without a key go on. So one
/// post cannot use up the records that other posts need.
#[tokio::test]
async fn taps_with_keys_are_bounded_and_taps_without_go_on() {
    for store in ["memory:", "redis"] {
        let url =
            crate::support::redis_server::shared(crate::support::redis_server::Kind::Redis).url();
        let prefix = crate::support::prefix();
        let limit = ["--idempotency-max-records", "1000"];
        let service = match store {
            "redis" => {
                Service::with(&[&["--store", &url, "--key-prefix", &prefix], &limit[..]].concat())
            }
            _ => Service::with(&[&["--store", store], &limit[..]].concat()),
        };
        let mut connection = service.connect().await;
        let path = format!("/v1/posts/{}/reactions/like/users", post());
        let mut put = async |user: u32, key: &str| {
            let headers = [("idempotency-key", key)];
            let headers = if key.is_empty() { &[][..] } else { &headers[..] };
            connection.send("PUT", format!("{path}/{user}"), headers, "").await
        };
        // A partition may use an eighth of the 1000 records: 125. It may use half of them, 62, at once,
        // and the rest over time.
        for user in 1..=62 {
            put(user, "k").await.ok(201);
            if user < 62 {
                let replayed = put(user, "k").await;
                replayed.ok(201);
                assert_eq!(replayed.header("idempotency-replayed"), Some("true"), "for nothing");
            }
        }
        put(63, "k").await.assert_problem(503, "overloaded");
        put(63, "").await.ok(201);
    }
}
