//! Services that are killed in the middle of a job. The next start ends the job as if nothing had
//! happened. What it is to leave behind, with each time, is worked out here a second time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use onetap::jobs::JobBook;
use onetap::store::AnyStore;
use onetap::store::redis::RedisSource;
use serde_json::{Value, json};

use super::{are, held, put};
use crate::support::file::open_at;
use crate::support::http::Connection;
use crate::support::power::random;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{posts, prefix, soon};

/// How often each kind is killed: `ONETAP_JOB_KILLS=20` for the promise in RELIABILITY.md.
fn kills() -> u64 {
    std::env::var("ONETAP_JOB_KILLS").ok().map_or(1, |text| text.parse().unwrap())
}

/// A store that outlives the service.
enum Place {
    Redis(RedisServer, String),
    File(tempfile::TempDir),
}

impl Place {
    fn args(&self) -> Vec<String> {
        let own = match self {
            Self::Redis(server, prefix) => {
                vec![server.url(), "--key-prefix".into(), prefix.clone()]
            }
            Self::File(folder) => {
                vec![format!("file:{}", folder.path().join("store.redb").display())]
            }
        };
        // Slow, so that a job takes a while.
        let slow = ["--jobs-rate", "500", "--audit-rate", "0"].map(String::from);
        std::iter::once("--store".to_owned()).chain(own).chain(slow).collect()
    }

