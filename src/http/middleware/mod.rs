//! What every request passes through, one concern a file. Their order stands in [`guarded`].

mod access_log;
mod cors;
mod csrf;
mod guarded;
mod host;
mod panics;
mod request_id;
mod routes;
mod uri_limit;

pub use access_log::RequestLog;
pub use cors::Origin;
pub(super) use cors::around as cors_around;
pub use guarded::Edge;
pub use host::{HostName, Hosts};
pub(crate) use routes::Routes;
