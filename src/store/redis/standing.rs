//! Whether what a server answers may still be passed on.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// What is to be said of a server without, unless there is something better to say.
const REPLACED: &str = "another server has taken its place";

/// Why a connection to a server was opened, as long as that is so: it is the primary, or it has
/// slots of the cluster. Once another server has taken its place, its replies are older than what
/// that one answers. What is lost is lost for good: a server that comes back is given another.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    lost: CancellationToken,
    why: Arc<OnceLock<&'static str>>,
}

impl Standing {
    pub(super) fn holds(&self) -> bool {
        !self.lost.is_cancelled()
    }

    /// Waits until it holds no more.
    pub(super) async fn until_lost(&self) {
        self.lost.cancelled().await;
    }

    /// Takes it from all who have it.
    pub(super) fn end(&self) {
        self.lost.cancel();
    }

    /// The same, for this reason.
    pub(super) fn end_because(&self, why: &'static str) {
        let _ = self.why.set(why);
        self.end();
    }

    /// Why it holds no more.
    pub(super) fn why_lost(&self) -> &'static str {
        self.why.get().copied().unwrap_or(REPLACED)
    }
}
