//! Taps without end, from many clients, while something happens to the store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use tokio::task::JoinHandle;

use super::http::{Connection, Response};
use super::post;

/// One answered request.
pub(crate) struct Answer {
    pub(crate) at: Instant,
    pub(crate) post: PostId,
    pub(crate) status: u16,
}

/// Clients that tap on posts of their own, one after the other, until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Answer>>>,
    pub(crate) posts: Vec<PostId>,
}

impl Load {
    /// Each of `clients` goes through `posts` in turn: on, off, and flip, as one user of many.
    pub(crate) fn start(service: SocketAddr, clients: u64, posts: usize) -> Self {
        let posts: Vec<PostId> = (0..posts).map(|_| post()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let client = |user: u64| {
            let (stop, posts) = (Arc::clone(&stop), posts.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                let mut connection = Connection::open(service).await;
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let post = posts[(i + user as usize * 7) % posts.len()];
                    let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
                    let response = match i / posts.len() % 3 {
                        0 => connection.send("PUT", path, &[], "").await,
                        1 => connection.send("DELETE", path, &[], "").await,
                        _ => connection.send("POST", format!("{path}/toggle"), &[], "").await,
                    };
                    check(&response);
                    answers.push(Answer { at: Instant::now(), post, status: response.status });
                    if response.status >= 500 {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
                answers
            })
        };
        let clients = (1..=clients).map(client).collect();
        Self { stop, clients, posts }
    }

    /// Stops the clients; all answers in the order of time.
    pub(crate) async fn stop(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers = Vec::new();
        for client in self.clients {
            answers.extend(client.await.unwrap());
        }
        answers.sort_by_key(|answer| answer.at);
        answers
    }
}

/// A tap is counted, or refused, or in doubt, and says which.
fn check(response: &Response) {
    match response.status {
        200 | 201 => {}
        503 | 504 => assert!(response.header("retry-after").is_some(), "{response:?}"),
        _ => panic!("{response:?}"),
    }
}

/// What is shown of each post agrees with itself: the count is the number of those listed.
pub(crate) async fn assert_sound(service: SocketAddr, posts: &[PostId]) {
    let mut connection = Connection::open(service).await;
    for post in posts {
        let path = format!("/v1/posts/{post}/reactions");
        let summary = connection.send("GET", path, &[], "").await.ok(200);
        let path = format!("/v1/posts/{post}/users?limit=100");
        let listed = connection.send("GET", path, &[], "").await.ok(200);
        let users = listed["users"].as_array().unwrap().len();
        assert_eq!(summary["total"].as_u64(), Some(users as u64), "{post}: {summary} {listed}");
    }
}
