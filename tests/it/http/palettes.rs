//! Palettes over HTTP: what taps answer, what is refused, replays, moderators, `GET /v1/palettes`.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use onetap::domain::{Add, Cause, Edit, PostId, RulesEdit, What};
use onetap::store::Store as _;
use onetap::store::redis::{RedisSource, RedisStore};
use serde_json::{Value, json};

use crate::support::http::Response;
use crate::support::redis_server::{Kind, shared};
use crate::support::service::Service;
use crate::support::{changes, post, prefix, soon, user};

const VOTES: &str = "[palettes.default]\nreactions = ['up', 'like', 'down', '👍']\n\
                     exclusive = [['up', 'down']]\naliases = { '+1' = '👍' }\n";
const THUMB: &str = "%F0%9F%91%8D";

fn over_redis(palettes: &str, prefix: &str) -> Service {
    let url = shared(Kind::Redis).url();
    Service::configured(palettes, &["--store", &url, "--key-prefix", prefix])
}

fn services(palettes: &str) -> [Service; 2] {
    [Service::configured(palettes, &[]), over_redis(palettes, &prefix())]
}

/// The store that a service over Redis uses.
fn store(prefix: &str) -> RedisStore {
    RedisSource::new(&shared(Kind::Redis).options(prefix)).unwrap().attach()
}

fn path(post: PostId, reaction: &str, user: u64) -> String {
    format!("/v1/posts/{post}/reactions/{reaction}/users/{user}")
}

async fn keyed(service: &Service, path: &str, key: &str) -> Response {
    service.connect().await.send("PUT", path, &[("idempotency-key", key)], "").await
}

async fn total(service: &Service, post: PostId) -> Value {
    service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200)["total"].clone()
}

#[track_caller]
fn assert_refused(response: &Response, status: u16, code: &str, detail: &str) {
    response.assert_problem(status, code);
    assert_eq!(response.json()["detail"], detail);
}

#[tokio::test]
async fn a_tap_answers_the_reaction_that_was_counted() {
    for service in services(VOTES) {
        let post = post();
        let answer =
            |answer: &Value| json!([answer["reaction"], answer["active"], answer["count"]]);
        let first = service.send("PUT", &path(post, "%2B1", 1)).await.ok(201);
        assert_eq!(answer(&first), json!(["👍", true, 1]));
        assert_eq!(first["replaced"], json!([]));
        let again = service.send("PUT", &path(post, THUMB, 1)).await.ok(200);
        assert_eq!((&again["reaction"], &again["changed"]), (&json!("👍"), &json!(false)));
        let second = service.send("PUT", &path(post, "+1", 2)).await.ok(201);
        assert_eq!(answer(&second), json!(["👍", true, 2]));
        let off = service.send("POST", &format!("{}/toggle", path(post, "+1", 1))).await.ok(200);
        assert_eq!(answer(&off), json!(["👍", false, 1]));
        let off = service.send("DELETE", &path(post, "+1", 2)).await.ok(200);
        assert_eq!(answer(&off), json!(["👍", false, 0]));
        assert_eq!(total(&service, post).await, 0);
    }
}

#[tokio::test]
async fn a_reaction_that_the_palette_does_not_have_is_refused_and_nothing_is_written() {
    for service in services(VOTES) {
        let (post, detail) = (
            post(),
            "the palette of this post does not have ben-is-a-thief; GET /v1/palettes lists what \
             it has",
        );
        let path = path(post, "ben-is-a-thief", 1);
        for (method, path) in [("PUT", path.clone()), ("POST", format!("{path}/toggle"))] {
            let refused = service.send(method, &path).await;
            assert_refused(&refused, 422, "reaction_not_allowed", detail);
        }
        assert_eq!(total(&service, post).await, 0);
        // Removing is always possible.
        assert_eq!(service.send("DELETE", &path).await.ok(200)["changed"], false);
    }
}

