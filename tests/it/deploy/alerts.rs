//! Alerts and dashboard name only metrics that the service has; each alert can fire, and has a heading
//! in the runbook.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::read;
use crate::support::post;
use crate::support::promtool::{checked, promtool};
use crate::support::service::Service;

const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const DASHBOARD: &str = "deploy/grafana/onetap.json";

/// Words that begin as names of our metrics do.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("onetap_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// All that is queried in a dashboard: panels, variables and annotations.
fn queries(value: &Value, found: &mut String) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let (true, Some(query)) =
                    (["expr", "query"].contains(&key.as_str()), value.as_str())
                {
                    *found += &format!("{query}\n");
                }
                queries(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

fn dashboard() -> String {
    let mut found = String::new();
    queries(&serde_json::from_str(&read(DASHBOARD)).unwrap(), &mut found);
    found
}

/// What services over a Redis and over a file show: each name with the names of its labels.
async fn shown() -> (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    let (mut names, mut routes) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
    for service in [Service::redis(), Service::with(&["--store", &file])] {
        let path = format!("/v1/posts/{}/reactions/like/users/1", post());
        service.send("PUT", &path).await.ok(201);
        let plain = [("accept", "text/plain")];
        let answer = service.connect().await.send("GET", "/metrics", &plain, "").await;
        for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
            let (name, rest) = line.split_once(['{', ' ']).unwrap();
            let labels = names.entry(name.to_owned()).or_default();
            for (before, value) in rest.split("=\"").zip(rest.split("=\"").skip(1)) {
                let label = before.rsplit(['"', ',', '{']).next().unwrap();
                labels.insert(label.to_owned());
                if label == "route" {
                    routes.insert(value.split('"').next().unwrap().to_owned());
                }
            }
        }
    }
    (names, routes)
}

#[tokio::test]
async fn every_metric_and_label_that_they_use_is_there() {
    let (names, routes) = shown().await;
    // Prometheus adds these.
    let mut labels: BTreeSet<&str> = names.values().flatten().map(String::as_str).collect();
    labels.extend(["job", "instance"]);
    for (file, text) in [(ALERTS, read(ALERTS)), (DASHBOARD, dashboard())] {
        let used = metrics(&text);
        assert!(used.len() > 15, "{file}: {used:?}");
        for name in used {
            assert!(names.contains_key(&name), "{file}: the service has no {name}");
        }
        for (before, value) in text.split(['"']).zip(text.split('"').skip(1)) {
            let Some(label) = before.trim_end_matches('~').strip_suffix(['=', '!']) else {
                continue;
            };
            let label =
                label.trim_end_matches(['!', '=']).rsplit(['{', ',', ' ', '(']).next().unwrap();
            assert!(labels.contains(label), "{file}: no metric has a label {label}");
            if label == "route" {
                for route in value.split('|') {
                    let prefix = route.trim_end_matches(".+");
                    let served = routes.iter().any(|served| served == route)
                        || (prefix != route
                            && routes.iter().any(|served| served.starts_with(prefix)));
                    assert!(served, "{file}: no route is {route}");
                }
            }
        }
        for group in text.split("by (").skip(1) {
            for label in group.split(')').next().unwrap().split(", ") {
                assert!(labels.contains(label), "{file}: no metric has a label {label}");
            }
        }
    }
}

#[test]
fn promtool_accepts_the_alerts_and_each_of_them_fires() {
    for args in [
        &["check", "config", "deploy/prometheus/prometheus.yaml"][..],
        &["check", "rules", "--lint=all", "--lint-fatal", ALERTS],
        &["test", "rules", "deploy/prometheus/alerts.test.yaml"],
    ] {
        let (good, said) =
            checked(promtool().current_dir(env!("CARGO_MANIFEST_DIR")).args(args), "");
        assert!(good, "{args:?}: {said}");
    }
    let tests = read("deploy/prometheus/alerts.test.yaml");
    for alert in alerts() {
        let firing = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels");
        assert!(tests.contains(&firing), "no test makes {alert} fire");
        let silent = format!("eval_time: 80m, alertname: {alert}, exp_alerts: []");
        assert!(tests.contains(&silent), "no test shows that {alert} is silent while all is well");
    }
}

/// Their names, in order.
fn alerts() -> Vec<String> {
    let text = read(ALERTS);
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn every_alert_has_its_heading_in_the_runbook() {
    let (runbook, rules) = (read("docs/runbook.md"), read(ALERTS));
    let sections: Vec<&str> = runbook.split("\n## ").skip(1).collect();
    let headings: Vec<&str> = sections.iter().map(|text| text.lines().next().unwrap()).collect();
    assert_eq!(headings, alerts());
    for (heading, section) in headings.iter().zip(sections) {
        let mut rest = section;
        for part in ["**What it means.** ", "**What to look at.** ", "**What to do.** "] {
            let found = rest.split_once(&format!("\n\n{part}"));
            rest = found.unwrap_or_else(|| panic!("{heading} has no part {part}")).1;
        }
        let link = format!("docs/runbook.md#{}\n", heading.to_lowercase());
        assert!(rules.contains(&link), "the alert does not lead to {link}");
    }
}
