//! A call of the API: path, methods, description and handler. The `utoipa::path` of the handler
//! states them once.

use axum::handler::Handler;
use axum::routing::MethodFilter;
use utoipa::openapi::path::{HttpMethod, Operation};

use super::middleware::Routes;
use super::permissions;
use super::state::AppState;

/// Adds a handler to the routes. A [`Call`] does not have the handler's type.
type Attach = dyn FnOnce(MethodFilter, &str, permissions::Permit, &mut Routes<AppState>);

/// A call of the API.
pub(super) struct Call {
    pub(super) path: String,
    pub(super) methods: Vec<HttpMethod>,
    pub(super) operation: Operation,
    attach: Box<Attach>,
}

impl Call {
    /// The call that `P` describes; `utoipa::path` made `P` of the handler.
    pub(super) fn new<P: utoipa::Path, H: Handler<T, AppState>, T: 'static>(
        tag: &str,
        handler: H,
    ) -> Self {
        let writes = matches!(tag, "taps" | "moderation");
        let attach = move |methods, path: &str, permit, routes: &mut Routes<AppState>| {
            routes.add(path, methods, handler, (writes, permit));
        };
        let mut operation = P::operation();
        operation.tags = Some(vec![tag.to_owned()]);
        let attach = Box::new(attach);
        Self { path: P::path(), methods: P::methods(), operation, attach }
    }

    /// Adds its handler to the routes.
    pub(super) fn attach(self, routes: &mut Routes<AppState>) {
        let methods = self.methods.iter().map(filter).reduce(MethodFilter::or);
        let permit = permissions::of(word(&self.methods[0]), &self.path);
        let permit = permit.expect("each call has a row in the table of permissions");
        (self.attach)(methods.expect("a call has a method"), &self.path, permit, routes);
    }
}

/// The name of a method.
fn word(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Head => "HEAD",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Trace => "TRACE",
    }
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}

/// The calls of these handlers, by tag. `utoipa::path` calls what it makes of a handler `__path_`
/// plus the handler's name. utoipa's own router relies on that, too.
macro_rules! calls {
    ($($tag:literal: [$($room:ident::$handler:ident),* $(,)?]),* $(,)?) => {
        ::pastey::paste! {
            vec![$($(Call::new::<$room::[<__path_ $handler>], _, _>($tag, $room::$handler)),*),*]
        }
    };
}
pub(super) use calls;
