//! What to read next for the streams, and when. Only the hub's task has it, so it needs no lock.
//!
//! Due topics wait in a queue for each class, so the work for an event does not grow with the
//! number of watched posts. A topic has at most one place in a queue and at most one read in
//! flight.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::due::{Class, Due, Read};
use super::followed::Followed;
use super::mailbox::Event;
use super::places::Places;
use super::registry::SubscriptionRegistry;
use super::resync::Resync;
use super::subscription::{Subscription, Topic};
use crate::domain::{PARTITIONS, Partition};
use crate::store::News;

/// Up to this many streams in the queue, the scheduler does not remove those that have gone.
const FEW: usize = 1024;

/// A read that has begun, and its ticket.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) read: Read,
    ticket: u64,
}

/// The result of a read.
#[derive(Debug)]
pub(super) enum Outcome {
    Found(Event),
    /// The post itself cannot be read.
    Damaged,
    /// The store cannot be read.
    Away,
}

#[derive(Debug)]
pub(super) struct Scheduler {
    registry: Arc<SubscriptionRegistry>,
    places: Places,
    /// The streams that lack snapshots, in order of arrival, each with the next of its posts.
    streams: VecDeque<(Weak<Subscription>, usize)>,
    /// The length of the queue at which streams that have gone are removed.
    most_streams: usize,
    /// Topics to read for streams that were passed over: they come first.
    again: VecDeque<Topic>,
    changes: BinaryHeap<Reverse<(Instant, Topic)>>,
    resync: VecDeque<Topic>,
    /// Due topics whose partition has enough reads in flight.
    parked: Box<[VecDeque<(Class, Topic)>]>,
    /// When to check whether a topic is still stale.
    stale: BinaryHeap<Reverse<(Instant, Topic)>>,
    turns: Resync,
    pub(super) followed: Followed,
    /// The partitions that the last attempt could not follow.
    lost: BTreeSet<Partition>,
    due: Due,
}

impl Scheduler {
    pub(super) fn new(registry: Arc<SubscriptionRegistry>, now: Instant) -> Self {
        Self {
            registry,
            places: Places::new(),
            streams: VecDeque::new(),
            most_streams: FEW,
            again: VecDeque::new(),
            changes: BinaryHeap::new(),
            resync: VecDeque::new(),
            parked: vec![VecDeque::new(); PARTITIONS].into(),
            stale: BinaryHeap::new(),
            turns: Resync::new(now),
            followed: Followed::default(),
            lost: BTreeSet::new(),
            due: Due::default(),
        }
    }

    /// Adds a new stream.
    pub(super) fn arrived(&mut self, stream: Weak<Subscription>) {
        if self.streams.len() >= self.most_streams {
            self.streams.retain(|(stream, _)| stream.strong_count() > 0);
            self.most_streams = (2 * self.streams.len()).max(FEW);
        }
        self.streams.push_back((stream, 0));
    }

    /// Takes in news from the log.
    pub(super) fn hear(&mut self, news: News, now: Instant) {
        let (registry, due) = (&self.registry, &mut self.due);
        match news {
            News::Changed(posts) => posts.into_iter().for_each(|post| {
                registry.in_room(post.partition(), |room| room.changed(post, now, due));
            }),
            News::Following(partitions) => {
                let mut recovered = false;
                for partition in partitions {
                    self.lost.remove(&partition);
                    recovered |= registry.in_room(partition, |room| room.followed(now, due));
                }
                registry.set_away(self.followed.are_all_in(&self.lost));
                if recovered {
                    registry.has_recovered();
                }
            }
            News::Lost(partitions, since) => {
                for partition in partitions {
                    self.lost.insert(partition);
                    registry.in_room(partition, |room| room.lost(since, due));
                }
                registry.set_away(self.followed.are_all_in(&self.lost));
            }
        }
        self.take_in();
    }

