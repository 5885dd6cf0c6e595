//! `/metrics`: its contents, and that Prometheus' checker finds no fault.

use std::collections::BTreeMap;

use crate::support::post;
use crate::support::promtool::{checked, promtool};
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::service::Service;

async fn figures(service: &Service, accept: &str) -> String {
    let sent = [("accept", accept)];
    let answer = service.connect().await.send("GET", "/metrics", &sent, "").await;
    assert_eq!(answer.status, 200);
    answer.body
}

async fn older(service: &Service) -> String {
    figures(service, "text/plain").await
}

/// The value of a series in the older format, by name and labels.
fn value(figures: &str, series: &str) -> f64 {
    let mut lines = figures.lines().filter_map(|line| line.rsplit_once(' '));
    let found = lines.find(|(name, _)| *name == series);
    found.unwrap_or_else(|| panic!("no {series} in {figures}")).1.parse().unwrap()
}

/// Services over each store that have done some work, so that each kind of series is there.
async fn used() -> Vec<(&'static str, Service, tempfile::TempDir)> {
    let mut services = Vec::new();
    for (name, make) in [
        ("memory", (|_| Service::memory()) as fn(&str) -> Service),
        ("file", |path| Service::with(&["--store", path])),
        ("redis", |_| Service::redis()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let service = make(&format!("file:{}", folder.path().join("store.redb").display()));
        let path = format!("/v1/posts/{}/reactions/like/users/1", post());
        service.send("PUT", &path).await.ok(201);
        service.send("GET", "/nothing/here").await.assert_problem(404, "not_found");
        services.push((name, service, folder));
    }
    services
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_nothing_in_either_format() {
    for (store, service, folder) in used().await {
        let plain = older(&service).await;
        let (good, said) = checked(promtool().args(["check", "metrics"]), &plain);
        assert!(good && said.is_empty(), "{store}: {said}");
        // `check metrics` reads the older format only. promtool's reader of OpenMetrics requires timestamps.
        let open = figures(&service, "application/openmetrics-text").await;
        let timed = open.lines().map(|line| match line.starts_with('#') {
            true => format!("{line}\n"),
            false => format!("{line} 1700000000\n"),
        });
        let timed: String = timed.collect();
        let given = folder.path().join("open");
        std::fs::write(&given, timed).unwrap();
        let blocks = ["tsdb", "create-blocks-from", "openmetrics"];
        let mut command = promtool();
        command.args(blocks).arg(&given).arg(folder.path().join("blocks"));
        let (good, said) = checked(&mut command, "");
        assert!(good, "{store}: {said}");
    }
}

/// What promtool does not check: each family appears once, its help text is a sentence, and both
/// formats have the same families.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_figure_has_one_name_and_a_help_text() {
    for (store, service, _folder) in used().await {
        let mut formats = Vec::new();
        for accept in ["text/plain", "application/openmetrics-text"] {
            let text = figures(&service, accept).await;
            let (mut helps, mut kinds) = (BTreeMap::new(), BTreeMap::new());
            for line in text.lines() {
                let mut words = line.splitn(4, ' ');
                let (Some("#"), Some(what), Some(name), Some(rest)) =
                    (words.next(), words.next(), words.next(), words.next())
                else {
                    continue;
                };
                let family = name.trim_end_matches("_total").trim_end_matches("_info").to_owned();
                let names = if what == "HELP" { &mut helps } else { &mut kinds };
                assert!(names.insert(family, rest.to_owned()).is_none(), "{store}: {name} twice");
            }
            assert!(helps.keys().eq(kinds.keys()), "{store}: {helps:?} {kinds:?}");
            for (name, help) in &helps {
                let sentence = help.ends_with('.') && !help.starts_with(' ');
                assert!(sentence, "{store}: {name} is described as `{help}`");
            }
            formats.push(helps);
        }
        assert_eq!(formats[0], formats[1], "{store}");
    }
}

#[tokio::test]
async fn the_process_and_its_build_are_there() {
    let service = Service::memory();
    let text = older(&service).await;
    let version = env!("CARGO_PKG_VERSION");
    let build = text.lines().find(|line| line.starts_with("onetap_build_info{")).expect(&text);
    assert!(build.contains(&format!("version=\"{version}\",commit=\"")), "{build}");
    assert!(!build.contains("commit=\"\"") && build.ends_with(" 1"), "{build}");
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let started = value(&text, "process_start_time_seconds");
    assert!((since - 3600.0 * 24.0..since + 2.0).contains(&started), "{started} {since}");
    let resident = value(&text, "process_resident_memory_bytes");
    assert!(resident > 1e6 && resident < value(&text, "process_virtual_memory_bytes"));
    let open = value(&text, "process_open_fds");
    assert!(open > 3.0 && open < value(&text, "process_max_fds"), "{text}");
    assert!(value(&text, "process_cpu_seconds_total") >= 0.0);
}

#[tokio::test]
async fn the_size_of_a_store_file_is_that_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let service = Service::with(&["--store", &format!("file:{}", path.display())]);
    let size = value(&older(&service).await, "onetap_file_size_bytes");
    assert_eq!(size, std::fs::metadata(&path).unwrap().len() as f64);
    let memory = older(&Service::memory()).await;
    assert!(!memory.contains("onetap_file_size_bytes"), "{memory}");
}

/// A scrape checks readiness itself if nobody has requested `/readyz`. Then it shows the result.
#[tokio::test]
async fn readiness_is_a_figure() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url(), "--request-timeout-ms", "500"]);
    assert_eq!(value(&older(&service).await, "onetap_ready"), 1.0);
    redis.signal("-STOP");
    assert_eq!(service.send("GET", "/readyz").await.status, 503);
    assert_eq!(value(&older(&service).await, "onetap_ready"), 0.0);
    redis.signal("-CONT");
    while service.send("GET", "/readyz").await.status != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(value(&older(&service).await, "onetap_ready"), 1.0);
}

/// A lane gives a connection up when a call on it expires. So the check of a scrape has the deadline
/// of a request, although the scrape does not wait that long.
#[tokio::test]
async fn a_scrape_breaks_no_connection_of_a_store_that_is_slow_for_a_moment() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url()]);
    // Wait until all lanes are connected. Nobody has checked readiness yet.
    service
        .send("PUT", "/v1/posts/0192f0c1-2345-7890-abcd-ef0123456789/reactions/like/users/1")
        .await
        .ok(201);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    redis.signal("-STOP");
    let started = std::time::Instant::now();
    let before = older(&service).await;
    assert!(started.elapsed() < std::time::Duration::from_millis(1500), "{:?}", started.elapsed());
    // Longer than the scrape waits, and shorter than the request timeout.
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    redis.signal("-CONT");
    let mut after = older(&service).await;
    while value(&after, "onetap_ready") != 1.0 {
        assert!(started.elapsed() < std::time::Duration::from_secs(8), "{after}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        after = older(&service).await;
    }
    let opened = |text: &str| value(text, "onetap_lane_connections_total");
    assert_eq!(opened(&after), opened(&before));
}
