//! The checks of a Redis before onetap uses it: warnings, or errors with `--strict`.

use crate::support::post;
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::{Kind, RedisServer, free_port};

const EVICTS: &[&str] = &["--maxmemory-policy", "allkeys-lru", "--appendonly", "yes"];
const FORGETS: &[&str] = &[];
const KEEPS: &[&str] = &["--appendonly", "yes"];

/// A server with its own data folder.
fn server(port: u16, args: &[&str]) -> (RedisServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = ["--dir", folder.path().to_str().unwrap()];
    (RedisServer::start_on(Kind::Redis, port, &[&dir, args].concat()), folder)
}

#[tokio::test]
async fn what_may_lose_reactions_is_a_warning_or_with_strict_a_refusal() {
    for (args, words) in [
        (EVICTS, ["maxmemory-policy is allkeys-lru", "noeviction"]),
        (FORGETS, ["keeps nothing over a restart", "appendonly yes"]),
    ] {
        let (redis, _folder) = server(free_port(), args);
        let service = Program::start(&["--store", &redis.url()]);
        // The log comes through a pipe, later than the answer to what was logged before it.
        service.until_logged(words[0]).await;
        service.until_ready().await;
        let log = service.log();
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains(words[0])).collect();
        assert_eq!(warnings.len(), 1, "{log}");
        assert!(warnings[0].contains("WARN") && warnings[0].contains(words[1]), "{log}");

        let args = ["--listen", "127.0.0.1:0", "--store", &redis.url(), "--strict"];
        let output = outcome(&mut onetap(&args));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("onetap: ") && last.contains(words[0]), "{said}");
    }
}

#[tokio::test]
async fn a_redis_that_keeps_everything_passes_strict_without_a_warning() {
    let (redis, _folder) = server(free_port(), KEEPS);
    let service = Program::start(&["--store", &redis.url(), "--strict"]);
    service.until_ready().await;
    assert!(!service.log().contains("maxmemory") && !service.log().contains("appendonly"));
}

#[tokio::test]
async fn a_redis_that_turns_up_wrong_under_strict_keeps_the_service_unready_until_it_is_right() {
    let port = free_port();
    let service = Program::start(&["--store", &format!("redis://127.0.0.1:{port}"), "--strict"]);
    let (redis, _folder) = server(port, EVICTS);
    service.until_logged("maxmemory-policy is allkeys-lru").await;
    for _ in 0..5 {
        service.send("GET", "/readyz").await.assert_problem(503, "store_unavailable");
        let tap = format!("/v1/posts/{}/reactions/like/users/1", post());
        service.send("PUT", &tap).await.assert_problem(503, "store_unavailable");
    }
    let mut admin = redis.client().await;
    let right = ["SET", "maxmemory-policy", "noeviction"];
    let _: () = redis::cmd("CONFIG").arg(&right).query_async(&mut admin).await.unwrap();
    service.until_ready().await;
}

#[tokio::test]
async fn what_the_user_may_not_ask_is_a_fault_only_if_strict() {
    let (redis, _folder) = server(free_port(), FORGETS);
    let mut admin = redis.client().await;
    for (denied, word) in [("-info", "INFO"), ("-config", "CONFIG GET")] {
        let user = ["SETUSER", "tapper", "reset", "on", ">pw", "~*", "&*", "+@all", denied];
        let _: () = redis::cmd("ACL").arg(&user).query_async(&mut admin).await.unwrap();
        let store = format!("redis://tapper:pw@127.0.0.1:{}", redis.port);
        let service = Program::start(&["--store", &store]);
        service.until_ready().await;
        assert!(!service.log().contains("appendonly"), "{}", service.log());
        let output =
            outcome(&mut onetap(&["--listen", "127.0.0.1:0", "--store", &store, "--strict"]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.lines().last().unwrap().contains(word), "{said}");
    }
}

/// onetap does not wait for faults that will not end by themselves.
#[tokio::test]
async fn a_redis_that_refuses_for_good_is_one_line_and_exit_code_64() {
    let refused = |store: &str, words: &[&str]| {
        let output = outcome(&mut onetap(&["--listen", "127.0.0.1:0", "--store", store]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        let last = said.lines().last().unwrap();
        for word in words {
            assert!(last.starts_with("onetap: ") && last.contains(word), "{word}: {said}");
        }
    };
    for kind in [Kind::Redis, Kind::Valkey] {
        let redis = RedisServer::start(kind, &["--databases", "4"]);
        let mut admin = redis.client().await;
        refused(&format!("{}/99", redis.url()), &["out of range", "--store names", "`databases`"]);
        for (denied, database, words) in [
            ("-select", 1, ["SELECT for the user", "--store names"]),
            ("-time", 0, ["right to TIME", "allow it"]),
            ("-get", 0, ["'get'", "allow it"]),
            ("resetkeys", 0, ["key", "allow it"]),
        ] {
            let user = ["SETUSER", "tapper", "reset", "on", ">pw", "~*", "&*", "+@all", denied];
            let _: () = redis::cmd("ACL").arg(&user).query_async(&mut admin).await.unwrap();
            refused(&format!("redis://tapper:pw@127.0.0.1:{}/{database}", redis.port), &words);
        }
    }
    for (command, words) in [
        ("HELLO", ["lacks a command", "HELLO"]),
        ("GET", ["lacks a command", "GET"]),
        ("ZADD", ["right to ZADD", "do not rename it"]),
    ] {
        let redis = RedisServer::start(Kind::Redis, &["--rename-command", command, ""]);
        refused(&redis.url(), &words);
    }
}
