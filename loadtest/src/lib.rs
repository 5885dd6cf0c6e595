//! A load test that speaks HTTP to a running onetap and knows nothing of its code.
//!
//! [`burst`] fires taps at one moment and proves from the answers that each was counted exactly
//! once; [`rate`] sends at a fixed rate and measures what users would see; [`soak`] goes on through
//! faults and records what happened; [`verify`] judges a recorded [`history`], whoever recorded it;
//! [`watch`] holds streams open and measures how late they hear of taps.

pub mod burst;
pub mod cli;
pub mod client;
pub mod history;
pub mod rate;
pub mod report;
pub mod soak;
pub mod verify;
pub mod watch;