#[tokio::test]
async fn a_reaction_replaces_the_others_of_its_group() {
    for service in services(VOTES) {
        let post = post();
        for (user, reaction) in [(1, "up"), (2, "up"), (1, "like")] {
            service.send("PUT", &path(post, reaction, user)).await.ok(201);
        }
        let before = service.send("PUT", &path(post, "up", 1)).await.ok(200)["revision"].as_u64();
        let down = service.send("PUT", &path(post, "down", 1)).await.ok(201);
        assert_eq!(down["replaced"], json!([{"reaction": "up", "count": 1}]));
        assert!(down["revision"].as_u64() > before);
        let back = service.send("POST", &format!("{}/toggle", path(post, "up", 1))).await.ok(200);
        assert_eq!(back["replaced"], json!([{"reaction": "down", "count": 0}]));
        assert_eq!(total(&service, post).await, 3, "like is in no group");
    }
    let all = "[palettes.default]\nexclusive = '*'\n";
    for service in services(all) {
        let post = post();
        service.send("PUT", &path(post, "any", 1)).await.ok(201);
        let other = service.send("PUT", &path(post, THUMB, 1)).await.ok(201);
        assert_eq!(other["replaced"], json!([{"reaction": "any", "count": 0}]));
    }
}

#[tokio::test]
async fn limits_hold_against_taps_at_once_and_their_refusal_names_them() {
    let few = "[palettes.default]\nmax_kinds_per_post = 3\nmax_per_user_and_post = 2\n";
    for service in services(few) {
        let post = post();
        for reaction in ["a", "b"] {
            service.send("PUT", &path(post, reaction, 1)).await.ok(201);
        }
        service.send("PUT", &path(post, "c", 2)).await.ok(201);
        let detail = "a post has at most 3 different reactions; add one that somebody has already";
        let refused = service.send("PUT", &path(post, "d", 2)).await;
        assert_refused(&refused, 422, "too_many_reactions", detail);
        let detail = "a user has at most 2 reactions on a post; remove one first";
        let refused = service.send("PUT", &path(post, "c", 1)).await;
        assert_refused(&refused, 422, "too_many_reactions", detail);
    }
    // Without configuration a post has at most 20.
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        let paths: Vec<_> = (1..=40).map(|i| path(post, &format!("r{i}"), i)).collect();
        let all = join_all(paths.iter().map(|path| service.send("PUT", path))).await;
        let counted = all.iter().filter(|response| response.status == 201).count();
        assert_eq!((counted, total(&service, post).await), (20, json!(20)));
        for refused in all.iter().filter(|response| response.status != 201) {
            refused.assert_problem(422, "too_many_reactions");
        }
    }
}

