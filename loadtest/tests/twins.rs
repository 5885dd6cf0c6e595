//! The load test against a toggle that is right and against its broken twins: it has to accept the
//! one and object to the others, or its "counted exactly once" means nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onetap_loadtest::burst::{self, BurstError, BurstOptions, BurstReport};
use onetap_loadtest::client::Target;
use onetap_loadtest::soak::{self, SoakOptions, SoakReport};
use onetap_loadtest::verify::{self, Rules};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Twin {
    /// Read, flip and write in one step.
    Atomic,
    /// As right, but it answers 504 or hangs up now and then, whether it applied the tap or not.
    Flaky,
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
    /// Right, but nothing is remembered of keys.
    Forgetful,
    /// Right, but it flips something that nobody asked for, and later back.
    Haunted,
    /// Right, but what it answered 504 it applies long after it may.
    Late,
    /// Right, but every hundredth tap that it answers 503 is applied.
    Refusing,
}

type Cell = (String, u64);

#[derive(Default)]
struct Post {
    cells: BTreeSet<Cell>,
    count: u64,
    revision: u64,
    taps: u64,
    held_back: Option<String>,
    records: HashMap<String, String>,
}

type Posts = Arc<Mutex<HashMap<String, Post>>>;

/// What is asked.
struct Tap {
    post: String,
    cell: Cell,
    verb: &'static str,
    key: Option<String>,
}

