//! What streams count. The doc comments are the help texts at `/metrics`.

use crate::telemetry::stats;

stats! {
    /// What the streams have done.
    pub struct LiveStats {
        /// Streams open now.
        Gauge streams: "live_streams",
        /// Events sent on streams.
        Counter sent: "live_events",
        /// Events that a newer one replaced before they were sent.
        Counter superseded: "live_events_superseded",
        /// Streams refused because the limit on open streams was reached.
        Counter refused: "live_streams_refused",
        /// Streams closed because what they watch could not be read, or went back in its history.
        Counter closed_stale: "live_streams_closed_stale",
        /// Streams cut because their reader did not read.
        Counter cut_slow: "live_streams_cut_slow",
    }
}
