//! What docs/privacy.md says is stored about a person, and what is left after an erasure.

use std::collections::BTreeSet;

use redis::aio::MultiplexedConnection;
use serde_json::Value;

use super::commands::{read, run};
use super::moderation::snippet;
use crate::support::http::Connection;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{post, posts};

/// An id that stands nowhere by chance.
const ANNA: &str = "anna.private@mail.example";

async fn ask<T: redis::FromRedisValue>(client: &mut MultiplexedConnection, words: &[&str]) -> T {
    redis::cmd(words[0]).arg(&words[1..]).query_async(client).await.unwrap()
}

/// The kinds of keys whose name or value has the id.
async fn kinds_with(id: &str, client: &mut MultiplexedConnection) -> BTreeSet<&'static str> {
    let keys: Vec<String> = ask(client, &["KEYS", "*"]).await;
    let mut kinds = BTreeSet::new();
    for key in keys {
        let kind: String = ask(client, &["TYPE", &key]).await;
        let read: &[&str] = match kind.as_str() {
            "string" => &["GET", &key],
            "hash" => &["HGETALL", &key],
            "zset" => &["ZRANGE", &key, "0", "-1"],
            "stream" => &["XRANGE", &key, "-", "+"],
            "set" => &["SMEMBERS", &key],
            other => panic!("{key} is a {other}"),
        };
        let value: redis::Value = ask(client, read).await;
        if key.contains(id) || contains(&value, id.as_bytes()) {
            kinds.insert(match key.split_once("}:").map_or("layout", |(_, rest)| rest) {
                rest if rest.starts_with("p:") && kind == "zset" => "members",
                rest if rest.starts_with("u:") => "index",
                rest if rest.starts_with("d:job") => "job",
                "log" => "log",
                other => panic!("{other} has the id: {value:?}"),
            });
        }
    }
    kinds
}

fn contains(value: &redis::Value, part: &[u8]) -> bool {
    match value {
        redis::Value::BulkString(bytes) => bytes.windows(part.len()).any(|found| found == part),
        redis::Value::Array(values) => values.iter().any(|value| contains(value, part)),
        _ => false,
    }
}

/// The output of a snippet of the page, sent to this service and about Anna.
async fn curl(name: &str, service: &Program) -> String {
    let lines = snippet(&read("docs/privacy.md"), name)
        .replace("127.0.0.1:8080", &service.address.to_string())
        .replace("users/42", &format!("users/{ANNA}"));
    let output = run(lines).await;
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_on_privacy_names_all_that_is_stored_and_an_erasure_leaves_what_it_says() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let mut client = redis.client().await;
    let service = Program::start(&["--store", &redis.url(), "--user-ids", "text"]);
    service.until_ready().await;
    let mut connection = Connection::open(service.address).await;
    let (all, forgotten) = (posts(8), post());
    for (i, post) in all.iter().chain([&forgotten]).enumerate() {
        let (key, user) = (format!("key-{i}"), [ANNA, "ben"][i % 4 / 3]);
        let key = [("idempotency-key", key.as_str())];
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
        connection.send("PUT", path, &key, "").await.ok(201);
        let path = format!("/v1/posts/{post}/reactions/love/users/{ANNA}");
        connection.send("PUT", path, &[], "").await.ok(201);
    }
    connection.send("DELETE", format!("/v1/posts/{forgotten}/reactions"), &[], "").await.ok(200);
    // Moderators are people, too.
    let anna = [("onetap-actor", ANNA)];
    connection.send("PUT", format!("/v1/posts/{}/lock", all[0]), &anna, "").await.ok(200);
    // A write that fails has a line in the log.
    let path = format!("/v1/posts/{}/reactions/sad/users/{ANNA}", all[0]);
    connection.send("PUT", path, &[], "").await.assert_problem(403, "reactions_locked");
    service.until_logged("reactions_locked").await;
    assert_eq!(kinds_with(ANNA, &mut client).await, ["index", "log", "members"].into());

    let given: Value = serde_json::from_str(&curl("given", &service).await).unwrap();
    let mut told: Vec<String> = Vec::new();
    for one in given["reactions"].as_array().unwrap() {
        told.push(format!("{} {}", one["post_id"], one["reaction"]));
    }
    let mut held = Vec::new();
    for post in &all {
        let path = format!("/v1/posts/{post}/users");
        let users = connection.send("GET", path, &[], "").await.ok(200);
        for user in users["users"].as_array().unwrap().iter().filter(|user| user["user_id"] == ANNA)
        {
            held.push(format!("\"{post}\" {}", user["reaction"]));
        }
    }
    told.sort();
    held.sort();
    assert_eq!(told, held);
    assert!(held.len() > 8, "{held:?}");

    let answer = curl("erase", &service).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let job = || service.send("GET", location);
    service.until("erased", || async { job().await.ok(200)["state"] == "done" }).await;
    assert_eq!(kinds_with(ANNA, &mut client).await, ["job", "log"].into());
    let left: Value = serde_json::from_str(&curl("given", &service).await).unwrap();
    assert_eq!(left["reactions"], serde_json::json!([]));
    for post in &all {
        let path = format!("/v1/posts/{post}/users");
        let users = connection.send("GET", path, &[], "").await.ok(200);
        let ben = users["users"].as_array().unwrap().iter().all(|user| user["user_id"] == "ben");
        assert!(ben, "{users}");
    }
    // The documents of the job expire.
    let documents: Vec<String> = ask(&mut client, &["KEYS", "*:d:job*"]).await;
    let mut with_anna = 0;
    for key in documents {
        let value: redis::Value = ask(&mut client, &["GET", &key]).await;
        if contains(&value, ANNA.as_bytes()) {
            let millis: i64 = ask(&mut client, &["PTTL", &key]).await;
            assert!((1..=60 * 86_400_000).contains(&millis), "{key} expires: {millis}");
            with_anna += 1;
        }
    }
    assert!(with_anna > 0);
    assert!(!service.log().contains(ANNA), "{}", service.log());
}
