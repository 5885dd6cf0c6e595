//! `--user-ids`: which ids users have, at every place that takes one, over every store.

use std::collections::HashSet;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::redis_server::{Kind, shared};
use crate::support::service::Service;
use crate::support::{post, prefix};

/// Ids of every form that the alphabet allows.
const TEXTS: [&str; 19] = [
    "a",
    "Z",
    "0",
    "007",
    "42",
    "9223372036854775808",
    "=",
    "-",
    "+",
    "...",
    "a_",
    "Me",
    "meme",
    "0192f0c1-2345-7890-abcd-ef0123456789",
    "@alice:matrix.example",
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "user+tag~1=x@mail.example",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@",
    "|:~=+-._@",
];

/// What is no id of either kind.
const NEVER: [&str; 22] = [
    "_", "_x", "a b", " a", "a\t", "a\u{0}", "é", "ａ", "a\u{301}", "{", "}", "{a}", "*", "a*",
    "%", "%41", "a,b", "a;b", "a\"b", "a\\b", "#", "..",
];

struct Store {
    service: Service,
    _folder: Option<TempDir>,
}

impl Store {
    fn memory(ids: &str) -> Self {
        Self { service: Service::with(&["--user-ids", ids]), _folder: None }
    }

    fn redis(ids: &str) -> Self {
        let (url, prefix) = (shared(Kind::Redis).url(), prefix());
        let args = ["--store", &url, "--key-prefix", &prefix, "--user-ids", ids];
        Self { service: Service::with(&args), _folder: None }
    }

