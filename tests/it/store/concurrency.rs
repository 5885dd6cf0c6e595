//! Public reports on races and counters (`B…` are their numbers), over HTTP with many connections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use onetap::domain::{
    Exclusive, Outcome, PaletteSpec, Palettes, PostId, Reaction, Refusal, Tap, UserId, Verb,
};
use onetap::store::{AnyStore, Store as _, StoreError, SummaryQuery};
use serde_json::Value;
use tokio::sync::Barrier;

use crate::store::each::on_stores;
use crate::support::palettes::palettes;
use crate::support::service::Service;
use crate::support::{changes, post, reaction, soon, tap};

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

/// How many users tap at one barrier.
const CROWD: u64 = 1000;

/// The taps of a crowd at one barrier, and what each was answered.
async fn crowd(
    store: &AnyStore,
    taps: impl Iterator<Item = Tap>,
) -> Vec<Result<Outcome, StoreError>> {
    let taps: Vec<_> = taps.collect();
    let barrier = Arc::new(Barrier::new(taps.len()));
    let tasks = taps.into_iter().map(|tap| {
        let (store, barrier) = (store.clone(), Arc::clone(&barrier));
        async move {
            barrier.wait().await;
            store.tap(tap, soon()).await
        }
    });
    let tasks: Vec<_> = tasks.map(tokio::spawn).collect();
    futures_util::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// Plays the log of a post. `look` sees the user of each change, and the members after it.
async fn play(
    store: &AnyStore,
    post: PostId,
    look: impl Fn(UserId, &BTreeMap<Reaction, BTreeSet<UserId>>),
) -> BTreeMap<Reaction, BTreeSet<UserId>> {
    let mut members: BTreeMap<Reaction, BTreeSet<UserId>> = BTreeMap::new();
    for entry in changes(store, post.partition(), 100_000).await.unwrap() {
        let Some((user, reaction, active)) = entry.change.flag() else { continue };
        if entry.change.post != post {
            continue;
        }
        let own = members.entry(reaction.clone()).or_default();
        assert!(if active { own.insert(user) } else { own.remove(&user) });
        members.retain(|_, users| !users.is_empty());
        look(user, &members);
    }
    members
}

/// Asserts that a summary shows these members.
async fn shows(store: &AnyStore, post: PostId, members: &BTreeMap<Reaction, BTreeSet<UserId>>) {
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let summary = store.summaries(query, soon()).await.unwrap().remove(0);
    let shown = summary.reactions.into_iter().map(|it| (it.reaction, it.count));
    let counted = members.iter().map(|(name, users)| (name.clone(), users.len() as u64));
    assert_eq!(shown.collect::<BTreeMap<_, _>>(), counted.collect());
}

/// A crowd that adds 60 different reactions, and takes some back, on a post that may have 20.
async fn never_more_kinds_than_the_palette_allows(store: AnyStore) {
    let (post, palettes) = (post(), Palettes::unconfigured());
    let taps = (1..=CROWD).map(|id| {
        let verb = if id % 10 == 0 { Verb::Toggle } else { Verb::Set };
        let tap = tap(verb, post, 1 + id % 700, &format!("r{}", id % 60));
        Tap { palettes: Arc::clone(&palettes), ..tap }
    });
    let answers = crowd(&store, taps).await;
    let refused = StoreError::Refused(Refusal::TooManyKinds(20));
    let (counted, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(others.iter().all(|answer| *answer == Err(refused.clone())), "{others:?}");
    assert!(counted.len() > 200 && others.len() > 200, "{} and {}", counted.len(), others.len());
    let members = play(&store, post, |_, members| assert!(members.len() <= 20)).await;
    assert_eq!(members.len(), 20);
    shows(&store, post, &members).await;
}

/// A crowd in which each user taps three reactions of one group at the same moment.
async fn never_two_of_a_group(store: AnyStore) {
    let post = post();
    let votes = ["up", "down", "sideways"];
    let groups = vec![votes.map(reaction).to_vec()];
    let votes_palette =
        PaletteSpec { exclusive: Exclusive::Groups(groups), ..PaletteSpec::default() };
    let palettes = palettes(&[("default", votes_palette)]);
    let taps = (0..3 * CROWD).map(|n| {
        let name = votes[usize::try_from(n % 3).unwrap()];
        Tap { palettes: Arc::clone(&palettes), ..tap(Verb::Set, post, 1 + n / 3, name) }
    });
    let answers = crowd(&store, taps).await;
    let replaced: usize = answers.iter().map(|it| it.as_ref().unwrap().replaced().len()).sum();
    assert_eq!(replaced as u64, 2 * CROWD, "each later tap of a user replaces the one before");
    // One step takes the old one first, so no moment of the log has two.
    let holders = |members: &BTreeMap<Reaction, BTreeSet<UserId>>| -> usize {
        members.values().map(BTreeSet::len).sum()
    };
    let members = play(&store, post, |changed, members| {
        let held = members.values().filter(|users| users.contains(&changed)).count();
        assert!(held <= 1, "user {changed} has two of a group");
    })
    .await;
    assert_eq!(holders(&members) as u64, CROWD);
    shows(&store, post, &members).await;
}

on_stores! {
    [memory, file, redis, valkey, cluster] {
        never_more_kinds_than_the_palette_allows,
        never_two_of_a_group,
    }
}
