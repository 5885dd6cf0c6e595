//! The barrier against a service that keeps the limits of its palette in the step of the tap, and
//! against broken twins that check them elsewhere, or say the wrong thing of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onetap_loadtest::barrier::{self, BarrierError, BarrierReport};
use onetap_loadtest::burst::BurstError;
use onetap_loadtest::client::Target;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Twin {
    /// Looks and writes in one step.
    Right,
    /// Counts the kinds in one step, and writes in another.
    KindsBefore,
    /// Looks for the others of the group in one step, and writes in another.
    GroupBefore,
    /// Allows one kind more than it says.
    OneMore,
    /// Refuses one kind too early.
    OneLess,
    /// Takes away what is replaced, and does not say so.
    Silent,
    /// Says of what is replaced a count that is one too high.
    Miscounted,
    /// Refuses everything as too many, from the first tap on.
    Refusing,
    /// Does not know palettes, as an older service.
    Old,
}

/// The most kinds of a post, and of the group.
const MOST: usize = 5;
const PALETTES: &str = r#"{"palettes":{"default":{"reactions":"*","exclusive":[["up","down"]],
    "aliases":{},"max_kinds_per_post":5,"max_per_user_and_post":20,"label":"more than needed"}}}"#;

#[derive(Default)]
struct Post {
    cells: BTreeSet<(String, u64)>,
    revision: u64,
}

impl Post {
    fn count(&self, reaction: &str) -> usize {
        self.cells.iter().filter(|(name, _)| name == reaction).count()
    }

    fn kinds(&self) -> BTreeSet<String> {
        self.cells.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The other of the group, if the user has it.
    fn other(&self, reaction: &str, user: u64) -> Option<String> {
        let other = match reaction {
            "up" => "down",
            "down" => "up",
            _ => return None,
        };
        self.cells.contains(&(other.to_owned(), user)).then(|| other.to_owned())
    }

    fn refuses(&self, reaction: &str, most: usize) -> bool {
        let kinds = self.kinds();
        !kinds.contains(reaction) && kinds.len() >= most
    }

    /// Adds, and takes the other away.
    fn add(&mut self, kind: Twin, reaction: &str, user: u64, other: Option<String>) -> String {
        let changed = self.cells.insert((reaction.to_owned(), user));
        self.revision += u64::from(changed);
        let mut replaced = String::new();
        if let Some(other) = other.filter(|_| changed)
            && self.cells.remove(&(other.clone(), user))
        {
            self.revision += 1;
            let count = self.count(&other) + usize::from(kind == Twin::Miscounted);
            if kind != Twin::Silent {
                replaced = format!(r#"{{"reaction":"{other}","count":{count}}}"#);
            }
        }
        let (count, revision) = (self.count(reaction), self.revision);
        format!(
            r#"{{"active":true,"changed":{changed},"count":{count},"revision":{revision},
            "replaced":[{replaced}]}}"#
        )
    }
}

type Posts = Arc<Mutex<HashMap<String, Post>>>;