    fn serve(&self) -> Program {
        let args = self.args();
        Program::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The store itself, while no service holds it.
    fn open(&self) -> AnyStore {
        match self {
            Self::Redis(server, prefix) => {
                let source = RedisSource::new(&server.options(prefix)).unwrap();
                AnyStore::Redis(source.attach())
            }
            Self::File(folder) => AnyStore::File(open_at(&folder.path().join("store.redb"))),
        }
    }
}

type State = BTreeMap<PostId, BTreeMap<(String, String), u64>>;

/// The reactions on a post, with known times.
fn members(nth: usize) -> Vec<(u64, &'static str, u64)> {
    let n = nth as u64;
    let mut members = vec![
        (7, "heart", 1_000 + n),
        (7, "love", 2_000 + n),
        (8, "heart", 3_000 + n),
        (8, "love", 500 + n),
        (10 + n % 5, "like", 4_000 + n),
    ];
    if nth == 0 {
        members.extend((1_000..2_500).map(|id| (id, "like", id)));
    }
    members
}

async fn seed(place: &Place, posts: &[PostId]) {
    let store = place.open();
    for (nth, post) in posts.iter().enumerate() {
        put(&store, *post, &members(nth)).await;
    }
}

/// What the job is to leave behind.
fn expected(body: &Value, posts: &[PostId]) -> State {
    let before: State = (0..).zip(posts).map(|(nth, post)| (*post, are(&members(nth)))).collect();
    let mut after = State::new();
    let kind = body["kind"].as_str().unwrap();
    for (post, members) in before {
        for ((user, reaction), at) in members {
            let (one, other) = (posts[0], posts[1]);
            let goes = match kind {
                "erase" => user == "7",
                "retract" => user.len() < 4,
                _ => false,
            };
            let targets = match kind {
                _ if goes => vec![],
                "rename" if reaction == "heart" => vec![(post, user, "love".into())],
                "merge_user" if user == "7" => vec![(post, "8".into(), reaction)],
                "copy_post" if post == one => {
                    vec![(one, user.clone(), reaction.clone()), (other, user, reaction)]
                }
                "move_post" if post == one => vec![(other, user, reaction)],
                _ => vec![(post, user, reaction)],
            };
            after.entry(post).or_default();
            for (post, user, reaction) in targets {
                // Of two that become one, the older time counts.
                let held = after.entry(post).or_default().entry((user, reaction)).or_insert(at);
                *held = at.min(*held);
            }
        }
    }
    after
}

async fn state(place: &Place, posts: &[PostId]) -> State {
    let (store, mut all) = (place.open(), State::new());
    for post in posts {
        all.insert(*post, held(&store, *post).await);
    }
    all
}

/// How a run of a job went.
struct Run {
    /// The receipt without what differs from run to run, and what the job says of itself.
    receipt: Vec<String>,
    took: Duration,
    /// Whether the kill met the job while it ran.
    met: bool,
}

/// Starts the job, perhaps kills the service so long afterwards, and waits for the end.
async fn run(place: &Place, body: &Value, kill: Option<Duration>) -> Run {
    let mut service = place.serve();
    service.until_ready().await;
    let json = [("content-type", "application/json")];
    let mut connection = Connection::open(service.address).await;
    let started = connection.send("POST", "/v1/jobs", &json, &body.to_string()).await.ok(202);
    let id = started["id"].as_str().unwrap().to_owned();
    let (path, began, mut met) = (format!("/v1/jobs/{id}"), Instant::now(), false);
    if let Some(later) = kill {
        tokio::time::sleep(later).await;
        service.signal("-KILL");
        drop(service);
        let book = JobBook::new(place.open(), Arc::default());
        let job = book.job(&id.parse().unwrap(), soon()).await.unwrap().unwrap();
        met = !job.has_ended();
        drop(book);
        service = place.serve();
        service.until_ready().await;
    }
    loop {
        let job = service.send("GET", &path).await.ok(200);
        if job["state"] != "running" {
            assert_eq!(job["state"], "done", "{job}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(100), "it goes on: {job}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    let receipt = service.send("GET", &format!("{path}/receipt")).await;
    let mut lines: Vec<String> = receipt.body.lines().map(str::to_owned).collect();
    let last: Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    let job = &last["receipt"];
    lines.sort();
    let same = ["numbers", "arguments", "passes", "error"].map(|name| &job[name]);
    lines.push(json!(same).to_string());
    // A walk over Redis may come by a post twice.
    match body["kind"].as_str() {
        Some("rename") => assert!(job["done"].as_u64().unwrap() >= 300, "{job}"),
        _ => lines.push(job["done"].to_string()),
    }
    assert_eq!(job["done"], job["total"], "{job}");
    Run { receipt: lines, took, met }
}

async fn a_killed_job_ends_as_if_nothing_had_happened(fresh: impl Fn() -> Place) {
    let posts = posts(300);
    let (from, to) = (posts[0].to_string(), posts[1].to_string());
    let mut seed_of_moments = u64::from(std::process::id());
    let (mut killed, mut met) = (0, 0);
    for body in [
        json!({ "kind": "erase", "user_id": 7 }),
        json!({ "kind": "retract", "user_ids": [7, 8, 10, 11, 12, 13, 14] }),
        json!({ "kind": "rename", "from": "heart", "to": "love" }),
        json!({ "kind": "merge_user", "from": 7, "to": 8 }),
        json!({ "kind": "copy_post", "from": from, "to": to }),
        json!({ "kind": "move_post", "from": from, "to": to }),
        json!({ "kind": "audit", "repair": true }),
    ] {
        let calm = fresh();
        seed(&calm, &posts).await;
        let expected = expected(&body, &posts);
        let undisturbed = run(&calm, &body, None).await;
        assert!(state(&calm, &posts).await == expected, "{body}, without a kill");
        for _ in 0..kills() {
            let mut within = undisturbed.took.as_micros() as u64;
            loop {
                let kill = Duration::from_micros(random(&mut seed_of_moments) % within);
                let place = fresh();
                seed(&place, &posts).await;
                let run = run(&place, &body, Some(kill)).await;
                assert_eq!(run.receipt, undisturbed.receipt, "{body} killed after {kill:?}");
                assert!(state(&place, &posts).await == expected, "{body} killed after {kill:?}");
                killed += 1;
                if run.met {
                    met += 1;
                    break;
                }
                // One that came after the end counts for nothing: the next comes earlier.
                within = within.div_ceil(2);
                assert!(killed < 10 * (met + 1), "{body}: no kill meets it");
            }
        }
    }
    println!("{met} of {killed} kills met a running job: same receipts, same states");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_over_a_file_survives_kill_9() {
    a_killed_job_ends_as_if_nothing_had_happened(|| Place::File(tempfile::tempdir().unwrap()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_over_redis_survives_kill_9() {
    let fresh = || Place::Redis(RedisServer::start(Kind::Redis, &[]), prefix());
    a_killed_job_ends_as_if_nothing_had_happened(fresh).await;
}
