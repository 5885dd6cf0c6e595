//! Why a stream is refused.

/// Why a stream does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many streams are open as there is room for.
    #[error("as many streams are open as there is room for")]
    Full,
    /// The last attempt to follow the store failed for a partition of one of its posts.
    #[error("the store is away")]
    Away,
    /// The service is stopping and opens no more streams.
    #[error("the service is stopping")]
    Stopping,
}
