//! OpenTelemetry traces: a span for each request that is traced, and within it one for each call of
//! the store. Only builds with the feature `otel` have them.

#[cfg(feature = "otel")]
mod collector;
#[cfg(feature = "otel")]
mod spans;
#[cfg(not(feature = "otel"))]
mod without;

use std::fmt;

#[cfg(feature = "otel")]
pub(crate) use spans::in_span;
#[cfg(feature = "otel")]
pub use spans::{RequestSpan, Traces};
#[cfg(not(feature = "otel"))]
pub(crate) use without::in_span;
#[cfg(not(feature = "otel"))]
pub use without::{RequestSpan, Traces};

/// Where traces go, and which requests have one.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceOptions {
    /// The address of the collector, for OTLP over HTTP.
    pub url: String,
    /// The share of requests that are traced, from 0 to 1.
    pub ratio: f64,
}

/// What the headers of a request say of its caller's trace
/// (<https://www.w3.org/TR/trace-context/>).
#[derive(Clone, Copy, Debug)]
pub struct TraceHeaders<'a> {
    /// The trace and the span of the caller, and whether they are recorded.
    pub traceparent: Option<&'a str>,
    /// What vendors add to it.
    pub tracestate: Option<&'a str>,
}

/// What a span says of an answered request. It names no user and no post.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The method of the request.
    pub method: &'static str,
    /// The route that matched, if one did.
    pub route: Option<&'a str>,
    /// The status of the response.
    pub status: u16,
    /// The code of the problem, if the response is one.
    pub code: Option<&'static str>,
    /// The id of the request, as its log line has it.
    pub request_id: &'a str,
}

/// Why a build without the feature has no traces.
#[derive(Clone, Copy, Debug)]
pub struct NotBuilt;

impl fmt::Display for NotBuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this onetap was built without traces; build it with --features otel")
    }
}

/// Whether this build can send traces.
///
/// # Errors
///
/// If it was built without them.
pub fn built() -> Result<(), NotBuilt> {
    if cfg!(feature = "otel") { Ok(()) } else { Err(NotBuilt) }
}
