//! What the service says of itself: log lines on stderr, and the registry behind `/metrics`.
//!
//! A component counts for itself and registers its own figures; this room knows none of them.

mod build;
mod log;
#[cfg(any(target_os = "android", target_os = "linux"))]
mod process;
mod registry;
mod stats;

pub use log::{LogFormat, log_to_stderr, read_filter};
pub use registry::{Collector, DescriptorEncoder, Format, Registry};
pub(crate) use stats::stats;
pub use stats::{Counter, Figure, Kind, encode_figures};
