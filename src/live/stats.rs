//! Counters of what streams do.

use crate::store::Counter;

/// What the streams have done.
#[derive(Debug, Default)]
pub struct LiveStats {
    /// Streams that are open now.
    pub streams: Counter,
    /// Streams refused because as many were open as there is room for.
    pub refused: Counter,
    /// Events that were given to a connection to send.
    pub sent: Counter,
    /// Events that a newer one replaced before they were sent.
    pub superseded: Counter,
    /// Streams closed because what they watch could not be read for too long.
    pub closed_stale: Counter,
    /// Streams cut because their reader did not read.
    pub cut_slow: Counter,
}
