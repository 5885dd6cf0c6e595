//! Imports that are stopped, run twice at once, or meet a store that cannot take them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Place, assert_code, assert_said, assert_summary, at_places, many_rows, run};
use crate::support::cluster::Cluster;
use crate::support::program::{Program, onetap};
use crate::support::redis_server::{Kind, RedisServer};

at_places! { [file, redis, service] {
    an_import_that_is_stopped_goes_on_where_it_was,
} }

/// How many posts of 20 rows: enough that a signal arrives before the end. A file takes fewer rows a
/// second, above all without optimization.
const POSTS: u64 = 1500;
const POSTS_IN_A_FILE: u64 = 250;

async fn an_import_that_is_stopped_goes_on_where_it_was(place: Place) {
    let posts = if place.is_file() { POSTS_IN_A_FILE } else { POSTS };
    place.write("rows.csv", format!("{}{}", super::HEADER, many_rows(posts, 20)));
    let mut stopped = 0;
    // The later the signal, the further it gets.
    for pause in [150, 300, 450, 600] {
        let mut command = place.command(&["import", "rows.csv"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(pause) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let pid = child.id().to_string();
        std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            Some(130) => stopped += 1,
            // A signal before the program listens for it.
            None => {}
            code => assert_eq!(code, Some(0), "{output:?}"),
        }
    }
    assert!(stopped > 0, "every run was faster than its signal");
    let last = place.run(&["import", "rows.csv"]);
    assert_code(&last, 0);
    assert_code(&place.run(&["diff", "rows.csv"]), 0);
    let again = place.run(&["import", "rows.csv"]);
    assert_summary(&again, &[&format!("{} done by an earlier run", posts * 20)]);
}

#[tokio::test]
async fn two_imports_of_one_file_at_once_are_one() {
    both_at_once(&Place::redis());
    both_at_once(&Place::service());
}

fn both_at_once(place: &Place) {
    place.write("rows.csv", format!("{}{}", super::HEADER, many_rows(500, 20)));
    let start = |rejects: &str| {
        let mut command = place.command(&["import", "rows.csv", "--rejects", rejects]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [start("a"), start("b")].map(|child| child.wait_with_output().unwrap());
    let added = |output: &std::process::Output| -> u64 {
        assert_code(output, 0);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|line| line.trim().strip_suffix(" added"));
        line.map_or(0, |count| count.parse().unwrap())
    };
    assert_eq!(both.iter().map(added).sum::<u64>(), 10_000);
    assert_code(&place.run(&["diff", "rows.csv"]), 0);
}

#[tokio::test]
async fn a_file_that_a_service_holds_is_imported_through_it() {
    // No number of whole posts has exactly as many rows as a request may have.
    let place = Place::file();
    place.write("rows.csv", format!("{}{}", super::HEADER, many_rows(286, 7)));
    place
        .serving(async |service: &Program| {
            let locked = place.run(&["import", "rows.csv"]);
            assert_code(&locked, 69);
            assert_said(&locked, &["store.redb", "--url"]);
            let url = format!("http://{}", service.address());
            let mut through = onetap(&["import", "rows.csv", "--url", &url]);
            let output = run(through.current_dir(place.folder.path()));
            assert_code(&output, 0);
            assert_summary(&output, &["2002 added"]);
        })
        .await;
    assert_code(&place.run(&["diff", "rows.csv"]), 0);
}

#[tokio::test]
async fn a_full_redis_takes_no_more_and_the_import_goes_on_when_it_has_room() {
    let server = RedisServer::start(Kind::Redis, &["--maxmemory-policy", "noeviction"]);
    let folder = Place::file();
    folder.write("rows.csv", format!("{}{}", super::HEADER, many_rows(2000, 10)));
    let url = server.url();
    let args = ["import", "rows.csv", "--store", &url, "--retry-for", "1s"];
    let mut client = server.client().await;
    let used: String = ::redis::cmd("INFO").arg("memory").query_async(&mut client).await.unwrap();
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let most = used.trim().parse::<u64>().unwrap() + 1_000_000;
    let limit = |most: u64| {
        let mut command = ::redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(most);
        command
    };
    limit(most).exec_async(&mut client).await.unwrap();
    let full = run(onetap(&args).current_dir(folder.folder.path()));
    assert_code(&full, 1);
    assert_said(&full, &["the store is not available", "run the same command again"]);
    limit(0).exec_async(&mut client).await.unwrap();
    assert_code(&run(onetap(&args).current_dir(folder.folder.path())), 0);
    let diff = ["diff", "rows.csv", "--store", &url];
    assert_code(&run(onetap(&diff).current_dir(folder.folder.path())), 0);
}

#[tokio::test]
async fn a_cluster_takes_an_import() {
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let folder = Place::file();
    folder.write("rows.csv", format!("{}{}", super::HEADER, many_rows(700, 3)));
    let url = cluster.url();
    for (command, code) in [("import", 0), ("diff", 0)] {
        let args = [command, "rows.csv", "--store", &url];
        let output = run(onetap(&args).current_dir(folder.folder.path()));
        assert_code(&output, code);
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for_and_then_named() {
    let folder = Place::file();
    folder.write("rows.csv", format!("{}{}", super::HEADER, many_rows(2, 2)));
    let port = crate::support::redis_server::free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let args = ["import", "rows.csv", "--store", &url, "--retry-for", "500ms"];
    let output = run(onetap(&args).current_dir(folder.folder.path()));
    assert_code(&output, 1);
    assert_said(&output, &["not available", "run the same command again"]);
    // It turns up while an import waits.
    let args = ["import", "rows.csv", "--store", &url, "--retry-for", "20s"];
    let mut command = onetap(&args);
    command.current_dir(folder.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let waiting = command.spawn().unwrap();
    let server = RedisServer::start_on(Kind::Redis, port, &[]);
    let output = tokio::task::spawn_blocking(|| waiting.wait_with_output().unwrap()).await.unwrap();
    assert_code(&output, 0);
    drop(server);
}
