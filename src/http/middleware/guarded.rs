//! The order of the middleware around a request and its response.
//!
//! We wrap each handler, not the router or a route. So the wrapper has the metrics of its route at
//! hand, and boxes or clones nothing that the handler does not need anyway.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::Request;
use axum::handler::Handler;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use pin_project_lite::pin_project;

use super::super::base_path::BasePath;
use super::super::extract::ONETAP_ACTOR;
use super::super::metrics::{RequestMetrics, RouteMetrics};
use super::super::permissions::Permit;
use super::super::problem::{Code, Problem};
use super::access_log::{Answered, RequestLog};
use super::cors::Origin;
use super::gate::{Audience, Gate};
use super::host::Hosts;
use super::panics::{self, Caught};
use super::rates::ReadRates;
use super::request_id::{RequestIds, X_REQUEST_ID};
use super::{csrf, uri_limit};
use crate::auth::Caller;
use crate::telemetry::{Ended, RequestSpan, TraceHeaders, Traces};

/// What the middleware of one worker shares.
#[derive(Debug)]
pub struct Edge {
    pub(super) requests: Arc<RequestMetrics>,
    hosts: Hosts,
    max_uri_bytes: usize,
    origins: Vec<Origin>,
    ids: RequestIds,
    log: Arc<RequestLog>,
    /// None without traces.
    traces: Option<Traces>,
    /// None if every caller may do everything.
    gate: Option<Gate>,
    /// None without rate limits.
    rates: Option<ReadRates>,
    base: BasePath,
}

impl Edge {
    /// The middleware of a worker: it accepts these host names, writes from pages of these origins,
    /// and URIs of at most `max_uri_bytes`. Without a gate, every caller may do everything.
    pub fn new(
        hosts: Hosts,
        origins: Vec<Origin>,
        max_uri_bytes: usize,
        requests: Arc<RequestMetrics>,
        (log, traces): (Arc<RequestLog>, Option<Traces>),
        (gate, rates): (Option<Gate>, Option<ReadRates>),
        base: BasePath,
    ) -> Arc<Self> {
        let ids = RequestIds::new();
        Arc::new(Self {
            requests,
            hosts,
            max_uri_bytes,
            origins,
            ids,
            log,
            traces,
            gate,
            rates,
            base,
        })
    }

    /// The path before each route.
    pub(in crate::http) fn base(&self) -> &BasePath {
        &self.base
    }

    /// The origins whose pages may call from browsers.
    pub(in crate::http) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Whether the caller is one of the service's own: who has a service key, or everyone without
    /// authentication.
    fn trusts(&self, request: &Request) -> bool {
        let caller = || request.extensions().get::<Arc<Caller>>();
        self.gate.is_none() || caller().is_some_and(|it| matches!(**it, Caller::Service(_)))
    }

    /// Lets a request pass to its handler, or says why not.
    fn admit(
        &self,
        permit: Permit,
        route: Option<&str>,
        request: &mut Request,
    ) -> Result<Audience, Problem> {
        let refusal = (self.hosts.refusal(route, request))
            .or_else(|| uri_limit::refusal(request.uri(), self.max_uri_bytes))
            .or_else(|| csrf::refusal(request.method(), request.headers(), &self.origins));
        let audience = match (refusal, &self.gate) {
            (Some(problem), _) => return Err(problem),
            (None, None) => Audience::All,
            (None, Some(gate)) => gate.admit(permit, request)?,
        };
        if let Some(rates) = &self.rates {
            rates.admit(permit, request)?;
        }
        Ok(audience)
    }
}

/// A route as the middleware knows it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) edge: Arc<Edge>,
    pub(super) metrics: Arc<RouteMetrics>,
    /// Its path. None for requests that match no route.
    pub(super) path: Option<String>,
    /// A problem of this route is a failed write, which gets a log line.
    pub(super) writes: bool,
}

/// A handler behind the middleware.
#[derive(Clone)]
pub(super) struct Guarded<H> {
    pub(super) handler: H,
    pub(super) route: Arc<Route>,
    /// Who may call it.
    pub(super) permit: Permit,
}

impl<H: Handler<T, S>, T, S> Handler<T, S> for Guarded<H> {
    type Future = GuardedFuture<H::Future>;

