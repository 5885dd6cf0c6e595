//! All routes.

use std::sync::Arc;

use axum::Router;

use super::base_path::BasePath;
use super::call::{Call, calls};
use super::middleware::{Edge, Routes, cors_around};
use super::openapi;
use super::routes::{
    docs, forget, given, health, jobs, moving, palettes, reactors, read_only, rules, sets, stream,
    summaries, taps, web,
};
use super::state::{AppState, HttpState};

/// The calls of the API, by tag. Each handler states its own path and method.
fn api() -> Vec<Call> {
    calls! {
        "taps": [taps::toggle, taps::set, taps::unset, sets::replace, sets::clear],
        "reads": [
            summaries::of_post,
            summaries::of_page,
            summaries::query,
            stream::of_posts,
            reactors::of_reaction,
            reactors::of_post,
            reactors::query,
            palettes::of_service,
            sets::held,
            given::of_user,
            rules::rules,
        ],
        "moderation": [
            rules::set_rules,
            rules::reset_rules,
            rules::lock,
            rules::unlock,
            forget::post,
            forget::reaction,
            forget::posts,
            moving::import,
            moving::export,
            jobs::erase,
            jobs::start,
            jobs::list,
            jobs::show,
            jobs::cancel,
            jobs::receipt,
            read_only::begin,
            read_only::end,
        ],
        "operation": [health::live, health::ready, health::metrics],
    }
}

/// The routes that browsers load.
fn pages(routes: Routes<AppState>, base: &BasePath) -> Routes<AppState> {
    let document = docs::document(base, || openapi::document(&api(), base));
    routes
        .get("/openapi.json", web::file(document))
        .get("/", docs::root(base))
        .get("/docs", docs::index)
        .get("/docs/", web::file(&docs::INDEX))
        .get("/docs/docs.js", web::file(&docs::SHOW))
        .get("/docs/docs.css", web::file(&docs::LOOK))
        .get("/onetap.js", web::file(&web::CLIENT))
        .get("/onetap-palettes.js", web::file(&web::CLIENT_PALETTES))
        .get("/onetap.d.ts", web::file(&web::CLIENT_TYPES))
        .get("/onetap-bar.js", web::file(&web::BAR))
        .get("/onetap-card.js", web::file(&web::BAR_CARD))
        .get("/onetap-dialog.js", web::file(&web::BAR_DIALOG))
        .get("/onetap-images.js", web::file(&web::BAR_IMAGES))
        .get("/onetap-picker.js", web::file(&web::BAR_PICKER))
        .get("/onetap-bar.d.ts", web::file(&web::BAR_TYPES))
        .get("/onetap-bar.css", web::file(&web::BAR_STYLE))
}

/// The OpenAPI document as pretty JSON.
pub fn openapi_document() -> String {
    openapi::document(&api(), &BasePath::default())
}

/// The calls that move to the admin address, if there is one.
const ADMIN: [&str; 2] = ["/readyz", "/metrics"];

/// What an address answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Everything: there is no admin address.
    All,
    /// Everything but the calls of the admin address.
    Callers,
    /// The calls of the admin address.
    Admin,
}

impl Served {
    fn has(self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Callers => !ADMIN.contains(&path),
            Self::Admin => ADMIN.contains(&path),
        }
    }
}

/// An address as one tower service. `beside` adds routes that have a state of their own.
pub fn router(
    state: HttpState,
    edge: &Arc<Edge>,
    served: Served,
    beside: Option<Router>,
) -> Router {
    let mut routes = Routes::new(edge);
    let calls = api().into_iter().filter(|call| served.has(&call.path));
    calls.for_each(|call| call.attach(&mut routes));
    if served != Served::Admin {
        routes = pages(routes, edge.base());
    }
    let router = routes.into_whole_router().with_state(state.into());
    cors_around(router.merge(beside.unwrap_or_default()), edge.origins())
}
