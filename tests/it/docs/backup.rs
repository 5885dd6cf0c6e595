//! docs/backup.md: its commands as they stand there, and the upgrade of one process after the other.

use std::path::Path;
use std::process::{Command, Output};

use super::commands::read;
use crate::support::http::Connection;
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{post, posts};

/// Runs the text below `<!-- snippet: NAME -->` in this folder.
async fn follow(name: &str, folder: &Path, service: &Program) -> Output {
    let page = read("docs/backup.md");
    let (_, rest) = page.split_once(&format!("<!-- snippet: {name} -->\n```sh\n")).unwrap();
    let lines = rest.split("```").next().unwrap();
    let lines = lines.replace("127.0.0.1:8080", &service.address.to_string());
    let program = Path::new(env!("CARGO_BIN_EXE_onetap")).parent().unwrap().display();
    let path = format!("{program}:{}", std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &lines]).current_dir(folder).env("PATH", path);
    let output = tokio::task::spawn_blocking(move || bash.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    output
}

async fn tap(service: &Program, post: &impl std::fmt::Display, user: u64) {
    let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
    service.send("PUT", &path).await.ok(201);
}

async fn total(service: &Program, post: &impl std::fmt::Display) -> u64 {
    let path = format!("/v1/posts/{post}/reactions");
    service.send("GET", &path).await.ok(200)["total"].as_u64().unwrap()
}

#[tokio::test]
async fn a_copy_of_a_store_file_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}", folder.path().join("onetap.redb").display());
    let (mut service, post) = (Program::start(&["--store", &store]), post());
    tap(&service, &post, 1).await;
    follow("backup", folder.path(), &service).await;
    tap(&service, &post, 2).await;
    service.terminate();
    assert_eq!(service.exit_code().await, Some(0));
    follow("restore", folder.path(), &service).await;
    let restored = Program::start(&["--store", &store]);
    assert_eq!(total(&restored, &post).await, 1);
    tap(&restored, &post, 2).await;
    assert_eq!(total(&restored, &post).await, 2);
}

#[tokio::test]
async fn an_export_is_imported_into_an_empty_store_and_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (old, posts) = (Program::start(&["--store", "memory:"]), posts(3));
    for (user, post) in (1..).zip(&posts) {
        tap(&old, post, user).await;
        tap(&old, post, 9).await;
    }
    let lock = format!("/v1/posts/{}/lock", posts[0]);
    old.send("PUT", &lock).await.ok(200);
    follow("export", folder.path(), &old).await;
    let file = format!("file:{}", folder.path().join("new.redb").display());
    let new = Program::start(&["--store", &file]);
    for _ in 0..2 {
        follow("import", folder.path(), &new).await;
        for post in &posts {
            assert_eq!(total(&new, post).await, 2);
        }
    }
    let path = format!("/v1/posts/{}/reactions/like/users/5", posts[0]);
    new.send("PUT", &path).await.assert_problem(403, "reactions_locked");
}

/// Sends a tap with a key to one process after the other until one of them answers it.
async fn tap_anywhere(places: &[std::net::SocketAddr], path: &str, key: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for attempt in 0.. {
        assert!(attempt < 200, "nobody answers {path}");
        let place = places[attempt % places.len()];
        let Ok(mut stream) = tokio::net::TcpStream::connect(place).await else { continue };
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nidempotency-key: {key}\r\nconnection: close\r\n\r\n"
        );
        let mut answer = Vec::new();
        let sent = stream.write_all(head.as_bytes()).await;
        if sent.is_ok()
            && stream.read_to_end(&mut answer).await.is_ok()
            && answer.starts_with(b"HTTP/1.1 200 ")
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Two processes are replaced one after the other. Each toggle counts once, although it may reach
/// several processes: an even number of toggles leaves nothing, an odd one leaves the reaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_replaced_one_after_the_other_and_each_tap_counts_once() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let store = ["--store", &redis.url()];
    let mut running: Vec<Program> = Vec::new();
    for _ in 0..4 {
        let program = Program::start(&store);
        program.until_ready().await;
        running.push(program);
    }
    // The third and the fourth are the new release; their addresses are known, as in a proxy.
    let places: Vec<_> = running.iter().map(Program::address).collect();
    let post = post();
    let taps: Vec<_> = (1..=8_u64)
        .map(|user| {
            let places = places.clone();
            tokio::spawn(async move {
                let path = format!("/v1/posts/{post}/reactions/like/users/{user}/toggle");
                for round in 0..101 {
                    tap_anywhere(&places, &path, &format!("{user}-{round}")).await;
                }
            })
        })
        .collect();
    for old in &mut running[..2] {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        old.terminate();
        assert_eq!(old.exit_code().await, Some(0), "{}", old.log());
    }
    for tap in taps {
        tap.await.unwrap();
    }
    assert_eq!(total(&running[2], &post).await, 8);
    assert_eq!(total(&running[3], &post).await, 8);
    let mut one = Connection::open(running[2].address).await;
    for user in 1..=8 {
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}/toggle");
        let key = format!("{user}-100");
        let again = one.send("POST", &path, &[("idempotency-key", &key)], "").await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again:?}");
    }
}

/// Another layout is found before anything is restarted.
#[tokio::test]
async fn check_config_finds_another_layout() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let mut client = redis.client().await;
    let _: () = redis::cmd("SET").arg(&["ot:layout", "2"]).query_async(&mut client).await.unwrap();
    let mut check = onetap(&["check-config", "--connect", "--store", &redis.url()]);
    let found = tokio::task::spawn_blocking(move || outcome(&mut check)).await.unwrap();
    let said = String::from_utf8_lossy(&found.stderr);
    assert_eq!(found.status.code(), Some(64), "{found:?}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("layout"), "{said}");
}
