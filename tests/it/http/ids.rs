//! Public reports on ids: every spelling of a post, user or reaction means the same thing, or is
//! refused.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::post;
use crate::support::prefix;
use crate::support::redis_server::{Kind, shared};
use crate::support::service::Service;

async fn summary(service: &Service, post: &str) -> Value {
    service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200)
}

/// The counts as the summary lists them: `[("like", 2), …]`.
async fn counts(service: &Service, post: &str) -> Vec<(String, u64)> {
    let summary = summary(service, post).await;
    let reactions = summary["reactions"].as_array().unwrap();
    reactions
        .iter()
        .map(|r| (r["reaction"].as_str().unwrap().to_owned(), r["count"].as_u64().unwrap()))
        .collect()
}

/// Reported as element-hq/element-web#27331, misskey-dev/misskey#13298: the same heart with and
/// without U+FE0F, the same thumb, and names in other spellings.
#[tokio::test]
async fn one_emoji_is_one_bucket_however_it_is_spelled() {
    for service in [Service::memory(), Service::redis()] {
        let post = post().to_string();
        let path = |reaction: &str, user: u64| {
            format!("/v1/posts/{post}/reactions/{reaction}/users/{user}")
        };
        for (reaction, user) in [
            ("%E2%9D%A4", 1),
            ("%E2%9D%A4%EF%B8%8F", 2),
            ("%F0%9F%91%8D%EF%B8%8F", 3),
            ("%F0%9F%91%8D", 4),
        ] {
            service.send("PUT", &path(reaction, user)).await.ok(201);
        }
        let (heart, thumb) = ("\u{2764}\u{FE0F}".to_owned(), "\u{1F44D}".to_owned());
        assert_eq!(counts(&service, &post).await, [(heart.clone(), 2), (thumb.clone(), 2)]);
        let other =
            service.send("POST", &format!("{}/toggle", path("%E2%9D%A4%EF%B8%8F", 1))).await;
        let other = other.ok(200);
        assert_eq!(other["reaction"], heart.as_str(), "the canonical form");
        assert_eq!((&other["active"], &other["count"]), (&false.into(), &1.into()));
        let who = service.send("GET", &format!("/v1/posts/{post}/reactions/%E2%9D%A4/users")).await;
        assert_eq!(who.ok(200)["users"][0]["user_id"], "2");
        // Names are lower case and ASCII: no other spelling finds a bucket of its own.
        for name in ["Like", "LIKE", "caf%C3%A9", "cafe%CC%81", "%EF%BC%AC", "like%EF%B8%8F"] {
            service.send("PUT", &path(name, 1)).await.assert_problem(400, "invalid_reaction");
        }
        // Skin tones are different reactions.
        service.send("PUT", &path("%F0%9F%91%8D%F0%9F%8F%BD", 3)).await.ok(201);
        assert_eq!(counts(&service, &post).await.len(), 3);
    }
}

