//! Requests by route, method and status, how long they took, and the problems among their answers.
//!
//! Each worker counts its routes for itself, so that no request writes to memory that another core
//! writes to. A scrape adds the workers up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::problem::Code;
use crate::telemetry::Latencies;

/// The requests of all workers.
#[derive(Debug, Default)]
pub struct RequestMetrics(Mutex<Vec<Arc<RouteMetrics>>>);

/// The requests that one worker answered at one route.
#[derive(Debug)]
pub(super) struct RouteMetrics {
    route: String,
    tally: Mutex<Tally>,
}

/// The counts of one route. One lock covers them, so a scrape sees them as of one moment.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// By method and status. There are only a few, usually with the most frequent ones first.
    by_status: Vec<(&'static str, u16, u64)>,
    by_code: Vec<(Code, u64)>,
    latencies: Latencies,
}

impl RequestMetrics {
    /// The counts of a route, for one worker.
    pub(super) fn route(&self, route: &str) -> Arc<RouteMetrics> {
        let metrics = RouteMetrics { route: route.to_owned(), tally: Mutex::default() };
        let metrics = Arc::new(metrics);
        self.0.lock().push(Arc::clone(&metrics));
        metrics
    }

    fn by_route(&self) -> BTreeMap<String, Tally> {
        let mut sums: BTreeMap<String, Tally> = BTreeMap::new();
        for metrics in self.0.lock().iter() {
            let tally = metrics.tally.lock().clone();
            sums.entry(metrics.route.clone()).or_default().merge(&tally);
        }
        sums
    }
}

impl RouteMetrics {
    /// Counts an answered request, with the code of its problem.
    pub(super) fn answered(
        &self,
        method: &'static str,
        status: u16,
        code: Option<Code>,
        took: Duration,
    ) {
        let mut tally = self.tally.lock();
        tally.count(method, status, 1);
        code.into_iter().for_each(|code| tally.count_code(code, 1));
        tally.latencies.add(took);
    }
}

impl Tally {
    fn count(&mut self, method: &'static str, status: u16, more: u64) {
        let same = |(of, with, _): &&mut (_, _, _)| *of == method && *with == status;
        match self.by_status.iter_mut().find(same) {
            Some((.., count)) => *count += more,
            None => self.by_status.push((method, status, more)),
        }
    }

    fn count_code(&mut self, code: Code, more: u64) {
        match self.by_code.iter_mut().find(|(of, _)| *of == code) {
            Some((_, count)) => *count += more,
            None => self.by_code.push((code, more)),
        }
    }

    fn code(&self, code: Code) -> u64 {
        self.by_code.iter().find(|(of, _)| *of == code).map_or(0, |(_, count)| *count)
    }

    fn merge(&mut self, other: &Self) {
        for &(method, status, count) in &other.by_status {
            self.count(method, status, count);
        }
        other.by_code.iter().for_each(|&(code, count)| self.count_code(code, count));
        self.latencies.merge(&other.latencies);
    }
}

impl Collector for RequestMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let by_route = self.by_route();
        let help = "Requests answered, by route, method and status.";
        let mut requests =
            encoder.encode_descriptor("http_requests", help, None, MetricType::Counter)?;
        for (route, tally) in &by_route {
            for (method, status, count) in &tally.by_status {
                let status = status.to_string();
                let labels = [("route", route.as_str()), ("method", method), ("status", &status)];
                let mut series = requests.encode_family(&labels)?;
                series.encode_counter::<NoLabelSet, _, f64>(count, None)?;
            }
        }
        let (name, help) = (
            "http_request_duration_seconds",
            "Time from a complete request head to the head of its answer, by route.",
        );
        let mut latency = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (route, tally) in &by_route {
            tally.latencies.encode(&mut latency, &[("route", route.as_str())])?;
        }
        let help = "Requests answered with a problem, by its code.";
        let mut problems =
            encoder.encode_descriptor("http_problems", help, None, MetricType::Counter)?;
        for &code in Code::ALL {
            // All codes, so that the first problem of a kind shows as an increase.
            let count: u64 = by_route.values().map(|tally| tally.code(code)).sum();
            let labels = [("code", code.as_str())];
            let mut series = problems.encode_family(&labels)?;
            series.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Format, Registry};

    #[test]
    fn workers_are_added_up() {
        let (requests, mut registry) = (Arc::new(RequestMetrics::default()), Registry::default());
        registry.register(Arc::clone(&requests));
        let (one, other) = (requests.route("/a"), requests.route("/a"));
        requests.route("/b");
        one.answered("GET", 200, None, Duration::from_millis(1));
        one.answered("GET", 503, Some(Code::Overloaded), Duration::from_secs(3));
        other.answered("GET", 200, None, Duration::from_millis(2));
        let text = registry.encode(Format::OpenMetrics);
        for line in [
            r#"onetap_http_requests_total{route="/a",method="GET",status="200"} 2"#,
            r#"onetap_http_requests_total{route="/a",method="GET",status="503"} 1"#,
            r#"onetap_http_request_duration_seconds_bucket{le="0.001",route="/a"} 1"#,
            r#"onetap_http_request_duration_seconds_bucket{le="2.5",route="/a"} 2"#,
            r#"onetap_http_request_duration_seconds_bucket{le="+Inf",route="/a"} 3"#,
            r#"onetap_http_request_duration_seconds_count{route="/a"} 3"#,
            r#"onetap_http_request_duration_seconds_sum{route="/a"} 3.003"#,
            r#"onetap_http_request_duration_seconds_count{route="/b"} 0"#,
            r#"onetap_http_problems_total{code="overloaded"} 1"#,
            r#"onetap_http_problems_total{code="forbidden"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
