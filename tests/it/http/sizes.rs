//! Checks that the largest answers have at most as many bytes as the OpenAPI document states.

use std::sync::Arc;

use futures_util::future::join_all;
use onetap::domain::{
    MOST_NAMED, Palette, PaletteSpec, Palettes, PostId, Reaction, Tap, UserId, Verb,
};
use onetap::http::openapi_document;
use onetap::store::redis::{RedisSource, RedisStore};
use onetap::store::{Store, SummaryQuery};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::support::events::{Events, path};
use crate::support::redis_server::{Kind, shared};
use crate::support::service::Service;
use crate::support::{post, prefix, reaction, soon, user};

/// A palette with the greatest limits that a palette may set.
fn roomy() -> Arc<Palettes> {
    let spec = PaletteSpec {
        max_kinds_per_post: Some(100),
        max_per_user_and_post: Some(100),
        ..PaletteSpec::default()
    };
    Arc::new(Palettes::new([Palette::new("default".parse().unwrap(), spec).unwrap()]))
}

/// Lets each of these users have each of these reactions.
async fn fill(store: &impl Store, post: PostId, names: &[Reaction], users: &[UserId]) {
    let palettes = roomy();
    for user in users {
        let taps = names.iter().map(|name| {
            let tap = Tap::new(post, *user, Verb::Set, name.clone());
            store.tap(Tap { palettes: Arc::clone(&palettes), ..tap }, soon())
        });
        join_all(taps).await.into_iter().for_each(|outcome| assert!(outcome.unwrap().changed));
    }
}

/// Names whose order by bytes differs from the order in a dictionary.
fn names(count: usize) -> Vec<Reaction> {
    let name = |n: usize| reaction(&format!("{}{n}", ["a", "-", "+", "9", "z_"][n % 5]));
    (0..count).map(name).collect()
}

/// Adds more reactions to a post than the limits allow, by writing to Redis. A post from a release
/// without limits may have so many. Returns the keys of the post.
async fn add_earlier(
    prefix: &str,
    post: PostId,
    like: &Reaction,
    names: &[Reaction],
) -> Vec<String> {
    let mut client = shared(Kind::Redis).client().await;
    let keys = async |client: &mut MultiplexedConnection| -> Vec<String> {
        let pattern = format!("{prefix}:*:p:{post}*");
        redis::cmd("KEYS").arg(pattern).query_async(client).await.unwrap()
    };
    let found = keys(&mut client).await;
    let own = found.iter().find(|key| key.ends_with(&post.to_string())).unwrap();
    let mut pipeline = redis::pipe();
    for name in names {
        pipeline.cmd("COPY").arg(format!("{own}:{like}")).arg(format!("{own}:{name}")).ignore();
        let count: u64 = redis::cmd("ZCARD")
            .arg(format!("{own}:{like}"))
            .query_async(&mut client)
            .await
            .unwrap();
        pipeline.hset(own, name.as_str(), count).ignore();
    }
    let _: () = pipeline.query_async(&mut client).await.unwrap();
    keys(&mut client).await
}

#[tokio::test]
async fn the_newest_users_are_read_for_the_hundred_largest_reactions() {
    let (prefix, post, names) = (prefix(), post(), names(130));
    let redis: RedisStore =
        RedisSource::new(&shared(Kind::Redis).options(&prefix)).unwrap().attach();
    fill(&redis, post, &names[30..], &[user(1)]).await;
    add_earlier(&prefix, post, &names[30], &names[..30]).await;
    // Now each of the last forty reactions has three users.
    fill(&redis, post, &names[90..], &[user(2), user(3)]).await;
    let query = SummaryQuery { posts: vec![post], viewer: Some(user(2)), recent: 3 };
    let summary = redis.summaries(query, soon()).await.unwrap().remove(0);
    assert_eq!((summary.reactions.len(), summary.unnamed()), (130, 30));
    let (named, others) = summary.reactions.split_at(MOST_NAMED);
    assert!(named.iter().all(|it| it.recent.len() as u64 == it.count), "{named:?}");
    assert!(named[..40].iter().all(|it| it.count == 3 && it.mine == Some(true)));
    assert!(others.iter().all(|it| it.count == 1 && it.recent.is_empty()), "{others:?}");
    assert!(named[40..].is_sorted_by(|a, b| a.reaction.as_str() < b.reaction.as_str()));
    assert!(named[MOST_NAMED - 1].reaction.as_str() < others[0].reaction.as_str());

    // Over HTTP, the answer says how many reactions it leaves out. Its `total` counts these, too.
    let service = Service::redis_with_prefix(&prefix);
    let seen = service.send("GET", &format!("/v1/posts/{post}/reactions?recent=1")).await.ok(200);
    let named = seen["reactions"].as_array().unwrap();
    assert_eq!((named.len(), &seen["more"], &seen["total"]), (100, &json!(30), &json!(210)));
    assert!(named.iter().all(|reaction| reaction["recent"].as_array().unwrap().len() == 1));
    // The answer with one user's reactions also says how many it leaves out. The user may have reactions
    // that the summary leaves out.
    for (user, named, more) in [(1, 100, json!(30)), (2, 40, Value::Null)] {
        let path = format!("/v1/posts/{post}/users/{user}/reactions");
        let set = service.send("GET", &path).await.ok(200);
        assert_eq!(set["reactions"].as_array().unwrap().len(), named, "{user}");
        assert_eq!(set["more"], more, "{user}");
    }
}

