//! Reads that are due, and the work that a step in a room leaves behind.

use std::time::Instant;

use super::subscription::Topic;

/// Why a post is read, in the order of priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A stream waits for its first event.
    Snapshot,
    /// The post has changed.
    Change,
    /// There was no news of the post for a while.
    Resync,
}

/// A read that has begun.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) topic: Topic,
    pub(super) class: Class,
    /// Later reads of a room have greater numbers.
    pub(super) number: u64,
    /// Whether it goes to all watchers, and not only to those without an event.
    pub(super) public: bool,
    /// Since when the post may differ from the last event.
    pub(super) stale_since: Option<Instant>,
    pub(super) begun: Instant,
}

/// The work that a step in a room leaves for later.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Topics to read, no earlier than at this time.
    pub(super) reads: Vec<(Instant, Topic)>,
    /// Topics to read again, for streams that came during their read.
    pub(super) again: Vec<Topic>,
    /// Topics to check at this time: if they are still stale, streams must be closed.
    pub(super) stale: Vec<(Instant, Topic)>,
    /// How many events replaced one that was not sent.
    pub(super) superseded: u64,
    /// How many streams were closed.
    pub(super) closed: u64,
}
