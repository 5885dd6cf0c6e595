//! A Redis with `deploy/redis.conf` is one that onetap accepts with `--strict`, and that keeps taps.

use std::collections::HashMap;
use std::path::Path;

use super::read;
use crate::support::post;
use crate::support::program::{Program, onetap, outcome};
use crate::support::redis_server::{Kind, RedisServer};

const FILE: &str = "deploy/redis.conf";

fn settings(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pairs = lines.map(|line| line.split_once(' ').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

fn start(kind: Kind, args: &[&str]) -> RedisServer {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    RedisServer::with_file(kind, file.to_str().unwrap(), args)
}

#[tokio::test]
async fn strict_accepts_a_server_with_it() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let redis = start(kind, &[]);
        let store = ["--store", &redis.url(), "--strict"];
        let checked = outcome(&mut onetap(&[&["check-config", "--connect"], &store[..]].concat()));
        let said = String::from_utf8_lossy(&checked.stdout);
        assert_eq!(checked.status.code(), Some(0), "{kind:?}: {checked:?}");
        assert!(said.contains("it can be used") && checked.stderr.is_empty(), "{checked:?}");

        let service = Program::start(&store);
        service.until_ready().await;
        let path = format!("/v1/posts/{}/reactions/like/users/1", post());
        service.send("PUT", &path).await.ok(201);
        let log = service.log();
        assert_eq!(log.matches("WARN").count(), 1, "only that there is no authentication: {log}");

        let mut client = redis.client().await;
        let kept: HashMap<String, String> =
            redis::cmd("CONFIG").arg(&["GET", "*"]).query_async(&mut client).await.unwrap();
        for (name, value) in settings(&read(FILE)) {
            let shown = if name == "maxmemory" { "1073741824" } else { &value };
            assert_eq!(kept[&name], shown, "{kind:?}: {name}");
        }
    }
}

/// What the test above would look like with a worse file.
#[test]
fn strict_refuses_a_server_with_less() {
    for (args, word) in [
        (["--maxmemory-policy", "allkeys-lru"], "maxmemory-policy"),
        (["--appendonly", "no"], "restart"),
    ] {
        let redis = start(Kind::Redis, &args);
        let store = ["check-config", "--connect", "--strict", "--store", &redis.url()];
        let checked = outcome(&mut onetap(&store));
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(64), "{checked:?}");
        assert!(said.contains(word), "{said}");
    }
}

/// The guide names the settings that count, and the example for Kubernetes has all of the file.
#[test]
fn the_other_copies_are_the_same() {
    let file = settings(&read(FILE));
    let guide = read("docs/operations.md");
    let (_, rest) = guide.split_once("<!-- snippet: redis.conf -->\n```conf\n").unwrap();
    for pair in settings(rest.split("```").next().unwrap()) {
        assert!(file.contains(&pair), "{pair:?}");
    }
    let kubernetes = read("deploy/kubernetes/redis.yaml");
    let (_, rest) = kubernetes.split_once("  redis.conf: |\n").unwrap();
    let copied: String = rest
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    let copied = settings(&copied);
    // In a cluster of containers, other machines have to reach it.
    let reach = |pair: &&(String, String)| ["bind", "protected-mode"].contains(&&*pair.0);
    let same =
        |all: &[(String, String)]| all.iter().filter(|p| !reach(p)).cloned().collect::<Vec<_>>();
    assert_eq!(same(&copied), same(&file));
}
