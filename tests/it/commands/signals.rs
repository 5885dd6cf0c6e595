//! Signals: which ones end the service and how, and which ones do not.

use std::time::Duration;

use crate::support::http::Connection;
use crate::support::program::{Program, onetap};
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{post, posts};

/// Requests in flight get their responses, whichever signal ends the service. A closing terminal
/// sends SIGHUP, and the program that closes it may send SIGTERM as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taps_in_flight_are_answered_at_every_end() {
    for signals in [&["-HUP"][..], &["-TERM"], &["-HUP", "-TERM"], &["-TERM", "-HUP", "-HUP"]] {
        let redis = RedisServer::start(Kind::Redis, &[]);
        let store = redis.url();
        // The program that runs the tests may ignore SIGHUP.
        let mut hearing = std::process::Command::new("env");
        hearing.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_onetap")]);
        hearing.args(["--listen", "127.0.0.1:0", "--threads", "2", "--store", &store]);
        let mut program = Program::spawn(hearing.args(["--request-timeout-ms", "8000"]));
        program.until_ready().await;
        redis.signal("-STOP");
        let taps = posts(10).into_iter().map(|post| {
            let address = program.address();
            tokio::spawn(async move {
                let path = format!("/v1/posts/{post}/reactions/like/users/1");
                Connection::open(address).await.send("PUT", &path, &[], "").await.status
            })
        });
        let taps: Vec<_> = taps.collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        signals.iter().for_each(|signal| program.signal(signal));
        program.until_logged("stopping").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        redis.signal("-CONT");
        for tap in taps {
            assert_eq!(tap.await.unwrap(), 201, "{signals:?}: {}", program.log());
        }
        assert_eq!(program.exit_code().await, Some(0), "{signals:?}");
        let log = program.log();
        assert_eq!(log.matches("stopping").count(), 1, "{log}");
        assert!(log.trim_end().ends_with("Stopped."), "{log}");
    }
}

#[tokio::test]
async fn signals_that_mean_nothing_end_nothing() {
    let mut program = Program::start(&["--store", "memory:"]);
    for signal in ["-USR1", "-USR2", "-XFSZ", "-PIPE"] {
        program.signal(signal);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(program.send("GET", "/healthz").await.status, 200, "{signal}");
    }
    program.signal("-TERM");
    assert_eq!(program.exit_code().await, Some(0));
}

/// `nohup` makes the process ignore SIGHUP, and onetap must leave it so.
#[tokio::test]
async fn a_hangup_that_is_ignored_from_the_start_stays_ignored() {
    let mut ignoring = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_onetap");
    ignoring.env_clear().args(["-c", "trap '' HUP; exec \"$@\"", "sh", program]);
    ignoring.args(["--listen", "127.0.0.1:0", "--store", "memory:"]);
    let mut program = Program::spawn(&mut ignoring);
    program.signal("-HUP");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(program.send("GET", "/healthz").await.status, 200);
    program.signal("-TERM");
    assert_eq!(program.exit_code().await, Some(0));
}

/// `ulimit -f`: a write beyond the limit fails like one on a full disk, and reads go on.
#[tokio::test]
async fn a_limit_on_the_size_of_files_refuses_taps_and_kills_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}", folder.path().join("store.redb").display());
    let args = ["--listen", "127.0.0.1:0", "--threads", "2", "--store", &store];
    // In blocks of 512 bytes in sh, of 1,024 in bash.
    let mut limited = std::process::Command::new("sh");
    limited.env_clear().args([
        "-c",
        "ulimit -f 544; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_onetap"),
    ]);
    limited.args(args).stdin(std::process::Stdio::null());
    let program = Program::spawn(&mut limited);
    let mut connection = Connection::open(program.address()).await;
    let (mut counted, mut refused) = (0, 0);
    let first = post();
    for user in 1..=1500 {
        // onetap goes on counting taps that change nothing; they show nothing about the disk.
        if user % 100 == 0 {
            let again = format!("/v1/posts/{first}/reactions/like/users/1");
            connection.send("PUT", &again, &[], "").await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let post = if user == 1 { first } else { post() };
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
        match connection.send("PUT", &path, &[], "").await {
            answer if answer.status == 201 => counted += 1,
            answer => {
                answer.assert_problem(503, "store_unavailable");
                refused += 1;
            }
        }
    }
    assert!(counted > 0 && refused > 0, "{counted} counted, {refused} refused");
    let read = format!("/v1/posts/{first}/reactions");
    assert_eq!(program.send("GET", &read).await.ok(200)["total"], 1);
    let ready = program.send("GET", "/readyz").await;
    ready.assert_problem(503, "store_unavailable");
    assert!(
        ready.body.contains("the store (file) is not ready: I/O error: File too large"),
        "{}",
        ready.body
    );
    let log = program.log();
    assert_eq!(log.matches("ERROR").count(), 1, "one line, however many taps: {log}");
    assert!(!log.contains("counted again"), "{log}");
    drop(program);
    // Without the limit, every answered tap is there.
    let program = Program::spawn(&mut onetap(&args));
    program.until_ready().await;
    assert_eq!(program.send("GET", &read).await.ok(200)["total"], 1);
}
