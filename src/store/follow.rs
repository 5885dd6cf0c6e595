//! Following the change log: the news that a follower receives, and how the embedded stores make
//! it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use super::{LogEntry, LogPosition, StoreError};
use crate::domain::{PARTITIONS, Partition, PostId};
use crate::sync::Versions;

/// The pause between two reads of the log. News gathers meanwhile, so the cost of a follower does
/// not grow with the rate of taps.
pub(super) const PACE: Duration = Duration::from_millis(25);

/// The wait before the next attempt when a partition cannot be followed.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// The most entries of a partition in one read. If there are more, the follower skips them and
/// sends `Following` again: reading the watched posts then costs less than news of each tap.
pub(super) const MOST_ENTRIES: usize = 100;

/// The partitions to follow; the set changes over time.
pub type WatchedPartitions = watch::Receiver<BTreeSet<Partition>>;

/// What a follower of the change log receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// From now on, news of every change in these partitions follows. The receiver must read their
    /// posts now: earlier changes may have been missed. This comes first, and again after a gap.
    Following(Vec<Partition>),
    /// These posts have changed.
    Changed(Vec<PostId>),
    /// These partitions cannot be followed now; `Following` comes when they can be again. Changes
    /// since the given time may have been missed.
    Lost(Vec<Partition>, Instant),
}

/// What one read of the log has found.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) following: Vec<Partition>,
    pub(super) changed: HashSet<PostId>,
    pub(super) lost: Vec<Partition>,
    /// When the lost partitions were last known to be followed, if before now.
    pub(super) heard: Option<Instant>,
}

impl Heard {
    /// Adds the entries of a partition. Returns the position of the last one; None if there are too
    /// many entries to go through.
    pub(super) fn add(&mut self, entries: &[LogEntry]) -> Option<LogPosition> {
        if entries.len() >= MOST_ENTRIES {
            return None;
        }
        self.changed.extend(entries.iter().map(|entry| entry.change.post));
        entries.last().map(|entry| entry.position)
    }

    /// Sends the news. Fails when the receiver is closed.
    pub(super) async fn tell(self, news: &mpsc::Sender<News>) -> Result<(), Unheard> {
        let Self { following, changed, lost, heard } = self;
        let since = heard.unwrap_or_else(Instant::now);
        let told = [
            (!following.is_empty()).then_some(News::Following(following)),
            (!changed.is_empty()).then(|| News::Changed(changed.into_iter().collect())),
            (!lost.is_empty()).then_some(News::Lost(lost, since)),
        ];
        for told in told.into_iter().flatten() {
            news.send(told).await.map_err(|_| Unheard)?;
        }
        Ok(())
    }
}

/// The receiver is closed.
#[derive(Debug)]
pub(super) struct Unheard;

/// A change log in this process.
pub(super) trait EmbeddedLog {
    /// The position of a partition's last entry.
    fn end(&self, partition: Partition) -> Result<Option<LogPosition>, StoreError>;

    /// The entries after a position.
    fn behind(
        &self,
        partition: Partition,
        place: Option<LogPosition>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StoreError>;
}

/// Which logs were written to, so that a follower reads only those.
#[derive(Debug)]
pub(super) struct Written {
    versions: Versions,
    told: Notify,
}

impl Default for Written {
    fn default() -> Self {
        Self { versions: Versions::new(PARTITIONS), told: Notify::new() }
    }
}

impl Written {
    /// Reports a write to a partition's log. A reader must be able to see the write already.
    pub(super) fn tell(&self, partition: Partition) {
        self.versions.raise(partition.index());
        self.told.notify_waiters();
    }

