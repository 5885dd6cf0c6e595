//! What a revision guarantees and what it does not, after clocks that jump and changes that get
//! lost.

use redis::AsyncCommands as _;

use crate::support::redis_server::RedisServer;
use crate::support::service::Service;
use crate::support::{post, prefix, two_posts_of_one_partition};

/// A store that lost its newest changes may use a revision again, for another state.
#[tokio::test]
async fn a_revision_that_is_given_out_twice_is_no_match() {
    let prefix = prefix();
    let service = Service::redis_with_prefix(&prefix);
    let post = post();
    let mut connection = service.connect().await;
    let user = |id: u32| format!("/v1/posts/{post}/reactions/like/users/{id}");
    connection.send("PUT", user(1), &[], "").await.ok(201);
    for path in
        [format!("/v1/posts/{post}/reactions"), format!("/v1/posts/reactions?post_id={post}")]
    {
        let first = connection.send("GET", &path, &[], "").await;
        let tag = first.header("etag").unwrap().to_owned();
        let held = [("if-none-match", tag.as_str())];
        assert_eq!(connection.send("GET", &path, &held, "").await.status, 304);
        // Another count under the same revision.
        let mut redis =
            crate::support::redis_server::shared(crate::support::redis_server::Kind::Redis)
                .client()
                .await;
        let counts: Vec<String> = redis.keys(format!("{prefix}:*p:{post}")).await.unwrap();
        let _: u64 = redis.hincr(&counts[0], "like", 1).await.unwrap();
        let second = connection.send("GET", &path, &held, "").await;
        let (before, after) = (first.ok(200), second.ok(200));
        let revision = |body: &serde_json::Value| {
            body["posts"].get(0).unwrap_or(body)["revision"].as_u64().unwrap()
        };
        assert_eq!(revision(&before), revision(&after), "the test shows nothing");
    }
}

/// A post without state has a tag as well, and a page of such posts has one. A tag matches until the
/// first tap, and never again: the post without state that follows has another revision.
#[tokio::test]
async fn a_post_without_state_is_not_modified_until_its_first_tap() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    for service in [Service::memory(), Service::redis(), Service::with(&["--store", &file])] {
        let (mut connection, post) = (service.connect().await, post());
        let user = format!("/v1/posts/{post}/reactions/like/users/1");
        for path in
            [format!("/v1/posts/{post}/reactions"), format!("/v1/posts/reactions?post_id={post}")]
        {
            let mut tags = Vec::new();
            for _ in 0..2 {
                let first = connection.send("GET", &path, &[], "").await;
                let summary = first.ok(200);
                assert_eq!(summary["posts"].get(0).unwrap_or(&summary)["total"], 0);
                tags.push(first.header("etag").unwrap().to_owned());
                let held = tags.join(", ");
                let newest = [("if-none-match", tags.last().unwrap().as_str())];
                let again = connection.send("GET", &path, &newest, "").await;
                assert_eq!((again.status, again.body.as_str()), (304, ""), "{again:?}");
                assert_eq!(again.header("etag"), tags.last().map(String::as_str));
                connection.send("PUT", &user, &[], "").await.ok(201);
                let held = [("if-none-match", held.as_str())];
                assert_eq!(connection.send("GET", &path, &held, "").await.status, 200);
                connection.send("DELETE", &user, &[], "").await.ok(200);
                assert_eq!(connection.send("GET", &path, &held, "").await.status, 200);
            }
        }
    }
}

/// The revision of a post without state is the floor, which a clock cannot lower.
#[tokio::test]
async fn what_a_read_answered_the_next_write_goes_beyond() {
    let (server, clock) = RedisServer::with_shifted_clock();
    let service = Service::with(&["--store", &server.url()]);
    let mut connection = service.connect().await;
    let (filled, other) = two_posts_of_one_partition();
    let mut revision = async |method: &str, path: String| {
        let answer = connection.send(method, path, &[], "").await;
        assert!(answer.status < 300, "{answer:?}");
        answer.ok(answer.status)["revision"].as_u64().unwrap()
    };
    let read = |post| format!("/v1/posts/{post}/reactions");
    let user = |post| format!("/v1/posts/{post}/reactions/like/users/1");
    let mut last = revision("GET", read(other)).await;
    for offset in [0, -10, 3600, -3600, 0] {
        clock.shift(offset * 1000);
        let now = revision("GET", read(other)).await;
        assert!(now >= last, "{offset} s: {now} after {last}");
        let set = revision("PUT", user(filled)).await;
        assert!(set > now, "{offset} s");
        let gone = revision("DELETE", user(filled)).await;
        let [one, two] = [revision("GET", read(filled)).await, revision("GET", read(other)).await];
        assert!(gone > set && one == gone && two == gone, "{offset} s: {gone} {one} {two}");
        last = gone;
    }
}
