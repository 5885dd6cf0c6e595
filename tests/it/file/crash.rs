//! The file store after crashes: kill -9, which keeps the system's cache, and a power cut, which
//! keeps what was synced and any part of the rest.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onetap::domain::{Forget, Form, Outcome, PostId, Tap, Verb};
use onetap::store::file::{FileOptions, FileStore};
use onetap::store::{AnyStore, ReactorsQuery, Retention, Store as _, StoreError, SummaryQuery};

use crate::support::file::{OPTIONS, forget, open_at, until_quiet};
use crate::support::http::Connection;
use crate::support::ledger::{Ledger, numbered_tap};
use crate::support::power::{Disk, Left, random};
use crate::support::{post, soon, tap};

const CALLERS: u64 = 24;

fn on(disk: &Disk, options: FileOptions) -> FileStore {
    let disk = disk.clone();
    FileStore::with_backend(move || disk.open(), options).unwrap()
}

/// Sends taps from many callers until the store answers no more.
async fn tap_until_it_ends(store: &AnyStore, run: &str, ledger: &Arc<Mutex<Ledger>>) {
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (store, ledger, run) = (store.clone(), Arc::clone(ledger), run.to_owned());
            tokio::spawn(async move {
                for n in (caller..).step_by(usize::try_from(CALLERS).unwrap()) {
                    let tap = numbered_tap(&run, n);
                    let answer = store.tap(tap.clone(), soon()).await;
                    let ended = answer.is_err();
                    ledger.lock().unwrap().note(tap, answer);
                    if ended {
                        break;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Rounds of taps, a power cut in the middle of a write or sync, and an audit of what survived.
async fn power_cuts(rounds: u64, left: impl Fn(u64) -> Left) {
    // Idempotency records expire soon, so that some power cuts happen while expired records are
    // being removed. The audit runs before the records that it needs expire.
    let records = Duration::from_secs(30);
    let options =
        FileOptions { retention: Retention { records, ..Retention::default() }, ..OPTIONS };
    let (disk, mut seed) = (Disk::new(), 7);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut cut_in_doubt = 0;
    drop(on(&disk, options));
    for round in 0..rounds {
        let store = AnyStore::File(on(&disk, options));
        disk.cut_after(1 + u32::try_from(random(&mut seed) % 400).unwrap());
        tap_until_it_ends(&store, &format!("r{round}"), &ledger).await;
        assert!(disk.is_cut());
        drop(store);
        disk.restore(left(round));
        let store = AnyStore::File(on(&disk, options));
        let mut judge = std::mem::take(&mut *ledger.lock().unwrap());
        cut_in_doubt += judge.in_doubt.len();
        judge.audit(&store).await;
        *ledger.lock().unwrap() = judge;
    }
    let ledger = ledger.lock().unwrap();
    println!(
        "{rounds} power cuts: {} taps acknowledged, {cut_in_doubt} in doubt, {} refused, {} syncs",
        ledger.acknowledged.len(),
        ledger.refused,
        disk.syncs(),
    );
    assert!(ledger.acknowledged.len() > 500 && cut_in_doubt > 0, "the cuts met too little");
}

fn rounds(short: u64) -> u64 {
    std::env::var("ONETAP_TEST_CRASH_ROUNDS").map_or(short, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_that_leaves_what_was_synced_loses_no_acknowledged_tap() {
    power_cuts(rounds(15), |_| Left::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_that_tears_the_last_pages_loses_no_acknowledged_tap() {
    power_cuts(rounds(15), Left::Some).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_that_leaves_the_first_writes_loses_no_acknowledged_tap() {
    power_cuts(rounds(15), |_| Left::Beginning).await;
}

/// The program with a store file, and its address.
fn start(file: &Path) -> (Child, std::net::SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_onetap"))
        .args(["--listen", "127.0.0.1:0", "--threads", "2", "--store"])
        .arg(format!("file:{}", file.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut greeting = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut greeting).unwrap();
    let address = greeting.trim().strip_prefix("Listening on http://").expect(&greeting);
    (child, address.parse().unwrap())
}

/// Sends a tap over HTTP, with the text of its key. The outcome is unknown if the connection broke.
async fn over_http(
    connection: &mut Connection,
    tap: &Tap,
    key: &str,
) -> Result<Outcome, StoreError> {
    let (verb, reaction) = tap.act.one().expect("a tap on one reaction");
    let (method, last, body) = match (tap.keyed.map(|keyed| keyed.form), verb) {
        (Some(Form::ToggleFrom(true)), _) => ("POST", "/toggle", r#"{"from":true}"#),
        (Some(Form::ToggleFrom(false)), _) => ("POST", "/toggle", r#"{"from":false}"#),
        (_, Verb::Toggle) => ("POST", "/toggle", ""),
        (_, Verb::Set) => ("PUT", "", ""),
        (_, Verb::Unset) => ("DELETE", "", ""),
    };
    let name = if reaction.as_str() == "👍" { "%F0%9F%91%8D" } else { reaction.as_str() };
    let path = format!("/v1/posts/{}/reactions/{name}/users/{}{last}", tap.post, tap.user);
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    if tap.keyed.is_some() {
        request += &format!("idempotency-key: {key}\r\n");
    }
    if !body.is_empty() {
        request += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    connection.write(format!("{request}\r\n{body}").as_bytes()).await;
    let answer = connection.read().await.ok_or(StoreError::OutcomeUnknown)?;
    let json = answer.json();
    match answer.status {
        200 | 201 => Ok(Outcome {
            active: json["active"].as_bool().unwrap(),
            changed: json["changed"].as_bool().unwrap(),
            count: json["count"].as_u64().unwrap(),
            revision: onetap::domain::Revision(json["revision"].as_u64().unwrap()),
            replayed: false,
            details: None,
        }),
        504 => Err(StoreError::OutcomeUnknown),
        status => panic!("{status}: {}", answer.body),
    }
}

/// Kill -9 of the service under load, repeated on one file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_service_loses_no_acknowledged_tap() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let (rounds, mut seed) = (rounds(5), 11);
    for round in 0..rounds {
        let (mut service, address) = start(&file);
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let ledger = Arc::clone(&ledger);
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await;
                    for n in (caller..).step_by(usize::try_from(CALLERS).unwrap()) {
                        let run = format!("k{round}");
                        let tap = numbered_tap(&run, n);
                        let answer = over_http(&mut connection, &tap, &format!("{run}-{n}")).await;
                        let ended = answer.is_err();
                        ledger.lock().unwrap().note(tap, answer);
                        if ended {
                            break;
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50 + random(&mut seed) % 250)).await;
        service.kill().unwrap();
        service.wait().unwrap();
        for caller in callers {
            caller.await.unwrap();
        }
        let store = AnyStore::File(open_at(&file));
        let mut judge = std::mem::take(&mut *ledger.lock().unwrap());
        judge.audit(&store).await;
        *ledger.lock().unwrap() = judge;
    }
    let acknowledged = ledger.lock().unwrap().acknowledged.len();
    println!("{rounds} times kill -9: {acknowledged} taps acknowledged, none lost");
    assert!(acknowledged > 100, "the kills met too little: {acknowledged}");
}

/// Users 1 to `users` like a post.
async fn crowd(store: &FileStore, post: PostId, users: u64) {
    let taps = (1..=users).map(|id| store.tap(tap(Verb::Set, post, id, "like"), soon()));
    for outcome in futures_util::future::join_all(taps).await {
        assert!(outcome.unwrap().changed);
    }
}

/// The users that like a post. Asserts that the count in the summary is their number.
async fn likers(store: &FileStore, post: PostId) -> BTreeSet<u64> {
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let summary = store.summaries(query, soon()).await.unwrap().remove(0);
    for reaction in [None, Some("like".parse().unwrap())] {
        let query = ReactorsQuery { post, reaction, after: None, limit: 100_000 };
        let listed = store.reactors(query, soon()).await.unwrap().reactors.len();
        assert_eq!(listed as u64, summary.total());
    }
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 100_000 };
    let listed = store.reactors(query, soon()).await.unwrap().reactors.into_iter();
    listed.map(|reactor| reactor.user.integer().unwrap()).collect()
}

/// The power is cut while a post is being forgotten, or later, before the last of its old entries
/// has been removed.
async fn power_cuts_while_forgetting(rounds: u64, left: impl Fn(u64) -> Left) {
    const CROWD: u64 = 1500;
    let (disk, mut seed, mut forgotten) = (Disk::new(), 3, 0);
    for round in 0..rounds {
        let store = on(&disk, OPTIONS);
        let (post, other) = (post(), post());
        crowd(&store, post, CROWD).await;
        crowd(&store, other, 3).await;
        disk.cut_after(1 + u32::try_from(random(&mut seed) % 250).unwrap());
        let request = Forget { post, reaction: None, actor: None };
        let answer = store.forget(request, soon()).await;
        // Users continue to tap until the power cut. The outcome of the last tap is unknown.
        let (mut acknowledged, mut last) = (BTreeSet::new(), 0);
        for id in CROWD / 2.. {
            last = id;
            match store.tap(tap(Verb::Set, post, id, "like"), soon()).await {
                Ok(_) => acknowledged.insert(id),
                Err(_) => break,
            };
        }
        assert!(disk.is_cut());
        drop(store);
        disk.restore(left(round));
        let store = on(&disk, OPTIONS);
        assert_eq!(likers(&store, other).await.len(), 3);
        let mut found = likers(&store, post).await;
        if answer.is_ok() {
            forgotten += 1;
            if !acknowledged.contains(&last) {
                found.remove(&last);
            }
            assert_eq!(found, acknowledged, "round {round}");
        } else {
            assert!(found.is_empty() || found.len() as u64 == CROWD, "half of it: {}", found.len());
        }
        until_quiet(&store).await;
        let quiet = likers(&store, post).await;
        assert!(quiet.is_superset(&found));
        assert_eq!(forget(&store, post, None).await, quiet.len() as u64);
    }
    println!("{rounds} power cuts, {forgotten} between forgetting and the last old entry");
    assert!(forgotten > 0 || rounds < 5, "no cut was between forgetting and the last old entry");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_leaves_no_forgotten_member_in_sight() {
    power_cuts_while_forgetting(rounds(6), |_| Left::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_that_tears_the_last_pages_leaves_no_forgotten_member_in_sight() {
    power_cuts_while_forgetting(rounds(6), Left::Some).await;
}

/// Kill -9 while the service drops what was forgotten. The next start continues to drop it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_between_forgetting_and_the_last_old_entry() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let (post, other) = (post(), post());
    let store = open_at(&file);
    crowd(&store, post, 8000).await;
    crowd(&store, other, 3).await;
    assert_eq!(forget(&store, post, None).await, 8000);
    drop(store);
    let entries = || {
        let engine = redb::Database::open(&file).unwrap();
        let txn = redb::ReadableDatabase::begin_read(&engine).unwrap();
        let posts = redb::TableDefinition::<&[u8], &[u8]>::new("posts");
        redb::ReadableTableMetadata::len(&txn.open_table(posts).unwrap()).unwrap()
    };
    let (mut seed, mut before, mut kills) = (5, entries(), 0);
    assert!(before > 2_000, "so few are left that no kill can meet the work: {before}");
    for _ in 0..rounds(5) {
        let (mut service, _) = start(&file);
        tokio::time::sleep(Duration::from_millis(random(&mut seed) % 400)).await;
        service.kill().unwrap();
        service.wait().unwrap();
        let left = entries();
        assert!(left <= before);
        kills += u32::from(left < before);
        before = left;
        let store = open_at(&file);
        assert!(likers(&store, post).await.is_empty());
        assert_eq!(likers(&store, other).await.len(), 3);
    }
    assert!(kills > 0, "no service was killed at this work");
    let store = open_at(&file);
    until_quiet(&store).await;
    drop(store);
    assert_eq!(entries(), 8, "the other post alone is left");
}
