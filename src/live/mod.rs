//! Live counts: streams tell how the posts that they watch stand, now and whenever that changes.
//!
//! The change log says which posts have changed, and a resync finds what it does not say. Then the
//! hub reads a post's summary, once for all streams that watch it, and encodes it once. For each of
//! its posts a stream keeps the latest event that it has not sent, and no other: a slow reader
//! misses events, never the latest.

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
