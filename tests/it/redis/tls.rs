//! Redis over TLS, and with user and password: what works, and the errors of wrong ones.

use std::process::Output;

use crate::support::certificates::Certificates;
use crate::support::cluster::{Cluster, ask};
use crate::support::post;
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::{Kind, RedisServer, free_port};

const SECRET: &str = "hunter2-correct-horse";

fn path(user: u64) -> String {
    format!("/v1/posts/{}/reactions/like/users/{user}", post())
}

/// A Redis that speaks TLS, and its port.
fn secured(certificates: &Certificates, more: &[&str]) -> (RedisServer, u16) {
    let port = free_port();
    let args = certificates.server_args(port);
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    (RedisServer::start(Kind::Redis, &args), port)
}

/// Asserts exit code 64 and one line with these words.
#[track_caller]
fn assert_refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(last.starts_with("onetap: ") && output.stdout.is_empty(), "{said}");
    for word in words {
        assert!(last.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains(SECRET), "{said}");
}

fn run(args: &[&str]) -> Output {
    outcome(&mut onetap(&[&["--listen", "127.0.0.1:0"], args].concat()))
}

#[tokio::test]
async fn taps_are_counted_over_tls_and_again_after_the_connection_was_cut() {
    let certificates = Certificates::valid_for(&["127.0.0.1"]);
    let (redis, port) = secured(&certificates, &["--requirepass", SECRET]);
    let password = certificates.folder().join("password");
    std::fs::write(&password, format!("{SECRET}\n")).unwrap();
    let service = Program::start(&[
        "--store",
        &format!("rediss://127.0.0.1:{port}"),
        "--redis-ca-file",
        &certificates.ca(),
        "--redis-password-file",
        &password.to_string_lossy(),
        "--log",
        "trace",
    ]);
    service.until_ready().await;
    service.send("PUT", &path(1)).await.ok(201);
    let mut admin = redis.client_with(SECRET).await;
    let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
    let killed: u64 = redis::cmd("CLIENT").arg(&kill).query_async(&mut admin).await.unwrap();
    assert!(killed >= 2, "two lanes over TLS");
    service.until_ready().await;
    service.send("PUT", &path(1)).await.ok(201);
    assert!(!service.log().contains(SECRET), "{}", service.log());
}

/// A changed certificate authority applies from the next connection on.
#[tokio::test]
async fn the_file_with_the_authority_is_read_again_for_each_connection() {
    let (certificates, others) =
        (Certificates::valid_for(&["127.0.0.1"]), Certificates::valid_for(&["127.0.0.1"]));
    let (redis, port) = secured(&certificates, &[]);
    let file = certificates.folder().join("authority");
    std::fs::copy(certificates.ca(), &file).unwrap();
    let store = format!("rediss://127.0.0.1:{port}");
    let service = Program::start(&["--store", &store, "--redis-ca-file", &file.to_string_lossy()]);
    service.until_ready().await;
    let mut admin = redis.client().await;
    let mut kill = redis::cmd("CLIENT");
    kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    std::fs::copy(others.ca(), &file).unwrap();
    let _: u64 = kill.query_async(&mut admin).await.unwrap();
    service.until_logged("its TLS certificate is not valid").await;
    std::fs::copy(certificates.ca(), &file).unwrap();
    service.until_ready().await;
    service.send("PUT", &path(1)).await.ok(201);
}

#[test]
fn a_certificate_that_does_not_match_is_refused_in_one_line() {
    let right = Certificates::valid_for(&["127.0.0.1"]);
    let elsewhere = Certificates::valid_for(&["redis.example"]);
    for (server, ca, word) in [
        (&elsewhere, Some(&elsewhere), "not valid for name"),
        (&right, Some(&elsewhere), "certificate is not valid"),
        (&right, None, "certificate is not valid"),
    ] {
        let (_redis, port) = secured(server, &[]);
        let store = format!("rediss://127.0.0.1:{port}");
        let ca = ca.map(Certificates::ca);
        let mut args = vec!["--store", &store];
        args.extend(ca.iter().flat_map(|ca| ["--redis-ca-file", ca.as_str()]));
        assert_refused(&run(&args), &[word, "--redis-ca-file"]);
    }
}

#[tokio::test]
async fn tls_where_there_is_none_and_none_where_there_is_are_told_apart() {
    let certificates = Certificates::valid_for(&["127.0.0.1"]);
    let (redis, port) = secured(&certificates, &[]);
    // What is silent or hangs up may be a server that is starting, so it is tried again.
    for (store, hint) in [
        (format!("rediss://127.0.0.1:{}", redis.port), "if it does not speak TLS: redis://"),
        (format!("redis://127.0.0.1:{port}"), "if it wants TLS: rediss://"),
    ] {
        let service = Program::start(&["--store", &store]);
        service.until_logged(hint).await;
        service.send("PUT", &path(1)).await.assert_problem(503, "store_unavailable");
    }
}

