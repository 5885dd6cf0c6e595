//! What every request passes through, one concern a file. Their order stands in [`guarded`].

mod access_log;
mod client;
mod cors;
mod csrf;
mod gate;
mod guarded;
mod host;
mod panics;
mod rates;
mod request_id;
mod routes;
mod uri_limit;

pub use access_log::RequestLog;
pub use client::Network;
pub use cors::Origin;
pub(super) use cors::around as cors_around;
pub use gate::Gate;
pub(super) use gate::since_1970;
pub use guarded::Edge;
pub use host::{HostName, Hosts};
pub use rates::ReadRates;
pub(crate) use routes::Routes;
