//! The file store after crashes: kill -9, which keeps the system's cache, and a power cut, which
//! keeps what was synced and any part of the rest.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onetap::domain::{Form, Outcome, Tap, Verb};
use onetap::store::file::{FileOptions, FileStore};
use onetap::store::{AnyStore, Retention, Store as _, StoreError};

use crate::support::file::{OPTIONS, open_at};
use crate::support::http::Connection;
use crate::support::ledger::{Ledger, numbered_tap};
use crate::support::power::{Disk, Left, random};
use crate::support::soon;

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
    // Records go soon, so that the cuts also meet their sweep; the audit asks within their time.
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
    let (method, last, body) = match (tap.keyed.map(|keyed| keyed.form), tap.verb) {
        (Some(Form::ToggleFrom(true)), _) => ("POST", "/toggle", r#"{"from":true}"#),
        (Some(Form::ToggleFrom(false)), _) => ("POST", "/toggle", r#"{"from":false}"#),
        (_, Verb::Toggle) => ("POST", "/toggle", ""),
        (_, Verb::Set) => ("PUT", "", ""),
        (_, Verb::Unset) => ("DELETE", "", ""),
    };
    let name = if tap.reaction.as_str() == "👍" { "%F0%9F%91%8D" } else { tap.reaction.as_str() };
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
