//! The bounds on what one client can take from all others.

mod budget;
mod page_gate;
mod turns;

use std::time::Duration;

pub(super) use budget::ByteBudget;
pub(super) use page_gate::PageGate;
pub(super) use turns::{Turn, Turns};

/// The bounds on a request and its connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// For a body to arrive.
    pub body_timeout: Duration,
    /// From a complete request to its answer, the store included.
    pub request_timeout: Duration,
    /// For a connection on which nothing is asked.
    pub idle_timeout: Duration,
    /// For a client to take something of what it is sent.
    pub write_timeout: Duration,
    /// The largest body.
    pub max_body_bytes: usize,
    /// The longest path and query.
    pub max_uri_bytes: usize,
    /// The most connections at a time.
    pub max_connections: usize,
    /// The most bytes of requests that have not been answered, all connections together.
    pub max_request_bytes_in_flight: usize,
    /// The most bytes of answers that have not been read, all connections together.
    pub max_answer_bytes_in_flight: usize,
}

/// The bounds on a request's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// For it to arrive.
    pub(super) timeout: Duration,
    /// The largest one.
    pub(super) max_bytes: usize,
}

impl Limits {
    /// Those on bodies.
    pub(super) fn of_bodies(&self) -> BodyLimits {
        BodyLimits { timeout: self.body_timeout, max_bytes: self.max_body_bytes }
    }

    /// Of the times that a connection is watched for, the shortest.
    pub(in crate::http) fn shortest_on_a_connection(&self) -> Duration {
        self.head_timeout.min(self.idle_timeout).min(self.write_timeout)
    }
}
