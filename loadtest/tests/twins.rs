//! The load test against a toggle that is right and against its broken twins: it has to accept the
//! one and object to the others, or its "counted exactly once" means nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onetap_loadtest::burst::{self, BurstError, BurstOptions, BurstReport};
use onetap_loadtest::client::Target;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Toggle {
    /// Read, flip and write in one step.
    Atomic,
    /// Read, go away, write what was flipped: the forum's original.
    ReadThenWrite,
    /// Flips in one step, and counts in another.
    CountedApart,
    /// Flips in one step, but the revision was taken before.
    NumberedBefore,
    /// Right, but two answers in a row are exchanged.
    Exchanged,
    /// Right, but every twentieth tap is dropped and answered all the same.
    Dropped,
}

#[derive(Default)]
struct Post {
    users: BTreeSet<u64>,
    count: u64,
    revision: u64,
    taps: u64,
    held_back: Option<String>,
}

type Posts = Arc<Mutex<HashMap<String, Post>>>;

/// A server that knows just enough HTTP for the load test.
async fn serve(kind: Toggle) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let posts = Posts::default();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(connection(stream, kind, Arc::clone(&posts)));
        }
    });
    url
}

async fn connection(stream: TcpStream, kind: Toggle, posts: Posts) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if stream.read_line(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        let mut header = String::new();
        while stream.read_line(&mut header).await.unwrap_or(0) > 2 {
            header.clear();
        }
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let parts: Vec<&str> = path.split(['/', '?']).collect();
        let body = match parts.as_slice() {
            [_, _, _, post, _, _, _, user, "toggle"] => {
                toggle(kind, &posts, post, user.parse().unwrap()).await
            }
            [_, _, _, post, "reactions"] => summary(&posts, post),
            [_, _, _, post, ..] => users(&posts, post),
            _ => panic!("{path}"),
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One step on a post.
fn step<T>(posts: &Posts, post: &str, step: impl FnOnce(&mut Post) -> T) -> T {
    step(posts.lock().unwrap().entry(post.to_owned()).or_default())
}

fn answer(active: bool, count: u64, revision: u64) -> String {
    format!(r#"{{"active":{active},"changed":true,"count":{count},"revision":{revision}}}"#)
}

fn flip(post: &mut Post, user: u64) -> bool {
    let active = post.users.insert(user);
    if !active {
        post.users.remove(&user);
    }
    active
}

fn atomic(post: &mut Post, user: u64) -> String {
    let active = flip(post, user);
    post.revision += 1;
    answer(active, post.users.len() as u64, post.revision)
}

async fn toggle(kind: Toggle, posts: &Posts, post: &str, user: u64) -> String {
    let away = || tokio::time::sleep(Duration::from_millis(1));
    match kind {
        Toggle::Atomic => step(posts, post, |post| atomic(post, user)),
        Toggle::ReadThenWrite => {
            let active = step(posts, post, |post| !post.users.contains(&user));
            away().await;
            step(posts, post, |post| {
                if active {
                    post.users.insert(user)
                } else {
                    post.users.remove(&user)
                };
                post.revision += 1;
                answer(active, post.users.len() as u64, post.revision)
            })
        }
        Toggle::CountedApart => {
            let (active, revision, count) = step(posts, post, |post| {
                post.revision += 1;
                (flip(post, user), post.revision, post.count)
            });
            away().await;
            step(posts, post, |post| {
                post.count = if active { count + 1 } else { count.saturating_sub(1) };
                answer(active, post.count, revision)
            })
        }
        Toggle::NumberedBefore => {
            let revision = step(posts, post, |post| {
                post.revision += 1;
                post.revision
            });
            // Away for differing times, or all would come back in the order in which they left.
            tokio::time::sleep(Duration::from_millis(revision % 3)).await;
            step(posts, post, |post| answer(flip(post, user), post.users.len() as u64, revision))
        }
        Toggle::Exchanged => {
            let own = step(posts, post, |state| {
                let own = atomic(state, user);
                state.held_back.replace(own.clone()).unwrap_or(own)
            });
            away().await;
            own
        }
        Toggle::Dropped => step(posts, post, |post| {
            post.taps += 1;
            if post.taps % 20 == 0 {
                post.revision += 1;
                let active = !post.users.contains(&user);
                return answer(active, post.users.len() as u64, post.revision);
            }
            atomic(post, user)
        }),
    }
}

fn summary(posts: &Posts, post: &str) -> String {
    step(posts, post, |post| {
        let (count, revision) = (post.users.len(), post.revision);
        let like = format!(r#"{{"reaction":"like","count":{count}}}"#);
        let reactions = if count == 0 { String::new() } else { like };
        format!(r#"{{"revision":{revision},"reactions":[{reactions}]}}"#)
    })
}

fn users(posts: &Posts, post: &str) -> String {
    step(posts, post, |post| {
        let users: Vec<_> = post.users.iter().map(|u| format!(r#"{{"user_id":"{u}"}}"#)).collect();
        format!(r#"{{"users":[{}],"next_cursor":null}}"#, users.join(","))
    })
}

async fn burst(kind: Toggle, users: u64) -> Result<BurstReport, BurstError> {
    let options = BurstOptions { taps: 50, rounds: 5, users, mix: false };
    burst::run(&Target::new(&serve(kind).await).unwrap(), &options, |_| ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_toggle_is_accepted() {
    for users in [1, 7] {
        let report = burst(Toggle::Atomic, users).await.unwrap();
        assert_eq!((report.rounds, report.taps), (5, 250));
        assert!(report.least_overlap >= 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_twin_is_caught() {
    for kind in [
        Toggle::ReadThenWrite,
        Toggle::CountedApart,
        Toggle::NumberedBefore,
        Toggle::Exchanged,
        Toggle::Dropped,
    ] {
        // Of one user's taps, a count that is always 0 + 1 or 1 - 1 would be right by luck.
        let users = if kind == Toggle::CountedApart { 7 } else { 1 };
        let result = burst(kind, users).await.map(|report| report.rounds);
        assert!(matches!(result, Err(BurstError::Wrong { .. })), "{kind:?}: {result:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_says_what_it_found_and_exits_accordingly() {
    let file = std::env::temp_dir().join(format!("onetap-loadtest-{}.json", std::process::id()));
    for (kind, code) in [(Toggle::Atomic, 0), (Toggle::ReadThenWrite, 1)] {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_onetap-loadtest"));
        program.args(["--url", &serve(kind).await, "--json"]).arg(&file);
        let output = tokio::task::spawn_blocking(move || program.output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let report = std::fs::read_to_string(&file).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["ok"], code == 0);
        let said = String::from_utf8(output.stderr).unwrap();
        if code == 0 {
            assert_eq!((&report["rounds"], &report["taps"]), (&20.into(), &1000.into()));
            let table = String::from_utf8(output.stdout).unwrap();
            assert!(table.contains("20 of 20 right"), "{table}");
        } else {
            // The offending history, each tap with its answer, then what cannot be.
            assert_eq!(report["history"].as_array().unwrap().len(), 50);
            assert!(said.contains("\"answered_micros\""), "{said}");
            assert!(said.lines().last().unwrap().starts_with("onetap-loadtest: round "), "{said}");
        }
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = Target::new(&format!("http://127.0.0.1:{port}")).unwrap();
    let options = BurstOptions { taps: 2, rounds: 1, users: 1, mix: false };
    let error = burst::run(&target, &options, |_| ()).await.unwrap_err().to_string();
    assert!(error.contains("is the service running?"), "{error}");
    for bad in ["", "127.0.0.1:80", "https://x", "http://", "http://x/y"] {
        assert!(Target::new(bad).is_err(), "{bad}");
    }
}