/// Reported as matrix-org/synapse#12101, element-hq/synapse#17156: names of any length.
#[tokio::test]
async fn a_name_has_a_limit_and_nothing_is_written_beyond_it() {
    let service = Service::redis();
    let post = post().to_string();
    let put = |name: String| format!("/v1/posts/{post}/reactions/{name}/users/1");
    for length in [1, 32] {
        service.send("PUT", &put("x".repeat(length))).await.ok(201);
    }
    for length in [33, 64, 65, 500] {
        let response = service.send("PUT", &put("x".repeat(length))).await;
        response.assert_problem(400, "invalid_reaction");
    }
    service.send("PUT", &put("x".repeat(10_000))).await.assert_problem(414, "uri_too_long");
    for blank in ["%20", "%20%20%20", "%09", "%E2%80%8B", "%00"] {
        service.send("PUT", &put(blank.into())).await.assert_problem(400, "invalid_reaction");
    }
    service.send("PUT", &put(String::new())).await.assert_problem(400, "invalid_reaction");
    // A megabyte is beyond what is read of a head: the parser refuses it, bare.
    let refused = service.send("PUT", &put("x".repeat(1 << 20))).await;
    assert!(matches!(refused.status, 414 | 431), "{}", refused.status);
    let body = format!(r#"{{"from":false,"{}":1}}"#, "x".repeat(10_000));
    let toggle = format!("/v1/posts/{post}/reactions/like/users/1/toggle");
    service.send_json("POST", &toggle, &body).await.assert_problem(400, "invalid_body");
    assert_eq!(counts(&service, &post).await.len(), 2);
}

/// Reported as peterbe/django-cache-memoize#32, langchain-ai/langgraph#8851: characters with a
/// meaning in a key or a pattern.
#[tokio::test]
async fn separators_in_an_id_are_refused_and_all_keys_of_a_post_share_a_slot() {
    let prefix = prefix();
    let service = Service::redis_with_prefix(&prefix);
    let post = post().to_string();
    for id in [
        "a%3Ab",
        "a:b",
        "%7B",
        "%7D",
        "%7B%7D",
        "a%7Db%7Bc",
        "*",
        "%3F",
        "%5B",
        "%0D%0A",
        "%20",
        "%00",
    ] {
        let response = service.send("PUT", &format!("/v1/posts/{id}/reactions/like/users/1")).await;
        response.assert_problem(400, "invalid_post_id");
        let response =
            service.send("PUT", &format!("/v1/posts/{post}/reactions/{id}/users/1")).await;
        response.assert_problem(400, "invalid_reaction");
        let response =
            service.send("PUT", &format!("/v1/posts/{post}/reactions/like/users/{id}")).await;
        response.assert_problem(400, "invalid_user_id");
        let read = service.send("GET", &format!("/v1/posts/{id}/reactions")).await;
        read.assert_problem(400, "invalid_post_id");
    }
    // The one emoji with a glob character in it.
    for reaction in ["like", "*%EF%B8%8F%E2%83%A3", "%F0%9F%91%8D"] {
        service
            .send("PUT", &format!("/v1/posts/{post}/reactions/{reaction}/users/1"))
            .await
            .ok(201);
    }
    let mut redis = shared(Kind::Redis).client().await;
    let mut keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{prefix}:{{*")).query_async(&mut redis).await.unwrap();
    // Documents belong to no post.
    keys.retain(|key| !key.contains("}:d:"));
    assert_eq!(keys.len(), 7, "counts, three members, hints, log, floor: {keys:?}");
    let tags: BTreeSet<&str> =
        keys.iter().map(|key| &key[key.find('{').unwrap()..=key.find('}').unwrap()]).collect();
    assert_eq!(tags.len(), 1, "{keys:?}");
}

/// Reported as g3i/lxHive#76: one UUID in many spellings.
#[tokio::test]
async fn a_post_has_one_spelling_at_every_entrance() {
    let service = Service::memory();
    let post = post().to_string();
    let mixed: String = post
        .chars()
        .enumerate()
        .map(|(i, c)| if i % 2 == 0 { c.to_ascii_uppercase() } else { c })
        .collect();
    let upper = post.to_uppercase();
    for (spelling, status) in [(&post, 201), (&upper, 200), (&mixed, 200)] {
        let path = format!("/v1/posts/{spelling}/reactions/like/users/1");
        let answer = service.send("PUT", &path).await.ok(status);
        assert_eq!(
            (answer["post_id"].as_str(), answer["count"].as_u64()),
            (Some(post.as_str()), Some(1))
        );
    }
    let simple = post.replace('-', "");
    let refused = [
        simple.clone(),
        simple.to_uppercase(),
        format!("{{{post}}}"),
        format!("urn:uuid:{post}"),
        format!("{post}%20"),
        post.replace('-', "_"),
        "00000000-0000-0000-0000-000000000000".into(),
        "42".into(),
    ];
    for spelling in &refused {
        let (body, encoded) = (
            format!(r#"{{"post_ids":["{spelling}"]}}"#),
            spelling.replace('{', "%7B").replace('}', "%7D"),
        );
        for (method, path) in [
            ("PUT", format!("/v1/posts/{encoded}/reactions/like/users/1")),
            ("DELETE", format!("/v1/posts/{encoded}/reactions/like/users/1")),
            ("POST", format!("/v1/posts/{encoded}/reactions/like/users/1/toggle")),
            ("GET", format!("/v1/posts/{encoded}/reactions")),
            ("GET", format!("/v1/posts/{encoded}/users")),
            ("GET", format!("/v1/posts/{encoded}/reactions/like/users")),
            ("GET", format!("/v1/posts/reactions?post_id={encoded}")),
        ] {
            service.send(method, &path).await.assert_problem(400, "invalid_post_id");
        }
        let response = service.send_json("POST", "/v1/posts/reactions/query", &body).await;
        response.assert_problem(400, "invalid_post_id");
    }
    // In a page the spellings are one post.
    let path = format!("/v1/posts/reactions?post_id={upper}&post_id={post}&post_id={mixed}");
    let page = service.send("GET", &path).await.ok(200);
    assert_eq!(page["posts"].as_array().unwrap().len(), 1);
    let gone =
        service.send("DELETE", &format!("/v1/posts/{mixed}/reactions/like/users/1")).await.ok(200);
    assert_eq!((gone["changed"].as_bool(), gone["count"].as_u64()), (Some(true), Some(0)));
}

/// Reported as redis/redis#3224, #1118, #1804: ids that a double cannot represent.
#[tokio::test]
async fn large_user_ids_keep_every_digit() {
    for service in [Service::memory(), Service::redis()] {
        let post = post().to_string();
        let path = |user: &str| format!("/v1/posts/{post}/reactions/like/users/{user}");
        let ids =
            ["9007199254740992", "9007199254740993", "9007199254740994", "9223372036854775807"];
        for id in ids {
            assert_eq!(service.send("PUT", &path(id)).await.ok(201)["user_id"], id);
        }
        for id in ["18446744073709551615", "9223372036854775808", "0", "-1", "1e3", "01", "1.0"] {
            service.send("PUT", &path(id)).await.assert_problem(400, "invalid_user_id");
        }
        let removed = service.send("DELETE", &path(ids[1])).await.ok(200);
        assert_eq!(removed["count"], 3);
        let who =
            service.send("GET", &format!("/v1/posts/{post}/reactions/like/users")).await.ok(200);
        let left: BTreeSet<&str> = who["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|u| u["user_id"].as_str().unwrap())
            .collect();
        assert_eq!(left, BTreeSet::from([ids[0], ids[2], ids[3]]));
    }
}

/// Reported as tokio-rs/axum#2678, actix/actix-web#1157: percent-decoding happens exactly once.
#[tokio::test]
async fn a_path_is_decoded_once() {
    let service = Service::redis();
    let post = post().to_string();
    let mut connection = service.connect().await;
    let path = |name: &[u8], user: u64| {
        let start = format!("/v1/posts/{post}/reactions/").into_bytes();
        [start, name.to_vec(), format!("/users/{user}").into_bytes()].concat()
    };
    let same: [(&[u8], u64, &str); 6] = [
        (b"%F0%9F%91%8D", 1, "👍"),
        (b"%f0%9f%91%8d", 2, "👍"),
        ("👍".as_bytes(), 3, "👍"),
        (b"%6Cike", 4, "like"),
        (b"+1", 5, "+1"),
        (b"%2B1", 6, "+1"),
    ];
    for (name, user, canonical) in same {
        let answer = connection.send("PUT", path(name, user), &[], "").await.ok(201);
        assert_eq!(answer["reaction"], canonical);
    }
    let expected = [("👍", 3), ("+1", 2), ("like", 1)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(counts(&service, &post).await, expected);
    let bad: [&[u8]; 13] = [
        b"%2F",
        b"%252F",
        b"%2525",
        b"%00",
        b"%C0%80",
        b"%ED%A0%80",
        b"%",
        b"%zz",
        b"%F0%9F%91",
        b"%256Cike",
        b"%2E%2E",
        b"..",
        b"like%20",
    ];
    for name in bad {
        let response = connection.send("PUT", path(name, 9), &[], "").await;
        response.assert_problem(400, "invalid_reaction");
    }
    let bad_post = connection.send("GET", "/v1/posts/%FF/reactions", &[], "").await;
    bad_post.assert_problem(400, "invalid_post_id");
    let bad_user = format!("/v1/posts/{post}/reactions/like/users/%FF");
    connection.send("PUT", bad_user, &[], "").await.assert_problem(400, "invalid_user_id");
    // Raw bytes that are not UTF-8 are not HTTP. Any layer may refuse them, but not with a 500.
    let raw = service.connect().await.send("PUT", path(b"\xC0\x80", 9), &[], "").await;
    assert_eq!(raw.status, 400);
    let empty = connection.send("PUT", path(b"", 9), &[], "").await;
    empty.assert_problem(400, "invalid_reaction");
    let slash = format!("/v1/posts/{post}/reactions/like/users/9/");
    connection.send("PUT", slash, &[], "").await.assert_problem(404, "not_found");
    assert_eq!(counts(&service, &post).await, expected);
}
