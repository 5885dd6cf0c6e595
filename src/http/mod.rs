//! The HTTP API: the only place that knows of axum and hyper.
//!
//! A request is parsed into the domain's types ([`extract`]), asks the store, and is answered from
//! [`dto`] or as a [`problem`]. All routes stand in [`mod@router`].

mod answers;
mod budget;
mod connection;
mod cors;
mod dto;
mod extract;
mod foreign;
mod host;
mod listener;
mod metered;
mod openapi;
mod page_gate;
mod places;
mod problem;
mod request_id;
mod request_log;
mod router;
mod routes;
mod serve;
mod state;
mod turns;
mod watch;

pub use answers::LargeAnswers;
pub use cors::Origin;
pub use host::{HostName, Hosts};
pub use listener::Listener;
pub use openapi::document as openapi_document;
pub use page_gate::PageGate;
pub use problem::{Code, Problem};
pub use request_log::RequestLog;
pub use router::{ROUTES, router};
pub use routes::stream::event;
pub use serve::{Acceptor, Worker};
pub use state::{HttpState, Limits};
pub use turns::Turns;