    /// Does everything due now except reads. Returns when more is due.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Instant> {
        if self.followed.tick(&self.registry, now) {
            self.registry.set_away(self.followed.are_all_in(&self.lost));
        }
        let hang = self.places.look(now);
        while let Some(Reverse((_, topic))) = pop_due(&mut self.stale, now) {
            let due = &mut self.due;
            let partition = topic.post.partition();
            self.registry.in_room(partition, |room| room.overdue(topic, now, due));
        }
        self.take_in();
        if self.resync.is_empty() {
            let (registry, resync) = (&self.registry, &mut self.resync);
            self.turns.turn(now, |partition| {
                resync.extend(registry.in_room(partition, |room| room.all()));
                resync.len()
            });
        }
        let turn = (self.resync.is_empty() && !self.followed.is_empty()).then_some(self.turns.at);
        let stale = self.stale.peek().map(|Reverse((at, _))| *at);
        [self.followed.next(), hang, stale, turn].into_iter().flatten().min()
    }

    /// When the next change is due, if there is room to read it.
    pub(super) fn next_change(&self) -> Option<Instant> {
        let next = self.changes.peek().map(|Reverse((at, _))| *at);
        next.filter(|_| self.places.have_room_for(Class::Change))
    }

    /// The next read, if one is due and has room.
    pub(super) fn next_read(&mut self, now: Instant) -> Option<Started> {
        let begun = self.begin_snapshot(now).or_else(|| self.begin_change(now));
        let read = begun.or_else(|| self.begin_resync(now));
        self.take_in();
        let read = read?;
        let ticket = self.places.take(read.class, read.topic.post.partition(), now);
        Some(Started { read, ticket })
    }

    fn begin_snapshot(&mut self, now: Instant) -> Option<Read> {
        while self.places.have_room_for(Class::Snapshot) {
            let (topic, again) = match self.again.pop_front() {
                Some(topic) => (topic, true),
                None => (self.next_awaited()?, false),
            };
            let partition = topic.post.partition();
            if !again && !self.registry.in_room(partition, |room| room.want(topic)) {
                continue;
            }
            if self.places.left_in(partition) == 0 {
                self.parked[partition.index()].push_back((Class::Snapshot, topic));
                continue;
            }
            if let Some(read) = self.begin(topic, Class::Snapshot, now) {
                return Some(read);
            }
        }
        None
    }

    /// The next topic that a stream has had no event of. The first stream comes first, and its
    /// topics in the order in which it asked for them. Skips streams that have gone.
    fn next_awaited(&mut self) -> Option<Topic> {
        loop {
            let (stream, next) = self.streams.front_mut()?;
            let found = stream.upgrade().and_then(|stream| {
                let slot = stream.mailbox.lacks_from(*next)?;
                *next = slot + 1;
                stream.topics.get(slot).copied()
            });
            if found.is_some() {
                return found;
            }
            self.streams.pop_front();
            if self.streams.is_empty() {
                // Frees the memory of a queue of ten thousand streams that came at once.
                self.streams.shrink_to(FEW);
            }
        }
    }

    fn begin_change(&mut self, now: Instant) -> Option<Read> {
        while self.places.have_room_for(Class::Change) {
            let Reverse((_, topic)) = pop_due(&mut self.changes, now)?;
            let partition = topic.post.partition();
            if self.places.left_in(partition) == 0 {
                self.parked[partition.index()].push_back((Class::Change, topic));
            } else if let Some(read) = self.begin(topic, Class::Change, now) {
                return Some(read);
            }
        }
        None
    }

    fn begin_resync(&mut self, now: Instant) -> Option<Read> {
        while self.places.have_room_for(Class::Resync) {
            let topic = self.resync.pop_front()?;
            // A topic without room now has its turn again in the next round.
            if self.places.left_in(topic.post.partition()) == 0 {
                continue;
            }
            if let Some(read) = self.begin(topic, Class::Resync, now) {
                return Some(read);
            }
        }
        None
    }

    fn begin(&mut self, topic: Topic, class: Class, now: Instant) -> Option<Read> {
        let (partition, due) = (topic.post.partition(), &mut self.due);
        let read = self.registry.in_room(partition, |room| room.begin(topic, class, now, due));
        if read.is_none() {
            // No read will end that would make room for another.
            self.unpark(partition, now);
        }
        read
    }

    /// Ends a read.
    pub(super) fn done(&mut self, started: &Started, outcome: &Outcome, now: Instant) {
        let (read, due) = (&started.read, &mut self.due);
        let partition = read.topic.post.partition();
        let event = match outcome {
            Outcome::Found(event) => Some(event),
            Outcome::Damaged | Outcome::Away => None,
        };
        self.registry.in_room(partition, |room| room.deliver(read, event, now, due));
        if read.class == Class::Snapshot && event.is_some() {
            self.registry.has_progressed();
        }
        self.places.give_back(started.ticket, matches!(outcome, Outcome::Away));
        self.unpark(partition, now);
        self.take_in();
    }

    /// Moves parked topics back into the queues, as many as their partition has room for.
    fn unpark(&mut self, partition: Partition, now: Instant) {
        let parked = &mut self.parked[partition.index()];
        let room = self.places.left_in(partition).min(parked.len());
        for (class, topic) in parked.drain(..room) {
            match class {
                Class::Snapshot => self.again.push_back(topic),
                Class::Change | Class::Resync => self.changes.push(Reverse((now, topic))),
            }
        }
    }

    /// Moves what the rooms reported into the queues.
    fn take_in(&mut self) {
        let due = &mut self.due;
        self.changes.extend(due.reads.drain(..).map(Reverse));
        self.stale.extend(due.stale.drain(..).map(Reverse));
        self.again.extend(due.again.drain(..));
        self.registry.stats.superseded.add(std::mem::take(&mut due.superseded));
        self.registry.stats.closed_stale.add(std::mem::take(&mut due.closed));
    }
}

fn pop_due(
    queue: &mut BinaryHeap<Reverse<(Instant, Topic)>>,
    now: Instant,
) -> Option<Reverse<(Instant, Topic)>> {
    queue.peek().filter(|Reverse((at, _))| *at <= now)?;
    queue.pop()
}
