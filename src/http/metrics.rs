//! Requests by route, method and status, and how long they took.
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

/// Upper bounds of the latency buckets, in seconds. One more bucket has no bound.
const BOUNDS: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5];

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
    by_latency: [u64; BOUNDS.len() + 1],
    took: Duration,
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
    /// Counts an answered request.
    pub(super) fn answered(&self, method: &'static str, status: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        let mut tally = self.tally.lock();
        tally.count(method, status, 1);
        tally.by_latency[bucket] += 1;
        tally.took += took;
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

    fn merge(&mut self, other: &Self) {
        for &(method, status, count) in &other.by_status {
            self.count(method, status, count);
        }
        self.by_latency.iter_mut().zip(other.by_latency).for_each(|(sum, more)| *sum += more);
        self.took += other.took;
    }

    fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        bounds.zip(self.by_latency).collect()
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
            let labels = [("route", route.as_str())];
            let (took, buckets) = (tally.took.as_secs_f64(), tally.buckets());
            let count = tally.by_latency.iter().sum();
            let mut series = latency.encode_family(&labels)?;
            series.encode_histogram::<NoLabelSet>(took, count, &buckets, None)?;
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
        one.answered("GET", 200, Duration::from_millis(1));
        one.answered("GET", 503, Duration::from_secs(3));
        other.answered("GET", 200, Duration::from_millis(2));
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
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
