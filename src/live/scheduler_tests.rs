//! The promises of the scheduler, with a clock set by the test and without a store.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::due::Class;
use super::mailbox::Event;
use super::refused::Refused;
use super::registry::{Arrivals, SubscriptionRegistry};
use super::room::PACE;
use super::scheduler::{Outcome, Scheduler, Started};
use super::subscription::{Subscription, Topic};
use crate::domain::{Partition, PostId, Revision};
use crate::store::News;

const MS: Duration = Duration::from_millis(1);

struct House {
    registry: Arc<SubscriptionRegistry>,
    arrivals: Arrivals,
    scheduler: Scheduler,
    now: Instant,
}

type Stream = (Arc<Subscription>, OwnedSemaphorePermit);

fn post(n: u128) -> PostId {
    uuid::Uuid::from_u128(n + 1).try_into().expect("not nil")
}

fn event(revision: u64) -> Outcome {
    let text = Bytes::from(format!("{revision}"));
    Outcome::Found(Event { revision: Revision(revision), hash: revision, blank: false, text })
}

fn told(stream: &Stream) -> Vec<Bytes> {
    let context = Context::from_waker(Waker::noop());
    std::iter::from_fn(|| match stream.0.mailbox.poll_next(&context) {
        Poll::Ready(text) => text,
        Poll::Pending => None,
    })
    .collect()
}

fn is_closed(stream: &Stream) -> bool {
    stream.0.mailbox.poll_next(&Context::from_waker(Waker::noop())) == Poll::Ready(None)
}

impl House {
    fn new() -> Self {
        let (registry, arrivals) = SubscriptionRegistry::new(10_000);
        let (registry, now) = (Arc::new(registry), Instant::now());
        let scheduler = Scheduler::new(Arc::clone(&registry), now);
        Self { registry, arrivals, scheduler, now }
    }

    fn open(&mut self, posts: impl IntoIterator<Item = u128>) -> Stream {
        let topics = posts.into_iter().map(|n| Topic { post: post(n), recent: 0 });
        let stream = self.registry.join(topics.collect()).expect("there is room");
        self.scheduler.arrived(self.arrivals.try_recv().expect("it has arrived"));
        stream
    }

    fn leave(&self, stream: Stream) {
        self.registry.leave(&stream.0);
    }

    fn follow(&mut self) {
        self.scheduler.hear(News::Following(Partition::all().collect()), self.now);
    }

    fn change(&mut self, n: u128) {
        self.scheduler.hear(News::Changed(vec![post(n)]), self.now);
    }

    fn later(&mut self, by: Duration) {
        self.now += by;
        self.scheduler.tick(self.now);
    }

    fn reads(&mut self) -> Vec<Started> {
        self.scheduler.tick(self.now);
        std::iter::from_fn(|| self.scheduler.next_read(self.now)).collect()
    }

    fn end(&mut self, reads: Vec<Started>, outcome: &Outcome) {
        reads.iter().for_each(|read| self.scheduler.done(read, outcome, self.now));
    }

    /// Reads everything due; returns how many reads that took.
    fn settle(&mut self, revision: u64) -> usize {
        let mut read = 0;
        loop {
            let reads = self.reads();
            if reads.is_empty() {
                return read;
            }
            read += reads.len();
            self.end(reads, &event(revision));
        }
    }
}

/// A read that began before a stream joined may be older than what its client knows.
#[test]
fn a_snapshot_is_read_after_the_stream_was_asked_for() {
    let mut house = House::new();
    let early = house.open([1]);
    let first = house.reads();
    let late = house.open([1]);
    assert!(house.reads().is_empty(), "one read of a topic at a time");
    house.end(first, &event(1));
    assert_eq!((told(&early).len(), told(&late).len()), (1, 0));
    let second = house.reads();
    assert_eq!(second.len(), 1);
    house.end(second, &event(2));
    assert_eq!(told(&late), ["2"]);
    assert!(told(&early).is_empty(), "it has had its own");
    // A stream that joined an emptied room gets no read that began for the one before it.
    let left = house.open([2]);
    let old = house.reads();
    house.leave(left);
    let new = house.open([2]);
    house.end(old, &event(3));
    assert!(told(&new).is_empty());
    house.settle(4);
    assert_eq!(told(&new), ["4"]);
}

