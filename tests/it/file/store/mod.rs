//! What only the file store has: its file, its one writer, its disk.

mod forgetting;
mod trimming;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use onetap::domain::{Outcome, PostId, Revision, Tap, Verb};
use onetap::store::file::{FileOptions, FileStore, OpenError};
use onetap::store::{
    AnyStore, Deadline, ReactorsQuery, Retention, Store as _, StoreError, SummaryQuery,
};
use tokio::task::JoinHandle;

use crate::support::file::{OPTIONS, fresh, open_at};
use crate::support::http::Connection;
use crate::support::ledger::{Ledger, numbered_tap};
use crate::support::power::{Disk, Fault, Left, random};
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::ShiftedClock;
use crate::support::service::Service;
use crate::support::{changes, keyed_tap, post, soon, tap, two_posts_of_one_partition};

fn on(disk: &Disk) -> FileStore {
    let disk = disk.clone();
    FileStore::with_backend(move || disk.open(), OPTIONS).unwrap()
}

/// The output of the program with a store that it must refuse.
fn refused(store: &Path) -> Output {
    let store = format!("file:{}", store.display());
    outcome(&mut onetap(&["--listen", "127.0.0.1:0", "--store", &store]))
}

/// Asserts this exit code and one line that names the file and contains these words.
#[track_caller]
fn assert_refused(output: &Output, code: i32, store: &Path, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with(&format!("onetap: --store file:{}: ", store.display())), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// Writes a number into the meta table of a closed file.
fn set_top(file: &Path, name: &str, value: u64) {
    let engine = redb::Database::open(file).unwrap();
    let txn = engine.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("onetap");
    txn.open_table(meta).unwrap().insert(name, value).unwrap();
    txn.commit().unwrap();
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart_of_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}", folder.path().join("store.redb").display());
    let path = format!("/v1/posts/{}/reactions", post());
    for round in 1..=3 {
        let mut service = Service::with(&["--store", &store]);
        let tap = service.send("POST", &format!("{path}/like/users/{round}/toggle")).await.ok(200);
        assert_eq!(tap["count"], round);
        assert_eq!(service.send("GET", &path).await.ok(200)["total"], round);
        assert_eq!(service.send("GET", "/readyz").await.status, 200);
        let figures = service.send("GET", "/metrics").await.body;
        assert!(figures.contains("onetap_file_taps_total"), "{figures}");
        service.begin_stop();
        service.ended(Duration::from_secs(20)).await.unwrap();
    }
}

#[tokio::test]
async fn a_second_process_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = open_at(&file);
    assert_refused(&refused(&file), 69, &file, &["locked by another process"]);
    store.tap(tap(Verb::Set, post(), 1, "like"), soon()).await.unwrap();
    drop(store);
    open_at(&file);
}

#[test]
fn a_path_that_is_no_place_for_a_file_is_exit_code_64() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "x").unwrap();
    assert_refused(&refused(folder.path()), 64, folder.path(), &["is a directory"]);
    let missing = folder.path().join("missing/store.redb");
    assert_refused(&refused(&missing), 64, &missing, &["directory does not exist"]);
    let below = plain.join("store.redb");
    assert_refused(&refused(&below), 64, &below, &["not a directory"]);
    let device = Path::new("/dev/null");
    assert_refused(&refused(device), 64, device, &["not a regular file"]);
    let dangling = folder.path().join("dangling");
    std::os::unix::fs::symlink(folder.path().join("nothing"), &dangling).unwrap();
    assert_refused(&refused(&dangling), 64, &dangling, &["symbolic link that leads nowhere"]);
    let store = format!("file:{}", dangling.display());
    let checked = outcome(&mut onetap(&["check-config", "--store", &store]));
    assert_refused(&checked, 64, &dangling, &["symbolic link that leads nowhere"]);
}

