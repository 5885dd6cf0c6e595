//! `onetap backup`: copies of a store file, made while a service counts taps into it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use onetap::domain::{Form, Verb};
use onetap::store::file::{BackupProgress, FileStore, back_up};
use onetap::store::{ReactorsQuery, Store as _};

use crate::support::file::{fresh, open_at};
use crate::support::http::Connection;
use crate::support::program::{Program, onetap, outcome};
use crate::support::{changes, keyed_tap, post, posts, soon, tap};

fn start(file: &Path) -> Program {
    Program::start(&["--store", &format!("file:{}", file.display())])
}

fn backup(from: &Path, to: &Path) -> Command {
    let from = format!("file:{}", from.display());
    onetap(&["backup", "--from", &from, "--to", to.to_str().unwrap()])
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.starts_with("onetap: ") && said.contains(words), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// Each copy is a snapshot. It contains only taps answered before the copy ended, and all taps
/// answered before it began. Its counts agree with its members.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_taken_under_load_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let program = start(&file);
    let all = posts(20);
    let address = program.address();
    let (going, mut gone_on) = tokio::sync::watch::channel(0_usize);
    let targets = all.clone();
    let load = tokio::spawn(async move {
        let mut connection = Connection::open(address).await;
        for user in 1.. {
            // Each user taps one post after the other. So a copy of one moment has a user on the
            // first posts only, or on all.
            for post in &targets {
                let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
                if going.is_closed() {
                    return;
                }
                connection.send("PUT", &path, &[], "").await.ok(201);
            }
            let _ = going.send(user);
        }
    });
    for round in 0..3 {
        let before =
            gone_on.wait_for(|users| *users > round * 10).await.map(|users| *users).unwrap();
        let copy = folder.path().join(format!("copy-{round}.redb"));
        let made = (file.clone(), copy.clone());
        let output = tokio::task::spawn_blocking(move || outcome(&mut backup(&made.0, &made.1)));
        let output = output.await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let restored = start(&copy);
        restored.until_ready().await;
        let mut totals = Vec::new();
        for post in &all {
            let read = format!("/v1/posts/{post}/reactions");
            let total = restored.send("GET", &read).await.ok(200)["total"].as_u64().unwrap();
            let list = format!("/v1/posts/{post}/reactions/like/users?limit=100");
            let users = restored.send("GET", &list).await.ok(200);
            assert_eq!(users["users"].as_array().unwrap().len() as u64, total.min(100));
            totals.push(total);
        }
        let (first, last) = (totals[0], totals[totals.len() - 1]);
        assert!(last >= before as u64, "{before} had been answered: {totals:?}");
        assert!(totals.is_sorted_by(|a, b| a >= b) && first - last <= 1, "{totals:?}");
        // A service goes on from the copy as from any store file.
        let again = format!("/v1/posts/{}/reactions/like/users/1", all[0]);
        assert_eq!(restored.send("DELETE", &again).await.ok(200)["count"], first - 1);
    }
    drop(gone_on);
    load.await.unwrap();
    assert!(!program.log().contains("ERROR"), "{}", program.log());
}

#[tokio::test]
async fn a_file_that_nobody_holds_is_copied_as_well_and_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let path = format!("/v1/posts/{}/reactions/like/users/1", post());
    let mut program = start(&file);
    program.send("PUT", &path).await.ok(201);
    // After the kill, its socket is still there, and the file needs repair.
    program.signal("-KILL");
    program.exit_code().await;
    let copy = folder.path().join("copy.redb");
    let output = outcome(&mut backup(&file, &copy));
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("copied and checked"));
    for store in [&file, &copy] {
        assert_eq!(start(store).send("PUT", &path).await.ok(200)["count"], 1);
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert!(left.iter().all(|file| !file.file_name().to_string_lossy().contains(".new-")));
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let program = start(&file);
    program.send("PUT", &format!("/v1/posts/{}/reactions/like/users/1", post())).await.ok(201);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("text"), "not a store").unwrap();
    fs::write(at("there"), "somebody's").unwrap();
    std::os::unix::fs::symlink(at("nowhere"), at("link")).unwrap();
    for (from, to, code, words) in [
        (&file, file.clone(), 64, "it is there already"),
        (&file, at("there"), 64, "it is there already"),
        (&file, at("link"), 64, "it is there already"),
        (&file, folder.path().to_owned(), 64, "it is there already"),
        (&file, at("no/such/copy"), 64, "make it first"),
        (&at("text"), at("copy"), 65, "not a store file"),
        (&at("missing"), at("copy"), 64, "no such file"),
        (&folder.path().to_owned(), at("copy"), 64, "directory"),
    ] {
        refused(&outcome(&mut backup(from, &to)), code, words);
    }
    refused(&outcome(&mut onetap(&["backup", "--from", "x.redb", "--to", "y"])), 64, "file:PATH");
    assert_eq!(fs::read_to_string(at("there")).unwrap(), "somebody's");
    // A service holds the file, and does not answer at its socket.
    fs::remove_file(at("store.redb.sock")).unwrap();
    refused(&outcome(&mut backup(&file, &at("copy"))), 69, "another process holds it");
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["link", "store.redb", "text", "there"]);
}

