//! The limits that keep one client from using up what others need.

mod budget;
mod given_gate;
mod page_gate;
mod queue;
mod turns;

use std::time::Duration;

pub(super) use budget::ByteBudget;
pub use given_gate::GivenGate;
pub(super) use page_gate::PageGate;
pub(super) use turns::{Turn, Turns};

/// The limits of a request and its connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Timeout for a request head, from its first byte to its last.
    pub head_timeout: Duration,
    /// Timeout for a request body to arrive.
    pub body_timeout: Duration,
    /// Timeout of a request, from its last byte to its response, the store included.
    pub request_timeout: Duration,
    /// Timeout of a connection without a request.
    pub idle_timeout: Duration,
    /// Timeout for a client that takes no bytes of its response.
    pub write_timeout: Duration,
    /// The largest request body.
    pub max_body_bytes: usize,
    /// The longest path and query.
    pub max_uri_bytes: usize,
    /// The most open connections.
    pub max_connections: usize,
    /// The most bytes of requests without a response, all connections together.
    pub max_request_bytes_in_flight: usize,
    /// The most bytes of responses that clients have not read, all connections together.
    pub max_answer_bytes_in_flight: usize,
    /// Requests know the address at the other end of their connection.
    pub note_peers: bool,
}

/// The limits of a request body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// Timeout for it to arrive.
    pub(super) timeout: Duration,
    /// The largest body.
    pub(super) max_bytes: usize,
}

impl Limits {
    /// The limits of a request body.
    pub(super) fn of_bodies(&self) -> BodyLimits {
        BodyLimits { timeout: self.body_timeout, max_bytes: self.max_body_bytes }
    }

    /// The shortest timeout that the watch of a connection enforces.
    pub(in crate::http) fn shortest_on_a_connection(&self) -> Duration {
        self.head_timeout.min(self.idle_timeout).min(self.write_timeout)
    }
}
