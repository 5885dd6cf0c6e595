//! The one middleware: names, measures and logs every request, refuses foreign names, addresses
//! that are too long and writes of foreign pages, and makes an answer of a panic.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::super::metrics::{RequestMetrics, RouteMetrics};
use super::super::problem::{Code, Problem};
use super::super::router::{ROUTES, TAPS};
use super::super::state::HttpState;
use super::access_log::{Answered, RequestLog};
use super::cors::Origin;
use super::csrf;
use super::host::Hosts;
use super::request_id::{RequestIds, X_REQUEST_ID};

/// The detail of a panic: it says nothing of how far the tap got.
const UNFORESEEN: &str = "the tap may have been applied: repeat it with the same idempotency key, \
                          or send PUT or DELETE for the state you want";

/// Wraps each route.
#[derive(Clone)]
pub(in crate::http) struct MeteredLayer(Arc<Shared>);

/// What all requests of a worker share: one pointer, since a connection keeps room for a request's
/// state as long as it lives.
struct Shared {
    /// By place in the list of routes; the last one is for paths without a route.
    routes: Vec<Arc<RouteMetrics>>,
    max_uri_bytes: usize,
    origins: Vec<Origin>,
    hosts: Hosts,
    ids: RequestIds,
    log: Arc<RequestLog>,
}

impl MeteredLayer {
    pub(in crate::http) fn new(state: &HttpState) -> Self {
        Self(Arc::new(Shared {
            routes: all_routes(&state.requests),
            max_uri_bytes: state.limits.max_uri_bytes,
            origins: state.cors_origins.clone(),
            hosts: state.hosts.clone(),
            ids: RequestIds::new(),
            log: Arc::clone(&state.log),
        }))
    }
}

fn all_routes(requests: &RequestMetrics) -> Vec<Arc<RouteMetrics>> {
    let paths = ROUTES.iter().map(|(path, _)| *path).chain(["unmatched"]);
    paths.map(|path| requests.route(path)).collect()
}

impl Shared {
    /// Why a request is not even given to its route.
    fn refusal(&self, request: &Request) -> Option<Problem> {
        if let Some(problem) = self.hosts.refusal(request) {
            return Some(problem);
        }
        let length = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
        if length > self.max_uri_bytes {
            let detail = format!("an address has at most {} bytes", self.max_uri_bytes);
            return Some(Problem::new(Code::UriTooLong, detail));
        }
        csrf::refusal(request.method(), request.headers(), &self.origins)
    }
}

impl<S> Layer<S> for MeteredLayer {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered { inner, layer: self.clone() }
    }
}

/// A route that is measured.
#[derive(Clone)]
pub(in crate::http) struct Metered<S> {
    inner: S,
    layer: MeteredLayer,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Metered<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = MeteredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        // By place in the list and never by the raw path: labels must stay few.
        let route = matched.and_then(|path| ROUTES.iter().position(|(route, _)| *route == path));
        let MeteredLayer(shared) = &self.layer;
        let path = || request.uri().path_and_query().cloned().map(Box::new);
        let measure = Measure {
            shared: Arc::clone(shared),
            id: shared.ids.of(request.headers()),
            path: if shared.log.is_of_all() { path() } else { None },
            started: Instant::now(),
            route,
            method: known(request.method()),
        };
        let inner = match shared.refusal(&request) {
            Some(problem) => Inner::Refused { problem },
            None => Inner::Route { future: self.inner.call(request) },
        };
        MeteredFuture { inner, measure }
    }
}

/// Methods are labels too, and callers can make them up.
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

struct Measure {
    shared: Arc<Shared>,
    id: HeaderValue,
    path: Option<Box<PathAndQuery>>,
    started: Instant,
    route: Option<usize>,
    method: &'static str,
}

impl Measure {
    /// Counts the answer, logs it if it has a line, and gives it the request's id.
    fn answered(&self, response: &mut Response) {
        let (status, took) = (response.status().as_u16(), self.started.elapsed());
        let route = self.route.unwrap_or(ROUTES.len());
        self.shared.routes[route].answered(self.method, status, took);
        let id = self.id.to_str().unwrap_or_default();
        let problem = Problem::named(response, id);
        response.headers_mut().insert(X_REQUEST_ID, self.id.clone());
        let failed_write =
            problem.is_some() && self.route.is_some_and(|route| TAPS.contains(&route));
        if !failed_write && !self.shared.log.is_of_all() {
            return;
        }
        let answered = Answered {
            id,
            method: self.method,
            route: self.route.map_or("none", |route| ROUTES[route].0),
            path: self.path.as_deref(),
            status,
            problem: problem.as_ref(),
            took,
        };
        if self.shared.log.is_of_all() {
            answered.log("answered");
        } else {
            self.shared.log.failed_write(&answered);
        }
    }
}

pin_project! {
    #[project = InnerProjection]
    enum Inner<F> {
        Route { #[pin] future: F },
        Refused { problem: Problem },
    }
}

pin_project! {
    /// The answer of a route, on its way.
    pub(in crate::http) struct MeteredFuture<F> {
        #[pin]
        inner: Inner<F>,
        measure: Measure,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for MeteredFuture<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.inner.project() {
            InnerProjection::Route { future } => {
                // Nothing is known to panic. If something does, the caller hears of it all the
                // same, and what panicked is not asked again.
                match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                    Ok(polled) => ready!(polled)?,
                    Err(_) => Problem::new(Code::Internal, UNFORESEEN).into_response(),
                }
            }
            InnerProjection::Refused { problem } => problem.clone().into_response(),
        };
        this.measure.answered(&mut response);
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use tower::Service as _;

    use super::super::cors;
    use super::*;
    use crate::telemetry::{Format, Registry};

    /// Also with the headers that let a page of another origin read it.
    #[tokio::test]
    async fn a_panic_is_an_answer_like_any_other() {
        let (requests, mut registry) = (Arc::new(RequestMetrics::default()), Registry::default());
        registry.register(Arc::clone(&requests));
        let panics = async |_: Request| -> Response { panic!("a bug") };
        let origin = "https://forum.example".parse().expect("an origin");
        let mut service = axum::Router::new()
            .fallback(panics)
            .layer(MeteredLayer(Arc::new(Shared {
                routes: all_routes(&requests),
                max_uri_bytes: 100,
                origins: Vec::new(),
                hosts: Hosts::new(None, Vec::new()),
                ids: RequestIds::new(),
                log: RequestLog::new(false),
            })))
            .layer(cors::layer(&[origin]));
        let request = Request::builder().header("origin", "https://forum.example");
        let request = request.header("host", "127.0.0.1");
        let request = request.body(Body::empty()).expect("a request");
        let answer = service.call(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers()["access-control-allow-origin"], "https://forum.example");
        let text = registry.encode(Format::OpenMetrics);
        assert!(text.contains("status=\"500\"} 1"), "{text}");
    }
}
