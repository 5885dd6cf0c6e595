//! Whether onetap may still pass on what a server answers.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why a lease ended, unless someone knows better.
const REPLACED: &str = "another server has taken its place";

/// Held by everyone who reads from a server, as long as that server is the primary or has slots of
/// the cluster. After another server has taken its place, its replies may be older than what that
/// one answers. A lease that has ended never holds again: a server that comes back gets a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    lost: CancellationToken,
    why: Arc<OnceLock<&'static str>>,
}

impl Lease {
    pub(crate) fn holds(&self) -> bool {
        !self.lost.is_cancelled()
    }

    /// Waits until it has ended.
    pub(crate) async fn until_lost(&self) {
        self.lost.cancelled().await;
    }

    /// Ends it for everyone who holds it.
    pub(crate) fn end(&self) {
        self.lost.cancel();
    }

    /// The same, for this reason.
    pub(crate) fn end_because(&self, why: &'static str) {
        let _ = self.why.set(why);
        self.end();
    }

    /// Why it ended.
    pub(crate) fn why_lost(&self) -> &'static str {
        self.why.get().copied().unwrap_or(REPLACED)
    }
}