    fn call(self, mut request: Request, state: S) -> Self::Future {
        let mut exchange = Exchange::begin(self.route, &request);
        let route = &exchange.route;
        let admitted = route.edge.admit(self.permit, route.path.as_deref(), &mut request);
        exchange.span = route.edge.traces.as_ref().and_then(|traces| {
            let trusted = admitted.is_ok() && route.edge.trusts(&request);
            let header = |name: &str| request.headers().get(name)?.to_str().ok();
            let [traceparent, tracestate] = ["traceparent", "tracestate"].map(header);
            traces.begin(&TraceHeaders { traceparent, tracestate }, trusted)
        });
        let inner = match admitted {
            Err(problem) => Inner::Refused { problem },
            Ok(audience) => {
                exchange.audience = audience;
                Inner::Handler { future: panics::catch(self.handler.call(request, state)) }
            }
        };
        GuardedFuture { inner, exchange }
    }
}

/// A request that waits for its response.
struct Exchange {
    route: Arc<Route>,
    id: HeaderValue,
    method: &'static str,
    /// Present only if every request gets a log line.
    path: Option<Box<PathAndQuery>>,
    /// What the header `Onetap-Actor` says.
    actor: Option<HeaderValue>,
    started: Instant,
    audience: Audience,
    /// None if the request is not traced.
    span: Option<RequestSpan>,
}

impl Exchange {
    fn begin(route: Arc<Route>, request: &Request) -> Self {
        let path = || request.uri().path_and_query().cloned().map(Box::new);
        Self {
            id: route.edge.ids.of(request.headers()),
            path: if route.edge.log.is_of_all() { path() } else { None },
            actor: request.headers().get(ONETAP_ACTOR).cloned(),
            method: known(request.method()),
            started: Instant::now(),
            audience: Audience::All,
            span: None,
            route,
        }
    }

    /// Counts the response, logs the request if it gets a line, and adds the request's id.
    fn end(&mut self, response: &mut Response) {
        let (status, took) = (response.status().as_u16(), self.started.elapsed());
        self.audience.tell(response.headers_mut());
        let id = self.id.to_str().unwrap_or_default();
        let problem = Problem::named(response, id);
        let code = problem.as_ref().map(Problem::code);
        self.route.metrics.answered(self.method, status, code, took);
        self.route.edge.log.note(&Answered {
            id,
            method: self.method,
            route: self.route.path.as_deref().unwrap_or("none"),
            writes: self.route.writes && !matches!(self.method, "GET" | "HEAD"),
            path: self.path.as_deref(),
            actor: self
                .actor
                .as_ref()
                .filter(|_| !is_refused(status))
                .and_then(|it| it.to_str().ok()),
            status,
            problem: problem.as_ref(),
            took,
        });
        if let Some(span) = self.span.take() {
            span.end(&Ended {
                method: self.method,
                route: self.route.path.as_deref(),
                status,
                code: code.map(Code::as_str),
                request_id: id,
            });
        }
        // We move the id: the first clone of a generated one would allocate.
        let id = std::mem::replace(&mut self.id, HeaderValue::from_static(""));
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
}

/// Whether the caller, or what it says of itself, was not believed.
fn is_refused(status: u16) -> bool {
    matches!(status, 400 | 401 | 403)
}

/// Methods are labels of metrics, and a caller can invent methods.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pin_project! {
    #[project = InnerProjection]
    enum Inner<F> {
        Handler { #[pin] future: Caught<F> },
        Refused { problem: Problem },
    }
}

pin_project! {
    /// The future of a response.
    pub(super) struct GuardedFuture<F> {
        #[pin]
        inner: Inner<F>,
        exchange: Exchange,
    }
}

impl<F: Future<Output = Response>> Future for GuardedFuture<F> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let this = self.project();
        let mut response = {
            let _within = this.exchange.span.as_ref().map(RequestSpan::enter);
            match this.inner.project() {
                InnerProjection::Handler { future } => panics::answer(ready!(future.poll(cx))),
                InnerProjection::Refused { problem } => problem.clone().into_response(),
            }
        };
        this.exchange.end(&mut response);
        Poll::Ready(response)
    }
}