/// Makes posts of one partition. Each has more reactions than an answer contains. The names of the
/// reactions and the ids of the users are as long as possible.
async fn large_posts(prefix: &str, count: usize) -> Vec<PostId> {
    let redis = shared(Kind::Redis);
    let store = RedisSource::new(&redis.options(prefix)).unwrap().attach();
    let first = post();
    let names: Vec<_> = (0..110).map(|n| reaction(&format!("{n:0>32}"))).collect();
    let users: Vec<_> = (0..20).map(|n| user(i64::MAX as u64 - n)).collect();
    fill(&store, first, &names[..100], &users).await;
    let keys = add_earlier(prefix, first, &names[0], &names[100..]).await;
    let rest = std::iter::repeat_with(post).filter(|post| post.partition() == first.partition());
    let posts: Vec<PostId> = std::iter::once(first).chain(rest).take(count).collect();
    let mut client = redis.client().await;
    assert_eq!(keys.len(), 111);
    for post in &posts[1..] {
        copy(&mut client, &keys, first, *post).await;
    }
    posts
}

async fn copy(client: &mut MultiplexedConnection, keys: &[String], from: PostId, to: PostId) {
    let mut pipeline = redis::pipe();
    for key in keys {
        let copied = key.replace(&from.to_string(), &to.to_string());
        pipeline.cmd("COPY").arg(key).arg(copied).ignore();
    }
    let _: () = pipeline.query_async(client).await.unwrap();
}

/// The most bytes of an answer that the document states: with integer user ids, then with text ids.
fn stated(document: &Value, method: &str, path: &str) -> [usize; 2] {
    let responses = &document["paths"][path][method]["responses"];
    let text = responses["200"]["description"].as_str().unwrap();
    let (_, figures) = text.split_once("at most ").unwrap_or_else(|| panic!("{path}: {text}"));
    let mut figures = figures.split(|c: char| !(c.is_ascii_digit() || c == ','));
    let mut next = || {
        let figure = figures.find(|text| text.contains(','));
        figure.unwrap_or_else(|| panic!("{path}: {text}")).trim_matches(',').replace(',', "")
    };
    [next(), next()].map(|figure| figure.parse().unwrap())
}

/// Asserts that an answer has at most the stated bytes, and at least 80 % of them. A text id has up to
/// 45 bytes more than an integer.
#[track_caller]
fn assert_honest(what: &str, [integers, texts]: [usize; 2], bytes: usize, users: usize) {
    println!("{what}: {bytes} of {integers} bytes");
    for (stated, bytes) in [(integers, bytes), (texts, bytes + 45 * users)] {
        assert!(bytes <= stated, "{what} has {bytes} bytes; the document says {stated}");
        assert!(bytes * 10 >= stated * 8, "{what}: {stated} in the document is more than it takes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_larger_than_the_document_says() {
    let prefix = prefix();
    let posts = large_posts(&prefix, 10).await;
    let url = shared(Kind::Redis).url();
    // A debug build on a busy machine needs many seconds for a page of 20,000 users.
    let patient = ["--request-timeout", "25s", "--shutdown-grace", "25s"];
    let service =
        Service::with(&[&["--store", &url, "--key-prefix", &prefix][..], &patient].concat());
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let of = |method, path| stated(&document, method, path);

    let single = format!("/v1/posts/{}/reactions?recent=20&user_id=1", posts[0]);
    let summary = service.send("GET", &single).await;
    assert_eq!(summary.ok(200)["more"], 10);
    let most = of("get", "/v1/posts/{post_id}/reactions");
    assert_honest("a summary", most, summary.body.len(), 2000);

    // A page consists of its posts and some bytes around them. So a page of ten posts shows how large the
    // largest page is: it has 100 posts. A debug build would need too long for those while other tests
    // run.
    let ids: Vec<String> = posts.iter().map(ToString::to_string).collect();
    let query: Vec<String> = ids.iter().map(|id| format!("post_id={id}")).collect();
    let page = format!("/v1/posts/reactions?{}&recent=20&user_id=1", query.join("&"));
    let page = service.send("GET", &page).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let most = of("get", "/v1/posts/reactions");
    assert_honest("a page", most, page.body.len() * 10, 200_000);
    let question = json!({ "post_ids": ids, "recent": 20, "user_id": "1" }).to_string();
    let asked = service.send_json("POST", "/v1/posts/reactions/query", &question).await;
    assert!(asked.body == page.body, "the same, asked in a body");
    assert_eq!(of("post", "/v1/posts/reactions/query"), most);

    let stream = path(&posts[..1]) + "&recent=20";
    let mut events = Events::open(service.address, &stream).await;
    let block = loop {
        let block = events.block().await.unwrap();
        if block.starts_with("event: ") {
            break block + "\n\n";
        }
    };
    let most = of("get", "/v1/posts/reactions/stream");
    assert_honest("an event", most, block.len(), 2000);
}
