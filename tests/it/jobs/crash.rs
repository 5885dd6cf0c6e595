//! Services that are killed in the middle of a job. The next start ends the job as if nothing had
//! happened.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use onetap::store::AnyStore;
use onetap::store::redis::RedisSource;
use serde_json::{Value, json};

use super::{held, put};
use crate::support::file::open_at;
use crate::support::http::Connection;
use crate::support::power::random;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{posts, prefix};

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
        // Slow, so that a job of 2,000 reactions takes more than half a second.
        let slow = ["--jobs-rate", "4000", "--audit-rate", "0"].map(String::from);
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

/// Reactions with known times, so that two runs can be compared.
async fn seed(place: &Place, posts: &[PostId]) {
    let store = place.open();
    for (n, post) in posts.iter().enumerate() {
        let n = n as u64;
        put(
            &store,
            *post,
            &[
                (7, "heart", 1_000 + n),
                (7, "love", 2_000 + n),
                (8, "heart", 3_000 + n),
                (10 + n % 5, "like", 4_000 + n),
            ],
        )
        .await;
    }
    let many: Vec<(u64, &str, u64)> = (1_000..3_000).map(|id| (id, "like", id)).collect();
    put(&store, posts[0], &many).await;
}

async fn state(place: &Place, posts: &[PostId]) -> State {
    let (store, mut all) = (place.open(), State::new());
    for post in posts {
        all.insert(*post, held(&store, *post).await);
    }
    all
}

/// Starts the job, kills the service after `kill_after` if there is one, and waits for the end.
/// Returns the receipt without what differs from run to run.
async fn run(place: &Place, body: &Value, kill_after: Option<Duration>) -> Vec<String> {
    let mut service = place.serve();
    service.until_ready().await;
    let json = [("content-type", "application/json")];
    let mut connection = Connection::open(service.address).await;
    let started = connection.send("POST", "/v1/jobs", &json, &body.to_string()).await.ok(202);
    let path = format!("/v1/jobs/{}", started["id"].as_str().unwrap());
    if let Some(moment) = kill_after {
        tokio::time::sleep(moment).await;
        service.signal("-KILL");
        drop(service);
        service = place.serve();
        service.until_ready().await;
    }
    let began = Instant::now();
    loop {
        let job = service.send("GET", &path).await.ok(200);
        if job["state"] != "running" {
            assert_eq!(job["state"], "done", "{job}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it goes on: {job}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let receipt = service.send("GET", &format!("{path}/receipt")).await;
    let mut lines: Vec<String> = receipt.body.lines().map(str::to_owned).collect();
    let last: Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    let job = &last["receipt"];
    lines.sort();
    lines.push(json!([job["numbers"], job["arguments"]]).to_string());
    lines
}

async fn a_killed_job_ends_as_if_nothing_had_happened(fresh: impl Fn() -> Place) {
    let posts = posts(300);
    let (from, to) = (posts[0].to_string(), posts[1].to_string());
    let mut seed_of_moments = u64::from(std::process::id());
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
        let expected = (run(&calm, &body, None).await, state(&calm, &posts).await);
        for _ in 0..kills() {
            let moment = Duration::from_millis(random(&mut seed_of_moments) % 500);
            let place = fresh();
            seed(&place, &posts).await;
            let receipt = run(&place, &body, Some(moment)).await;
            assert_eq!(receipt, expected.0, "{body} killed after {moment:?}");
            assert!(state(&place, &posts).await == expected.1, "{body} killed after {moment:?}");
        }
    }
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
