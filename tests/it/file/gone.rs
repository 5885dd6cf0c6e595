//! A store file that is removed, replaced or moved while it is open.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::support::events::{Events, path};
use crate::support::post;
use crate::support::program::Program;
use crate::support::stopwatch::Stopwatch;

/// How long the service may still answer after the file has gone.
const BOUND: Duration = Duration::from_millis(1500);

fn start(file: &Path) -> Program {
    Program::start(&["--store", &format!("file:{}", file.display())])
}

fn lines(program: &Program, words: &str) -> usize {
    program.log().lines().filter(|line| line.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_is_noticed_and_one_that_is_back_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (file, aside) = (folder.path().join("store.redb"), folder.path().join("aside.redb"));
    let program = start(&file);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let post = post();
    let (read, put) =
        (format!("/v1/posts/{post}/reactions"), format!("/v1/posts/{post}/reactions/like/users/1"));
    program.send("PUT", &put).await.ok(201);
    let mut stream = Events::open(program.address(), &path(&[post])).await;
    assert_eq!(stream.next().await.unwrap().total(), 1);

    fs::rename(&file, &aside).unwrap();
    // onetap never writes a tap to a file without a name.
    let removal = format!("/v1/posts/{post}/reactions/like/users/1");
    program.send("DELETE", &removal).await.assert_problem(503, "store_unavailable");
    // The log has one line, and `/readyz` says why. Callers learn only that they may try again.
    program.send("GET", &read).await.assert_problem(503, "store_unavailable");
    for _ in 0..3 {
        let ready = program.send("GET", "/readyz").await;
        ready.assert_problem(503, "store_unavailable");
        let detail = ready.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("not there any more; put it back"), "{detail}");
        assert!(!detail.contains("redb"), "{detail}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(lines(&program, "taps and reads are refused"), 1, "{}", program.log());
    assert!(stream.ends_within(Duration::from_secs(6)).await, "the stream goes on");
    assert!(!file.exists(), "another one was begun");

    fs::rename(&aside, &file).unwrap();
    program.until_ready().await;
    assert_eq!(program.send("GET", &read).await.ok(200)["total"], 1);
    program.send("DELETE", &removal).await.ok(200);
    assert_eq!(lines(&program, "taps and reads are answered again"), 1, "{}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_do_not_answer_for_one_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let first = start(&file);
    let post = post();
    let read = format!("/v1/posts/{post}/reactions");
    first.send("PUT", &format!("{read}/like/users/1")).await.ok(201);
    // Nothing is asked when it goes, and only reads are asked from then on.
    fs::remove_file(&file).unwrap();
    let second = start(&file);
    let began = Stopwatch::start();
    second.until_ready().await;
    while first.send("GET", &read).await.status == 200 {
        assert!(began.elapsed() < BOUND, "two answer for one path");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    first.send("GET", &read).await.assert_problem(503, "store_unavailable");
    first.send("GET", "/readyz").await.assert_problem(503, "store_unavailable");
    assert_eq!(second.send("GET", &read).await.ok(200)["total"], 0);
    // Without a question, too.
    fs::remove_file(&file).unwrap();
    second.until_logged("taps and reads are refused").await;
}
