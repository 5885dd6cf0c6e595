//! Live counts: who watches posts is told how they stand, now and whenever that has changed.
//!
//! The change log says which posts have changed (and what it does not say shows when all are read
//! again, now and then); their summaries are then read whole, once for
//! everybody who watches them, and encoded once. For each of its posts a stream keeps the latest
//! event that it has not sent, and no other: a slow reader misses events, never the latest.

mod board;
mod hub;
mod inbox;
mod recheck;
mod stats;

pub use hub::{Hub, Refused, Watching};
pub use stats::LiveStats;