/// Root may write to every file. Where the tests run as root, the program runs as another user.
#[test]
fn a_file_that_may_not_be_written_is_exit_code_64() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program, file) = (folder.path().join("onetap"), folder.path().join("store.redb"));
    fs::copy(env!("CARGO_BIN_EXE_onetap"), &program).unwrap();
    drop(open_at(&file));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let before = fs::read(&file).unwrap();
    let unwritable = folder.path().join("shut");
    fs::create_dir(&unwritable).unwrap();
    fs::set_permissions(&unwritable, fs::Permissions::from_mode(0o555)).unwrap();
    for store in [file.clone(), unwritable.join("store.redb")] {
        let mut command = Command::new(&program);
        command.arg("--listen").arg("127.0.0.1:0").arg("--store");
        command.arg(format!("file:{}", store.display())).env_clear().stdin(Stdio::null());
        if fs::write(unwritable.join("root"), "").is_ok() {
            command.uid(65_534);
        }
        assert_refused(&outcome(&mut command), 64, &store, &["may not be read and written"]);
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_foreign_file_is_exit_code_65_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    for (content, word) in [
        (&b"a letter to my aunt"[..], "not a store file of onetap"),
        (b"SQLite format 3\0 and more of it", "not a store file of onetap"),
        (&[0; 5000], "not a store file of onetap"),
        (b"", "cut short"),
    ] {
        fs::write(&file, content).unwrap();
        assert_refused(&refused(&file), 65, &file, &[word]);
        assert_eq!(fs::read(&file).unwrap(), content);
    }
    // The same engine, in the service of another program.
    let other = folder.path().join("other.redb");
    let engine = redb::Database::create(&other).unwrap();
    let txn = engine.begin_write().unwrap();
    txn.open_table(redb::TableDefinition::<&str, &str>::new("recipes")).unwrap();
    txn.commit().unwrap();
    drop(engine);
    assert_refused(&refused(&other), 65, &other, &["not a store file of onetap"]);
}

#[test]
fn another_layout_is_exit_code_64() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    drop(open_at(&file));
    set_top(&file, "layout", 99);
    assert_refused(&refused(&file), 64, &file, &["layout 99", "layout 1"]);
}