async fn serve(kind: Twin) -> String {
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

async fn connection(stream: TcpStream, kind: Twin, posts: Posts) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut request, mut header) = (String::new(), String::new());
        if stream.read_line(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        while stream.read_line(&mut header).await.unwrap_or(0) > 2 {
            header.clear();
        }
        let path = request.split(' ').nth(1).unwrap();
        let parts: Vec<&str> = path.split(['/', '?']).collect();
        let (status, body) = match parts.as_slice() {
            [_, _, "palettes"] if kind == Twin::Old => ("404 Not Found", String::new()),
            [_, _, "palettes"] => ("200 OK", PALETTES.to_owned()),
            [_, _, _, post, _, reaction, "users", user] if !user.contains('=') => {
                tap(kind, &posts, post, reaction, user.parse().unwrap()).await
            }
            [_, _, _, post, "reactions"] => ("200 OK", step(&posts, post, |post| summary(post))),
            [_, _, _, post, _, reaction, ..] => {
                ("200 OK", step(&posts, post, |post| users(post, reaction)))
            }
            _ => panic!("{path}"),
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn step<T>(posts: &Posts, post: &str, step: impl FnOnce(&mut Post) -> T) -> T {
    step(posts.lock().unwrap().entry(post.to_owned()).or_default())
}

const TOO_MANY: &str = r#"{"code":"too_many_reactions"}"#;

async fn tap(
    kind: Twin,
    posts: &Posts,
    post: &str,
    reaction: &str,
    user: u64,
) -> (&'static str, String) {
    let away = || tokio::time::sleep(Duration::from_millis(1));
    let refused = ("422 Unprocessable Entity", TOO_MANY.to_owned());
    let most = match kind {
        Twin::OneMore => MOST + 1,
        Twin::OneLess => MOST - 1,
        Twin::Refusing => 0,
        _ => MOST,
    };
    let before =
        step(posts, post, |post| (post.refuses(reaction, most), post.other(reaction, user)));
    if matches!(kind, Twin::KindsBefore | Twin::GroupBefore) {
        away().await;
    }
    step(posts, post, |post| {
        let refuses = match kind {
            Twin::KindsBefore => before.0,
            _ => post.refuses(reaction, most),
        };
        if refuses {
            return refused;
        }
        let other = match kind {
            Twin::GroupBefore => before.1,
            _ => post.other(reaction, user),
        };
        ("200 OK", post.add(kind, reaction, user, other))
    })
}

fn summary(post: &Post) -> String {
    let count = |name: &String| format!(r#"{{"reaction":"{name}","count":{}}}"#, post.count(name));
    let counts: Vec<String> = post.kinds().iter().map(count).collect();
    format!(r#"{{"revision":{},"reactions":[{}]}}"#, post.revision, counts.join(","))
}

fn users(post: &Post, reaction: &str) -> String {
    let users = post.cells.iter().filter(|(name, _)| name == reaction);
    let users: Vec<_> = users.map(|(_, user)| format!(r#"{{"user_id":"{user}"}}"#)).collect();
    format!(r#"{{"users":[{}],"next_cursor":null}}"#, users.join(","))
}

async fn at_the_barrier(kind: Twin) -> Result<BarrierReport, BarrierError> {
    barrier::run(&Target::new(&serve(kind).await).unwrap(), 40).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_hold_are_proved() {
    let report = at_the_barrier(Twin::Right).await.unwrap();
    assert!(report.meets_the_limit());
    assert_eq!((report.kinds.kinds, report.kinds.taps, report.kinds.refused), (MOST, 40, 35));
    let (pair, crowd) = report.group.unwrap();
    assert_eq!((pair.join(" "), crowd.taps, crowd.refused), ("up down".to_owned(), 80, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_checked_outside_the_step_is_caught() {
    for (kind, found) in [
        (Twin::KindsBefore, "more different reactions than allowed"),
        (Twin::GroupBefore, "two reactions that exclude each other"),
        (Twin::OneMore, "more different reactions than allowed"),
        (Twin::OneLess, "it was refused as too many"),
        (Twin::Refusing, "it was refused as too many"),
        (Twin::Silent, "which excludes it"),
        (Twin::Miscounted, "it shows a count"),
    ] {
        let error = at_the_barrier(kind).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, BarrierError::Round(BurstError::Wrong { .. })), "{kind:?}");
        assert!(error.to_string().contains(found), "{kind:?}: {error}");
    }
}

async fn program(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_onetap-loadtest"));
    program.arg("barrier").args(arguments);
    let output = tokio::task::spawn_blocking(move || program.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_says_what_it_proved_and_exits_accordingly() {
    let (code, table, said) = program(&["--users", "40", "--url", &serve(Twin::Right).await]).await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let proved = "proved                at no moment did a post have more than 5 different \
                  reactions, and each of 35 refusals had a cause; at no moment did a user have two \
                  of the group; each tap was counted exactly once\n";
    assert!(table.ends_with(proved), "{table}");
    let url = serve(Twin::GroupBefore).await;
    let (code, table, said) = program(&["--users", "40", "--url", &url]).await;
    assert_eq!(code, Some(1));
    assert!(table.contains("proved                nothing"), "{table}");
    assert!(said.lines().last().unwrap().contains("exclude each other"), "{said}");
    let (code, _, said) = program(&["--url", &serve(Twin::Old).await]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("no GET /v1/palettes") && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn bad_flags_are_64_and_nobody_there_is_69() {
    for bad in [["--users", "1"], ["--users", "5000"], ["--users", "x"], ["--url", "nowhere"]] {
        let (code, table, said) = program(&bad).await;
        assert_eq!((code, table.as_str()), (Some(64), ""), "{bad:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, _, said) = program(&["--url", &format!("http://127.0.0.1:{port}")]).await;
    assert_eq!((code, said.lines().count()), (Some(69), 1), "{said}");
}
