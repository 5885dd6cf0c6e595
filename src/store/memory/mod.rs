//! The store in the memory of this process: the domain's state machine behind one lock per
//! partition.
//!
//! A restart loses everything. There is no IO and no waiting, so every answer is immediate. Above a
//! bound on its size, the store takes only removals.

mod amending;
mod documents;
mod entry;
mod given;
mod kept;
mod maintenance;
mod partition;

use std::sync::Arc;

use documents::Documents;
use parking_lot::Mutex;
use partition::{PartitionState, Room};
use tokio::sync::mpsc;

use super::change_log::read_with;
use super::follow::{self, EmbeddedLog, Written};
use super::record_budget::RecordBudget;
use super::{
    ChangeLog, Counter, Deadline, Given, LogCursor, LogEntry, LogPage, LogPosition, News,
    ReactorsQuery, Retention, Store, StoreError, SummaryQuery, WatchedPartitions, WriteGate, now,
};
use crate::domain::machine::Gone;
use crate::domain::{
    Forget, Forgotten, Outcome, PARTITIONS, Partition, PostId, ReactorsPage, Ruled, RulesEdit,
    Summary, Tap,
};
use crate::sync::Sharded;

/// One part in `RESERVE` of the bound is kept for the records of removals.
const RESERVE: u64 = 50;

/// After a post was forgotten, this many of its members leave the index at a time.
const CLEARED_AT_ONCE: usize = 200;

/// Reactions in memory. Clones share the state.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    partitions: Arc<Sharded<PartitionState>>,
    documents: Arc<Mutex<Documents>>,
    /// About how many bytes the store takes, and the most that it may take.
    used: Arc<Counter>,
    most_bytes: u64,
    /// The partition to sweep next while memory is full.
    sweep: Arc<Counter>,
    records: Arc<RecordBudget>,
    written: Arc<Written>,
    gate: Arc<WriteGate>,
}

impl MemoryStore {
    /// An empty store without a bound on its size.
    pub fn new(retention: Retention) -> Self {
        Self::bounded(retention, u64::MAX)
    }

    /// An empty store that takes about `most_bytes` at most.
    pub fn bounded(retention: Retention, most_bytes: u64) -> Self {
        let partition = |_| PartitionState::new(retention);
        let partitions = Arc::new(Sharded::new(PARTITIONS, partition));
        let records = Arc::new(RecordBudget::new(&retention));
        let documents = Arc::new(Mutex::new(Documents::new()));
        let (used, sweep, written) = (Arc::default(), Arc::default(), Arc::default());
        // A look at the memory keeps nobody waiting.
        let gate = Arc::new(WriteGate::of_one_process(usize::MAX));
        Self { partitions, documents, used, most_bytes, sweep, records, written, gate }
    }

    pub(in crate::store) fn gate(&self) -> &Arc<WriteGate> {
        &self.gate
    }

    fn room(&self) -> Room {
        match self.used.get() {
            used if used < self.most_bytes - self.most_bytes / RESERVE => Room::Free,
            used if used < self.most_bytes => Room::Reserve,
            _ => Room::None,
        }
    }

    /// Runs a step on the partition of a post.
    fn step<R>(
        &self,
        post: PostId,
        deadline: Deadline,
        step: impl FnOnce(&mut PartitionState, Room) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let room = self.room();
        if room < Room::Free {
            // A tap trims old entries in its own partition only, and a quiet partition gets no tap.
            self.sweep.add(1);
            self.measured(Partition::turn(self.sweep.get()), |partition| partition.sweep(now()));
        }
        self.measured(post.partition(), |partition| {
            if deadline.has_passed() {
                return Err(StoreError::too_late());
            }
            step(partition, room)
        })
    }

    fn measured<R>(&self, partition: Partition, step: impl FnOnce(&mut PartitionState) -> R) -> R {
        self.on(partition, |partition| {
            let before = partition.bytes();
            let result = step(partition);
            self.account(before, partition.bytes());
            result
        })
    }

    /// Counts bytes that became more or less.
    fn account(&self, before: u64, after: u64) {
        self.used.add(after.saturating_sub(before));
        self.used.sub(before.saturating_sub(after));
    }

