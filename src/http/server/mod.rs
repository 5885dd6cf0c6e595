//! Connections: where they come from, who serves them, their timeouts, and which close first.

mod acceptor;
mod answers;
mod connection;
mod listener;
mod places;
mod stats;
mod watch;

pub use acceptor::{Acceptor, Worker};
pub use answers::LargeAnswers;
pub(super) use connection::{Endless, Peer};
pub use listener::Listener;
pub use stats::ConnectionStats;
pub(super) use watch::{Phase, Watch};
