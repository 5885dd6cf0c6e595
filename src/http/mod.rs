//! The HTTP API: the only place that knows of axum and hyper.
//!
//! Extractors parse a request into the domain's types ([`extract`]). The handler asks the store,
//! and answers with a type of [`dto`] or with a [`problem`]. All routes stand in [`mod@router`].

mod access;
mod base_path;
mod call;
mod dto;
mod extract;
mod limits;
mod metrics;
mod middleware;
mod offer;
mod openapi;
mod permissions;
mod problem;
mod readiness;
mod router;
mod routes;
mod server;
mod state;

pub use access::{Access, AccessRules, InvalidReactors, Reactors};
pub use base_path::BasePath;
pub(crate) use extract::{Query, TapPath};
pub use limits::{GivenGate, Limits};
pub use metrics::RequestMetrics;
pub(crate) use middleware::Routes;
pub use middleware::{Edge, Gate, HostName, Hosts, Network, Origin, ReadRates, RequestLog};
pub use problem::{Code, Problem};
pub use readiness::Readiness;
pub use router::{Served, openapi_document, router};
pub use routes::stream::event;
pub(crate) use routes::web;
pub use server::{Acceptor, ConnectionStats, LargeAnswers, Listener, Worker};
pub use state::HttpState;
