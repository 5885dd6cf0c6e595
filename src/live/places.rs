//! Bounds how many reads are in flight, and says which class may begin the next one.
//!
//! This bound keeps the store's queue short. No class of reads can take all places, so streams that
//! clients open and close in a loop do not make other streams stale. Reads that hang cannot either,
//! such as those of a lost cluster node: after a moment they give up their places. Until they have
//! ended, no other read of their partition begins.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::due::Class;
use crate::domain::{PARTITIONS, Partition};

/// The reads in flight, without those that hang.
const PLACES: usize = 256;

/// The last places are for resyncs: they have the lowest priority and would starve.
const RESYNC_PLACES: usize = 8;

/// The most places of each of the other two classes: some always remain for the other.
const CLASS_PLACES: usize = 160;

/// The reads of one partition.
const PARTITION_PLACES: usize = 32;

/// A read that has not ended after this time hangs.
const HANGS: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Places {
    taken: [usize; 3],
    partitions: Box<[OfPartition]>,
    reads: HashMap<u64, OnItsWay>,
    /// The reads in the order in which they began; some have ended.
    order: VecDeque<(Instant, u64)>,
    tickets: u64,
}

#[derive(Clone, Debug, Default)]
struct OfPartition {
    reads: usize,
    hanging: usize,
    /// Whether the last read found the store away.
    failing: bool,
}

#[derive(Debug)]
struct OnItsWay {
    class: Class,
    partition: Partition,
    hangs: bool,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            taken: [0; 3],
            partitions: vec![OfPartition::default(); PARTITIONS].into(),
            reads: HashMap::new(),
            order: VecDeque::new(),
            tickets: 0,
        }
    }

    /// Whether a read of this class may begin.
    pub(super) fn have_room_for(&self, class: Class) -> bool {
        let taken: usize = self.taken.iter().sum();
        let own = self.taken[class as usize];
        match class {
            Class::Snapshot | Class::Change => own < CLASS_PLACES && taken < PLACES - RESYNC_PLACES,
            Class::Resync => own < RESYNC_PLACES && taken < PLACES,
        }
    }

    /// How many reads of a partition may begin.
    pub(super) fn left_in(&self, partition: Partition) -> usize {
        let of = &self.partitions[partition.index()];
        match of.failing {
            _ if of.hanging > 0 => 0,
            true => 1_usize.saturating_sub(of.reads),
            false => PARTITION_PLACES.saturating_sub(of.reads),
        }
    }

    /// Begins a read. Returns a ticket, to give back when the read has ended.
    pub(super) fn take(&mut self, class: Class, partition: Partition, now: Instant) -> u64 {
        self.tickets += 1;
        self.taken[class as usize] += 1;
        self.partitions[partition.index()].reads += 1;
        self.reads.insert(self.tickets, OnItsWay { class, partition, hangs: false });
        self.order.push_back((now, self.tickets));
        self.tickets
    }

    /// Ends a read. `away` says that it found the store away.
    pub(super) fn give_back(&mut self, ticket: u64, away: bool) {
        let Some(OnItsWay { class, partition, hangs }) = self.reads.remove(&ticket) else { return };
        let of = &mut self.partitions[partition.index()];
        of.reads -= 1;
        of.failing = away;
        if hangs {
            of.hanging -= 1;
        } else {
            self.taken[class as usize] -= 1;
        }
    }

    /// Frees the places of the reads that hang. Returns when to check again.
    pub(super) fn look(&mut self, now: Instant) -> Option<Instant> {
        while let Some((begun, ticket)) = self.order.front() {
            if let Some(read) = self.reads.get_mut(ticket) {
                if *begun + HANGS > now {
                    return Some(*begun + HANGS);
                }
                read.hangs = true;
                self.taken[read.class as usize] -= 1;
                self.partitions[read.partition.index()].hanging += 1;
            }
            self.order.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(places: &mut Places, class: Class, now: Instant) -> Vec<u64> {
        let mut tickets = Vec::new();
        while places.have_room_for(class) {
            let partition = Partition::turn(tickets.len() as u64);
            tickets.push(places.take(class, partition, now));
        }
        tickets
    }

    #[test]
    fn no_class_takes_the_places_of_another() {
        let now = Instant::now();
        for (first, second) in [(Class::Snapshot, Class::Change), (Class::Change, Class::Snapshot)]
        {
            let mut places = Places::new();
            assert_eq!(fill(&mut places, first, now).len(), CLASS_PLACES);
            let second = fill(&mut places, second, now).len();
            assert_eq!(second, PLACES - RESYNC_PLACES - CLASS_PLACES);
            assert_eq!(fill(&mut places, Class::Resync, now).len(), RESYNC_PLACES);
        }
    }

    #[test]
    fn reads_that_hang_keep_their_partition_and_no_places() {
        let (begun, mut places) = (Instant::now(), Places::new());
        let taken = |places: &mut Places| places.take(Class::Change, Partition::FIRST, begun);
        let tickets: Vec<_> = (0..PARTITION_PLACES).map(|_| taken(&mut places)).collect();
        assert_eq!(places.left_in(Partition::FIRST), 0);
        assert_eq!(places.left_in(Partition::turn(1)), PARTITION_PLACES);
        assert_eq!(places.look(begun), Some(begun + HANGS));
        places.give_back(tickets[0], false);
        assert_eq!(places.look(begun + HANGS), None);
        assert_eq!(places.taken, [0; 3]);
        for ticket in &tickets[1..] {
            assert_eq!(places.left_in(Partition::FIRST), 0, "one hangs still");
            places.give_back(*ticket, true);
        }
        // One at a time, until one shows that the store is back.
        assert_eq!(places.left_in(Partition::FIRST), 1);
        let ticket = taken(&mut places);
        assert_eq!(places.left_in(Partition::FIRST), 0);
        places.give_back(ticket, false);
        assert_eq!(places.left_in(Partition::FIRST), PARTITION_PLACES);
        assert_eq!(places.taken, [0; 3]);
        assert!(places.reads.is_empty() && places.look(begun + 2 * HANGS).is_none());
    }
}
