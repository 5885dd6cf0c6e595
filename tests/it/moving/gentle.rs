//! An import beside taps on the same Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;

use super::{HEADER, POST, Place, assert_code, line, many_rows, run};
use crate::support::program::onetap;
use crate::support::redis_server::{Kind, RedisServer};

/// How many script calls the server has run.
async fn script_calls(client: &mut MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(client).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

/// Script calls as those of taps, until the server goes. Counts them.
async fn tap(mut client: MultiplexedConnection, taps: Arc<AtomicU64>) {
    let load = redis::cmd("SCRIPT").arg("LOAD").arg("return 1").to_owned();
    let sha: String = load.query_async(&mut client).await.unwrap();
    loop {
        for _ in 0..10 {
            let tap = redis::cmd("EVALSHA").arg(&sha).arg(0).to_owned();
            let Ok(1) = tap.query_async::<u64>(&mut client).await else { return };
            taps.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Imports two rows each of so many posts, and says how many script calls the import made.
async fn import(posts: u64, is_tapped: bool) -> u64 {
    let (server, folder) = (RedisServer::start(Kind::Redis, &[]), Place::file());
    folder.write("rows.csv", format!("{HEADER}{}", many_rows(posts, 2)));
    let (mut client, taps) = (server.client().await, Arc::new(AtomicU64::new(0)));
    let mut tapping = None;
    if is_tapped {
        tapping = Some(tokio::spawn(tap(server.client().await, Arc::clone(&taps))));
    }
    let mut command = onetap(&["import", "rows.csv", "--store", &server.url()]);
    command.current_dir(folder.folder.path());
    let output = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
    assert_code(&output, 0);
    let (all, others) = (script_calls(&mut client).await, taps.load(Ordering::Relaxed));
    tapping.inspect(|it| it.abort());
    // A tap may have been counted here or there alone.
    all.saturating_sub(others)
}

/// While somebody taps, no script of an import has more than eight rows. While nobody does, they
/// are longer: it begins gently, and finds out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_steps_aside_while_others_tap() {
    let beside = import(20_000, true).await;
    // Where a machine stands still for a moment, so do the taps.
    assert!(beside >= 40_000 / 8 / 2, "{beside} script calls for 40,000 rows");
    let alone = import(20_000, false).await;
    assert!(alone * 4 < beside * 3, "{alone} script calls, and {beside} beside taps");
}

/// A second run knows the steps of the first by their first rows, however busy Redis was.
#[tokio::test]
async fn a_restoration_has_the_same_steps_in_each_run() {
    let (server, folder) = (RedisServer::start(Kind::Redis, &[]), Place::file());
    let line = |user| line(POST, user, "like", "2024-03-01T12:00:00Z");
    folder.write("receipt.ndjson", (1..=60).map(line).collect::<String>());
    let url = server.url();
    let mut command = onetap(&["import", "--restore", "receipt.ndjson", "--store", &url]);
    assert_code(&run(command.current_dir(folder.folder.path())), 0);
    let steps: Vec<String> = server.client().await.keys("*:s:*").await.unwrap();
    assert_eq!(steps.len(), 1, "{steps:?}");
}
