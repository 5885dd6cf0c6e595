//! Counters of what stores do, for whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($(#[$about:meta])* $stats:ident: $($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub struct $stats { $($(#[$doc])* pub $name: Counter),* }
    };
}

counters! {
    /// What the lanes of a store have done, added up over all lanes.
    LaneStats:
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

counters! {
    /// What the writer of a store file has done.
    FileStats:
    /// Group commits: each makes everything that waited durable at once.
    commits,
    /// Taps that wrote something in those commits.
    taps_committed,
    /// Commits that failed, so that nothing of them was acknowledged.
    commits_failed,
    /// Times that the disk was told to sync.
    syncs,
    /// Bytes that were given to the disk.
    bytes_written,
    /// Taps refused because the queue was full.
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
