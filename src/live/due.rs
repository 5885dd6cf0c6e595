//! Reads that have begun, and the work that a [`Room`](super::room::Room) leaves to the scheduler.

use std::time::Instant;

use super::subscription::Topic;

/// Why a post is read, in the order of priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A stream waits for its first event.
    Snapshot,
    /// The post has changed.
    Change,
    /// The hub has heard nothing of the post for a while.
    Resync,
}

/// A read that has begun.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) topic: Topic,
    pub(super) class: Class,
    /// Of two reads for one `Room`, the later has the greater number.
    pub(super) number: u64,
    /// Whether the event goes to all watchers. If not, it goes only to those that wait for their
    /// first event.
    pub(super) public: bool,
    /// Since when the post may differ from the last event.
    pub(super) stale_since: Option<Instant>,
    pub(super) begun: Instant,
}

/// The work that a call to a `Room` leaves to the scheduler.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Topics to read, each no earlier than its time.
    pub(super) reads: Vec<(Instant, Topic)>,
    /// Topics to read again, for streams that came during their read.
    pub(super) again: Vec<Topic>,
    /// Topics to check, each at its time: if one is still stale, its `Room` closes streams.
    pub(super) stale: Vec<(Instant, Topic)>,
    /// How many events replaced an earlier event that had not been sent.
    pub(super) superseded: u64,
    /// How many streams were closed.
    pub(super) closed: u64,
}
