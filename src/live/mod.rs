//! Live counts: a stream sends the state of the posts that it watches, now and at every change.
//!
//! The change log says which posts have changed, and a resync finds changes that are not in the
//! log. The hub then reads the post's summary and encodes it, once for all streams that watch it.
//! For each of its posts a stream keeps only the latest event that it has not sent. So a slow
//! reader misses events, but never the latest.

mod due;
mod followed;
mod hub;
mod mailbox;
mod places;
mod refused;
mod registry;
mod resync;
mod room;
mod scheduler;
#[cfg(test)]
mod scheduler_tests;
mod stats;
mod subscription;
mod topic;

pub use hub::{Hub, Watching};
pub use refused::Refused;
pub use stats::LiveStats;
