//! An endless load of taps from many clients, while a test does something to the store.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use tokio::task::JoinHandle;

use super::http::Connection;

/// A request with its response.
pub(crate) struct Answer {
    pub(crate) at: Instant,
    pub(crate) post: PostId,
    pub(crate) status: u16,
}

/// Clients that tap and read in turn until they are stopped. Each is one user that no other client
/// uses, so it knows what every response must be.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Answer>>>,
    pub(crate) posts: Vec<PostId>,
}

/// What a client knows about its flags. None after an unknown outcome.
type Flags = HashMap<PostId, Option<bool>>;

impl Load {
    /// Each of `clients` cycles through the posts with on, off and flip. With `lossless` the store
    /// may refuse a tap, but must not lose one that it acknowledged.
    pub(crate) fn start(
        service: SocketAddr,
        clients: usize,
        posts: Vec<PostId>,
        lossless: bool,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |user: usize| {
            let (stop, posts) = (Arc::clone(&stop), posts.clone());
            tokio::spawn(async move {
                let (mut answers, mut flags) = (Vec::new(), Flags::new());
                let mut connection = Connection::open(service).await;
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let post = posts[(i + user * 7) % posts.len()];
                    let verb = i / posts.len() % 3;
                    let known = flags.entry(post).or_insert(Some(false));
                    let status = tap(&mut connection, post, user, verb, known, lossless).await;
                    answers.push(Answer { at: Instant::now(), post, status });
                    if i % 5 == 0 {
                        read(&mut connection, post, user, flags[&post], lossless).await;
                    }
                    if status >= 500 {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
                answers
            })
        };
        let clients = (1..=clients).map(client).collect();
        Self { stop, clients, posts }
    }

    /// Stops the clients. Returns all answers in the order of time.
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

/// One tap: counted, refused or of unknown outcome. Checks the response against the known flag.
async fn tap(
    connection: &mut Connection,
    post: PostId,
    user: usize,
    verb: usize,
    known: &mut Option<bool>,
    lossless: bool,
) -> u16 {
    let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
    let (method, path) = match verb {
        0 => ("PUT", path),
        1 => ("DELETE", path),
        _ => ("POST", format!("{path}/toggle")),
    };
    let response = connection.send(method, path, &[], "").await;
    match response.status {
        200 | 201 => {
            let answer = response.json();
            let active = answer["active"].as_bool().unwrap();
            if let (Some(was), true) = (*known, lossless) {
                let expected = [true, false, !was][verb];
                assert_eq!(active, expected, "{method}, {was} before: {answer}");
                assert_eq!(answer["changed"], was != expected, "{method}, {was} before: {answer}");
            }
            *known = Some(active);
        }
        503 => assert!(response.header("retry-after").is_some(), "{response:?}"),
        504 => {
            assert!(response.header("retry-after").is_some(), "{response:?}");
            *known = None;
        }
        _ => panic!("{response:?}"),
    }
    response.status
}

/// One read. Checks the flag in the response against the known one, or is refused.
async fn read(
    connection: &mut Connection,
    post: PostId,
    user: usize,
    known: Option<bool>,
    lossless: bool,
) {
    let path = format!("/v1/posts/{post}/reactions?user_id={user}&recent=2");
    let response = connection.send("GET", path, &[], "").await;
    if response.status == 503 {
        return;
    }
    let summary = response.ok(200);
    let like = summary["reactions"].as_array().unwrap().first();
    let mine = like.is_some_and(|like| like["mine"] == true);
    if let (Some(known), true) = (known, lossless) {
        assert_eq!(mine, known, "{summary}");
    }
    if let Some(like) = like {
        let (count, recent) = (like["count"].as_u64().unwrap(), &like["recent"]);
        let shown = recent.as_array().unwrap().len() as u64;
        assert!(shown == count.min(2), "{summary}");
    }
}

/// Asserts that each post agrees with itself: the count is the number of listed users.
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
