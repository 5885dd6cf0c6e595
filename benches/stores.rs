//! The time of a tap and of a page in each store, the share of encoding and decoding, and lanes
//! compared with a pool checkout for each request.
//!
//! Run it with `make bench`. All data comes from a fixed seed. Compare only ratios within one run.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/it/support/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::Request;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use deadpool_redis::{Pool, Runtime, redis};
use http_body_util::BodyExt as _;
use onetap::config::{Config, Settings};
use onetap::domain::machine::Post;
use onetap::domain::{Micros, Palettes, PostId, Revision, Tap, Verb};
use onetap::http::{Edge, Hosts, HttpState, LargeAnswers, RequestLog, Served, router};
use onetap::live::Hub;
use onetap::store::memory::MemoryStore;
use onetap::store::{AnyStore, Retention, Store, SummaryQuery};
use rustix::time::{ClockId, clock_gettime};
use support::redis_server::{Kind, shared};
use support::{numbered_post, soon, tap};
use tower::Service as _;

/// The number of concurrent taps, as in a busy service.
const TASKS: u64 = 64;

/// A small generator, so that the seed gives the same numbers on every machine.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    n ^ (n >> 29)
}

fn spread(n: u64) -> Tap {
    let (post, user) = (mix(n) % 20_000, mix(n + 7) % 100_000);
    tap(Verb::Toggle, numbered_post(u32::try_from(post).unwrap()), 1 + user, "like")
}

fn hot(n: u64) -> Tap {
    tap(Verb::Toggle, numbered_post(u32::MAX), 1 + mix(n) % 10_000, "like")
}