#[tokio::test]
async fn a_replay_survives_a_change_of_the_palettes() {
    let prefix = prefix();
    let (before, post) = (over_redis(VOTES, &prefix), post());
    before.send("PUT", &path(post, "down", 1)).await.ok(201);
    let paths = [path(post, "+1", 1), path(post, "up", 1)];
    let first = [keyed(&before, &paths[0], "a").await, keyed(&before, &paths[1], "b").await];
    assert_eq!(first[0].ok(201)["reaction"], "👍");
    assert_eq!(first[1].ok(201)["replaced"], json!([{"reaction": "down", "count": 0}]));
    drop(before);
    let after = over_redis("[palettes.default]\nreactions = ['love']\n", &prefix);
    for ((path, key), first) in paths.iter().zip(["a", "b"]).zip(&first) {
        let again = keyed(&after, path, key).await;
        assert_eq!((again.status, again.json()), (201, first.json()));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    // A new tap is judged by the new palette. What is held stays.
    keyed(&after, &paths[0], "new").await.assert_problem(422, "reaction_not_allowed");
    assert_eq!(keyed(&after, &paths[1], "new").await.ok(200)["changed"], false);
}

#[tokio::test]
async fn what_is_held_outlives_the_palette_that_had_it() {
    let prefix = prefix();
    let (before, post) = (over_redis("", &prefix), post());
    for reaction in ["+1", "old"] {
        before.send("PUT", &path(post, reaction, 1)).await.ok(201);
    }
    drop(before);
    let after = over_redis(VOTES, &prefix);
    assert_eq!(total(&after, post).await, 2);
    assert_eq!(after.send("PUT", &path(post, "old", 1)).await.ok(200)["changed"], false);
    after.send("PUT", &path(post, "old", 2)).await.assert_problem(422, "reaction_not_allowed");
    assert_eq!(after.send("DELETE", &path(post, "old", 1)).await.ok(200)["changed"], true);
    // What was counted under the name of a later alias goes with the alias.
    let removed = after.send("DELETE", &path(post, "+1", 1)).await.ok(200);
    assert_eq!((&removed["reaction"], &removed["changed"]), (&json!("👍"), &json!(true)));
    assert_eq!(removed["replaced"], json!([{"reaction": "+1", "count": 0}]));
    assert_eq!(total(&after, post).await, 0);
}

#[tokio::test]
async fn the_rules_of_a_post_refuse_with_codes_of_their_own() {
    let prefix = prefix();
    let palettes = format!("{VOTES}[palettes.qa]\nreactions = ['yes', 'no']\n");
    let (service, store, post) = (over_redis(&palettes, &prefix), store(&prefix), post());
    let rule = async |edit| {
        store.rule(RulesEdit { post, edit, actor: None }, soon()).await.unwrap();
    };
    let put = async |reaction| service.send("PUT", &path(post, reaction, 1)).await;
    put("like").await.ok(201);
    rule(Edit::Rules(Some("qa".parse().unwrap()), Add::All)).await;
    put("up").await.assert_problem(422, "reaction_not_allowed");
    put("yes").await.ok(201);
    rule(Edit::Rules(Some("gone".parse().unwrap()), Add::All)).await;
    put("no").await.assert_problem(422, "reaction_not_allowed");
    rule(Edit::Rules(None, Add::Existing)).await;
    let detail = "users may add only reactions that somebody has on this post already, and \
                  nobody has up; choose one of those";
    assert_refused(&put("up").await, 422, "reaction_not_allowed", detail);
    let detail = "a moderator has closed this post, or the token lets its user add nothing; users can \
                  still remove their reactions";
    for edit in [Edit::Rules(None, Add::None), Edit::Lock(true)] {
        rule(edit).await;
        assert_refused(&put("up").await, 403, "reactions_locked", detail);
    }
    assert_eq!(service.send("DELETE", &path(post, "like", 1)).await.ok(200)["changed"], true);
}

#[tokio::test]
async fn a_moderator_who_acts_for_a_user_is_in_the_log() {
    let prefix = prefix();
    let (service, post) = (over_redis("", &prefix), post());
    let path = path(post, "like", 7);
    let mut connection = service.connect().await;
    let mut logged = Vec::new();
    for (method, actor) in [("PUT", None), ("DELETE", Some("9")), ("PUT", Some("7"))] {
        let header = actor.map(|actor| ("onetap-actor", actor));
        let status = if method == "PUT" { 201 } else { 200 };
        connection.send(method, &path, header.as_slice(), "").await.ok(status);
    }
    for entry in changes(&store(&prefix), post.partition(), 10).await.unwrap() {
        let What::Reaction { cause, active, .. } = entry.change.what else { panic!("{entry:?}") };
        logged.push((active, cause, entry.change.actor));
    }
    let expected = [
        (true, Cause::Tap, None),
        (false, Cause::Moderate, Some(user(9))),
        // A user who names himself just taps.
        (true, Cause::Tap, None),
    ];
    assert_eq!(logged, expected);
}

#[tokio::test]
async fn a_wrong_actor_is_refused_and_nothing_is_written() {
    for service in [Service::memory(), Service::redis()] {
        let post = post();
        let mut connection = service.connect().await;
        let path = path(post, "like", 7);
        for bad in ["", "x", "0", "09", "9 9", "-1", "é", "9223372036854775808"] {
            let header = [("onetap-actor", bad)];
            let refused = connection.send("PUT", &path, &header, "").await;
            refused.assert_problem(400, "invalid_user_id");
            let detail = refused.json()["detail"].to_string();
            assert!(detail.contains("the header Onetap-Actor: "), "{detail}");
        }
        let twice = [("onetap-actor", "9"), ("onetap-actor", "9")];
        let refused = connection.send("PUT", &path, &twice, "").await;
        let detail = "the header Onetap-Actor is there twice; name one moderator";
        assert_refused(&refused, 400, "invalid_user_id", detail);
        let me = connection.send("PUT", &path, &[("onetap-actor", "me")], "").await;
        me.assert_problem(401, "unauthenticated");
        assert_eq!(total(&service, post).await, 0);
    }
}

#[tokio::test]
async fn front_ends_can_ask_what_they_may_offer() {
    let palettes = format!(
        "{VOTES}max_kinds_per_post = 4\n[palettes.any]\nexclusive = '*'\nmax_per_user_and_post = 1\n"
    );
    let service = Service::configured(&palettes, &[]);
    let mut connection = service.connect().await;
    let answer = connection.send("GET", "/v1/palettes", &[], "").await;
    let expected = json!({"palettes": {
        "default": {"reactions": ["up", "like", "down", "👍"], "exclusive": [["up", "down"]],
            "aliases": {"+1": "👍"}, "max_kinds_per_post": 4, "max_per_user_and_post": 20},
        "any": {"reactions": "*", "exclusive": "*", "aliases": {},
            "max_kinds_per_post": 20, "max_per_user_and_post": 1},
    }});
    assert_eq!(answer.ok(200), expected);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("max-age=60"));
    let tag = answer.header("etag").expect("an ETag").to_owned();
    for held in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
        let held = [("if-none-match", &*held)];
        let again = connection.send("GET", "/v1/palettes", &held, "").await;
        assert_eq!((again.status, &*again.body), (304, ""));
        assert_eq!(again.header("etag"), Some(&*tag));
        assert_eq!(again.header("cache-control"), Some("max-age=60"));
    }
    let query = connection.send("GET", "/v1/palettes?palette=any", &[], "").await;
    query.assert_problem(400, "invalid_query");

    // Without configuration.
    let mut plain = Service::memory().connect().await;
    let answer = plain.send("GET", "/v1/palettes", &[("if-none-match", &*tag)], "").await;
    let expected = json!({"palettes": {"default": {"reactions": "*", "exclusive": [],
        "aliases": {}, "max_kinds_per_post": 20, "max_per_user_and_post": 20}}});
    assert_eq!(answer.ok(200), expected);
}

