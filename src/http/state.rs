//! What handlers may use, in groups. A handler names the groups that it needs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use axum::http::HeaderValue;

use super::access::Access;
use super::limits::{BodyLimits, Limits, PageGate, Turns};
use super::readiness::Readiness;
use super::server::LargeAnswers;
use crate::live::Hub;
use crate::store::{AnyStore, Deadline};
use crate::telemetry::Registry;

/// What nearly every answer is.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The reactions, and what bounds the answers about them.
#[derive(Debug)]
pub(super) struct Reactions {
    /// Where they are.
    pub(super) store: AnyStore,
    request_timeout: Duration,
    /// How pages are let in.
    pub(super) pages: PageGate,
    /// How large answers are bounded, those of all workers together.
    pub(super) answers: Arc<LargeAnswers>,
}

impl Reactions {
    /// By when a request that is complete now has to be answered.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.request_timeout)
    }
}

/// The live counts.
#[derive(Debug)]
pub(super) struct Streams {
    /// Where streams hear of changes.
    pub(super) hub: Hub,
    /// When they send.
    pub(super) turns: Arc<Turns>,
}

/// What those ask who run the service.
#[derive(Debug)]
pub(super) struct Operation {
    /// All figures.
    pub(super) registry: Arc<Registry>,
    /// Whether taps can be counted.
    pub(super) readiness: Arc<Readiness>,
}

/// What the handlers of one worker use.
#[derive(Debug)]
pub struct HttpState {
    reactions: Arc<Reactions>,
    streams: Arc<Streams>,
    operation: Arc<Operation>,
    bodies: BodyLimits,
    access: Access,
}

impl HttpState {
    /// The state of a worker, with a gate for pages and turns of streams of its own.
    pub fn new(
        store: AnyStore,
        limits: &Limits,
        answers: Arc<LargeAnswers>,
        hub: Hub,
        registry: Arc<Registry>,
        readiness: Arc<Readiness>,
    ) -> Self {
        let (request_timeout, pages) = (limits.request_timeout, PageGate::default());
        Self {
            reactions: Arc::new(Reactions { store, request_timeout, pages, answers }),
            streams: Arc::new(Streams { hub, turns: Arc::default() }),
            operation: Arc::new(Operation { registry, readiness }),
            bodies: limits.of_bodies(),
            access: Access::default(),
        }
    }
}

/// The state as handlers share it: one pointer, since each request takes a copy.
#[derive(Clone, Debug)]
pub(super) struct AppState(Arc<HttpState>);

impl From<HttpState> for AppState {
    fn from(state: HttpState) -> Self {
        Self(Arc::new(state))
    }
}

macro_rules! groups {
    ($($field:ident: $group:ty),* $(,)?) => {
        $(impl FromRef<AppState> for $group {
            fn from_ref(AppState(state): &AppState) -> Self {
                state.$field.clone()
            }
        })*
    };
}

groups! {
    reactions: Arc<Reactions>,
    streams: Arc<Streams>,
    operation: Arc<Operation>,
    bodies: BodyLimits,
    access: Access,
}
