//! What every request may use.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;

use super::answers::LargeAnswers;
use super::cors::Origin;
use super::host::Hosts;
use super::page_gate::PageGate;
use super::request_log::RequestLog;
use super::turns::Turns;
use crate::demo::NaiveTable;
use crate::live::Hub;
use crate::store::{AnyStore, Deadline};
use crate::telemetry::Metrics;

/// What nearly every answer is.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The bounds on a request and its connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// For a body to arrive.
    pub body_timeout: Duration,
    /// From a complete request to its answer, the store included.
    pub request_timeout: Duration,
    /// For a connection on which nothing is asked.
    pub idle_timeout: Duration,
    /// For a client to take something of what it is sent.
    pub write_timeout: Duration,
    /// The largest body.
    pub max_body_bytes: usize,
    /// The longest path and query.
    pub max_uri_bytes: usize,
    /// The most connections at a time.
    pub max_connections: usize,
    /// The most bytes of requests that have not been answered, all connections together.
    pub max_request_bytes_in_flight: usize,
    /// The most bytes of answers that have not been read, all connections together.
    pub max_answer_bytes_in_flight: usize,
}

impl Limits {
    /// Of the times that a connection is watched for, the shortest.
    pub(super) fn shortest_on_a_connection(&self) -> Duration {
        self.head_timeout.min(self.idle_timeout).min(self.write_timeout)
    }
}

/// The state as requests share it: one pointer, since each request takes a copy.
pub(super) type SharedState = Arc<HttpState>;

/// Shared by all requests of one worker.
#[derive(Debug)]
pub struct HttpState {
    /// Where the reactions are.
    pub store: AnyStore,
    /// The bounds.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How large answers are bounded, those of all workers together.
    pub answers: Arc<LargeAnswers>,
    /// How pages are let in.
    pub pages: PageGate,
    /// When streams send.
    pub turns: Arc<Turns>,
    /// Where streams hear of changes.
    pub live: Hub,
    /// Which names the service may be called by.
    pub hosts: Hosts,
    /// Which requests have a log line.
    pub log: Arc<RequestLog>,
    /// Whose pages may call from browsers.
    pub cors_origins: Vec<Origin>,
    /// What the demo holds against us.
    pub naive: Arc<NaiveTable>,
}

impl HttpState {
    /// By when a request that is complete now has to be answered.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.limits.request_timeout)
    }
}
