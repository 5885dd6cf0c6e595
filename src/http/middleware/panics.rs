//! An answer of a panic. Nothing is known to panic; if something does, its caller hears of it.
//!
//! Not by the layer of tower-http: that boxes the body of every answer, for a case that never
//! comes.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::CatchUnwind;

use super::super::problem::{Code, Problem};

/// The detail: it says nothing of how far the tap got.
const UNFORESEEN: &str = "the tap may have been applied: repeat it with the same idempotency key, \
                          or send PUT or DELETE for the state you want";

/// A future that may panic; what has panicked is not asked again.
pub(super) type Caught<F> = CatchUnwind<AssertUnwindSafe<F>>;

/// Catches a panic of the future.
pub(super) fn catch<F: Future>(future: F) -> Caught<F> {
    AssertUnwindSafe(future).catch_unwind()
}

/// The answer, or the problem that there is none.
pub(super) fn answer(caught: std::thread::Result<Response>) -> Response {
    caught.unwrap_or_else(|_| Problem::new(Code::Internal, UNFORESEEN).into_response())
}