    /// Drops members that are forgotten, and then what the index of their users says of the post.
    fn clear(&self, post: PostId, gone: &Gone) {
        let mut users = gone.users().peekable();
        while users.peek().is_some() {
            self.measured(post.partition(), |partition| {
                users.by_ref().take(CLEARED_AT_ONCE).for_each(|user| {
                    partition.hint(post, user, false);
                });
            });
        }
    }

    fn on<R>(&self, partition: Partition, step: impl FnOnce(&mut PartitionState) -> R) -> R {
        self.partitions.with(partition.index(), step)
    }
}

impl Store for MemoryStore {
    async fn tap(&self, tap: Tap, deadline: Deadline) -> Result<Outcome, StoreError> {
        let step = async {
            self.step(tap.post, deadline, |partition, room| partition.tap(&tap, now(), room))
        };
        let outcome = self.records.around(tap.record_charge(), step).await?;
        if outcome.changed {
            self.written.tell(tap.post.partition());
        }
        Ok(outcome)
    }

    async fn rule(&self, edit: RulesEdit, deadline: Deadline) -> Result<Ruled, StoreError> {
        let step = |partition: &mut PartitionState, room| partition.rule(&edit, now(), room);
        let ruled = self.step(edit.post, deadline, step)?;
        if ruled.changed {
            self.written.tell(edit.post.partition());
        }
        Ok(ruled)
    }

    async fn forget(&self, forget: Forget, deadline: Deadline) -> Result<Forgotten, StoreError> {
        let step =
            |partition: &mut PartitionState, room| Ok(partition.forget(&forget, now(), room));
        let (forgotten, gone) = self.step(forget.post, deadline, step)?;
        if forgotten.removed > 0 {
            self.written.tell(forget.post.partition());
            // A million members take a while to free. No tap waits for that.
            let store = self.clone();
            drop(tokio::task::spawn_blocking(move || store.clear(forget.post, &gone)));
        }
        Ok(forgotten)
    }

    async fn summaries(
        &self,
        query: SummaryQuery,
        _deadline: Deadline,
    ) -> Result<Vec<Summary>, StoreError> {
        let SummaryQuery { posts, viewer, recent } = query;
        let summary = |post| self.on(PostId::partition(&post), |p| p.summary(post, viewer, recent));
        let mut summaries = Vec::with_capacity(posts.len());
        for post in posts {
            if !summaries.is_empty() {
                // Yields, so that no tap waits for a page of large posts.
                tokio::task::yield_now().await;
            }
            summaries.push(summary(post));
        }
        Ok(summaries)
    }

    async fn reactors(
        &self,
        query: ReactorsQuery,
        _deadline: Deadline,
    ) -> Result<ReactorsPage, StoreError> {
        let ReactorsQuery { post, reaction, after, limit } = query;
        let found = self.on(post.partition(), |partition| {
            partition.reactors(post, reaction.as_ref(), after.as_ref(), limit + 1)
        });
        Ok(ReactorsPage::cut(found, limit))
    }

    async fn follow(&self, watched: WatchedPartitions, news: mpsc::Sender<News>) {
        follow::follow(self, &self.written, watched, news).await;
    }

    async fn probe(&self, _deadline: Deadline) -> Result<(), StoreError> {
        // Nothing can fail here. The probe shows that no thread died while it held a lock.
        Partition::all().for_each(|partition| self.on(partition, |_| ()));
        Ok(())
    }
}

impl ChangeLog for MemoryStore {
    async fn read(
        &self,
        partition: Partition,
        after: Option<LogCursor>,
        limit: usize,
        _deadline: Deadline,
    ) -> Result<LogPage, StoreError> {
        self.on(partition, |partition| {
            read_with(after, limit, |from, most| Ok(partition.log_from(from, most)))
        })
    }

    async fn newest(
        &self,
        partition: Partition,
        _deadline: Deadline,
    ) -> Result<LogCursor, StoreError> {
        Ok(self.on(partition, |partition| partition.newest()))
    }
}

impl EmbeddedLog for MemoryStore {
    fn end(&self, partition: Partition) -> Result<Option<LogPosition>, StoreError> {
        Ok(self.on(partition, |partition| partition.log_end()))
    }

    fn behind(
        &self,
        partition: Partition,
        place: Option<LogPosition>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        Ok(self.on(partition, |partition| partition.changes(place, limit)))
    }
}
