//! Rules of the source tree that a reader relies on.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with this extension.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found.sort();
    found
}

/// The code of a file without its comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Which rooms each room may import. Imports go one way: a room never imports one that stands above
/// it.
const LAW: &[(&str, &[&str])] = &[
    (
        "src/commands",
        &["app", "auth", "config", "domain", "http", "keys", "moving", "store", "telemetry"],
    ),
    (
        "src/app",
        &[
            "auth",
            "config",
            "demo",
            "domain",
            "http",
            "jobs",
            "keys",
            "live",
            "rate_limit",
            "store",
            "telemetry",
        ],
    ),
    // The configuration names the types that it fills in.
    ("src/config", &["auth", "domain", "http", "jobs", "keys", "rate_limit", "store", "telemetry"]),
    // The demo is behind the middleware of the API, which knows nothing of the demo.
    ("src/demo", &["domain", "http"]),
    (
        "src/http",
        &["auth", "domain", "jobs", "live", "moving", "rate_limit", "store", "sync", "telemetry"],
    ),
    ("src/jobs", &["domain", "store", "telemetry"]),
    ("src/moving", &["domain", "store"]),
    ("src/live", &["domain", "store", "sync", "telemetry"]),
    ("src/store/redis", &["domain", "store", "telemetry"]),
    ("src/store/file", &["domain", "store", "telemetry"]),
    ("src/store/memory", &["domain", "store", "sync"]),
    ("src/store", &["domain", "store", "sync", "telemetry"]),
    ("src/rate_limit", &["domain", "telemetry"]),
    ("src/auth", &["domain"]),
    ("src/keys.rs", &["auth"]),
    // It knows no component: each registers its own figures.
    ("src/telemetry", &[]),
    ("src/sync", &[]),
    ("src/domain", &[]),
];

#[test]
fn imports_go_one_way() {
    for path in files("src", "rs") {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let Some((room, allowed)) = LAW.iter().find(|(room, _)| name.starts_with(room)) else {
            assert!(["src/lib.rs", "src/main.rs"].contains(&name.as_str()), "{name} has no room");
            continue;
        };
        for (i, _) in code(&path).match_indices("crate::") {
            let named: String = code(&path)[i + 7..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let own = room.trim_start_matches("src/").split('/').next() == Some(named.as_str());
            assert!(own || allowed.contains(&named.as_str()), "{name} names crate::{named}");
        }
    }
}

/// The same inside `store/redis`: which of its rooms and files each may import. Files that are not
/// listed assemble the others.
const REDIS_LAW: &[(&str, &[&str])] = &[
    ("keys.rs", &[]),
    ("value.rs", &[]),
    ("log_entry.rs", &["value"]),
    ("net/", &["keys"]),
    ("cluster/", &["keys", "net", "value"]),
    ("ops/", &["keys", "value"]),
    ("lane/", &["cluster", "net", "ops"]),
    ("maintenance.rs", &["lane", "ops", "walk", "RedisStore", "stopped"]),
    ("others.rs", &["RedisStore"]),
    ("walk.rs", &["cluster", "keys", "value", "RedisCore"]),
    ("change_log.rs", &["cluster", "keys", "log_entry"]),
    ("follow.rs", &["cluster", "keys", "lane", "log_entry", "net", "value"]),
];

#[test]
fn imports_inside_the_redis_store_go_one_way() {
    let room = root().join("src/store/redis");
    for path in files("src/store/redis", "rs") {
        let name = path.strip_prefix(&room).unwrap().to_string_lossy().into_owned();
        let Some((own, allowed)) = REDIS_LAW.iter().find(|(own, _)| name.starts_with(own)) else {
            let assembles = ["mod.rs", "new_verb_tests.rs", "fuzz_tests.rs"];
            assert!(assembles.contains(&&*name), "{name} has no room");
            continue;
        };
        let code = code(&path);
        // In the tests of a file, `super` is the file.
        let code = code.split("mod tests {").next().unwrap();
        // Beside each other, files at the top name each other by `super::`.
        let beside = if own.ends_with('/') { "crate::store::redis::" } else { "super::" };
        for (i, _) in code.match_indices(beside) {
            let named: String = code[i + beside.len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let is_own = own.trim_end_matches('/') == named;
            assert!(is_own || allowed.contains(&named.as_str()), "{name} names {named}");
        }
        let up = own.ends_with('/') && code.contains("super::super::");
        assert!(!up, "{name} leaves its room by super::super");
    }
}

#[test]
fn what_one_room_alone_may_name_no_other_names() {
    let only: &[(&[&str], &[&str])] = &[
        (&["src/http", "src/demo"], &["axum"]),
        (&["src/http"], &["hyper::", "hyper_util", "tower::", "tower_http"]),
        (&["src/store/redis"], &["deadpool_redis", "redis::Cmd", "EVALSHA", "{prefix}:"]),
        (&["src/store/file"], &["redb::", "rustix::fs", "OpenOptions"]),
        (&["src/main.rs"], &["rustix::thread"]),
        (&["src/app/output.rs"], &["stdout"]),
    ];
    for path in files("src", "rs") {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        for (rooms, words) in only {
            for word in *words {
                let named = code(&path).contains(word);
                assert!(
                    !named || rooms.iter().any(|room| name.starts_with(room)),
                    "{name} names {word}, which is for {rooms:?}"
                );
            }
        }
    }
    // Most components declare their figures with `telemetry::stats!`, which names it for them.
    for path in files("src", "rs").iter().filter(|path| code(path).contains("prometheus_client")) {
        let own = path.starts_with(root().join("src/telemetry")) || path.ends_with("metrics.rs");
        assert!(own, "{} names prometheus_client", path.display());
    }
    // The domain reads no clock and waits for nothing.
    for path in files("src/domain", "rs").iter().chain(&files("src/sync", "rs")) {
        for word in ["tokio", "SystemTime", "Instant", "std::io", "std::net", "std::fs"] {
            assert!(!code(path).contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn files_and_lines_keep_their_budgets() {
    for (folder, ending, lines, columns) in [
        ("src", "rs", 400, 100),
        ("loadtest/src", "rs", 400, 100),
        ("tests/it", "rs", 500, 120),
        ("lua", "lua", 120, 110),
    ] {
        for path in files(folder, ending) {
            let text = fs::read_to_string(&path).unwrap();
            let count = text.lines().count();
            assert!(count <= lines, "{} has {count} lines", path.display());
            for (i, line) in text.lines().enumerate() {
                // A string that is one thing, such as an address, is not broken.
                let whole = line.contains("http://") || line.contains('"');
                let width = line.chars().count();
                assert!(width <= columns || whole, "{}:{}: {width} columns", path.display(), i + 1);
            }
        }
    }
}