    /// Reports that any log may have changed, or may have become unreadable.
    pub(super) fn tell_all(&self) {
        self.versions.raise_all();
        self.told.notify_waiters();
    }
}

/// Follows a log whose writers report the partitions that they write.
pub(super) async fn follow(
    log: &(impl EmbeddedLog + Sync),
    written: &Written,
    mut watched: WatchedPartitions,
    news: mpsc::Sender<News>,
) {
    let mut follower = Follower::default();
    loop {
        // Registered before the read, so that no write in between is missed.
        let mut told = pin!(written.told.notified());
        told.as_mut().enable();
        let wanted = watched.borrow_and_update().clone();
        let found = follower.look(log, &written.versions, &wanted);
        let failed = !found.lost.is_empty();
        if found.tell(&news).await.is_err() {
            return;
        }
        tokio::select! {
            () = told => {}
            changed = watched.changed() => if changed.is_err() { return },
            () = news.closed() => return,
            () = sleep(RETRY), if failed => {}
        }
        sleep(PACE).await;
    }
}

/// The state of a follower: the last position read in each log, and the log's version then.
#[derive(Debug)]
struct Follower {
    places: HashMap<Partition, Option<LogPosition>>,
    seen: Box<[u64]>,
}

impl Default for Follower {
    fn default() -> Self {
        Self { places: HashMap::new(), seen: vec![0; PARTITIONS].into() }
    }
}

impl Follower {
    /// Reads every wanted partition that was written to. Reads those without a position too: they
    /// are newly wanted, or the last read failed.
    fn look(
        &mut self,
        log: &impl EmbeddedLog,
        versions: &Versions,
        wanted: &BTreeSet<Partition>,
    ) -> Heard {
        let written = versions.changed(&mut self.seen);
        self.places.retain(|partition, _| wanted.contains(partition));
        let mut found = Heard::default();
        for &partition in wanted {
            let known = self.places.get(&partition).copied();
            if known.is_some() && written.binary_search(&partition.index()).is_err() {
                continue;
            }
            match look_at(log, partition, known, &mut found) {
                Ok(place) => drop(self.places.insert(partition, place)),
                Err(_) => {
                    self.places.remove(&partition);
                    found.lost.push(partition);
                }
            }
        }
        found
    }
}

/// Reads one partition after `known`. Returns the last position read now.
fn look_at(
    log: &impl EmbeddedLog,
    partition: Partition,
    known: Option<Option<LogPosition>>,
    found: &mut Heard,
) -> Result<Option<LogPosition>, StoreError> {
    let place = match known {
        Some(place) => behind(log, partition, place)?.and_then(|entries| match entries {
            entries if entries.is_empty() => Some(place),
            entries => found.add(&entries).map(Some),
        }),
        None => None,
    };
    match place {
        Some(place) => Ok(place),
        None => log.end(partition).inspect(|_| found.following.push(partition)),
    }
}

/// The entries after a position; None if the entry at that position is gone. Then entries that were
/// not read yet may be gone too, as when the clock jumps.
fn behind(
    log: &impl EmbeddedLog,
    partition: Partition,
    place: Option<LogPosition>,
) -> Result<Option<Vec<LogEntry>>, StoreError> {
    let Some(place) = place else { return log.behind(partition, None, MOST_ENTRIES).map(Some) };
    let before = match place.sequence.checked_sub(1) {
        Some(sequence) => LogPosition { sequence, ..place },
        None => LogPosition { millis: place.millis.saturating_sub(1), sequence: u64::MAX },
    };
    let mut entries = log.behind(partition, Some(before), MOST_ENTRIES + 1)?.into_iter();
    let is_kept = entries.next().is_some_and(|first| first.position == place);
    Ok(is_kept.then(|| entries.collect()))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::domain::{Cause, Change, Micros, Revision, What};

    /// A log of one partition.
    struct Entries(Vec<LogEntry>);

    impl Entries {
        fn append(&mut self, millis: u64, sequence: u64) {
            let change = Change {
                post: "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id"),
                what: What::Reaction {
                    user: 7.try_into().expect("a user id"),
                    reaction: "like".parse().expect("a reaction"),
                    active: true,
                    cause: Cause::Tap,
                },
                revision: Revision(millis * 1000),
                occurred_at: Micros(millis * 1000),
                actor: None,
            };
            self.0.push(LogEntry { position: LogPosition { millis, sequence }, change });
        }
    }

    impl EmbeddedLog for Entries {
        fn end(&self, _: Partition) -> Result<Option<LogPosition>, StoreError> {
            Ok(self.0.last().map(|entry| entry.position))
        }

