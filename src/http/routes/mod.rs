//! The handlers, by subject.

pub(super) mod docs;
pub(super) mod health;
pub(super) mod reactors;
pub(super) mod stream;
pub(super) mod summaries;
pub(super) mod taps;
pub(crate) mod web;
