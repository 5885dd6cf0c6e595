//! Counters of connections. The doc comments are the help texts at `/metrics`.

use crate::telemetry::stats;

stats! {
    /// How many connections are open, and why onetap closed others.
    pub struct ConnectionStats {
        /// Connections open now.
        Gauge open: "http_connections",
        /// Connections closed to make room for a new large answer, because their own had taken
        /// longest.
        Counter answers_given_up: "http_answers_given_up",
        /// Connections without a complete request that were closed to free places for new
        /// connections.
        Counter closed_for_room: "http_connections_closed_for_room",
        /// Connections closed because their request did not fit into
        /// --max-request-bytes-in-flight.
        Counter refused_for_bytes: "http_connections_refused_for_bytes",
    }
}
