//! Counters of the lanes, for whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What the lanes of a store have done, added up over all lanes.
        #[derive(Debug, Default)]
        pub struct LaneStats { $($(#[$doc])* pub $name: Counter),* }
    };
}

counters! {
    /// Lanes that have a connection now.
    connected,
    /// Connections that were opened.
    connections_opened,
    /// Attempts to open a connection that failed.
    connect_failures,
    /// Script calls that were sent; each carries a batch.
    batches_sent,
    /// Taps and reads that were sent in those batches.
    calls_sent,
    /// Calls that had no answer by their deadline.
    deadlines_missed,
    /// Batches sent again as source because the server did not know the script.
    scripts_reloaded,
    /// Calls sent again, refused or without an answer, of which no harm can come.
    calls_sent_again,
    /// Calls refused because the queue was full.
    overloads,
}

/// A number that any thread may move.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes away what was added before.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// The number as it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
