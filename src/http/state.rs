//! What every request may use.

use std::sync::Arc;

use axum::http::HeaderValue;

use super::limits::{Limits, PageGate, Turns};
use super::metrics::RequestMetrics;
use super::middleware::{Hosts, Origin, RequestLog};
use super::readiness::Readiness;
use super::server::LargeAnswers;
use crate::demo::NaiveTable;
use crate::live::Hub;
use crate::store::{AnyStore, Deadline};
use crate::telemetry::Registry;

/// What nearly every answer is.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The state as requests share it: one pointer, since each request takes a copy.
pub(super) type SharedState = Arc<HttpState>;

/// Shared by all requests of one worker.
#[derive(Debug)]
pub struct HttpState {
    /// Where the reactions are.
    pub store: AnyStore,
    /// The bounds.
    pub limits: Limits,
    /// All figures.
    pub registry: Arc<Registry>,
    /// The requests of all workers.
    pub requests: Arc<RequestMetrics>,
    /// Whether taps can be counted.
    pub readiness: Arc<Readiness>,
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
