//! The response to a panic. We know of none, but if a handler panics, its caller gets a response.
//!
//! We do not use tower-http's layer: it boxes the body of every response.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::CatchUnwind;

use super::super::problem::{Code, Problem};

/// The detail. It leaves open how far the tap got.
const UNFORESEEN: &str = "a bug ended this request, so the tap may have been applied; repeat it \
                          with the same idempotency key, or send PUT or DELETE for the state you \
                          want";

/// A future that may panic. After a panic it is not polled again.
pub(super) type Caught<F> = CatchUnwind<AssertUnwindSafe<F>>;

/// Catches a panic of the future.
pub(super) fn catch<F: Future>(future: F) -> Caught<F> {
    AssertUnwindSafe(future).catch_unwind()
}

/// The response, or a problem if the handler panicked.
pub(super) fn answer(caught: std::thread::Result<Response>) -> Response {
    caught.unwrap_or_else(|_| Problem::new(Code::Internal, UNFORESEEN).into_response())
}