/// A server that knows just enough HTTP for the load test.
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
        let mut request = String::new();
        if stream.read_line(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        let (mut header, mut key) = (String::new(), None);
        while stream.read_line(&mut header).await.unwrap_or(0) > 2 {
            if let Some(value) = header.strip_prefix("idempotency-key: ") {
                key = Some(value.trim().to_owned());
            }
            header.clear();
        }
        let (method, rest) = request.split_once(' ').unwrap();
        let path = rest.split(' ').next().unwrap().replace("%F0%9F%91%8D", "👍");
        let parts: Vec<&str> = path.split(['/', '?']).collect();
        let (status, body) = match parts.as_slice() {
            [_, _, _, post, _, reaction, "users", user, ..] if !user.contains('=') => {
                let verb = match method {
                    "PUT" => "set",
                    "DELETE" => "unset",
                    _ => "toggle",
                };
                let cell = ((*reaction).to_owned(), user.parse().unwrap());
                tap(kind, &posts, Tap { post: (*post).to_owned(), cell, verb, key }).await
            }
            [_, _, _, post, "reactions"] => ("200 OK", summary(&posts, post)),
            [_, _, _, post, _, reaction, ..] => ("200 OK", users(&posts, post, reaction)),
            [_, _, "palettes"] => ("404 Not Found", String::new()),
            _ => panic!("{path}"),
        };
        if status == "hang up" {
            return;
        }
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One step on a post.
fn step<T>(posts: &Posts, post: &str, step: impl FnOnce(&mut Post) -> T) -> T {
    step(posts.lock().unwrap().entry(post.to_owned()).or_default())
}

fn answer(active: bool, changed: bool, count: u64, revision: u64) -> String {
    let flags = format!(r#""active":{active},"changed":{changed}"#);
    format!(r#"{{{flags},"count":{count},"revision":{revision}}}"#)
}

fn wanted(post: &Post, tap: &Tap) -> bool {
    match tap.verb {
        "set" => true,
        "unset" => false,
        _ => !post.cells.contains(&tap.cell),
    }
}

fn write(post: &mut Post, tap: &Tap, active: bool) -> bool {
    if active { post.cells.insert(tap.cell.clone()) } else { post.cells.remove(&tap.cell) }
}

fn count(post: &Post, reaction: &str) -> u64 {
    post.cells.iter().filter(|(name, _)| name == reaction).count() as u64
}

fn atomic(post: &mut Post, tap: &Tap) -> String {
    let active = wanted(post, tap);
    let changed = write(post, tap, active);
    post.revision += u64::from(changed);
    answer(active, changed, count(post, &tap.cell.0), post.revision)
}

/// One step, with a record if there is a key.
fn recorded(post: &mut Post, tap: &Tap) -> (&'static str, String) {
    let Some(key) = &tap.key else { return ("200 OK", atomic(post, tap)) };
    if let Some(first) = post.records.get(key) {
        return ("200 OK\r\nidempotency-replayed: true", first.clone());
    }
    let answer = atomic(post, tap);
    post.records.insert(key.clone(), answer.clone());
    ("200 OK", answer)
}

async fn tap(kind: Twin, posts: &Posts, tap: Tap) -> (&'static str, String) {
    let nth = step(posts, &tap.post, |post| {
        post.taps += 1;
        post.taps
    });
    match kind {
        Twin::Flaky if nth % 25 == 0 => {
            if nth % 50 == 0 {
                step(posts, &tap.post, |post| recorded(post, &tap));
            }
            return if nth % 3 == 0 { ("hang up", String::new()) } else { UNKNOWN };
        }
        Twin::Late if nth % 25 == 0 => {
            let posts = Arc::clone(posts);
            tokio::spawn(async move {
                // Past the soak's request timeout, and long before the load is over.
                tokio::time::sleep(Duration::from_millis(100)).await;
                step(&posts, &tap.post, |post| recorded(post, &tap));
            });
            return UNKNOWN;
        }
        Twin::Refusing if nth % 25 == 0 => {
            if nth % 100 == 0 {
                step(posts, &tap.post, |post| recorded(post, &tap));
            }
            return ("503 Service Unavailable", String::new());
        }
        Twin::Haunted if nth % 25 == 0 => step(posts, &tap.post, |post| {
            let cell = (tap.cell.0.clone(), 1);
            let phantom = Tap { post: String::new(), cell, verb: "toggle", key: None };
            atomic(post, &phantom);
        }),
        Twin::Atomic | Twin::Flaky | Twin::Haunted | Twin::Late | Twin::Refusing => {}
        _ => return ("200 OK", broken(kind, posts, &tap).await),
    }
    step(posts, &tap.post, |post| recorded(post, &tap))
}

const UNKNOWN: (&str, String) = ("504 Gateway Timeout", String::new());

async fn broken(kind: Twin, posts: &Posts, tap: &Tap) -> String {
    let away = || tokio::time::sleep(Duration::from_millis(1));
    let reaction = &tap.cell.0;
    match kind {
        Twin::ReadThenWrite => {
            let active = step(posts, &tap.post, |post| wanted(post, tap));
            away().await;
            step(posts, &tap.post, |post| {
                write(post, tap, active);
                post.revision += 1;
                answer(active, true, count(post, reaction), post.revision)
            })
        }
        Twin::CountedApart => {
            let (active, changed, revision, count) = step(posts, &tap.post, |post| {
                let active = wanted(post, tap);
                let changed = write(post, tap, active);
                post.revision += u64::from(changed);
                (active, changed, post.revision, post.count)
            });
            away().await;
            step(posts, &tap.post, |post| {
                post.count = if active { count + 1 } else { count.saturating_sub(1) };
                answer(active, changed, post.count, revision)
            })
        }
        Twin::NumberedBefore => {
            let revision = step(posts, &tap.post, |post| {
                post.revision += 1;
                post.revision
            });
            // Away for differing times, or all would come back in the order in which they left.
            tokio::time::sleep(Duration::from_millis(revision % 3)).await;
            step(posts, &tap.post, |post| {
                let active = wanted(post, tap);
                let changed = write(post, tap, active);
                answer(active, changed, count(post, reaction), revision)
            })
        }
        Twin::Exchanged => {
            let own = step(posts, &tap.post, |post| {
                let own = atomic(post, tap);
                post.held_back.replace(own.clone()).unwrap_or(own)
            });
            away().await;
            own
        }
        Twin::Dropped => step(posts, &tap.post, |post| {
            if post.taps % 20 == 0 {
                post.revision += 1;
                let active = wanted(post, tap);
                return answer(active, true, count(post, reaction), post.revision);
            }
            atomic(post, tap)
        }),
        _ => step(posts, &tap.post, |post| atomic(post, tap)),
    }
}

fn summary(posts: &Posts, post: &str) -> String {
    step(posts, post, |post| {
        let names: BTreeSet<&str> = post.cells.iter().map(|(name, _)| name.as_str()).collect();
        let counts = names
            .iter()
            .map(|name| format!(r#"{{"reaction":"{name}","count":{}}}"#, count(post, name)));
        let counts: Vec<String> = counts.collect();
        format!(r#"{{"revision":{},"reactions":[{}]}}"#, post.revision, counts.join(","))
    })
}

fn users(posts: &Posts, post: &str, reaction: &str) -> String {
    step(posts, post, |post| {
        let of_reaction = post.cells.iter().filter(|(name, _)| name == reaction);
        let users: Vec<_> =
            of_reaction.map(|(_, user)| format!(r#"{{"user_id":"{user}"}}"#)).collect();
        format!(r#"{{"users":[{}],"next_cursor":null}}"#, users.join(","))
    })
}

async fn burst(kind: Twin, users: u64) -> Result<BurstReport, BurstError> {
    let options = BurstOptions { taps: 50, rounds: 5, users, mix: false };
    burst::run(&Target::new(&serve(kind).await).unwrap(), &options, |_| ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_toggle_is_accepted() {
    for users in [1, 7] {
        let report = burst(Twin::Atomic, users).await.unwrap();
        assert_eq!((report.rounds, report.taps), (5, 250));
        assert!(report.least_overlap >= 2);
    }
}

const BROKEN: [Twin; 5] =
    [Twin::ReadThenWrite, Twin::CountedApart, Twin::NumberedBefore, Twin::Exchanged, Twin::Dropped];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_twin_is_caught() {
    for kind in BROKEN {
        // Of one user's taps, a count that is always 0 + 1 or 1 - 1 would be right by luck.
        let users = if kind == Twin::CountedApart { 7 } else { 1 };
        let result = burst(kind, users).await.map(|report| report.rounds);
        assert!(matches!(result, Err(BurstError::Wrong { .. })), "{kind:?}: {result:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_says_what_it_found_and_exits_accordingly() {
    let file = std::env::temp_dir().join(format!("onetap-loadtest-{}.json", std::process::id()));
    for (kind, code) in [(Twin::Atomic, 0), (Twin::ReadThenWrite, 1)] {
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

fn scratch(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("onetap-loadtest-{}-{name}.ndjson", std::process::id()))
}

async fn soak(kind: Twin, keys: bool) -> SoakReport {
    let options = SoakOptions {
        taps: Some(3000),
        connections: 16,
        users: 5,
        posts: 3,
        keys,
        request_timeout: Duration::from_millis(50),
        ..SoakOptions::new(scratch(&format!("{kind:?}-{keys}")))
    };
    let target = Target::new(&serve(kind).await).unwrap();
    let report = soak::run(target, options, std::future::pending()).await.unwrap();
    // Who was not there, judges the same.
    let again = verify::file(&report.history, Rules::default()).unwrap();
    assert_eq!(again.violations, report.verdict.violations);
    std::fs::remove_file(&report.history).unwrap();
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soak_accepts_what_is_right() {
    for keys in [false, true] {
        let verdict = soak(Twin::Atomic, keys).await.verdict;
        assert!(verdict.is_right(), "{:?}", verdict.violations);
        assert_eq!((verdict.refused, verdict.unknown), (0, 0));
        assert!(verdict.answered + verdict.reads >= 3000);
        assert_eq!(verdict.replayed > 0, keys);
        let verdict = soak(Twin::Flaky, keys).await.verdict;
        assert!(verdict.is_right(), "{:?}", verdict.violations);
        assert!(verdict.unknown > 50, "{verdict:?}");
        // With a key every operation comes to an answer.
        assert_eq!(verdict.filled == 0, keys);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soak_catches_every_broken_twin() {
    for kind in BROKEN.into_iter().chain([Twin::Haunted, Twin::Late, Twin::Refusing]) {
        let verdict = soak(kind, false).await.verdict;
        assert!(!verdict.is_right(), "{kind:?}");
    }
    let verdict = soak(Twin::Forgetful, true).await.verdict;
    assert!(!verdict.is_right());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soak_ends_when_it_is_told_to() {
    let options = SoakOptions { posts: 2, ..SoakOptions::new(scratch("stopped")) };
    let target = Target::new(&serve(Twin::Atomic).await).unwrap();
    let stop = tokio::time::sleep(Duration::from_millis(100));
    let report = soak::run(target, options, stop).await.unwrap();
    assert!(report.verdict.is_right() && report.verdict.answered > 0);
    std::fs::remove_file(&report.history).unwrap();
}

/// A run that lacks connections would measure something else: the program raises its own limit on
/// open files, and says so in every mode where that is not enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_open_files_are_raised_or_named_before_anything_is_sent() {
    let url = serve(Twin::Atomic).await;
    let limited = |limits: &str, arguments: &str| {
        let program = env!("CARGO_BIN_EXE_onetap-loadtest");
        let line = format!("{limits}; exec {program} {arguments} --url {url}");
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", &line]);
        async move { tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap() }
    };
    for (arguments, flag) in [
        ("burst --taps 100", "--taps needs 132"),
        ("rate --connections 100 --seconds 1", "--connections needs 132"),
        ("soak --connections 100 --taps 1000", "--connections needs 132"),
        (
            "watch --streams 60 --connections 40 --seconds 1",
            "--streams with --connections needs 132",
        ),
    ] {
        let output = limited("ulimit -n 100", arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(flag) && said.contains("only 100 are allowed"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let raised = limited("ulimit -Sn 64", "burst --taps 100 --rounds 2").await;
    assert!(raised.status.success(), "{raised:?}");
}

#[test]
fn an_address_with_a_password_is_refused_and_never_shown() {
    for url in ["http://user:hunter2@127.0.0.1:1", "https://user:hunter2@h", "user:hunter2@h"] {
        for mode in ["burst", "rate", "soak", "watch"] {
            let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_onetap-loadtest"));
            let output = program.args([mode, "--url", url]).output().unwrap();
            assert_eq!(output.status.code(), Some(64), "{output:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("--url") && !said.contains("hunter2"), "{said}");
        }
    }
}
