//! The state of one watched post, for one number of its newest users.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::due::{Due, Read};
use super::subscription::{STALE, Subscription, Topic};
use crate::domain::PostId;

/// A stream that watches a topic, and the index of the topic among its posts.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) subscription: Arc<Subscription>,
    pub(super) slot: u8,
}

#[derive(Debug)]
pub(super) struct TopicState {
    pub(super) recent: u8,
    /// Whether it waits in the queue of changes.
    pub(super) queued: bool,
    /// Whether it must be read for a stream. Then it is in a queue, or goes there when its read has
    /// ended.
    pub(super) wanted: bool,
    /// Whether a check for staleness is scheduled.
    pub(super) timed: bool,
    /// The number of the read in flight.
    pub(super) reading: Option<u64>,
    /// Since when the post may differ from the last event.
    pub(super) stale_since: Option<Instant>,
    /// No event to all watchers before this time.
    pub(super) quiet_until: Option<Instant>,
    /// The watchers, by stream id.
    watchers: HashMap<u64, Watcher>,
    /// The streams without an event, each with the number of the last read that had begun when it
    /// joined. That read and earlier ones may be older than what the stream's client knows.
    waiting: BTreeMap<u64, u64>,
}

impl TopicState {
    pub(super) fn new(recent: u8) -> Self {
        Self {
            recent,
            queued: false,
            wanted: false,
            timed: false,
            reading: None,
            stale_since: None,
            quiet_until: None,
            watchers: HashMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    pub(super) fn topic(&self, post: PostId) -> Topic {
        Topic { post, recent: self.recent }
    }

    pub(super) fn join(&mut self, watcher: Watcher, joined_after: u64) {
        let id = watcher.subscription.id;
        self.waiting.insert(id, joined_after);
        self.watchers.insert(id, watcher);
    }

    /// Removes a stream. Returns whether it was the last.
    pub(super) fn leave(&mut self, id: u64) -> bool {
        self.waiting.remove(&id);
        self.watchers.remove(&id);
        self.watchers.is_empty()
    }

    pub(super) fn watchers(&self) -> impl Iterator<Item = &Watcher> {
        self.watchers.values()
    }

    /// Whether a stream has had no event of it.
    pub(super) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The post may differ from the last event since `since`.
    pub(super) fn stir(&mut self, topic: Topic, since: Instant, due: &mut Due) {
        let since = self.stale_since.map_or(since, |earlier| earlier.min(since));
        self.stale_since = Some(since);
        self.time(topic, since + STALE, due);
    }

    /// Schedules a check for staleness at that time, unless one is scheduled.
    pub(super) fn time(&mut self, topic: Topic, at: Instant, due: &mut Due) {
        if !std::mem::replace(&mut self.timed, true) {
            due.stale.push((at, topic));
        }
    }

    /// Queues it as a change, unless it is queued or being read. In the latter case the end of the
    /// read decides.
    pub(super) fn queue(&mut self, topic: Topic, at: Instant, due: &mut Due) {
        if self.reading.is_none() && !std::mem::replace(&mut self.queued, true) {
            due.reads.push((self.quiet_until.map_or(at, |quiet| quiet.max(at)), topic));
        }
    }

    /// Gives a read to the streams that it is for: all, or only those without an event. Of the
    /// latter, only those that had joined when it began.
    pub(super) fn tell(&mut self, read: &Read, mut put: impl FnMut(&Watcher)) {
        let waiting = std::mem::take(&mut self.waiting);
        let is_late = |(_, joined_after): &(u64, u64)| *joined_after >= read.number;
        let (late, timely): (BTreeMap<_, _>, BTreeMap<_, _>) =
            waiting.into_iter().partition(is_late);
        if read.public {
            let told = self.watchers.iter().filter(|(id, _)| !late.contains_key(id));
            told.for_each(|(_, watcher)| put(watcher));
        } else {
            timely.keys().for_each(|id| put(&self.watchers[id]));
        }
        self.waiting = late;
    }
}
