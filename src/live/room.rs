//! The watched posts of one partition, behind one lock: who watches them, and who gets which event.
//!
//! A room does not know in which order posts are read. It says what is due, and only the
//! [scheduler](super::scheduler) decides when to read it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::due::{Class, Due, Read};
use super::mailbox::{Event, Put};
use super::refused::Refused;
use super::subscription::{STALE, Subscription, Topic};
use super::topic::{TopicState, Watcher};
use crate::domain::PostId;

/// At most one event for a post in this time.
pub(super) const PACE: Duration = Duration::from_millis(100);

/// The wait after a failed read.
const RETRY: Duration = Duration::from_millis(100);

/// The time between two checks of a stale post's streams.
const LOOK: Duration = Duration::from_millis(100);

/// Whether the hub follows the partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Log {
    /// Not yet.
    #[default]
    Unknown,
    Followed,
    /// The last attempt to follow it failed.
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct Room {
    closed: bool,
    log: Log,
    /// How many reads have begun.
    reads: u64,
    /// The number of topics.
    topics: usize,
    /// The topics of each post, one for each number of newest users that a stream wants.
    posts: HashMap<PostId, Vec<TopicState>>,
}

impl Room {
    /// Whether to follow the log. Also while it is lost, to learn when it is back.
    pub(super) fn wants_news(&self) -> bool {
        self.topics > 0 || self.log == Log::Lost
    }

    /// Adds a stream to the watchers of a topic.
    pub(super) fn join(
        &mut self,
        topic: Topic,
        slot: u8,
        subscription: &Arc<Subscription>,
    ) -> Result<(), Refused> {
        match self.log {
            _ if self.closed => return Err(Refused::Stopping),
            Log::Lost => return Err(Refused::Away),
            Log::Unknown | Log::Followed => {}
        }
        let wanted = self.posts.entry(topic.post).or_insert_with(|| Vec::with_capacity(1));
        let place = wanted.iter().position(|state| state.recent == topic.recent);
        let place = place.unwrap_or_else(|| {
            wanted.push(TopicState::new(topic.recent));
            self.topics += 1;
            wanted.len() - 1
        });
        let subscription = Arc::clone(subscription);
        wanted[place].join(Watcher { subscription, slot }, self.reads);
        Ok(())
    }

    pub(super) fn leave(&mut self, topic: Topic, id: u64) {
        let Some(wanted) = self.posts.get_mut(&topic.post) else { return };
        let Some(place) = wanted.iter().position(|state| state.recent == topic.recent) else {
            return;
        };
        if !wanted[place].leave(id) {
            return;
        }
        wanted.swap_remove(place);
        self.topics -= 1;
        if wanted.is_empty() {
            self.posts.remove(&topic.post);
        }
    }