/// An interrupted copy leaves no file behind, and the service serves the next copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_interrupted_or_has_no_room_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let program = start(&file);
    let mut connection = Connection::open(program.address()).await;
    let put = |user: usize, post| {
        format!(
            "PUT /v1/posts/{post}/reactions/like/users/{user} HTTP/1.1\r\nhost: localhost\r\n\r\n"
        )
    };
    for _ in 0..40 {
        let many: String =
            posts(200).into_iter().enumerate().map(|(i, post)| put(i + 1, post)).collect();
        connection.write(many.as_bytes()).await;
        for _ in 0..200 {
            assert_eq!(connection.read().await.unwrap().status, 201);
        }
    }
    let copy = folder.path().join("copy.redb");
    for signal in ["-INT", "-TERM", "-HUP", "-INT"] {
        let mut child = backup(&file, &copy).stderr(std::process::Stdio::piped()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let code = child.wait().unwrap().code();
        let left = |name: &str| {
            fs::read_dir(folder.path())
                .unwrap()
                .flatten()
                .filter(|file| file.file_name().to_string_lossy().contains(name))
                .count()
        };
        assert_eq!(left(".new-"), 0, "{signal}");
        if code == Some(0) {
            fs::remove_file(&copy).unwrap();
        } else {
            assert!(code.is_none_or(|code| code > 128) && !copy.exists(), "{signal}: {code:?}");
        }
    }
    // A limit on the size of files stands in for a full disk.
    let from = format!("file:{}", file.display());
    let limited = "ulimit -f 600; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args([
        "-c",
        limited,
        "sh",
        env!("CARGO_BIN_EXE_onetap"),
        "backup",
        "--from",
        &from,
        "--to",
    ]);
    refused(&outcome(command.arg(&copy)), 69, "File too large");
    assert!(!copy.exists());
    let output = outcome(&mut backup(&file, &copy));
    assert!(output.status.success() && copy.exists(), "{output:?}");
}

/// A copy contains more than counts: who reacted when, the change log, and the idempotency records.
#[tokio::test]
async fn a_copy_has_all_that_the_file_has() {
    let (store, folder) = fresh();
    store.give_copies().unwrap();
    let (file, copy) = (folder.path().join("store.redb"), folder.path().join("copy.redb"));
    let post = post();
    let keyed = keyed_tap(Form::Toggle, post, 1, "like", "a-key");
    let first = store.tap(keyed.clone(), soon()).await.unwrap();
    for user in 2..10 {
        store.tap(tap(Verb::Set, post, user, "like"), soon()).await.unwrap();
    }
    store.tap(tap(Verb::Unset, post, 5, "like"), soon()).await.unwrap();
    let socket = folder.path().join("store.redb.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut last = BackupProgress::default();
    let (from, to) = (file.clone(), copy.clone());
    let done = tokio::task::spawn_blocking(move || {
        let done = back_up(&from, &to, |progress| last = progress).unwrap();
        assert_eq!((last.entries, last.of), (done.entries, done.of));
        done
    });
    let done = done.await.unwrap();
    assert_eq!(done.entries, done.of);

    let restored = open_at(&copy);
    let all = |store: FileStore| async move {
        let reactors = ReactorsQuery { post, reaction: None, limit: 100, after: None };
        (
            changes(&store, post.partition(), 100).await.unwrap(),
            store.reactors(reactors, soon()).await.unwrap(),
        )
    };
    assert_eq!(format!("{:?}", all(store).await), format!("{:?}", all(restored.clone()).await));
    let replayed = restored.tap(keyed, soon()).await.unwrap();
    assert!(replayed.replayed && replayed.revision == first.revision, "{replayed:?}");
    drop(restored);
    assert!(!folder.path().join("copy.redb.sock").exists());
}

/// A service that ends removes its own socket. It leaves that of the service that has the path now.
#[tokio::test]
async fn a_holder_that_ends_leaves_the_socket_of_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let mut first = start(&file);
    fs::rename(&file, folder.path().join("old.redb")).unwrap();
    let second = start(&file);
    second.send("PUT", &format!("/v1/posts/{}/reactions/like/users/1", post())).await.ok(201);
    first.signal("-TERM");
    assert_eq!(first.exit_code().await, Some(0), "{}", first.log());
    assert!(first.log().trim_end().ends_with("Stopped."), "{}", first.log());
    let output = outcome(&mut backup(&file, &folder.path().join("copy.redb")));
    assert!(output.status.success(), "{output:?}");
}