/// Runs `taps` taps, 64 at a time; returns the time that they took.
async fn together<F>(taps: u64, one: impl Fn(u64) -> F + Send + Sync + 'static) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let one = Arc::new(one);
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let one = Arc::clone(&one);
            tokio::spawn(async move {
                for n in (task..taps).step_by(usize::try_from(TASKS).unwrap()) {
                    one(n).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    start.elapsed()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

type NamedStore = (&'static str, fn() -> AnyStore);

fn stores() -> [NamedStore; 4] {
    [
        ("memory", || AnyStore::Memory(MemoryStore::new(Retention::default()))),
        ("file", || {
            let (store, folder) = support::file::fresh();
            // Left to the system, which cleans its folder for temporary files.
            drop(folder.keep());
            AnyStore::File(store)
        }),
        ("redis", || AnyStore::Redis(shared(Kind::Redis).store())),
        ("valkey", || AnyStore::Redis(shared(Kind::Valkey).store())),
    ]
}

fn machine(c: &mut Criterion) {
    let mut group = c.benchmark_group("machine");
    group.throughput(Throughput::Elements(1));
    let (mut post, mut n) = (Post::default(), 0);
    group.bench_function("toggle", |b| {
        b.iter(|| {
            n += 1;
            post.apply(&hot(n), Micros(n), Revision::default())
        });
    });
    group.finish();
}

fn taps(c: &mut Criterion) {
    let mut group = c.benchmark_group("tap");
    group.throughput(Throughput::Elements(1));
    for (scenario, make) in [("spread", spread as fn(u64) -> Tap), ("one hot post", hot)] {
        for (name, store) in stores() {
            let runtime = runtime();
            let store = runtime.block_on(async { store() });
            group.bench_function(format!("{scenario}/{name}"), |b| {
                b.iter_custom(|taps| {
                    let store = store.clone();
                    runtime.block_on(together(taps, move |n| {
                        let store = store.clone();
                        async move { assert!(store.tap(make(n), soon()).await.unwrap().changed) }
                    }))
                });
            });
        }
    }
    group.finish();
}

fn pages(c: &mut Criterion) {
    let mut group = c.benchmark_group("page of 50");
    group.throughput(Throughput::Elements(50));
    let posts: Vec<PostId> = (0..50).map(numbered_post).collect();
    for (name, store) in stores() {
        let runtime = runtime();
        let store = runtime.block_on(async {
            let store = store();
            for (n, post) in (0..).zip(posts.iter().cycle().take(1000)) {
                let name = ["like", "love", "👍", "sad"][n % 4];
                store.tap(tap(Verb::Set, *post, 1 + n as u64, name), soon()).await.unwrap();
            }
            store
        });
        group.bench_function(name, |b| {
            b.iter(|| {
                let viewer = Some(support::user(1));
                let query = SummaryQuery { posts: posts.clone(), viewer, recent: 3 };
                runtime.block_on(store.summaries(query, soon())).unwrap()
            });
        });
    }
    group.finish();
}

/// Extractors, router and JSON: from a parsed request head to the bytes of the response, over a
/// store that costs next to nothing (see "machine").
fn http_codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode and decode: http");
    let runtime = runtime();
    let config = Config::new(&Settings::read(["onetap"]).unwrap()).unwrap();
    let (limits, hosts) = (config.limits, Hosts::new("127.0.0.1:8080".parse().ok(), Vec::new()));
    let (requests, log) = (Arc::default(), RequestLog::new(false));
    let (bytes, base) = (limits.max_uri_bytes, Default::default());
    let edge = Edge::new(hosts, Vec::new(), bytes, requests, (log, None), (None, None), base);
    let store = AnyStore::Memory(MemoryStore::new(Retention::default()));
    let answers = LargeAnswers::new(usize::MAX);
    let (live, registry, readiness) = (Hub::new(1), Arc::default(), Arc::default());
    let state = HttpState::new(
        store,
        Arc::new(ArcSwap::new(Palettes::unconfigured())),
        &limits,
        answers,
        live,
        registry,
        readiness,
    );
    let mut service = router(state, &edge, Served::All, None);
    let mut answer = |request: Request<Body>| {
        runtime.block_on(async {
            let response = service.call(request).await.unwrap();
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.unwrap().to_bytes()
        })
    };
    let toggle = |post: PostId, user: u64| {
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}/toggle");
        Request::post(path).header("host", "127.0.0.1:8080").body(Body::empty()).unwrap()
    };
    let ids: Vec<String> = (0..50).map(|n| numbered_post(n).to_string()).collect();
    for (n, post) in (0..50).map(numbered_post).enumerate() {
        answer(toggle(post, 1 + n as u64));
    }
    let query = serde_json::json!({ "post_ids": ids, "user_id": "1", "recent": 3 }).to_string();
    let page = || {
        Request::post("/v1/posts/reactions/query")
            .header("host", "127.0.0.1:8080")
            .header("content-type", "application/json")
            .body(Body::from(query.clone()))
            .unwrap()
    };
    let hot = numbered_post(u32::MAX);
    group.bench_function("tap", |b| {
        b.iter_batched(|| toggle(hot, 7), &mut answer, BatchSize::SmallInput);
    });
    group.bench_function("page of 50", |b| {
        b.iter_batched(page, &mut answer, BatchSize::SmallInput);
    });
    group.finish();
}

/// The CPU time of this process, without that of Redis.
fn own_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

/// Our own CPU time from a tap to its outcome, and from a query to its summaries. Our side encodes
/// the batch, parses the reply, and makes two system calls for each batch.
fn redis_codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode and decode: redis, CPU time");
    let runtime = runtime();
    let store = runtime.block_on(async { AnyStore::Redis(shared(Kind::Redis).store()) });
    group.bench_function("tap", |b| {
        b.iter_custom(|taps| {
            let (store, start) = (store.clone(), own_time());
            runtime.block_on(together(taps, move |n| {
                let store = store.clone();
                async move { assert!(store.tap(hot(n), soon()).await.unwrap().changed) }
            }));
            own_time() - start
        });
    });
    let posts: Vec<PostId> = (0..50).map(numbered_post).collect();
    runtime.block_on(async {
        for post in &posts {
            store.tap(tap(Verb::Set, *post, 1, "like"), soon()).await.unwrap();
        }
    });
    group.bench_function("page of 50", |b| {
        b.iter_custom(|pages| {
            let start = own_time();
            for _ in 0..pages {
                let viewer = Some(support::user(1));
                let query = SummaryQuery { posts: posts.clone(), viewer, recent: 3 };
                runtime.block_on(store.summaries(query, soon())).unwrap();
            }
            own_time() - start
        });
    });
    group.finish();
}

/// The same script and the same taps: on the lane, and on a connection that each tap takes from the
/// pool and returns.
fn lanes_against_checkout(c: &mut Criterion) {
    let mut group = c.benchmark_group("lanes against checkout");
    group.throughput(Throughput::Elements(1));
    let server = shared(Kind::Redis);
    let runtime = runtime();
    let store = runtime.block_on(async { server.store() });
    group.bench_function("lane", |b| {
        b.iter_custom(|taps| {
            let store = store.clone();
            runtime.block_on(together(taps, move |n| {
                let store = store.clone();
                async move { assert!(store.tap(spread(n), soon()).await.unwrap().changed) }
            }))
        });
    });
    let source = include_str!(concat!(env!("OUT_DIR"), "/lua/toggle.lua"));
    let script = redis::Script::new(source);
    let pool: Pool = deadpool_redis::Config::from_url(server.url())
        .builder()
        .unwrap()
        .max_size(8)
        .runtime(Runtime::Tokio1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = pool.get().await.unwrap();
        script.load_async(&mut connection).await.unwrap();
    });
    group.bench_function("checkout", |b| {
        b.iter_custom(|taps| {
            let (pool, sha) = (pool.clone(), script.get_hash().to_owned());
            runtime.block_on(together(taps, move |n| {
                let (pool, sha, tap) = (pool.clone(), sha.clone(), spread(n));
                async move {
                    let post = format!("pool:{{x}}:p:{}", tap.post);
                    let mut cmd = redis::cmd("EVALSHA");
                    cmd.arg(sha).arg(4).arg(&post).arg(format!("{post}:like"));
                    cmd.arg("pool:{x}:log").arg("pool:{x}:u:0");
                    cmd.arg(3_600_000).arg("9007199254740991").arg(0).arg(600_000).arg(10_000);
                    cmd.arg(&tap.post.as_uuid().as_bytes()[..]).arg(tap.user.to_string());
                    cmd.arg("like").arg("9007199254740991").arg("").arg("default 20 20 1 = * = ");
                    let mut connection = pool.get().await.unwrap();
                    let answer: Vec<i64> = cmd.query_async(&mut connection).await.unwrap();
                    assert!(answer[1] >= 2, "{answer:?}");
                }
            }))
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3));
    targets = machine, http_codec, redis_codec, taps, pages, lanes_against_checkout
}
criterion_main!(benches);
