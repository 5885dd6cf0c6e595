//! What stores count. The doc comments are the help texts at `/metrics`.

use std::path::PathBuf;

pub use crate::telemetry::Counter;
use crate::telemetry::{Collector, DescriptorEncoder, Figure, Kind, encode_figures, stats};

stats! {
    /// What the lanes of a store have done, added up over all lanes.
    pub struct LaneStats {
        /// Lanes that have a connection to Redis now.
        Gauge connected: "lanes_connected",
        /// Connections to Redis opened.
        Counter connections_opened: "lane_connections",
        /// Attempts to connect to Redis that failed.
        Counter connect_failures: "lane_connect_failures",
        /// Script calls sent; each carries a batch.
        Counter batches_sent: "lane_batches",
        /// Taps and reads sent in batches.
        Counter calls_sent: "lane_calls",
        /// Calls that wait for a lane to send them.
        Gauge waiting: "lane_calls_waiting",
        /// Calls that a lane has sent, and that Redis has not answered.
        Gauge in_flight: "lane_calls_in_flight",
        /// Calls without an answer at their deadline.
        Counter deadlines_missed: "lane_deadlines_missed",
        /// Batches sent again as source because the server did not know the script.
        Counter scripts_reloaded: "lane_scripts_reloaded",
        /// Calls retried because a retry was safe.
        Counter calls_sent_again: "lane_calls_sent_again",
        /// Calls refused because the queue was full.
        Counter overloads: "lane_overloads",
    }
}

stats! {
    /// What the writer of a store file has done.
    pub struct FileStats {
        /// Group commits of the store file.
        Counter commits: "file_commits",
        /// Taps made durable by those commits.
        Counter taps_committed: "file_taps",
        /// Group commits that failed; nothing of them was acknowledged.
        Counter commits_failed: "file_commits_failed",
        /// Syncs of the store file to the disk.
        Counter syncs: "file_syncs",
        /// Bytes written to the store file.
        Counter bytes_written: "file_written_bytes",
        /// Taps refused because the queue was full.
        Counter overloads: "file_overloads",
    }
}

/// The size of a store file, looked up at each scrape. A file that is gone has none.
#[derive(Debug)]
pub struct FileSize(pub PathBuf);

impl Collector for FileSize {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Ok(file) = std::fs::metadata(&self.0) else { return Ok(()) };
        let figure = Figure {
            name: "file_size_bytes",
            help: "Size of the store file.",
            kind: Kind::Gauge,
            value: file.len(),
        };
        encode_figures(encoder, &[figure])
    }
}
