//! A load test that speaks HTTP to a running onetap and does not use its code.
//!
//! [`burst`] sends taps at one moment and proves from the answers that the service counted each
//! exactly once. [`barrier`] does it against the limits of a palette. [`rate`] sends at a fixed
//! rate and measures the latency that users would see. [`soak`] keeps sending through faults and
//! records what happened. [`verify`] judges a recorded [`history`], from any recorder. [`watch`]
//! holds streams open and measures how late each tap reaches them.

pub mod barrier;
pub mod burst;
pub mod cli;
pub mod client;
pub mod history;
pub mod rate;
pub mod report;
pub mod soak;
pub mod verify;
pub mod watch;
