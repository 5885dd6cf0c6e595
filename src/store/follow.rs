//! Following the change log: what a follower hears, and how the embedded stores tell it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use super::{LogEntry, LogPosition, StoreError};
use crate::domain::{Partition, PostId};

/// The rest between two looks at the log: news gather meanwhile, so that a follower costs the same
/// however many taps there are.
pub(super) const PACE: Duration = Duration::from_millis(25);

/// The wait before the next attempt to follow what cannot be followed.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// The most entries of a partition in one look. If there are more, they are skipped, and the
/// partition is `Following` anew: to read its watched posts is cheaper than to hear of each tap.
pub(super) const MOST_ENTRIES: usize = 100;

/// Which partitions are to be followed, as it changes.
pub type Watched = watch::Receiver<BTreeSet<Partition>>;

/// What a follower of the change log hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// From now on each post of these partitions that changes is told. What was before is to be
    /// read: at the beginning, and again whenever something may have been missed.
    Following(Vec<Partition>),
    /// These posts have changed.
    Changed(Vec<PostId>),
    /// These partitions cannot be followed now; they will be `Following` when they can.
    Lost(Vec<Partition>),
}

/// What one look at the log has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) following: Vec<Partition>,
    pub(super) changed: HashSet<PostId>,
    pub(super) lost: Vec<Partition>,
}

impl Found {
    /// Adds the entries behind `place` in a partition, and says which place is the last now; none
    /// if there were too many to go through.
    pub(super) fn add(&mut self, entries: &[LogEntry]) -> Option<LogPosition> {
        if entries.len() >= MOST_ENTRIES {
            return None;
        }
        self.changed.extend(entries.iter().map(|entry| entry.change.post));
        entries.last().map(|entry| entry.position)
    }

    /// Tells it. Fails when nobody listens any more.
    pub(super) async fn tell(self, news: &mpsc::Sender<News>) -> Result<(), Unheard> {
        let Self { following, changed, lost } = self;
        let told = [
            (!following.is_empty()).then_some(News::Following(following)),
            (!changed.is_empty()).then(|| News::Changed(changed.into_iter().collect())),
            (!lost.is_empty()).then_some(News::Lost(lost)),
        ];
        for told in told.into_iter().flatten() {
            news.send(told).await.map_err(|_| Unheard)?;
        }
        Ok(())
    }
}

/// Nobody listens any more.
#[derive(Debug)]
pub(super) struct Unheard;

/// A log in this process.
pub(super) trait EmbeddedLog {
    /// The place of a partition's last entry.
    fn end(&self, partition: Partition) -> Result<Option<LogPosition>, StoreError>;

    /// The entries behind a place.
    fn behind(
        &self,
        partition: Partition,
        place: Option<LogPosition>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StoreError>;
}

/// Follows a log whose writers say when they have written.
pub(super) async fn follow(
    log: &(impl EmbeddedLog + Sync),
    written: &Notify,
    mut watched: Watched,
    news: mpsc::Sender<News>,
) {
    let mut places = HashMap::new();
    loop {
        // Listened for before the look, so that nothing is written unheard in between.
        let mut written = pin!(written.notified());
        written.as_mut().enable();
        let wanted = watched.borrow_and_update().clone();
        let found = look(log, &wanted, &mut places);
        let failed = !found.lost.is_empty();
        if found.tell(&news).await.is_err() {
            return;
        }
        tokio::select! {
            () = written => {}
            changed = watched.changed() => if changed.is_err() { return },
            () = news.closed() => return,
            () = sleep(RETRY), if failed => {}
        }
        sleep(PACE).await;
    }
}

/// Looks once at every partition that is wanted.
fn look(
    log: &impl EmbeddedLog,
    wanted: &BTreeSet<Partition>,
    places: &mut HashMap<Partition, Option<LogPosition>>,
) -> Found {
    places.retain(|partition, _| wanted.contains(partition));
    let mut found = Found::default();
    for &partition in wanted {
        let known = places.get(&partition).copied();
        let looked = match known {
            Some(place) => log.behind(partition, place, MOST_ENTRIES).map(|entries| {
                if entries.is_empty() { Some(place) } else { found.add(&entries).map(Some) }
            }),
            None => Ok(None),
        };
        let place = match looked {
            Ok(Some(place)) => Ok(place),
            Ok(None) => log.end(partition).inspect(|_| found.following.push(partition)),
            Err(error) => Err(error),
        };
        match place {
            Ok(place) => drop(places.insert(partition, place)),
            Err(_) => {
                places.remove(&partition);
                found.lost.push(partition);
            }
        }
    }
    found
}