        fn behind(
            &self,
            _: Partition,
            place: Option<LogPosition>,
            limit: usize,
        ) -> Result<Vec<LogEntry>, StoreError> {
            let behind = self.0.iter().filter(|entry| Some(entry.position) > place);
            Ok(behind.take(limit).cloned().collect())
        }
    }

    #[test]
    fn who_may_have_missed_what_was_trimmed_is_told_to_read() {
        let mut log = Entries(Vec::new());
        let (wanted, mut follower) = (BTreeSet::from([Partition::FIRST]), Follower::default());
        let versions = Versions::new(PARTITIONS);
        let mut told = |log: &Entries| {
            versions.raise(Partition::FIRST.index());
            let Heard { following, changed, lost, .. } = follower.look(log, &versions, &wanted);
            (following.len(), changed.len(), lost.len())
        };
        assert_eq!(told(&log), (1, 0, 0));
        log.append(5, 0);
        assert_eq!(told(&log), (0, 1, 0), "from the first entry of an empty log on");
        assert_eq!(told(&log), (0, 0, 0));
        for (millis, sequence) in [(5, 1), (7, 0)] {
            log.append(millis, sequence);
            assert_eq!(told(&log), (0, 1, 0));
        }
        log.0.drain(..2);
        assert_eq!(told(&log), (0, 0, 0), "what was trimmed had been heard of");
        log.append(7, 1);
        log.append(7, 2);
        log.0.drain(..2);
        assert_eq!(told(&log), (1, 0, 0), "7-1 was not heard of, and is gone");
        log.0.clear();
        assert_eq!(told(&log), (1, 0, 0));
        assert_eq!(told(&log), (0, 0, 0));
        // The most entries that the follower goes through, and one more.
        for (sequence, expected) in [(MOST_ENTRIES - 1, (0, 1, 0)), (MOST_ENTRIES, (1, 0, 0))] {
            let millis = 10 + log.0.len() as u64;
            (0..sequence as u64).for_each(|sequence| log.append(millis, sequence));
            assert_eq!(told(&log), expected);
        }
    }
    /// Counts the reads of each partition; one partition can be broken.
    #[derive(Default)]
    struct Looks {
        at: RefCell<Vec<usize>>,
        broken: Cell<Option<Partition>>,
    }

    impl EmbeddedLog for Looks {
        fn end(&self, partition: Partition) -> Result<Option<LogPosition>, StoreError> {
            self.behind(partition, None, 1).map(|_| None)
        }

        fn behind(
            &self,
            partition: Partition,
            _: Option<LogPosition>,
            _: usize,
        ) -> Result<Vec<LogEntry>, StoreError> {
            self.at.borrow_mut().push(partition.index());
            match self.broken.get() == Some(partition) {
                true => Err(StoreError::Unavailable("the log is broken".into())),
                false => Ok(Vec::new()),
            }
        }
    }

    #[test]
    fn a_look_costs_what_was_written_and_not_what_is_watched() {
        let (log, versions) = (Looks::default(), Versions::new(PARTITIONS));
        let (wanted, mut follower) = (Partition::all().collect(), Follower::default());
        let mut look = |wanted: &BTreeSet<Partition>| {
            let found = follower.look(&log, &versions, wanted);
            (log.at.take(), found.following.len(), found.lost)
        };
        assert_eq!(look(&wanted).1, PARTITIONS, "each once, to begin with");
        assert_eq!(look(&wanted).0, Vec::<usize>::new());
        versions.raise(5);
        versions.raise(200);
        assert_eq!(look(&wanted), (vec![5, 200], 0, vec![]));
        // The follower tries a broken partition again until it can read it.
        log.broken.set(Some(Partition::FIRST));
        versions.raise(0);
        for _ in 0..3 {
            assert_eq!(look(&wanted), (vec![0], 0, vec![Partition::FIRST]));
        }
        log.broken.set(None);
        assert_eq!(look(&wanted), (vec![0], 1, vec![]));
        // The follower announces as `Following` what was written while nobody watched.
        assert_eq!(look(&BTreeSet::new()).0, Vec::<usize>::new());
        versions.raise(9);
        look(&BTreeSet::new());
        assert_eq!(look(&BTreeSet::from([Partition::turn(9)])), (vec![9], 1, vec![]));
    }
}
