//! Counters of connections. The doc comments are the help texts at `/metrics`.

use crate::telemetry::stats;

stats! {
    /// What became of connections.
    pub struct ConnectionStats {
        /// Connections open now.
        Gauge open: "http_connections",
        /// Connections closed because their large answer took longest when there was no room.
        Counter answers_given_up: "http_answers_given_up",
        /// Idle or unfinished connections closed because places were few.
        Counter closed_for_room: "http_connections_closed_for_room",
        /// Connections closed because requests held as many bytes as they may.
        Counter refused_for_bytes: "http_connections_refused_for_bytes",
    }
}
