//! Routes behind the middleware. It also sees requests for unknown paths and methods.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter};

use super::super::permissions::Permit;
use super::super::problem::{Code, Problem};
use super::guarded::{Edge, Guarded, Route};

/// Routes by path.
pub(crate) struct Routes<S> {
    edge: Arc<Edge>,
    by_path: Vec<(String, Arc<Route>, MethodRouter<S>)>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    pub(crate) fn new(edge: &Arc<Edge>) -> Self {
        Self { edge: Arc::clone(edge), by_path: Vec::new() }
    }

    /// Answers these methods of a path to those who may call it.
    pub(crate) fn add<H: Handler<T, S>, T: 'static>(
        &mut self,
        path: &str,
        methods: MethodFilter,
        handler: H,
        (writes, permit): (bool, Permit),
    ) {
        let place = self.by_path.iter().position(|(known, ..)| known == path);
        let place = place.unwrap_or_else(|| {
            let metrics = self.edge.requests.route(path);
            let (edge, path) = (Arc::clone(&self.edge), path.to_owned());
            let route = Route { edge, metrics, path: Some(path.clone()), writes };
            self.by_path.push((path, Arc::new(route), MethodRouter::new()));
            self.by_path.len() - 1
        });
        let (_, route, routed) = &mut self.by_path[place];
        let handler = Guarded { handler, route: Arc::clone(route), permit };
        *routed = std::mem::take(routed).on(methods, handler);
    }

    /// Answers GET, and HEAD, to everyone.
    pub(crate) fn get<H: Handler<T, S>, T: 'static>(mut self, path: &str, handler: H) -> Self {
        self.add(path, MethodFilter::GET, handler, (false, Permit::Anyone));
        self
    }

    /// Answers POST, to everyone.
    pub(crate) fn post<H: Handler<T, S>, T: 'static>(mut self, path: &str, handler: H) -> Self {
        self.add(path, MethodFilter::POST, handler, (false, Permit::Anyone));
        self
    }

    /// The routes. Without a fallback: another router may answer other paths.
    pub(crate) fn into_router(self) -> Router<S> {
        let edge = self.edge;
        self.by_path.into_iter().fold(Router::new(), |router, (path, route, methods)| {
            let permit = Permit::Anyone;
            let fallback = Guarded { handler: no_such_method, route, permit };
            let methods = methods.fallback(fallback);
            let router = match path.as_str() {
                // `/reactions` is as good as `/reactions/`.
                "/" if !edge.base().is_root() => {
                    router.route(&edge.base().join(""), methods.clone())
                }
                _ => router,
            };
            router.route(&edge.base().join(&path), methods)
        })
    }

    /// The routes, with a 404 response for any other path.
    pub(in crate::http) fn into_whole_router(self) -> Router<S> {
        let metrics = self.edge.requests.route("unmatched");
        let edge = Arc::clone(&self.edge);
        let route = Arc::new(Route { edge, metrics, path: None, writes: false });
        let permit = Permit::Anyone;
        self.into_router().fallback(Guarded { handler: no_such_path, route, permit })
    }
}

async fn no_such_path() -> Problem {
    Problem::not_found()
}

/// axum adds the `Allow` header.
async fn no_such_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "use a method that the header `Allow` names")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::response::Response;
    use tower::Service as _;

    use super::super::super::metrics::RequestMetrics;
    use super::super::access_log::RequestLog;
    use super::super::{Hosts, cors};
    use super::*;
    use crate::telemetry::{Format, Registry};

    /// The response has the CORS headers too, so that a page of another origin can read it.
    #[tokio::test]
    async fn a_panic_is_an_answer_like_any_other() {
        let (requests, mut registry) = (Arc::new(RequestMetrics::default()), Registry::default());
        registry.register(Arc::clone(&requests));
        let origins = vec!["https://forum.example".parse().expect("an origin")];
        let hosts = Hosts::new(None, Vec::new());
        let (log, base) = (RequestLog::new(false), Default::default());
        let edge = Edge::new(hosts, origins, 100, requests, (log, None), (None, None), base);
        let panics = async |_: Request| -> Response { panic!("a bug") };
        let router = Routes::<()>::new(&edge).get("/", panics).into_router();
        let mut service = cors::around(router, edge.origins());
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