#[test]
fn a_file_that_holds_no_certificate_is_a_bad_configuration() {
    let certificates = Certificates::valid_for(&["127.0.0.1"]);
    let key = certificates.folder().join("server.key").to_string_lossy().into_owned();
    let cut = certificates.folder().join("cut.pem");
    let pem = std::fs::read_to_string(certificates.ca()).unwrap();
    std::fs::write(&cut, &pem[..pem.len() / 2]).unwrap();
    let folder = certificates.folder().to_string_lossy().into_owned();
    for file in [&key, &*cut.to_string_lossy(), &folder, "/no/such/file"] {
        let output = run(&["--store", "rediss://127.0.0.1", "--redis-ca-file", file]);
        assert_refused(&output, &["--redis-ca-file"]);
    }
    let ca = certificates.ca();
    let output = run(&["--store", "redis://127.0.0.1", "--redis-ca-file", &ca]);
    assert_refused(&output, &["--redis-ca-file", "rediss://"]);
}

#[tokio::test]
async fn a_user_and_a_password_come_by_file_or_variable_and_are_never_shown() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let mut admin = redis.client().await;
    let user = ["SETUSER", "tapper", "on", &format!(">{SECRET}"), "~*", "&*", "+@all"];
    let _: () = redis::cmd("ACL").arg(&user).query_async(&mut admin).await.unwrap();
    let off = ["SETUSER", "default", "off"];
    let _: () = redis::cmd("ACL").arg(&off).query_async(&mut admin).await.unwrap();

    let url = redis.url();
    let args = ["--listen", "127.0.0.1:0", "--store", &url, "--redis-username", "tapper"];
    let with_password = |args: &[&str], password: &str| {
        let mut command = onetap(args);
        command.env("ONETAP_REDIS_PASSWORD", password);
        command
    };
    let service =
        Program::spawn(&mut with_password(&[&args[..], &["--log", "trace"]].concat(), SECRET));
    service.until_ready().await;
    service.send("PUT", &path(1)).await.ok(201);
    assert!(!service.log().contains(SECRET), "{}", service.log());

    let wrong = outcome(&mut with_password(&args, "hunter2-correct-horse-wrong"));
    assert_refused(&wrong, &["the user name or the password is wrong"]);
    assert_refused(&run(&["--store", &redis.url()]), &["password", "--redis-password-file"]);
    assert_refused(&run(&args[2..]), &["no password", "--redis-password-file"]);
    // An empty variable is as good as none.
    assert_refused(&outcome(&mut with_password(&args, "")), &["no password"]);
    let twice = format!("redis://tapper:{SECRET}@127.0.0.1:{}", redis.port);
    let again = outcome(&mut with_password(&["--store", &twice], SECRET));
    assert_refused(&again, &["password", "twice"]);
    assert_refused(&run(&["--store", &twice, "--redis-username", "x"]), &["user name", "twice"]);

    let check = [&["check-config"], &args[2..]].concat();
    let checked = with_password(&check, SECRET).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.contains("redis://127.0.0.1"), "{said}");
    let row = |name: &str, value: &str| {
        said.lines().any(|line| line.starts_with(name) && line.ends_with(&format!(" {value}")))
    };
    assert!(row("--redis-username", "tapper") && row("ONETAP_REDIS_PASSWORD", "***"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    let help = with_password(&["--help"], SECRET).output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains(SECRET));
}

#[tokio::test]
async fn a_cluster_is_reached_over_tls_too() {
    let certificates = Certificates::valid_for(&["127.0.0.1"]);
    let ports = [free_port(), free_port(), free_port()];
    let cluster = Cluster::start_with(Kind::Redis, 3, false, |i| {
        let mut args = certificates.server_args(ports[i]);
        args.extend(["--tls-cluster", "yes"].map(String::from));
        args
    })
    .await;
    let store = format!("rediss+cluster://127.0.0.1:{}", ports[0]);
    let service = Program::start(&["--store", &store, "--redis-ca-file", &certificates.ca()]);
    service.until_ready().await;
    for _ in 0..50 {
        service.send("PUT", &path(1)).await.ok(201);
    }
    for node in &cluster.primaries {
        let keys: u64 = ask(&mut node.server.client().await, &["DBSIZE"]).await;
        assert!(keys > 10, "its third: {keys}");
    }
}
