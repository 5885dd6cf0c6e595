//! Streams send what moderators do.

use std::time::Duration;

use crate::support::events::{Events, path};
use crate::support::post;
use crate::support::service::Service;

#[tokio::test]
async fn a_stream_sends_changed_rules_and_forgotten_posts() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        let like = format!("/v1/posts/{post}/reactions/like/users/1");
        let mut events = Events::open(service.address, &path(&[post])).await;
        assert_eq!(events.next().await.unwrap().data["locked"], false);
        service.send("PUT", &like).await.ok(201);
        assert_eq!(events.next().await.unwrap().total(), 1);
        for (method, what, body, field, value) in [
            ("PUT", "lock", "", "locked", "true"),
            ("PUT", "rules", r#"{"add":"existing"}"#, "add", r#""existing""#),
            ("DELETE", "lock", "", "locked", "false"),
            ("DELETE", "rules", "", "add", r#""all""#),
            ("DELETE", "reactions/like", "", "total", "0"),
        ] {
            let path = format!("/v1/posts/{post}/{what}");
            let answer = service.send_json(method, &path, body).await.ok(200);
            let event = events.next().await.unwrap();
            assert_eq!(event.data[field].to_string(), value, "{method} {what}");
            assert_eq!(answer["revision"], event.id, "{method} {what}");
            // It is what GET answers, to the letter.
            let summary = format!("/v1/posts/{post}/reactions");
            assert_eq!(event.data, service.send("GET", &summary).await.ok(200));
        }
        service.send("PUT", &like).await.ok(201);
        assert_eq!(events.next().await.unwrap().total(), 1);
        let all = format!(r#"{{"post_ids":["{post}"]}}"#);
        service.send_json("POST", "/v1/posts/reactions/forget", &all).await.ok(200);
        assert_eq!(events.next().await.unwrap().total(), 0);
        // What changes nothing is no event.
        service.send("DELETE", &format!("/v1/posts/{post}/lock")).await.ok(200);
        service.send_json("POST", "/v1/posts/reactions/forget", &all).await.ok(200);
        assert!(events.next_within(Duration::from_millis(400)).await.is_none());
    }
}
