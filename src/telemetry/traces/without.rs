//! Stands in for traces in builds that have none. No value of these types exists, so the compiler
//! drops what handles them.

use std::convert::Infallible;

use super::{Ended, TraceHeaders, TraceOptions};

/// Sends traces. There is no such value.
#[derive(Clone, Debug)]
pub enum Traces {}

impl Traces {
    /// There are none.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn new(_: &TraceOptions) -> Result<Self, String> {
        Err(super::NotBuilt.to_string())
    }

    /// Never called.
    pub fn begin(&self, _: &TraceHeaders<'_>, _: bool) -> Option<RequestSpan> {
        match *self {}
    }

    /// Never called.
    pub fn stop(&self) {
        match *self {}
    }
}

/// The span of a request. There is no such value.
#[derive(Debug)]
pub struct RequestSpan(Infallible);

impl RequestSpan {
    /// Never called.
    pub fn enter(&self) {
        match self.0 {}
    }

    /// Never called.
    pub fn end(self, _: &Ended<'_>) {
        match self.0 {}
    }
}

/// The future itself.
pub(crate) fn in_span<T, E, F: Future<Output = Result<T, E>>>(
    _: &'static str,
    _: &'static str,
    _: fn(&E) -> Option<&'static str>,
    future: F,
) -> F {
    future
}
