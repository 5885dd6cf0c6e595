//! Why a stream is refused.

/// Why a stream does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are as many as there may be.
    #[error("as many streams are open as there is room for")]
    Full,
    /// The store that has one of its posts could not be followed the last time it was tried.
    #[error("the store is away")]
    Away,
    /// There will be none any more.
    #[error("the service is stopping")]
    Stopping,
}