    /// Ends all streams, and accepts no more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for watcher in self.posts.values().flatten().flat_map(TopicState::watchers) {
            watcher.subscription.mailbox.close();
        }
    }

    /// All topics, for a resync.
    pub(super) fn all(&self) -> Vec<Topic> {
        let of = |(post, wanted): (&PostId, &Vec<TopicState>)| {
            let post = *post;
            wanted.iter().map(|state| state.topic(post)).collect::<Vec<_>>()
        };
        self.posts.iter().flat_map(of).collect()
    }

    /// A post has changed.
    pub(super) fn changed(&mut self, post: PostId, now: Instant, due: &mut Due) {
        let followed = self.log == Log::Followed;
        for state in self.posts.get_mut(&post).into_iter().flatten() {
            let topic = state.topic(post);
            state.stir(topic, now, due);
            if followed {
                state.queue(topic, now, due);
            }
        }
    }

    /// The hub follows the log from now on. All posts are due, since earlier changes may be
    /// missing. Returns whether the log was lost.
    pub(super) fn followed(&mut self, now: Instant, due: &mut Due) -> bool {
        let was_lost = std::mem::replace(&mut self.log, Log::Followed) == Log::Lost;
        for (&post, wanted) in &mut self.posts {
            for state in wanted {
                let topic = state.topic(post);
                state.stir(topic, now, due);
                state.queue(topic, now, due);
            }
        }
        was_lost
    }

    /// The log is lost, and changes since `since` may be missing. The follower repeats this news. A
    /// repetition concerns nothing new, because no stream joins meanwhile.
    pub(super) fn lost(&mut self, since: Instant, due: &mut Due) {
        if std::mem::replace(&mut self.log, Log::Lost) == Log::Lost {
            return;
        }
        for (&post, wanted) in &mut self.posts {
            wanted.iter_mut().for_each(|state| state.stir(state.topic(post), since, due));
        }
    }

    /// Begins a read of a topic that a stream awaits or that was queued, if it is still needed.
    pub(super) fn begin(
        &mut self,
        topic: Topic,
        class: Class,
        now: Instant,
        due: &mut Due,
    ) -> Option<Read> {
        let log = self.log;
        let state = find(&mut self.posts, topic)?;
        if class == Class::Change && !std::mem::take(&mut state.queued) {
            return None;
        }
        if class == Class::Snapshot {
            state.wanted = state.reading.is_some() && state.is_awaited();
        }
        if state.reading.is_some() || log == Log::Lost {
            return None;
        }
        let quiet_until = state.quiet_until.filter(|until| *until > now);
        let may_tell = log == Log::Followed && quiet_until.is_none();
        let needed = match class {
            Class::Snapshot => state.is_awaited(),
            Class::Change => state.is_awaited() || may_tell && state.stale_since.is_some(),
            Class::Resync => may_tell && !state.queued,
        };
        if !needed {
            if let (Class::Change, Some(until), Some(_)) = (class, quiet_until, state.stale_since) {
                state.queue(topic, until, due);
            }
            return None;
        }
        if log != Log::Followed {
            // No news will follow this event until the hub follows the log.
            state.stir(topic, now, due);
        }
        let public = may_tell && (state.stale_since.is_some() || class == Class::Resync);
        let stale_since = if public { state.stale_since.take() } else { None };
        self.reads += 1;
        let number = self.reads;
        (state.reading, state.wanted) = (Some(number), false);
        Some(Read { topic, class, number, public, stale_since, begun: now })
    }

    /// Notes that a topic must be read for a stream as soon as there is room. Returns false if that
    /// was noted, or if no stream awaits it.
    pub(super) fn want(&mut self, topic: Topic) -> bool {
        let state = find(&mut self.posts, topic);
        state.is_some_and(|state| state.is_awaited() && !std::mem::replace(&mut state.wanted, true))
    }

    /// Delivers a read to the watchers. If it failed, queues another.
    pub(super) fn deliver(
        &mut self,
        read: &Read,
        event: Option<&Event>,
        now: Instant,
        due: &mut Due,
    ) {
        let (log, topic) = (self.log, read.topic);
        let Some(state) = find(&mut self.posts, topic) else { return };
        if state.reading != Some(read.number) {
            // All its watchers have left, and others have come.
            return;
        }
        state.reading = None;
        let Some(event) = event else {
            let since = read.stale_since.unwrap_or(read.begun);
            state.stir(topic, since, due);
            state.wanted = false;
            if log != Log::Lost {
                state.queue(topic, now + RETRY, due);
            }
            return;
        };
        if read.public {
            state.quiet_until = Some(now + PACE);
        }
        state.tell(read, |watcher| match watcher.subscription.mailbox.put(watcher.slot, event) {
            Put::Replaced => due.superseded += 1,
            Put::Contradicted => due.closed += 1,
            Put::Queued | Put::Known => {}
        });
        state.wanted &= state.is_awaited();
        due.again.extend(state.wanted.then_some(topic));
        if log == Log::Followed && state.stale_since.is_some() {
            state.queue(topic, now, due);
        }
    }

    /// Closes the streams of a stale topic whose patience has ended, and schedules the next check.
    pub(super) fn overdue(&mut self, topic: Topic, now: Instant, due: &mut Due) {
        let Some(state) = find(&mut self.posts, topic) else { return };
        state.timed = false;
        let Some(since) = state.stale_since else { return };
        if since + STALE > now {
            return state.time(topic, since + STALE, due);
        }
        let mut next: Option<Instant> = None;
        for Watcher { subscription, .. } in state.watchers() {
            let at = since.max(subscription.since) + subscription.patience();
            if at > now {
                next = next.into_iter().chain([at]).min();
            } else if subscription.mailbox.close() {
                due.closed += 1;
            }
        }
        if let Some(next) = next {
            // However many streams there are, the number of checks is bounded.
            state.time(topic, next.max(now + LOOK), due);
        }
    }
}

fn find(posts: &mut HashMap<PostId, Vec<TopicState>>, topic: Topic) -> Option<&mut TopicState> {
    posts.get_mut(&topic.post)?.iter_mut().find(|state| state.recent == topic.recent)
}
