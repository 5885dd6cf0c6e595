//! What handlers may use, in groups. A handler names the groups that it needs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::FromRef;
use axum::http::HeaderValue;
use tokio::sync::Notify;

use super::access::Access;
use super::base_path::BasePath;
use super::limits::{BodyLimits, GivenGate, Limits, PageGate, Turns};
use super::offer::Offer;
use super::readiness::Readiness;
use super::server::LargeAnswers;
use crate::domain::Palettes;
use crate::jobs::JobBook;
use crate::live::Hub;
use crate::rate_limit::RateLimits;
use crate::store::{AnyStore, Deadline};
use crate::telemetry::Registry;

/// The content type of nearly every response.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The store of reactions, and what bounds its responses.
#[derive(Debug)]
pub(super) struct Reactions {
    pub(super) store: AnyStore,
    /// What may be tapped. A reload replaces it.
    palettes: Arc<ArcSwap<Palettes>>,
    /// The same as `GET /v1/palettes` answered it last.
    offer: ArcSwap<Offer>,
    request_timeout: Duration,
    /// How much each user may tap. None without rate limits.
    pub(super) rates: Option<Arc<RateLimits>>,
    /// What caches may do with counts that name no viewer.
    pub(super) cache_counts: HeaderValue,
    /// The path before each route.
    pub(super) base: BasePath,
    /// Admits pages of posts.
    pub(super) pages: PageGate,
    /// Bounds the large responses of all workers together.
    pub(super) answers: Arc<LargeAnswers>,
}

impl Reactions {
    /// What may be tapped now.
    pub(super) fn palettes(&self) -> Arc<Palettes> {
        self.palettes.load_full()
    }

    /// The same as `GET /v1/palettes` answers it.
    pub(super) fn offer(&self) -> Arc<Offer> {
        let (palettes, offer) = (self.palettes(), self.offer.load_full());
        if offer.is_of(&palettes) {
            return offer;
        }
        let offer = Arc::new(Offer::new(palettes));
        self.offer.store(Arc::clone(&offer));
        offer
    }

    /// When a request that is complete now must be answered.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.request_timeout)
    }
}

/// The live counts.
#[derive(Debug)]
pub(super) struct Streams {
    /// Tells the streams about changes.
    pub(super) hub: Hub,
    /// Decides when a stream may send.
    pub(super) turns: Arc<Turns>,
}

/// What the operator's calls use.
#[derive(Debug)]
pub(super) struct Operation {
    /// All metrics.
    pub(super) registry: Arc<Registry>,
    /// Whether the store can count taps.
    pub(super) readiness: Arc<Readiness>,
}

/// What the handlers of one worker use.
#[derive(Debug)]
pub struct HttpState {
    reactions: Arc<Reactions>,
    streams: Arc<Streams>,
    operation: Arc<Operation>,
    jobs: JobBook,
    given: Arc<GivenGate>,
    bodies: BodyLimits,
    access: Access,
}

impl HttpState {
    /// The state of a worker. Its page gate and its turns of streams are its own.
    pub fn new(
        store: AnyStore,
        palettes: Arc<ArcSwap<Palettes>>,
        limits: &Limits,
        answers: Arc<LargeAnswers>,
        hub: Hub,
        registry: Arc<Registry>,
        readiness: Arc<Readiness>,
    ) -> Self {
        let jobs = JobBook::new(store.clone(), Arc::default());
        let (request_timeout, pages) = (limits.request_timeout, PageGate::default());
        let offer = ArcSwap::from_pointee(Offer::new(palettes.load_full()));
        let (rates, cache_counts) = (None, HeaderValue::from_static("no-cache"));
        let reactions = Reactions {
            store,
            palettes,
            offer,
            request_timeout,
            rates,
            cache_counts,
            base: BasePath::default(),
            pages,
            answers,
        };
        Self {
            reactions: Arc::new(reactions),
            streams: Arc::new(Streams { hub, turns: Arc::default() }),
            operation: Arc::new(Operation { registry, readiness }),
            jobs,
            given: Arc::default(),
            bodies: limits.of_bodies(),
            access: Access::default(),
        }
    }

    /// How to tell the runner of this process about new jobs.
    #[must_use]
    pub fn with_jobs(mut self, wake: Arc<Notify>) -> Self {
        self.jobs = JobBook::new(self.reactions.store.clone(), wake);
        self
    }

    /// How much each user may tap. Without this, as much as they like.
    #[must_use]
    pub fn with_rates(self, rates: Option<Arc<RateLimits>>) -> Self {
        self.with(|reactions| reactions.rates = rates)
    }

    fn with(mut self, change: impl FnOnce(&mut Reactions)) -> Self {
        // Nothing shares it before it is complete.
        if let Some(reactions) = Arc::get_mut(&mut self.reactions) {
            change(reactions);
        }
        self
    }

    /// For how long caches that many share may keep counts that name no viewer. Browsers ask each
    /// time, so that they see their own taps.
    #[must_use]
    pub fn with_cached_counts(self, time: Duration) -> Self {
        let value = format!("public, max-age=0, s-maxage={}", time.as_secs());
        match HeaderValue::try_from(value) {
            Ok(value) if !time.is_zero() => self.with(|reactions| reactions.cache_counts = value),
            _ => self,
        }
    }

    /// The path before each route. Without this, it is empty.
    #[must_use]
    pub fn with_base(self, base: BasePath) -> Self {
        self.with(|reactions| reactions.base = base)
    }

    /// Admits lists of what users gave, for all workers together.
    #[must_use]
    pub fn with_given(self, given: Arc<GivenGate>) -> Self {
        Self { given, ..self }
    }

    /// How the service knows its callers. Without this, users have integer ids.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
    }
}

/// The state as handlers share it: one pointer, since axum clones it for each request.
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
    jobs: JobBook,
    given: Arc<GivenGate>,
    bodies: BodyLimits,
    access: Access,
}