#[tokio::test]
async fn a_truncated_or_overwritten_file_is_exit_code_65() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, file) = (folder.path().join("whole.redb"), folder.path().join("store.redb"));
    let store = open_at(&whole);
    let taps = (0..3000).map(|n| store.tap(numbered_tap("t", n), soon()));
    futures_util::future::join_all(taps).await;
    drop(store);
    let bytes = fs::read(&whole).unwrap();
    let mut seed = 5;
    for _ in 0..10 {
        let length = 1 + usize::try_from(random(&mut seed)).unwrap() % (bytes.len() - 1);
        fs::write(&file, &bytes[..length]).unwrap();
        let output = refused(&file);
        assert_refused(&output, 65, &file, &[]);
        assert_eq!(fs::read(&file).unwrap().len(), length, "it stays for who restores it");
    }
    let (mut found, mut tried) = (0, 0);
    // How many pages still hold something depends on how the taps shared their commits.
    while found < 3 && tried < 300 {
        tried += 1;
        // Bytes of the tables change: what is read there must not be believed.
        let (at, mut damaged) = (
            8192 + usize::try_from(random(&mut seed)).unwrap() % (bytes.len() - 8192),
            bytes.clone(),
        );
        let Some(place) = damaged.get_mut(at..at + 64) else { continue };
        if place.iter().all(|byte| *byte == 0) {
            continue;
        }
        place.iter_mut().for_each(|byte| *byte ^= 0x5A);
        fs::write(&file, &damaged).unwrap();
        match FileStore::open(&file, OPTIONS) {
            Err(OpenError::Damaged(_)) => found += 1,
            // A page that nothing refers to any more may say what it likes.
            Ok(store) => drop(store),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(found, 3, "of {tried} damages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taps_that_wait_together_share_a_sync() {
    let disk = Disk::new();
    let store = on(&disk);
    let before = disk.syncs();
    let taps = (1..=500).map(|n| store.tap(tap(Verb::Set, post(), n, "like"), soon()));
    for outcome in futures_util::future::join_all(taps).await {
        assert!(outcome.unwrap().changed);
    }
    let syncs = disk.syncs() - before;
    assert!((1..=20).contains(&syncs), "{syncs} syncs for 500 taps");
    assert_eq!(store.stats().taps_committed.get(), 500);
    // What changes nothing needs no sync.
    let (before, post) = (disk.syncs(), post());
    assert!(!store.tap(tap(Verb::Unset, post, 1, "like"), soon()).await.unwrap().changed);
    assert_eq!(disk.syncs(), before);
    // The probe does.
    store.probe(soon()).await.unwrap();
    assert!(disk.syncs() > before);
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let disk = Disk::new();
    let options = FileOptions { queue_bound: 4, ..OPTIONS };
    let handle = disk.clone();
    let store = FileStore::with_backend(move || handle.open(), options).unwrap();
    let answers = futures_util::future::join_all(
        (1..=200).map(|n| store.tap(tap(Verb::Set, post(), n, "like"), soon())),
    )
    .await;
    let overloaded = answers.iter().filter(|a| **a == Err(StoreError::Overloaded)).count();
    assert!(overloaded > 0 && answers.iter().any(Result::is_ok), "{overloaded} of 200");
    assert_eq!(store.stats().overloads.get(), overloaded as u64);
}

#[tokio::test]
async fn a_full_disk_refuses_taps_and_goes_on_when_there_is_room() {
    let disk = Disk::new();
    let store = AnyStore::File(on(&disk));
    let mut ledger = Ledger::default();
    for n in 0.. {
        if n == 20 {
            disk.set_room(None);
        }
        let tap = tap(Verb::Set, post(), 1 + n, "like");
        let answer = store.tap(tap.clone(), soon()).await;
        let full = answer.is_err();
        if full {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
        ledger.note(tap, answer);
        if full {
            break;
        }
    }
    let first = ledger.acknowledged[0].0.post;
    let query = SummaryQuery { posts: vec![first], viewer: None, recent: 0 };
    assert_eq!(store.summaries(query, soon()).await.unwrap()[0].total(), 1, "reading goes on");
    disk.set_room(Some(usize::MAX));
    works_again(&store).await;
    assert!(ledger.acknowledged.len() > 20);
    ledger.audit(&store).await;
}

/// Waits until the store applies a tap again.
async fn works_again(store: &AnyStore) {
    let (one, began) = (tap(Verb::Set, post(), 1, "like"), Instant::now());
    while let Err(error) = store.tap(one.clone(), soon()).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10), "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_in_a_commit_loses_nothing_that_was_answered() {
    let disk = Disk::new();
    let store = AnyStore::File(on(&disk));
    let mut ledger = Ledger::default();
    for round in 0..10 {
        disk.fail_next(Fault::Write);
        let taps: Vec<_> = (0..20).map(|n| numbered_tap(&format!("w{round}"), n)).collect();
        let answers = taps.iter().map(|tap| store.tap(tap.clone(), soon()));
        let answers = futures_util::future::join_all(answers).await;
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        assert!(failed > 0, "the write did not fail");
        taps.into_iter().zip(answers).for_each(|(tap, answer)| ledger.note(tap, answer));
        works_again(&store).await;
    }
    ledger.audit(&store).await;
}

#[tokio::test]
async fn after_a_sync_that_failed_nothing_is_built_on_it() {
    let disk = Disk::new();
    let store = AnyStore::File(on(&disk));
    let mut ledger = Ledger::default();
    for n in 0..50 {
        let tap = numbered_tap("s", n);
        let answer = store.tap(tap.clone(), soon()).await;
        ledger.note(tap, answer);
    }
    disk.fail_next(Fault::Sync);
    let one = keyed_tap(onetap::domain::Form::Toggle, post(), 1, "like", "k");
    let answer = store.tap(one.clone(), soon()).await;
    assert_eq!(answer, Err(StoreError::OutcomeUnknown));
    ledger.note(one.clone(), answer);
    // Other failures are forgiven after a second; this one is not.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let refused = store.tap(tap(Verb::Set, one.post, 2, "like"), soon()).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert!(matches!(store.probe(soon()).await, Err(StoreError::Unavailable(_))));
    let query = SummaryQuery { posts: vec![one.post], viewer: None, recent: 0 };
    store.summaries(query, soon()).await.unwrap();
    drop(store);
    // The disk forgets what it did not sync.
    disk.restore(Left::Nothing);
    ledger.audit(&AnyStore::File(on(&disk))).await;
}

/// Waits until the writer has taken all queued taps and is at its sync.
async fn in_its_commit(store: &FileStore, one: Tap) -> JoinHandle<Result<Outcome, StoreError>> {
    let (commits, asked) = (store.stats().bytes_written.get(), store.clone());
    let tapping = tokio::spawn(async move { asked.tap(one, soon()).await });
    // Its pages are written right before the sync.
    while store.stats().bytes_written.get() == commits {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tapping
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_whose_time_is_up_is_refused_before_its_turn_and_in_doubt_after_it() {
    let disk = Disk::new();
    let (store, post) = (on(&disk), post());
    let held = disk.hold_syncs();
    let patient = in_its_commit(&store, tap(Verb::Set, post, 1, "like")).await;
    let brief = || Deadline::after(Duration::from_millis(30));
    let queued = store.tap(tap(Verb::Set, post, 2, "like"), brief()).await;
    assert!(matches!(queued, Err(StoreError::Unavailable(_))), "{queued:?}");
    // Somebody hangs up while it waits.
    let gone = store.tap(tap(Verb::Set, post, 3, "like"), soon());
    assert!(tokio::time::timeout(Duration::from_millis(30), gone).await.is_err());
    drop(held);
    assert!(patient.await.unwrap().unwrap().changed);
    // In its turn, but not synced by its deadline.
    let held = disk.hold_syncs();
    let written = store.stats().bytes_written.get();
    let doubtful =
        store.tap(tap(Verb::Set, post, 4, "like"), Deadline::after(Duration::from_secs(1)));
    assert_eq!(doubtful.await, Err(StoreError::OutcomeUnknown));
    assert!(store.stats().bytes_written.get() > written);
    drop(held);
    store.tap(tap(Verb::Set, post, 5, "like"), soon()).await.unwrap();
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 10 };
    let there = store.reactors(query, soon()).await.unwrap().reactors;
    let there: Vec<u64> = there.iter().map(|reactor| reactor.user.integer().unwrap()).collect();
    assert_eq!(there, [5, 4, 1], "what was refused, or given up, is not applied later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_that_is_overdue_does_not_show_up_later_than_a_read_that_did_not_show_it() {
    let disk = Disk::new();
    let (store, post) = (on(&disk), post());
    let held = disk.hold_syncs();
    let overdue =
        store.tap(tap(Verb::Set, post, 1, "like"), Deadline::after(Duration::from_millis(300)));
    assert_eq!(overdue.await, Err(StoreError::OutcomeUnknown));
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let brief = Deadline::after(Duration::from_millis(30));
    let early = store.summaries(query.clone(), brief).await;
    assert!(matches!(early, Err(StoreError::Unavailable(_))), "{early:?}");
    let asked = store.clone();
    let patient = tokio::spawn(async move { asked.summaries(query, soon()).await });
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(held);
    assert_eq!(patient.await.unwrap().unwrap()[0].total(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_during_a_commit_is_older_than_the_commit() {
    let disk = Disk::new();
    let (store, post) = (on(&disk), post());
    let held = disk.hold_syncs();
    let tapping = in_its_commit(&store, tap(Verb::Set, post, 1, "like")).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let read = store.summaries(query, soon()).await.unwrap().remove(0);
    assert_eq!(read.total(), 0, "what may still be lost is shown to nobody");
    drop(held);
    let outcome = tapping.await.unwrap().unwrap();
    assert!(read.revision < outcome.revision, "two states share a revision, or go back");
}