    fn file(ids: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("file:{}", folder.path().join("store.redb").display());
        let service = Service::with(&["--store", &store, "--user-ids", ids]);
        Self { service, _folder: Some(folder) }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn path(post: &str, user: &str) -> String {
    format!("/v1/posts/{post}/reactions/like/users/{user}")
}

fn ids(users: &Value) -> Vec<String> {
    let users = users.as_array().unwrap().iter();
    users.map(|user| user["user_id"].as_str().unwrap().to_owned()).collect()
}

/// Each entrance that takes a user id refuses this one.
async fn is_refused(service: &Service, post: &str, id: &str, code: &str) {
    let status = if code == "unauthenticated" { 401 } else { 400 };
    let put = path(post, &encoded(id));
    for (method, path) in [
        ("PUT", put.clone()),
        ("DELETE", put.clone()),
        ("POST", format!("{put}/toggle")),
        ("GET", format!("/v1/posts/{post}/reactions?user_id={}", encoded(id))),
        ("GET", format!("/v1/posts/{post}/reactions?hide={}", encoded(id))),
        ("GET", format!("/v1/posts/reactions?post_id={post}&user_id={}", encoded(id))),
        ("GET", format!("/v1/posts/{post}/users?hide={}", encoded(id))),
    ] {
        service.send(method, &path).await.assert_problem(status, code);
    }
    for (path, body) in bodies(post, &json!(id)) {
        service.send_json("POST", &path, &body).await.assert_problem(status, code);
    }
}

/// Questions that name a user in the body.
fn bodies(post: &str, id: &Value) -> [(String, String); 3] {
    let query = "/v1/posts/reactions/query".to_owned();
    [
        (query.clone(), json!({ "post_ids": [post], "user_id": id }).to_string()),
        (query, json!({ "post_ids": [post], "hide": [id] }).to_string()),
        (format!("/v1/posts/{post}/users/query"), json!({ "hide": [id] }).to_string()),
    ]
}

async fn every_text_id_is_a_user(store: Store) {
    let (service, post) = (&store.service, post().to_string());
    let long = "x".repeat(64);
    let texts = || TEXTS.into_iter().chain([&*long]);
    for (n, id) in (1_u64..).zip(texts()) {
        // No character of an id needs an encoding in a path, and each may have one.
        let answer = service.send("PUT", &path(&post, &encoded(id))).await.ok(201);
        assert_eq!((&answer["user_id"], &answer["count"]), (&json!(id), &json!(n)));
        let again = service.send("PUT", &path(&post, id)).await.ok(200);
        assert_eq!((&again["user_id"], &again["changed"]), (&json!(id), &json!(false)), "{id}");
        let mut connection = service.connect().await;
        let toggle = format!("{}/toggle", path(&post, id));
        for active in [false, false, true] {
            let key = if active { "again" } else { "once" };
            let key = [("idempotency-key", key)];
            let answer = connection.send("POST", &toggle, &key, "").await.ok(200);
            assert_eq!(answer["active"], active, "{id}");
        }
        let summary = format!("/v1/posts/{post}/reactions?recent=1&user_id={}", encoded(id));
        let summary = service.send("GET", &summary).await.ok(200);
        assert_eq!(summary["reactions"][0]["mine"], true, "{id}");
        assert_eq!(ids(&summary["reactions"][0]["recent"]), [id]);
        let [(query, viewer), (_, hidden), (users, without)] = bodies(&post, &json!(id));
        let page = service.send_json("POST", &query, &viewer).await.ok(200);
        assert_eq!(page["posts"][0]["reactions"][0]["mine"], true, "{id}");
        service.send_json("POST", &query, &hidden).await.ok(200);
        let others = service.send_json("POST", &users, &without).await.ok(200);
        assert_eq!(others["users"].as_array().unwrap().len() as u64, n - 1, "{id}");
    }
    // Page by page, and by the link.
    let expected: Vec<&str> = texts().collect::<Vec<_>>().into_iter().rev().collect();
    for limit in [1, 3, 100] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let list = format!("/v1/posts/{post}/reactions/like/users?limit={limit}{cursor}");
            let page = service.send("GET", &list).await.ok(200);
            found.extend(ids(&page["users"]));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
    let list =
        format!("/v1/posts/{post}/users?limit=1&hide={}", encoded("user+tag~1=x@mail.example"));
    let first = service.send("GET", &list).await;
    let link = first.header("link").unwrap().to_owned();
    let link = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    assert_eq!(ids(&first.ok(200)["users"]), [long.as_str()]);
    assert_eq!(ids(&service.send("GET", &link).await.ok(200)["users"]), ["|:~=+-._@"]);
    // A `+` in a query is a space.
    let plus = format!("/v1/posts/{post}/reactions?user_id=a+b");
    service.send("GET", &plus).await.assert_problem(400, "invalid_user_id");
    // Case makes another user.
    let other = service.send("PUT", &path(&post, "A")).await.ok(201);
    assert_eq!(other["count"], texts().count() as u64 + 1);
    let gone = service.send("DELETE", &path(&post, "A")).await.ok(200);
    assert_eq!((&gone["user_id"], &gone["changed"]), (&json!("A"), &json!(true)));
    let summary = format!("/v1/posts/{post}/reactions?user_id=a");
    let summary = service.send("GET", &summary).await.ok(200);
    assert_eq!(summary["reactions"][0]["mine"], true);
}

async fn every_near_miss_is_refused(text: Store, integer: Store) {
    let (long, post) = ("x".repeat(65), post().to_string());
    for id in NEVER.into_iter().chain([&*long]) {
        is_refused(&text.service, &post, id, "invalid_user_id").await;
        is_refused(&integer.service, &post, id, "invalid_user_id").await;
    }
    for store in [&text, &integer] {
        is_refused(&store.service, &post, "me", "unauthenticated").await;
    }
    // What is an id there is none here.
    for id in TEXTS.into_iter().filter(|id| *id != "42") {
        is_refused(&integer.service, &post, id, "invalid_user_id").await;
    }
    // Nothing was written.
    for store in [&text, &integer] {
        let summary = format!("/v1/posts/{post}/reactions");
        assert_eq!(store.service.send("GET", &summary).await.ok(200)["total"], 0);
    }
    integer.service.send("PUT", &path(&post, "42")).await.ok(201);
    for id in [json!(42), json!("42")] {
        for (path, body) in bodies(&post, &id) {
            integer.service.send_json("POST", &path, &body).await.ok(200);
        }
    }
    // A text is a string: 1e2 and 100 are one number, and two texts.
    text.service.send("PUT", &path(&post, "42")).await.ok(201);
    for (path, body) in bodies(&post, &json!(42)) {
        let refused = text.service.send_json("POST", &path, &body).await;
        refused.assert_problem(400, "invalid_user_id");
        assert!(refused.body.contains(r#"send it as a string, \"42\""#), "{}", refused.body);
    }
    for (path, body) in bodies(&post, &json!(["42"])) {
        text.service.send_json("POST", &path, &body).await.assert_problem(400, "invalid_body");
    }
}

#[tokio::test]
async fn every_text_id_is_a_user_in_memory() {
    every_text_id_is_a_user(Store::memory("text")).await;
}

#[tokio::test]
async fn every_text_id_is_a_user_in_a_file() {
    every_text_id_is_a_user(Store::file("text")).await;
}

#[tokio::test]
async fn every_text_id_is_a_user_in_redis() {
    every_text_id_is_a_user(Store::redis("text")).await;
}

#[tokio::test]
async fn every_near_miss_is_refused_in_memory() {
    every_near_miss_is_refused(Store::memory("text"), Store::memory("integer")).await;
}

#[tokio::test]
async fn every_near_miss_is_refused_in_a_file() {
    every_near_miss_is_refused(Store::file("text"), Store::file("integer")).await;
}

#[tokio::test]
async fn every_near_miss_is_refused_in_redis() {
    every_near_miss_is_refused(Store::redis("text"), Store::redis("integer")).await;
}

/// The texts of the tests are different, and have each character of the alphabet.
#[test]
fn the_ids_of_these_tests_cover_the_alphabet() {
    assert_eq!(TEXTS.iter().collect::<HashSet<_>>().len(), TEXTS.len());
    let used: HashSet<u8> = TEXTS.iter().flat_map(|text| text.bytes()).collect();
    assert_eq!(used.len(), 26 + 26 + 10 + 9);
}
