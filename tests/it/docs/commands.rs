//! The commands in the documentation work as it says.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::events::{self, Events};
use crate::support::http::Connection;
use crate::support::post;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::service::Service;

pub(super) fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The shell commands of a document, one text a block.
fn shell_blocks(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// Runs lines in a shell in which curl fails after four seconds, and for an HTTP error.
pub(super) async fn run(lines: String) -> Output {
    let script = format!("curl() {{ command curl -sS -f -m 4 \"$@\"; }}\n{lines}");
    let bash = move || Command::new("bash").args(["-euc", &script]).output().unwrap();
    tokio::task::spawn_blocking(bash).await.unwrap()
}

#[tokio::test]
async fn every_call_of_the_readme_and_of_the_api_page_is_answered() {
    let service = Service::memory();
    let here = |block: &String| block.replace("127.0.0.1:8080", &service.address.to_string());
    let pages = read("README.md") + &read("docs/api.md");
    let blocks: Vec<String> = shell_blocks(&pages).iter().map(here).collect();
    let calls: Vec<&String> = blocks.iter().filter(|block| block.contains("curl ")).collect();
    let [first, page, conditional, keyed] = calls[..] else { panic!("{} blocks", calls.len()) };
    let post = first.lines().next().unwrap();
    let answers = |output: Output, code: i32| {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let has = |line: &str, words: &[&str]| {
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    };

    let lines = answers(run(first.clone()).await, 0);
    assert_eq!(lines.len(), 5, "an answer a line: {lines:?}");
    has(&lines[0], &[r#""reaction":"like""#, r#""active":true"#, r#""count":1"#]);
    has(&lines[1], &[r#""active":false"#, r#""count":0"#]);
    has(&lines[2], &[r#""reaction":"👍""#, r#""active":true"#]);
    has(&lines[3], &[r#""mine":true"#, r#""recent":[{"user_id":"42""#]);
    has(&lines[4], &[r#"{"users":[{"user_id":"42","reaction":"👍""#]);

    // A stream has no end: curl's own time does.
    let lines = answers(run(page.clone()).await, 28);
    has(&lines[0], &[r#"{"posts":[{"#, r#""mine":true"#]);
    assert!(lines[1..].contains(&"event: summary".to_owned()), "{lines:?}");

    for _ in 0..2 {
        let lines = answers(run(format!("{post}\n{conditional}")).await, 0);
        has(&lines[0], &[r#""active":true"#, r#""count":1"#]);
    }
    let lines = answers(run(format!("{post}\n{keyed}")).await, 0);
    has(&lines[0], &[r#""reaction":"love""#, r#""active":true"#]);
    assert_eq!(lines[0], lines[1], "the second is a replay");
}

/// The text below `<!-- snippet: NAME -->` in docs/operations.md.
pub(super) fn snippet(name: &str) -> String {
    let guide = read("docs/operations.md");
    let (_, rest) = guide.split_once(&format!("<!-- snippet: {name} -->\n```")).unwrap();
    rest.split_once('\n').unwrap().1.split("```").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_settings_and_rights_of_the_guide_are_enough_and_strict() {
    let settings = snippet("redis.conf");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = folder.path().to_string_lossy();
    let settings = settings.lines().map(|line| line.split_once(' ').unwrap());
    let args: Vec<String> = settings
        .chain([("dir", &*dir)])
        .flat_map(|(name, value)| [format!("--{name}"), value.to_owned()])
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let redis = RedisServer::start(Kind::Redis, &args);
    let mut admin = redis.client().await;
    let guide = read("docs/operations.md");
    let acl = guide.lines().find_map(|line| line.strip_prefix("`ACL ")).unwrap();
    let words: Vec<&str> = acl.trim_end_matches('`').split_whitespace().collect();
    let _: () = redis::cmd("ACL").arg(words).query_async(&mut admin).await.unwrap();

    let store = format!("redis://onetap:PASSWORD@127.0.0.1:{}", redis.port);
    let service = Program::start(&["--store", &store, "--strict"]);
    service.until_ready().await;
    let post = post();
    let like = format!("/v1/posts/{post}/reactions/like/users");
    let (toggle, key) = (format!("{like}/1/toggle"), [("idempotency-key", "a")]);
    let mut connection = Connection::open(service.address).await;
    connection.send("POST", &toggle, &key, "").await.ok(200);
    service.send("DELETE", &format!("{like}/1")).await.ok(200);
    let mut stream = Events::open(service.address, &events::path(&[post])).await;
    for user in 1..=3 {
        service.send("PUT", &format!("{like}/{user}")).await.ok(201);
    }
    stream.until(|event| event.total() == 3).await;
    let summary = format!("/v1/posts/{post}/reactions?user_id=1&recent=3");
    service.send("GET", &summary).await.ok(200);
    let page = service.send("GET", &format!("{like}?limit=1")).await.ok(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    service.send("GET", &format!("{like}?limit=1&cursor={cursor}")).await.ok(200);
    let refused: Vec<redis::Value> =
        redis::cmd("ACL").arg("LOG").query_async(&mut admin).await.unwrap();
    assert!(refused.is_empty(), "{refused:?}");
}

/// zsh, the default shell of macOS, takes a comment after a command as arguments.
#[test]
fn no_command_has_a_comment_behind_it() {
    for path in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/api.md",
        "docs/moderation.md",
        "docs/moving-in.md",
        "docs/operations.md",
        "loadtest/README.md",
    ] {
        let blocks = shell_blocks(&read(path));
        let line = blocks.iter().flat_map(|block| block.lines()).find(|line| line.contains(" #"));
        assert_eq!(line, None, "{path}");
    }
}
