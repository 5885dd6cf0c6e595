//! The HTTP API: the only place that knows of axum and hyper.
//!
//! A request is parsed into the domain's types ([`extract`]), asks the store, and is answered from
//! [`dto`] or as a [`problem`]. All routes stand in [`mod@router`].

mod dto;
mod extract;
mod limits;
mod metrics;
mod middleware;
mod openapi;
mod problem;
mod readiness;
mod router;
mod routes;
mod server;
mod state;

pub use limits::{Limits, PageGate, Turns};
pub use metrics::RequestMetrics;
pub use middleware::{HostName, Hosts, Origin, RequestLog};
pub use openapi::document as openapi_document;
pub use problem::{Code, Problem};
pub use readiness::Readiness;
pub use router::{ROUTES, router};
pub use routes::stream::event;
pub use server::{Acceptor, ConnectionStats, LargeAnswers, Listener, Worker};
pub use state::HttpState;
