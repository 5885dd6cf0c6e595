//! One server: where it is, how to connect to it, and whether it may be used.

mod address;
mod connection;
mod credentials;
mod dial;
mod lease;
mod role;
mod sentinel;
mod server_checks;
mod server_info;

pub use self::address::{Address, Deployment, InvalidAddress, Node, Secret};
pub(crate) use self::connection::{Broken, Connection, Health};
pub(crate) use self::credentials::CredentialSource;
pub use self::credentials::{CredentialFiles, password_in};
pub use self::dial::ConnectError;
pub(crate) use self::dial::Dialer;
pub(crate) use self::lease::Lease;
pub(crate) use self::role::{DEMOTED, watch as watch_role};
pub(crate) use self::sentinel::Sentinels;
pub(crate) use self::server_checks::{Checked, ServerChecks};
pub(crate) use self::server_info::{allowed, run_id};
