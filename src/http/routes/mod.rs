//! The handlers, by subject.

pub(super) mod docs;
pub(super) mod forget;
pub(super) mod given;
pub(super) mod health;
pub(super) mod jobs;
pub(super) mod moving;
pub(super) mod palettes;
pub(super) mod reactors;
pub(super) mod read_only;
pub(super) mod rules;
pub(super) mod sets;
pub(super) mod stream;
pub(super) mod summaries;
pub(super) mod taps;
pub(crate) mod web;
