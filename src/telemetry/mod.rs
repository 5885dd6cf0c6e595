//! What the service reports about itself: log lines on stderr, the metrics of
//! `/metrics`, and traces.
//!
//! Each component counts for itself and registers its own metrics. This room knows no component.

mod build;
mod latencies;
mod log;
#[cfg(any(target_os = "android", target_os = "linux"))]
mod process;
mod registry;
mod stats;
mod throttled;
mod traces;

pub use latencies::Latencies;
pub use log::{LogFilter, LogFormat, log_to_stderr, read_filter};
pub use registry::{Collector, DescriptorEncoder, Format, Registry};
pub(crate) use stats::stats;
pub use stats::{Counter, Figure, Kind, encode_figures};
pub use throttled::{Severity, ThrottledWarnings};
pub(crate) use traces::in_span;
pub use traces::{Ended, RequestSpan, TraceHeaders, TraceOptions, Traces, built};
