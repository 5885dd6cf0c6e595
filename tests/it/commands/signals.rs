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

/// The program under a limit that `sh` sets: in blocks of 512 bytes, where bash has 1,024.
fn limited(limit: &str, args: &[&str]) -> Program {
    let mut limited = std::process::Command::new("sh");
    limited.env_clear().args(["-c", &format!("{limit}; exec \"$@\"")]);
    limited.args(["sh", env!("CARGO_BIN_EXE_onetap")]).args(args);
    Program::spawn(limited.stdin(std::process::Stdio::null()))
}

/// `ulimit -f`: a write beyond the limit fails like one on a full disk, and reads go on.
#[tokio::test]
async fn a_limit_on_the_size_of_files_refuses_taps_and_kills_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}", folder.path().join("store.redb").display());
    let args = ["--listen", "127.0.0.1:0", "--threads", "2", "--store", &store];
    let program = limited("ulimit -f 544", &args);
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

/// The limit stands in for a full disk, and somebody makes room on it.
#[tokio::test]
async fn a_full_disk_is_one_line_when_it_begins_and_one_when_there_is_room_again() {
    const OVER: &str = "taps are counted again, the store file can be written";
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}", folder.path().join("store.redb").display());
    let args = ["--listen", "127.0.0.1:0", "--threads", "2", "--store", &store];
    // A soft limit: it can be lifted while the program runs.
    let program = limited("ulimit -S -f 544", &args);
    let mut connection = Connection::open(program.address()).await;
    let mut tap = async |user: u32| {
        let path = format!("/v1/posts/{}/reactions/like/users/{user}", post());
        connection.send("PUT", &path, &[], "").await
    };
    let mut refused = 0;
    for user in 1..=10_000 {
        refused += u32::from(tap(user).await.status == 503);
        if refused == 200 {
            break;
        }
    }
    assert_eq!(refused, 200, "the disk is not full: {}", program.log());
    program.send("GET", "/readyz").await.assert_problem(503, "store_unavailable");
    program.lift_the_limit_on_files();
    program.until_ready().await;
    for user in 20_000..20_100 {
        tap(user).await.ok(201);
    }
    program.until_logged(OVER).await;
    let log = program.log();
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert_eq!(log.matches(OVER).count(), 1, "{log}");
    let over = log.lines().find(|line| line.contains(OVER)).unwrap();
    println!("{over}");
}
