//! Whether onetap may still use the replies of a server.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// The reason of a lease that ended without another one.
const REPLACED: &str = "another server has taken its place";

/// Held by all who read from a server, while it is the primary or has slots of the cluster. Once
/// another server has taken over, the old one's replies may be older than those of the new one. A
/// lease that ended never holds again: a server that comes back gets a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    lost: CancellationToken,
    why: Arc<OnceLock<&'static str>>,
}

impl Lease {
    pub(crate) fn holds(&self) -> bool {
        !self.lost.is_cancelled()
    }

    /// Waits until the lease ends.
    pub(crate) async fn until_lost(&self) {
        self.lost.cancelled().await;
    }

    /// Ends the lease for all who hold it.
    pub(crate) fn end(&self) {
        self.lost.cancel();
    }

    /// Ends the lease, with a reason.
    pub(crate) fn end_because(&self, why: &'static str) {
        let _ = self.why.set(why);
        self.end();
    }

    /// Why the lease ended.
    pub(crate) fn why_lost(&self) -> &'static str {
        self.why.get().copied().unwrap_or(REPLACED)
    }
}
