//! Every figure, declared in one place: the help text is what `/metrics` says of it.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::live::LiveStats;
use crate::store::{Counter as StoreCounter, FileStats, LaneStats};

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BUCKETS: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5];

const UNMATCHED: &str = "unmatched";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

/// The figures of a running service.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    routes: Vec<&'static str>,
    requests: Family<RequestLabels, Counter>,
    /// By place of the route; the last one is for paths without a route.
    latency: Vec<Histogram>,
    connections: Gauge,
    made_room: Counter,
    refused_for_bytes: Counter,
    answers_given_up: Counter,
    live: Arc<LiveStats>,
}

impl Metrics {
    /// Figures for the routes of a service, for its streams, and for the lanes or the file of its
    /// store, if any.
    pub fn new(
        routes: Vec<&'static str>,
        live: Arc<LiveStats>,
        lanes: Option<Arc<LaneStats>>,
        file: Option<Arc<FileStats>>,
    ) -> Self {
        let mut registry = Registry::with_prefix("onetap");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register(
            "http_requests",
            "Requests answered, by route and status",
            requests.clone(),
        );
        let new = || Histogram::new(LATENCY_BUCKETS);
        let family = Family::<RouteLabels, Histogram, fn() -> Histogram>::new_with_constructor(new);
        registry.register(
            "http_request_duration_seconds",
            "From a complete head to the answer's head, by route",
            family.clone(),
        );
        let latency = |route: &&'static str| family.get_or_create(&RouteLabels { route }).clone();
        let latency = routes.iter().chain(&[UNMATCHED]).map(latency).collect();
        let connections = Gauge::default();
        registry.register("http_connections", "Connections open now", connections.clone());
        let (made_room, refused_for_bytes) = (Counter::default(), Counter::default());
        let answers_given_up = Counter::default();
        registry.register(
            "http_answers_given_up",
            "Connections closed because their large answer took longest when there was no room",
            answers_given_up.clone(),
        );
        registry.register(
            "http_connections_closed_for_room",
            "Idle or unfinished connections closed because places were few",
            made_room.clone(),
        );
        registry.register(
            "http_connections_refused_for_bytes",
            "Connections closed because requests held as many bytes as they may",
            refused_for_bytes.clone(),
        );
        registry.register_collector(Box::new(LiveCollector(Arc::clone(&live))));
        if let Some(lanes) = lanes {
            registry.register_collector(Box::new(LaneCollector(lanes)));
        }
        if let Some(file) = file {
            registry.register_collector(Box::new(FileCollector(file)));
        }
        Self {
            registry,
            routes,
            requests,
            latency,
            connections,
            made_room,
            refused_for_bytes,
            answers_given_up,
            live,
        }
    }

    /// Counts an answered request. `route` is its place in the list given to [`Metrics::new`].
    pub fn request(&self, route: Option<usize>, method: &'static str, status: u16, took: Duration) {
        let name = route.and_then(|place| self.routes.get(place)).copied().unwrap_or(UNMATCHED);
        let place = route.unwrap_or(self.routes.len());
        self.requests.get_or_create(&RequestLabels { route: name, method, status }).inc();
        if let Some(latency) = self.latency.get(place) {
            latency.observe(took.as_secs_f64());
        }
    }

    /// Counts an opened connection.
    pub fn connection_opened(&self) {
        self.connections.inc();
    }

    /// Counts a closed connection.
    pub fn connection_closed(&self) {
        self.connections.dec();
    }

    /// Counts a connection that was closed so that others have a place.
    pub fn made_room(&self) {
        self.made_room.inc();
    }

    /// Counts a connection that was closed because it was long in taking its answer.
    pub fn answer_given_up(&self) {
        self.answers_given_up.inc();
    }

    /// Counts a connection that was closed for the bytes of its request.
    pub fn refused_for_bytes(&self) {
        self.refused_for_bytes.inc();
    }

    /// Counts a stream whose reader did not read.
    pub fn slow_reader_cut(&self) {
        self.live.cut_slow.add(1);
    }

    /// All figures in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[derive(Debug)]
struct LiveCollector(Arc<LiveStats>);

impl Collector for LiveCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let live = &self.0;
        encode_gauge(&mut encoder, "live_streams", "Streams open now", &live.streams)?;
        encode_counters(
            encoder,
            &[
                ("live_events", "Events sent on streams", &live.sent),
                (
                    "live_events_superseded",
                    "Events that a newer one replaced before they were sent",
                    &live.superseded,
                ),
                (
                    "live_streams_refused",
                    "Streams refused because as many were open as there is room for",
                    &live.refused,
                ),
                (
                    "live_streams_closed_stale",
                    "Streams closed because what they watch could not be read, or went back",
                    &live.closed_stale,
                ),
                (
                    "live_streams_cut_slow",
                    "Streams cut because their reader did not read",
                    &live.cut_slow,
                ),
            ],
        )
    }
}

#[derive(Debug)]
struct LaneCollector(Arc<LaneStats>);

impl Collector for LaneCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let lanes = &self.0;
        let help = "Lanes that have a connection to Redis now";
        encode_gauge(&mut encoder, "lanes_connected", help, &lanes.connected)?;
        encode_counters(
            encoder,
            &[
                ("lane_connections", "Connections opened", &lanes.connections_opened),
                (
                    "lane_connect_failures",
                    "Attempts to connect that failed",
                    &lanes.connect_failures,
                ),
                ("lane_batches", "Script calls sent; each carries a batch", &lanes.batches_sent),
                ("lane_calls", "Taps and reads sent in batches", &lanes.calls_sent),
                (
                    "lane_deadlines_missed",
                    "Calls without an answer in time",
                    &lanes.deadlines_missed,
                ),
                ("lane_scripts_reloaded", "Batches sent again as source", &lanes.scripts_reloaded),
                ("lane_calls_sent_again", "Calls sent again that may be", &lanes.calls_sent_again),
                ("lane_overloads", "Calls refused because the queue was full", &lanes.overloads),
            ],
        )
    }
}

#[derive(Debug)]
struct FileCollector(Arc<FileStats>);

impl Collector for FileCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let file = &self.0;
        encode_counters(
            encoder,
            &[
                ("file_commits", "Group commits of the store file", &file.commits),
                ("file_taps", "Taps made durable by those commits", &file.taps_committed),
                ("file_commits_failed", "Group commits that failed", &file.commits_failed),
                ("file_syncs", "Times that the disk was told to sync", &file.syncs),
                ("file_written_bytes", "Bytes given to the disk", &file.bytes_written),
                ("file_overloads", "Taps refused because the queue was full", &file.overloads),
            ],
        )
    }
}

fn encode_gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &StoreCounter,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(i64::try_from(value.get()).unwrap_or(i64::MAX));
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

fn encode_counters(
    mut encoder: DescriptorEncoder<'_>,
    counters: &[(&str, &str, &StoreCounter)],
) -> Result<(), std::fmt::Error> {
    for (name, help, counter) in counters {
        let counter = ConstCounter::new(counter.get());
        let kind = counter.metric_type();
        counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
    }
    Ok(())
}
