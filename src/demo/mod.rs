//! The demo at `/demo`: the page, and a counterexample of how a forum without onetap handles a tap.
//! It has its own router and state; the API knows nothing of it.

mod naive;
mod pages;
mod table;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
pub use table::NaiveTable;

use crate::http::web::file;
use crate::http::{Access, Edge, Routes};

/// What the handlers of the demo use.
#[derive(Clone)]
struct DemoState {
    table: Arc<NaiveTable>,
    access: Access,
}

impl FromRef<DemoState> for Arc<NaiveTable> {
    fn from_ref(state: &DemoState) -> Self {
        Self::clone(&state.table)
    }
}

impl FromRef<DemoState> for Access {
    fn from_ref(state: &DemoState) -> Self {
        state.access
    }
}

/// The router of the demo for one worker, behind the same middleware. All workers share the table.
pub fn router(edge: &Arc<Edge>, table: Arc<NaiveTable>, access: Access) -> Router {
    Routes::new(edge)
        .get("/demo", file(&pages::PAGE_OF_DEMO))
        .get("/demo/", pages::with_slash)
        .get("/demo/demo.js", file(&pages::SCRIPT_OF_DEMO))
        .get("/demo/phones.js", file(&pages::PHONES))
        .get("/demo/demo.css", file(&pages::STYLE_OF_DEMO))
        .get("/demo/naive/posts", naive::posts)
        .post(
            "/demo/naive/posts/{post_id}/reactions/{reaction}/users/{user_id}/toggle",
            naive::toggle,
        )
        .into_router()
        .with_state(DemoState { table, access })
}
