//! What imports, exports and jobs need of Redis.
//!
//! Amendments, documents and what users gave have lanes of their own, so that neither a tap nor a
//! read of a post waits behind them.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::RedisStore;
use super::lane::{LaneContext, Lanes};
use super::ops::{
    Amend, Audit, GivenLook, Item, Operation, Pending, PostAudit, ReadDocument, ReadGiven,
    WriteDocument,
};
use super::stopped;
use super::walk;
use crate::domain::{Amended, Amendment, Micros, Partition, PostId, Reaction, UserId};
use crate::store::maintenance::check_edits;
use crate::store::{
    Audited, Deadline, Document, DocumentWrite, Drift, Given, GivenPage, Maintenance, StoreError,
    WalkCursor, WalkPage, WalkedPost,
};

/// How many lanes carry amendments, so that Redis works on one batch while another travels.
const LANES: usize = 2;

/// How many partitions are asked at a time for what a user gave.
const PARTITIONS_AT_ONCE: usize = 64;

/// The lanes of jobs. They open with their first call.
#[derive(Debug)]
pub(super) struct JobLanes {
    lanes: OnceLock<[Lanes; LANES]>,
    /// A place for each call on the lanes: more wait here.
    places: Semaphore,
}

impl JobLanes {
    pub(super) fn new(context: &LaneContext) -> Self {
        // Half of a lane's bound is its channel, and a call of another caller must find room, too.
        Self { lanes: OnceLock::new(), places: Semaphore::new((context.queue_bound / 4).max(1)) }
    }
}

impl RedisStore {
    /// The lane of jobs for a post: always the same, so that steps on one post keep their order.
    fn job_lane(&self, partition: Partition) -> &Lanes {
        let open = || std::array::from_fn(|_| Lanes::open(&self.shared.lanes));
        let lanes = self.jobs.lanes.get_or_init(open);
        &lanes[partition.index() % LANES]
    }

    /// Puts an operation of a job on its lane, and waits for the answer.
    async fn work<O: Operation>(
        &self,
        deadline: Deadline,
        operation: O,
    ) -> Result<O::Answer, StoreError>
    where
        Item: From<Pending<O>>,
    {
        let lanes = self.job_lane(operation.partition());
        lanes.ready(deadline).await?;
        let place = timeout_at(Instant::from_std(deadline.0), self.jobs.places.acquire()).await;
        // The semaphore is never closed.
        let _place = place.map_err(|_| StoreError::too_late())?;
        let writes = operation.script().writes();
        let answer = Self::ask(lanes, deadline, operation).await;
        // Without an answer, the runtime dropped the batch, which may have been sent.
        answer.unwrap_or_else(|_| Err(if writes { StoreError::OutcomeUnknown } else { stopped() }))
    }

    /// What a user gave in a partition: the newest up to a time.
    async fn given_in(
        &self,
        partition: Partition,
        user: UserId,
        newest: Micros,
        take: usize,
        deadline: Deadline,
    ) -> Result<Vec<Given>, StoreError> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let read = ReadGiven { partition, user, from, newest, take };
            let GivenLook { found, next } = self.work(deadline, read).await?;
            all.extend(found);
            from = next;
            if from.is_none() {
                return Ok(all);
            }
        }
    }
}

impl Maintenance for RedisStore {
    async fn amend(
        &self,
        amendments: Vec<Amendment>,
        deadline: Deadline,
    ) -> Vec<Result<Amended, StoreError>> {
        // Steps of one post keep their order: all calls begin in order, and a lane keeps it.
        let steps = amendments.into_iter().map(|amendment| async move {
            check_edits(&amendment)?;
            self.work(deadline, Amend(Box::new(amendment))).await
        });
        join_all(steps).await
    }

    async fn walk(
        &self,
        after: Option<WalkCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<WalkPage, StoreError> {
        let page = walk::page(&self.shared, after, limit);
        let late = |_| StoreError::Unavailable("no reply in time".into());
        timeout_at(Instant::from_std(deadline.0), page).await.map_err(late)?
    }

    /// Looks at all hints of the user for each page, since they have no order. Redis does at most
    /// 500 of them at a time. The calls go by the lanes of jobs, so that no read of a post waits
    /// behind them.
    async fn given(
        &self,
        user: UserId,
        after: Option<Given>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<GivenPage, StoreError> {
        let newest = after.as_ref().map_or(Micros(1 << 53), |after| after.reacted_at);
        // One more to know whether another page follows.
        let take = limit.saturating_add(1);
        let asked = Partition::all()
            .map(|partition| self.given_in(partition, user, newest, take, deadline));
        let found = stream::iter(asked).buffer_unordered(PARTITIONS_AT_ONCE);
        let newest = found.try_fold(BTreeSet::new(), |mut newest, found| {
            newest.extend(found.into_iter().filter(|it| after.as_ref().is_none_or(|at| it < at)));
            while newest.len() > take {
                newest.pop_first();
            }
            async { Ok(newest) }
        });
        Ok(GivenPage::cut(newest.await?.into_iter().rev().collect(), limit))
    }

    async fn audit(
        &self,
        post: WalkedPost,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        self.work(deadline, Audit(Box::new(PostAudit { post, indexed, repair }))).await
    }

    /// Redis knows the number of members without counting them, so this compares all.
    async fn audit_index(
        &self,
        post: PostId,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        let walked = WalkedPost { post, own: false, seen: Vec::new() };
        let mut audited = self.audit(walked, indexed, repair, deadline).await?;
        audited.drift.retain(|drift| matches!(drift, Drift::NotIndexed(_)));
        Ok(audited)
    }

    async fn document(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<Option<Document>, StoreError> {
        self.work(deadline, ReadDocument(name.into())).await
    }

    async fn write_document(
        &self,
        write: DocumentWrite,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        write.check()?;
        self.work(deadline, WriteDocument(Box::new(write))).await
    }
}