/// The OpenAPI document states this size.
#[tokio::test]
async fn the_largest_palettes_fit_the_documented_size() {
    let mut emoji: Vec<_> = emojis::iter()
        .flat_map(|emoji| emoji.skin_tones().into_iter().flatten())
        .map(emojis::Emoji::as_str)
        .collect();
    emoji.sort_by_key(|emoji| std::cmp::Reverse(emoji.len()));
    let distinct: BTreeSet<_> = emoji.iter().take(200).collect();
    assert_eq!(distinct.len(), 200);
    let quoted: Vec<_> = emoji.iter().take(200).map(|emoji| format!("'{emoji}'")).collect();
    let (reactions, others) = quoted.split_at(100);
    let pairs =
        |of: &[String], joint: &str| of.chunks(2).map(|pair| pair.join(joint)).collect::<Vec<_>>();
    let aliases: Vec<_> =
        others.iter().map(|alias| format!("{alias} = {}", reactions[0])).collect();
    let groups: Vec<_> = pairs(reactions, ", ").iter().map(|pair| format!("[{pair}]")).collect();
    let palettes: String = (0..32)
        .map(|i| {
            let name = if i == 0 { "default".into() } else { format!("{i:x<32}") };
            format!(
                "[palettes.{name}]\nreactions = [{}]\nexclusive = [{}]\n\
                 max_kinds_per_post = 100\nmax_per_user_and_post = 100\n\
                 [palettes.{name}.aliases]\n{}\n",
                reactions.join(", "),
                groups.join(", "),
                aliases.join("\n"),
            )
        })
        .collect();
    let answer = Service::configured(&palettes, &[]).send("GET", "/v1/palettes").await;
    answer.ok(200);
    let size = answer.body.len();
    assert!((450_000..500_000).contains(&size), "{size}");
}