#[test]
fn streams_have_their_snapshots_in_the_order_in_which_they_came() {
    let mut house = House::new();
    let first = house.open(0..100);
    let gone = house.open(100..200);
    let second = house.open((50..100).chain(200..250));
    house.leave(gone);
    let reads = house.reads();
    let order: Vec<_> = reads.iter().map(|read| read.read.topic.post).collect();
    let expected: Vec<_> = (0..100).chain(200..250).map(post).collect();
    assert_eq!(order, expected, "each post once, and none for the one that has gone");
    house.end(reads, &event(1));
    assert_eq!((told(&first).len(), told(&second).len()), (100, 100));
}

#[test]
fn a_post_that_changes_is_read_once_for_all_and_at_most_every_tenth_of_a_second() {
    let mut house = House::new();
    let streams: Vec<_> = (0..10).map(|_| house.open([1])).collect();
    house.follow();
    house.settle(1);
    house.later(PACE);
    for _ in 0..3 {
        house.change(1);
    }
    house.change(2);
    assert_eq!(house.settle(2), 1);
    house.change(1);
    assert_eq!(house.settle(3), 0, "it is too early");
    assert_eq!(house.scheduler.next_change(), Some(house.now + PACE));
    house.later(PACE);
    let reads = house.reads();
    // A change during the read is read after it.
    house.change(1);
    house.end(reads, &event(3));
    house.later(PACE);
    assert_eq!(house.settle(4), 1);
    streams.iter().for_each(|stream| assert_eq!(told(stream), ["4"]));
}

/// After a gap in the news, all watched posts are due.
#[test]
fn a_reconnect_makes_everything_watched_due_again_a_bounded_part_at_a_time() {
    let mut house = House::new();
    let streams: Vec<_> = (0..20).map(|n| house.open(n * 100..n * 100 + 100)).collect();
    house.follow();
    house.settle(1);
    house.later(PACE);
    house.scheduler.hear(News::Lost(Partition::all().collect(), house.now), house.now);
    house.later(500 * MS);
    assert!(house.reads().iter().all(|read| read.read.class == Class::Resync), "it is away");
    house.follow();
    house.follow();
    let reads = house.reads();
    assert!((100..256).contains(&reads.len()), "{}", reads.len());
    house.end(reads, &event(2));
    house.settle(2);
    for stream in &streams {
        assert!(told(stream).iter().filter(|text| *text == "2").count() == 100);
    }
    house.later(Duration::from_secs(10));
    assert!(!streams.iter().any(is_closed));
}

#[test]
fn streams_that_cannot_be_told_the_truth_close_one_after_the_other() {
    let mut house = House::new();
    let streams: Vec<_> = (0..200).map(|n| house.open([n % 20])).collect();
    house.follow();
    house.settle(1);
    let lost = house.now;
    house.later(500 * MS);
    house.scheduler.hear(News::Lost(Partition::all().collect(), lost), house.now);
    for n in [1, 1000, 2000, 3000] {
        // Watched or not: no partition can be followed.
        let refused = house.registry.join(Box::new([Topic { post: post(n), recent: 0 }]));
        assert_eq!(refused.expect_err("it is away"), Refused::Away);
    }
    let mut open = Vec::new();
    while house.now < lost + Duration::from_secs(6) {
        open.push((house.now - lost, streams.iter().filter(|s| !is_closed(s)).count()));
        house.later(100 * MS);
    }
    for pair in open.windows(2) {
        let [(_, before), (at, after)] = pair else { unreachable!("windows of two") };
        let may_close = (3000..=5100).contains(&at.as_millis());
        assert!(before - after <= if may_close { 25 } else { 0 }, "{before} to {after} at {at:?}");
    }
    assert_eq!(open.last().map(|(_, open)| *open), Some(0));
    // The hub follows the lost logs, watched or not, until they are back.
    streams.into_iter().for_each(|stream| house.leave(stream));
    house.later(Duration::from_secs(60));
    let followed = house.scheduler.followed.take_anew().expect("they were never told");
    let away: BTreeSet<_> = (0..20).map(|n| post(n).partition()).collect();
    assert!(followed.is_superset(&away));
    house.follow();
    house.later(Duration::ZERO);
    house.later(Duration::from_secs(5));
    assert_eq!(house.scheduler.followed.take_anew(), Some(BTreeSet::new()));
    drop(house.open([1]));
    // If a part is away, the posts of the other parts can be watched.
    let _elsewhere = house.open(4000..4100);
    let lost = post(1).partition();
    house.later(Duration::ZERO);
    house.scheduler.hear(News::Lost(vec![lost], house.now), house.now);
    let join = |n| house.registry.join(Box::new([Topic { post: post(n), recent: 0 }])).map(drop);
    assert_eq!(join(1), Err(Refused::Away));
    let other = (0..).find(|n| post(*n).partition() != lost).expect("there are others");
    assert_eq!(join(other), Ok(()));
}

