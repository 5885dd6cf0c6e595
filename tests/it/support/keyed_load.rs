//! An endless load of toggles. Each has its own idempotency key, and the client retries it until it
//! gets an answer. Whatever happens meanwhile, each counts once, so the final state is known.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use tokio::task::JoinHandle;

use super::http::Connection;

/// The clients. Each is one user with one connection.
pub(crate) struct KeyedLoad {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    users: Vec<JoinHandle<Vec<u64>>>,
    failures: Arc<std::sync::Mutex<Vec<(Instant, u16)>>>,
    posts: Vec<PostId>,
}

/// The result of a load.
pub(crate) struct Done {
    /// How many toggles each user made on each post.
    toggles: Vec<Vec<u64>>,
    posts: Vec<PostId>,
    pub(crate) answered: u64,
    /// When a request got another status than 200, and which.
    pub(crate) failures: Vec<(Instant, u16)>,
}

impl KeyedLoad {
    pub(crate) fn start(service: SocketAddr, users: u64, posts: usize) -> Self {
        Self::on(service, users, super::posts(posts))
    }

    pub(crate) fn on(service: SocketAddr, users: u64, posts: Vec<PostId>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let failures = Arc::new(std::sync::Mutex::new(Vec::new()));
        let user = |id: u64| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (failures, posts) = (Arc::clone(&failures), posts.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(service).await;
                let mut toggles = vec![0; posts.len()];
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let which = (i + usize::try_from(id).unwrap()) % posts.len();
                    let path =
                        format!("/v1/posts/{}/reactions/like/users/{id}/toggle", posts[which]);
                    let (key, begun) = (i.to_string(), Instant::now());
                    loop {
                        let headers = [("idempotency-key", key.as_str())];
                        let response = connection.send("POST", &path, &headers, "").await;
                        if response.status == 200 {
                            break;
                        }
                        assert!(matches!(response.status, 503 | 504), "{response:?}");
                        assert!(
                            begun.elapsed() < Duration::from_secs(60),
                            "no answer: {response:?}"
                        );
                        failures.lock().unwrap().push((Instant::now(), response.status));
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    toggles[which] += 1;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                toggles
            })
        };
        let users = (1..=users).map(user).collect();
        Self { stop, answered, users, failures, posts }
    }

    /// Waits until `more` further toggles got their response.
    pub(crate) async fn answers(&self, more: u64) {
        let (goal, begun) = (self.answered.load(Ordering::Relaxed) + more, Instant::now());
        while self.answered.load(Ordering::Relaxed) < goal {
            assert!(begun.elapsed() < Duration::from_secs(60), "no answers come any more");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn stop(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let mut toggles = Vec::new();
        for user in self.users {
            toggles.push(user.await.unwrap());
        }
        let failures = std::mem::take(&mut *self.failures.lock().unwrap());
        let answered = self.answered.load(Ordering::Relaxed);
        Done { toggles, posts: self.posts, answered, failures }
    }
}

impl Done {
    /// Asserts that every toggle counted exactly once: users with an odd number of toggles have the
    /// reaction, and the counts agree.
    pub(crate) async fn assert_exactly_once(&self, service: SocketAddr) {
        let mut connection = Connection::open(service).await;
        for (i, post) in self.posts.iter().enumerate() {
            let odd = |(_, toggles): &(u64, &Vec<u64>)| toggles[i] % 2 == 1;
            let expected: Vec<u64> =
                (1..).zip(&self.toggles).filter(odd).map(|(user, _)| user).collect();
            let path = format!("/v1/posts/{post}/users?limit=100");
            let listed = connection.send("GET", path, &[], "").await.ok(200);
            let listed = listed["users"].as_array().unwrap().iter();
            let listed: BTreeMap<u64, ()> =
                listed.map(|u| (u["user_id"].as_str().unwrap().parse().unwrap(), ())).collect();
            assert_eq!(listed.into_keys().collect::<Vec<_>>(), expected, "{post}");
            let path = format!("/v1/posts/{post}/reactions");
            let total = connection.send("GET", path, &[], "").await.ok(200)["total"].as_u64();
            assert_eq!(total, Some(expected.len() as u64), "{post}");
        }
    }
}
