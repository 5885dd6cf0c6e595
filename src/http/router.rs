//! All routes, in one list.

use std::ops::Range;
use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, delete, get, post, put};

use super::middleware::{MeteredLayer, cors};
use super::routes::{docs, fallback, health, naive, reactors, stream, summaries, taps, web};
use super::state::{HttpState, SharedState};

type Route = (&'static str, fn() -> MethodRouter<SharedState>);

/// Every path of the service and what it answers to; the most asked ones first, since figures are
/// kept by place in this list.
pub const ROUTES: &[Route] = &[
    ("/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}/toggle", || post(taps::toggle)),
    ("/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}", || {
        put(taps::set).merge(delete(taps::unset))
    }),
    ("/v1/posts/{post_id}/reactions/{reaction}/users", || get(reactors::of_reaction)),
    ("/v1/posts/{post_id}/reactions", || get(summaries::of_post)),
    ("/v1/posts/{post_id}/users", || get(reactors::of_post)),
    ("/v1/posts/reactions", || get(summaries::of_page)),
    ("/v1/posts/reactions/query", || post(summaries::query)),
    ("/v1/posts/reactions/stream", || get(stream::of_posts)),
    ("/healthz", || get(health::live)),
    ("/readyz", || get(health::ready)),
    ("/metrics", || get(health::metrics)),
    ("/openapi.json", || get(docs::document)),
    ("/", || get(docs::root)),
    ("/docs", || get(docs::index)),
    ("/docs/", || get(docs::page)),
    ("/docs/{*file}", || get(docs::page)),
    ("/onetap.js", || web::file(&web::CLIENT)),
    ("/onetap.d.ts", || web::file(&web::CLIENT_TYPES)),
    ("/onetap-bar.js", || web::file(&web::BAR)),
    ("/onetap-card.js", || web::file(&web::BAR_CARD)),
    ("/onetap-dialog.js", || web::file(&web::BAR_DIALOG)),
    ("/onetap-images.js", || web::file(&web::BAR_IMAGES)),
    ("/onetap-picker.js", || web::file(&web::BAR_PICKER)),
    ("/onetap-bar.d.ts", || web::file(&web::BAR_TYPES)),
    ("/onetap-bar.css", || web::file(&web::BAR_STYLE)),
    ("/demo", || web::file(&web::DEMO)),
    ("/demo/", || get(web::demo_with_slash)),
    ("/demo/demo.js", || web::file(&web::DEMO_SCRIPT)),
    ("/demo/phones.js", || web::file(&web::DEMO_PHONES)),
    ("/demo/demo.css", || web::file(&web::DEMO_STYLE)),
    ("/demo/naive/posts", || get(naive::posts)),
    ("/demo/naive/posts/{post_id}/reactions/{reaction}/users/{user_id}/toggle", || {
        post(naive::toggle)
    }),
];

/// The places of those in it that count taps.
pub(super) const TAPS: Range<usize> = 0..2;

/// The service as one tower service.
pub fn router(state: HttpState) -> Router {
    let mut router = Router::new();
    for (path, methods) in ROUTES {
        router = router.route(path, methods());
    }
    let cors = (!state.cors_origins.is_empty()).then(|| cors::layer(&state.cors_origins));
    let router = router
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .fallback(fallback::not_found)
        .layer(MeteredLayer::new(&state))
        .with_state(Arc::new(state));
    match cors {
        // Outermost, so that no error of ours is without its headers.
        Some(cors) => router.layer(cors),
        None => router,
    }
}
