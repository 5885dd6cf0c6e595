//! What every request passes through, one concern a file.

mod access_log;
pub(super) mod cors;
mod csrf;
mod host;
mod metered;
mod request_id;

pub use access_log::RequestLog;
pub use cors::Origin;
pub use host::{HostName, Hosts};
pub(super) use metered::MeteredLayer;