#[test]
fn a_read_that_fails_is_tried_again_and_keeps_no_other_from_being_read() {
    let mut house = House::new();
    let (broken, sound) = (house.open([1]), house.open([2]));
    house.follow();
    let (mut bad, good): (Vec<_>, Vec<_>) =
        house.reads().into_iter().partition(|read| read.read.topic.post == post(1));
    house.end(good, &event(1));
    let begun = house.now;
    let mut tries = 0;
    while house.now < begun + Duration::from_secs(6) {
        tries += bad.len();
        house.end(bad, &Outcome::Damaged);
        house.later(50 * MS);
        bad = house.reads().into_iter().filter(|read| read.read.topic.post == post(1)).collect();
    }
    assert!((20..70).contains(&tries), "{tries}");
    assert!(is_closed(&broken) && !is_closed(&sound));
}

/// A node whose reads hang: its partitions do not keep their places for long.
#[test]
fn what_hangs_in_one_partition_does_not_hold_up_the_others() {
    let mut house = House::new();
    let (dead, mut hanging) = (|post: PostId| post.partition().index() < 100, Vec::new());
    let streams: Vec<_> = (0..20).map(|n| house.open(n * 100..n * 100 + 100)).collect();
    let mut alive = HashSet::new();
    for _ in 0..10 {
        loop {
            let (stuck, read): (Vec<_>, Vec<_>) =
                house.reads().into_iter().partition(|read| dead(read.read.topic.post));
            hanging.extend(stuck);
            if read.is_empty() {
                break;
            }
            alive.extend(read.iter().map(|read| read.read.topic.post));
            house.end(read, &event(1));
        }
        house.later(100 * MS);
    }
    assert_eq!(alive.len(), (0..2000).filter(|n| !dead(post(*n))).count());
    assert!(hanging.len() < 1000, "{} reads hang", hanging.len());
    // When they have failed and the node is back, everything is read.
    house.end(hanging, &Outcome::Away);
    for _ in 0..5 {
        house.later(100 * MS);
        house.settle(1);
    }
    assert!(streams.iter().all(|stream| told(stream).len() == 100));
}

/// A topic waits for room in its partition, and no stream needs it when its turn comes.
#[test]
fn what_nobody_needs_any_more_does_not_strand_what_waits_behind_it() {
    let mut house = House::new();
    let together = (0..).filter(|n| post(*n).partition() == Partition::FIRST);
    let together: Vec<_> = together.take(140).collect();
    let gone = house.open(together[..100].iter().copied());
    let stays = house.open(together[100..].iter().copied());
    let reads = house.reads();
    assert!(reads.len() < 100, "there is not room for all");
    house.leave(gone);
    house.end(reads, &Outcome::Away);
    house.settle(1);
    assert_eq!(told(&stays).len(), 40);
}

#[test]
fn streams_that_come_and_go_leave_nothing_and_others_are_told() {
    let mut house = House::new();
    let stays = house.open([0]);
    house.follow();
    house.settle(1);
    for round in 1..30 {
        house.later(PACE);
        let churn: Vec<_> = (0..50).map(|n| house.open(n * 100 + 1..n * 100 + 101)).collect();
        house.change(0);
        let reads = house.reads();
        assert!(reads.iter().any(|read| read.read.topic.post == post(0)), "round {round}");
        house.end(reads, &event(round + 1));
        churn.into_iter().for_each(|stream| house.leave(stream));
    }
    assert_eq!(told(&stays), ["30"]);
    house.leave(stays);
    house.settle(1);
    assert!(Partition::all().all(|p| house.registry.in_room(p, |room| room.all().is_empty())));
    let weak: Vec<Weak<Subscription>> =
        std::iter::from_fn(|| house.arrivals.try_recv().ok()).collect();
    assert!(weak.is_empty());
}

#[test]
fn what_no_log_tells_of_is_read_too() {
    let mut house = House::new();
    let stream = house.open([1]);
    house.follow();
    house.settle(1);
    told(&stream);
    let begun = house.now;
    while house.settle(2) == 0 {
        house.now = house.scheduler.tick(house.now).expect("a later look");
        assert!(house.now <= begun + Duration::from_secs(30), "it is not read again");
    }
    assert_eq!(told(&stream), ["2"]);
}
