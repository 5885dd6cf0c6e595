//! `--user-ids` is part of a store's layout: a start with the other kind of ids is refused.

use std::path::Path;

use redis::AsyncCommands as _;

use crate::support::post;
use crate::support::prefix;
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::{Kind, RedisServer, free_port, shared};

/// The kinds, each with the other one, and a user that has it.
const KINDS: [(&str, &str, &str); 2] = [("text", "integer", "a|b"), ("integer", "text", "42")];

/// Asserts that a start with these settings is one line and exit code 64.
#[track_caller]
fn assert_refused(args: &[&str], words: &[&str]) {
    for command in [&["--listen", "127.0.0.1:0"][..], &["check-config", "--connect"]] {
        let output = outcome(&mut onetap(&[command, args].concat()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{command:?}: {said}");
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("onetap: ")).collect();
        assert_eq!(lines.len(), 1, "{said}");
        for word in words {
            assert!(lines[0].contains(word), "{word}: {said}");
        }
    }
}

#[tokio::test]
async fn a_redis_of_the_other_kind_is_refused() {
    for kind in [Kind::Redis, Kind::Valkey] {
        for (own, other, user) in KINDS {
            let (url, prefix) = (shared(kind).url(), prefix());
            let store = ["--store", &url, "--key-prefix", &prefix];
            let with = |ids| [&store[..], &["--user-ids", ids]].concat();
            let service = Program::start(&with(own));
            service.until_ready().await;
            let tap = format!("/v1/posts/{}/reactions/like/users/{user}", post());
            service.send("PUT", &tap).await.ok(201);
            let advice = format!("start with --user-ids {own}, or use another --key-prefix");
            let found = format!("users have {own} ids there, and --user-ids is {other}");
            assert_refused(&with(other), &[&format!("{prefix}:layout"), &found, &advice]);
            // Without the setting the ids are integers.
            if own == "text" {
                assert_refused(&store, &[&found]);
            }
            let mut redis = shared(kind).client().await;
            let layout: String = redis.get(format!("{prefix}:layout")).await.unwrap();
            assert_eq!(layout, if own == "text" { "1 text" } else { "1" });
            // It goes on, and starts again.
            service.send("DELETE", &tap).await.ok(200);
            drop(service);
            Program::start(&with(own)).until_ready().await;
        }
    }
}

#[tokio::test]
async fn a_redis_of_the_other_kind_that_turns_up_later_keeps_the_service_unready() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let dir = folder.path().to_str().unwrap();
    let args = ["--dir", dir, "--appendonly", "yes", "--appendfsync", "always"];
    let start = || RedisServer::start_on(Kind::Redis, port, &args);
    let layout = |value: &'static str| async move {
        let admin = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let mut admin = admin.get_multiplexed_async_connection().await.unwrap();
        let _: () = admin.set("ot:layout", value).await.unwrap();
    };
    for (there, asked, user, other) in
        [("1", "text", "a|b", "1 text"), ("1 text", "integer", "7", "1")]
    {
        let before = start();
        layout(there).await;
        drop(before);
        let url = format!("redis://127.0.0.1:{port}");
        let service = Program::start(&["--store", &url, "--user-ids", asked]);
        let redis = start();
        service.until_logged(&format!("and --user-ids is {asked}: start with --user-ids")).await;
        let tap = format!("/v1/posts/{}/reactions/like/users/{user}", post());
        for _ in 0..5 {
            service.send("GET", "/readyz").await.assert_problem(503, "store_unavailable");
            service.send("PUT", &tap).await.assert_problem(503, "store_unavailable");
        }
        let keys: Vec<String> = redis.client().await.keys("*").await.unwrap();
        assert_eq!(keys, ["ot:layout"], "nothing was written");
        layout(other).await;
        service.until_ready().await;
    }
}

#[tokio::test]
async fn a_store_file_of_the_other_kind_is_refused_and_stays_as_it_is() {
    for (own, other, user) in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let store = |file: &Path| format!("file:{}", file.display());
        let first = Program::start(&["--store", &store(&file), "--user-ids", own]);
        first.until_ready().await;
        let like = format!("/v1/posts/{}/reactions/like/users", post());
        first.send("PUT", &format!("{like}/{user}")).await.ok(201);
        stop(first).await;
        let copy = folder.path().join("copy.redb");
        let backup = ["backup", "--from", &store(&file), "--to", copy.to_str().unwrap()];
        let made = outcome(&mut onetap(&backup));
        assert!(made.status.success(), "{made:?}");
        // A copy has the kind of its source.
        for file in [file, copy] {
            let found =
                format!("users have {own} ids in the store file, and --user-ids is {other}");
            let advice = format!("start with --user-ids {own}, or choose another file");
            let store = store(&file);
            assert_refused(&["--store", &store, "--user-ids", other], &[&store, &found, &advice]);
            if own == "text" {
                assert_refused(&["--store", &store], &[&found]);
            }
            let again = Program::start(&["--store", &store, "--user-ids", own]);
            again.until_ready().await;
            let users = again.send("GET", &like).await.ok(200);
            assert_eq!(users["users"][0]["user_id"], user, "what it holds is still there");
            stop(again).await;
        }
    }
}

async fn stop(mut service: Program) {
    service.terminate();
    assert_eq!(service.exit_code().await, Some(0), "{}", service.log());
}

#[test]
fn another_word_is_exit_code_64() {
    for word in ["uuid", "Text", "", "integers"] {
        let output = outcome(&mut onetap(&["--store", "memory:", "--user-ids", word]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(
            said.contains("--user-ids") && said.contains("write `integer` or `text`"),
            "{said}"
        );
    }
}
