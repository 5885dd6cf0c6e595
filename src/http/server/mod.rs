//! Connections: where they come from, who serves them, how long each may take, and which end first.

mod acceptor;
mod answers;
mod connection;
mod listener;
mod places;
mod stats;
mod watch;

pub use acceptor::{Acceptor, Worker};
pub use answers::LargeAnswers;
pub(super) use connection::Endless;
pub use listener::Listener;
pub use stats::ConnectionStats;
pub(super) use watch::{Phase, Watch};
