//! Passwords and certificates that change while the service runs, and a Redis without free
//! connections.

use std::fs;
use std::time::Duration;

use crate::support::post;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};

async fn tap(program: &Program) -> u16 {
    program.send("PUT", &format!("/v1/posts/{}/reactions/like/users/1", post())).await.status
}

/// A password that changed in Redis and in its file applies from the next connection on.
#[tokio::test]
async fn a_password_that_is_changed_is_read_again() {
    let redis = RedisServer::start(Kind::Redis, &["--requirepass", "first"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "first\n").unwrap();
    let store = redis.url();
    let program =
        Program::start(&["--store", &store, "--redis-password-file", file.to_str().unwrap()]);
    program.until_ready().await;
    let mut admin = redis.client_with("first").await;
    let change = ["SET", "requirepass", "second"];
    let _: () = redis::cmd("CONFIG").arg(&change).query_async(&mut admin).await.unwrap();
    let kill = || async {
        let mut admin = redis.client_with("second").await;
        let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
        let _: i64 = redis::cmd("CLIENT").arg(&kill).query_async(&mut admin).await.unwrap();
    };
    kill().await;
    program.until_logged("the password is wrong").await;
    fs::write(&file, "second\n").unwrap();
    program.until("counting again", || async { tap(&program).await == 201 }).await;
    program.until_logged("connected to Redis").await;

    // A file that cannot be read now leaves what it held last.
    fs::remove_file(&file).unwrap();
    kill().await;
    program.until("counting again", || async { tap(&program).await == 201 }).await;
    program.until_logged("going on with what it held last").await;
    assert!(!program.log().contains("second"), "{}", program.log());
}

/// The log line has Redis' own error, not the closed pipe that follows it.
#[tokio::test]
async fn a_redis_without_a_place_left_is_named_as_that() {
    let redis = RedisServer::start(Kind::Redis, &["--maxclients", "2"]);
    let mut admin = redis.client().await;
    let _second = redis.client().await;
    let program = Program::start(&["--store", &redis.url()]);
    program.until_logged("max number of clients reached").await;
    assert_eq!(tap(&program).await, 503);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let log = program.log();
    assert!(!log.contains("rediss"), "{log}");
    assert_eq!(warnings(&log, "max number of clients"), 1, "{log}");
    let more = ["SET", "maxclients", "1000"];
    let _: () = redis::cmd("CONFIG").arg(&more).query_async(&mut admin).await.unwrap();
    program.until_ready().await;
    program.until_logged("connected to Redis").await;
    assert_eq!(program.log().matches("connected to Redis").count(), 1, "{}", program.log());
}

fn warnings(log: &str, words: &str) -> usize {
    log.lines().filter(|line| line.contains("WARN") && line.contains(words)).count()
}

/// A full Redis gives one log line, however many taps it refuses.
#[tokio::test]
async fn a_full_redis_is_one_line() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let program = Program::start(&["--store", &redis.url()]);
    program.until_ready().await;
    let full = ["SET", "maxmemory", "1"];
    let mut admin = redis.client().await;
    let _: () = redis::cmd("CONFIG").arg(&full).query_async(&mut admin).await.unwrap();
    for _ in 0..300 {
        assert_eq!(tap(&program).await, 503);
    }
    program.until_logged("OOM").await;
    let roomy = ["SET", "maxmemory", "0"];
    let _: () = redis::cmd("CONFIG").arg(&roomy).query_async(&mut admin).await.unwrap();
    assert_eq!(tap(&program).await, 201);
    program.until_logged("taps are counted again (it failed 300 times before)").await;
    assert_eq!(warnings(&program.log(), "OOM"), 1, "{}", program.log());
}
