//! Whether what a server answers may still be passed on.

use tokio_util::sync::CancellationToken;

/// What is to be said of a server without.
pub(super) const REPLACED: &str = "another server has taken its place";

/// Why a connection to a server was opened, as long as that is so: it is the primary, or it has
/// slots of the cluster. Once another server has taken its place, its replies are older than what
/// that one answers. What is lost is lost for good: a server that comes back is given another.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing(CancellationToken);

impl Standing {
    pub(super) fn holds(&self) -> bool {
        !self.0.is_cancelled()
    }

    /// Waits until it holds no more.
    pub(super) async fn until_lost(&self) {
        self.0.cancelled().await;
    }

    /// Takes it from all who have it.
    pub(super) fn end(&self) {
        self.0.cancel();
    }
}
