//! What is to be read, and what a step in a room leaves to be done.

use std::time::Instant;

use super::subscription::Topic;

/// Why a post is read. The order is that of their priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A stream waits for its first event.
    Snapshot,
    /// It has changed.
    Change,
    /// Nothing was heard of it for a while.
    Resync,
}

/// A read that has begun.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) topic: Topic,
    pub(super) class: Class,
    /// Later reads of a room have greater numbers.
    pub(super) number: u64,
    /// Told to all watchers, and not only to those that have had no event yet.
    pub(super) public: bool,
    /// Since when the post may be other than its watchers were told.
    pub(super) stale_since: Option<Instant>,
    pub(super) begun: Instant,
}

/// What a step in a room leaves to be done later.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// To be read, no earlier than at this time.
    pub(super) reads: Vec<(Instant, Topic)>,
    /// To be read for a stream that came while it was being read.
    pub(super) again: Vec<Topic>,
    /// If it is still stale at this time, streams are to be closed.
    pub(super) stale: Vec<(Instant, Topic)>,
    /// How many events replaced one that was not sent.
    pub(super) superseded: u64,
    /// How many streams were closed.
    pub(super) closed: u64,
}
