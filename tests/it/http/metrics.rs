//! `/metrics`: its contents, and that Prometheus' checker finds no fault.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::fault_proxy::until;
use crate::support::post;
use crate::support::promtool::{checked, promtool};
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::service::Service;
use crate::support::stopwatch::Stopwatch;

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
    let service = Service::with(&["--store", &redis.url(), "--request-timeout", "8s"]);
    until("all lanes are connected", async || {
        value(&older(&service).await, "onetap_lanes_connected") == 8.0
    })
    .await;
    redis.signal("-STOP");
    let started = Stopwatch::start();
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

/// The names and labels of all series.
fn series(figures: &str) -> BTreeSet<String> {
    let lines = figures.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Requests that a scanner of the internet might send: any method, any path, any query.
struct Scanner(u64);

impl Scanner {
    fn number(&mut self) -> u64 {
        // A linear congruential generator: every run sends the same.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn request(&mut self) -> (String, String) {
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"];
        let at = self.number() as usize % (known.len() + 2);
        let invented = format!("X{:X}", self.number());
        let method = known.get(at).map_or(invented, |known| (*known).to_owned());
        let word = self.number();
        let path = match self.number() % 5 {
            0 => format!("/{word:x}"),
            1 => format!("/v1/posts/{word}/reactions"),
            2 => format!("/v1/{word}?{word:x}={word}"),
            3 => format!("/v1/users/{word}/reactions/%{:02x}", word % 256),
            _ => format!("/{word}/../{word:x}//metrics"),
        };
        (method, path)
    }
}

/// 10,000 requests with paths and methods of their own: the series are those of the first 2,000.
#[tokio::test]
async fn invented_paths_and_methods_make_no_series() {
    let service = Service::memory();
    let mut scanner = Scanner(1);
    let mut connection = service.connect().await;
    let mut send = async |count: usize| {
        for _ in 0..count {
            let (method, path) = scanner.request();
            let answer = connection.send(&method, &path, &[], "").await;
            assert!((200..500).contains(&answer.status), "{method} {path}: {answer:?}");
        }
    };
    // The first scrape makes the series of a scrape.
    older(&service).await;
    send(2_000).await;
    let first = series(&older(&service).await);
    send(8_000).await;
    let all = older(&service).await;
    let more: Vec<_> = series(&all).difference(&first).cloned().collect();
    assert!(more.is_empty(), "{more:?}");
    assert!(first.len() < 1_000, "{}", first.len());
    let unmatched =
        "onetap_http_requests_total{route=\"unmatched\",method=\"other\",status=\"404\"}";
    assert!(value(&all, unmatched) > 500.0, "{all}");
}

/// Refusals, sheds and unknown outcomes: each problem by its code.
#[tokio::test]
async fn problems_are_counted_by_their_code() {
    let keys = crate::auth::Keys::new();
    let service = keys.service(&[]);
    let figures = async || {
        let bearer = format!("Bearer {}", crate::auth::key("admin"));
        let headers = [("accept", "text/plain"), ("authorization", &bearer)];
        service.connect().await.send("GET", "/metrics", &headers, "").await.body
    };
    let count = |figures: &str, code: &str| {
        value(figures, &format!("onetap_http_problems_total{{code=\"{code}\"}}"))
    };
    let before = figures().await;
    for code in onetap::http::Code::ALL {
        assert_eq!(count(&before, code.as_str()), 0.0);
    }
    service.send("GET", "/metrics").await.assert_problem(401, "unauthenticated");
    for user in ["1", "2"] {
        let path = format!("/v1/posts/{}/reactions/like/users/{user}", post());
        let sent = crate::auth::send(&service, "PUT", &path, &crate::auth::token(3), "").await;
        sent.assert_problem(403, "forbidden");
    }
    service.send("GET", "/none").await.assert_problem(404, "not_found");
    let after = figures().await;
    for (code, expected) in [("unauthenticated", 1.0), ("forbidden", 2.0), ("not_found", 1.0)] {
        assert_eq!(count(&after, code), expected, "{code}");
    }
    assert_eq!(count(&after, "overloaded"), 0.0);
}

/// While Redis does not answer, calls are in flight or wait. Afterwards none is left.
#[tokio::test]
async fn a_lane_shows_what_waits_what_is_in_flight_and_how_long_scripts_take() {
    let redis = RedisServer::start(Kind::Redis, &[]);
    let service = Service::with(&["--store", &redis.url(), "--request-timeout", "8s"]);
    let path = |user: u32| format!("/v1/posts/{}/reactions/like/users/{user}", post());
    service.send("PUT", &path(100)).await.ok(201);
    assert_eq!(service.send("GET", "/readyz").await.status, 200);
    redis.signal("-STOP");
    let started = std::time::Instant::now();
    let gauges = async || {
        let text = older(&service).await;
        (value(&text, "onetap_lane_calls_waiting"), value(&text, "onetap_lane_calls_in_flight"))
    };
    let mut taps = Vec::new();
    // Those that come later wait for the first ones, on each lane.
    for (users, least_waiting) in [(1..5, 0.0), (5..13, 8.0)] {
        let sent = f64::from(users.end) - 1.0;
        for user in users {
            let (address, path) = (service.address, path(user));
            taps.push(tokio::spawn(async move {
                let mut connection = crate::support::http::Connection::open(address).await;
                connection.send("PUT", &path, &[], "").await.ok(201)
            }));
        }
        loop {
            let (waiting, in_flight) = gauges().await;
            if waiting + in_flight >= sent && in_flight >= 2.0 && waiting >= least_waiting {
                break;
            }
            let late = started.elapsed() > std::time::Duration::from_secs(6);
            assert!(!late, "{waiting} wait, {in_flight} are in flight");
        }
    }
    redis.signal("-CONT");
    for tap in taps {
        tap.await.unwrap();
    }
    while gauges().await != (0.0, 0.0) {
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", gauges().await);
    }
    let text = older(&service).await;
    let of_sets = |what: &str| {
        value(&text, &format!("onetap_lane_script_duration_seconds_{what}{{script=\"set\"}}"))
    };
    assert!((2.0..=13.0).contains(&of_sets("count")), "{text}");
    assert!(of_sets("sum") > 0.0);
}
