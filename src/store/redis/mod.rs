//! The store over Redis. Nothing outside this module names redis, a key or Lua.
//!
//! Taps and reads travel on [`lane`]s: a few shared, pipelined connections, one per runtime that
//! asks for one. The pool's connections are for exclusive use, where a command is not a script.

mod address;
mod batch;
mod call;
mod clock;
mod connect;
mod connection;
mod credentials;
mod dial;
mod exclusive;
mod follow;
mod inspect;
mod keys;
mod lane;
mod primary;
mod refusal;
mod reply;
mod role;
mod routes;
mod script;
mod sentinel;
mod slots;
mod standing;
mod startup;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::address::{Address, Form, InvalidAddress, Node, Secret};
use self::call::{Call, Item, ReactorsItem, SummaryItem};
use self::connect::Connector;
pub use self::credentials::{CredentialFiles, password_in};
pub use self::dial::ConnectError;
use self::exclusive::Exclusive;
use self::keys::Keys;
use self::routes::WayIn;
use super::record_budget::RecordBudget;
use super::{
    Deadline, LaneStats, LogEntry, LogPosition, News, ReactorsQuery, Retention, Store, StoreError,
    SummaryQuery, ThrottledWarnings, Watched,
};
use crate::domain::{Outcome, Partition, ReactorsPage, Summary, Tap};

/// How to use a Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where it is, and as whom to go there.
    pub address: Address,
    /// With TLS: who has to have signed the server's certificate, in PEM; otherwise whoever this
    /// system trusts.
    pub ca: Option<Vec<u8>>,
    /// Where the password and `ca` came from, if from files: read again for each connection.
    pub files: CredentialFiles,
    /// Refuse a Redis that otherwise would be warned about.
    pub strict: bool,
    /// What every key begins with.
    pub key_prefix: String,
    /// The most time to open a connection and to check what is there.
    pub connect_timeout: Duration,
    /// The most calls that wait on one lane; more are refused as overload.
    pub queue_bound: usize,
    /// For how long the change log and the records are kept.
    pub retention: Retention,
}

/// A Redis that reactions are kept in. [`RedisSource::attach`] opens a lane to it.
#[derive(Clone, Debug)]
pub struct RedisSource(Arc<Shared>);

/// What all lanes to one Redis share.
#[derive(Debug)]
struct Shared {
    connector: Arc<Connector>,
    exclusive: Exclusive,
    keys: Keys,
    queue_bound: usize,
    change_log_retention_millis: u64,
    change_log_entries: u32,
    records: RecordBudget,
    record_retention_millis: u64,
    stats: Arc<LaneStats>,
    /// About connections.
    warnings: ThrottledWarnings,
    /// About calls: that a connection is there again says nothing of them.
    call_warnings: ThrottledWarnings,
    /// About single answers: that other posts are well says nothing of a damaged one.
    answer_warnings: ThrottledWarnings,
    /// Tells that a lane has just got a connection, or that the primary is said to be another one:
    /// nobody need wait out a pause.
    reachable: watch::Sender<()>,
}

impl Shared {
    /// Sees to it that lanes leave a primary that has been replaced, also one that goes on
    /// answering. Returns at once, if there is nobody who would say so.
    async fn look_out(&self) {
        self.connector.look_out(|| self.reachable.send_replace(())).await;
    }
}

/// Certificates that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCa(String);

impl RedisSource {
    /// Reads the options; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// If there is no certificate in [`RedisOptions::ca`].
    pub fn new(options: &RedisOptions) -> Result<Self, InvalidCa> {
        let keys = Keys::new(&options.key_prefix);
        let connector = Arc::new(Connector::new(options, &keys).map_err(InvalidCa)?);
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Ok(Self(Arc::new(Shared {
            exclusive: Exclusive::new(Arc::clone(&connector)),
            connector,
            keys,
            queue_bound: options.queue_bound,
            change_log_retention_millis: millis(options.retention.change_log),
            change_log_entries: options.retention.change_log_entries,
            records: RecordBudget::new(&options.retention),
            record_retention_millis: millis(options.retention.records),
            stats: Arc::default(),
            warnings: ThrottledWarnings::default(),
            call_warnings: ThrottledWarnings::default(),
            answer_warnings: ThrottledWarnings::default(),
            reachable: watch::Sender::default(),
        })))
    }

    /// Connects once, to see what is there.
    ///
    /// # Errors
    ///
    /// If nobody answers, or if what is there is not for this release.
    pub async fn check(&self) -> Result<(), ConnectError> {
        self.0.connector.check_all().await
    }

    /// Host, port and database, for people.
    pub fn place(&self) -> &str {
        &self.0.connector.place
    }

    /// A store with lanes of its own, whose work runs on the current runtime.
    pub fn attach(&self) -> RedisStore {
        let (taps, reads) = (WayIn::open(&self.0), WayIn::open(&self.0));
        RedisStore { shared: Arc::clone(&self.0), taps, reads }
    }

    /// What all lanes have done so far.
    pub fn lane_stats(&self) -> Arc<LaneStats> {
        Arc::clone(&self.0.stats)
    }
}

/// Reactions in Redis, reached through a lane for taps and one for reads, or in a cluster through
/// these to each node. Clones share them.
#[derive(Clone, Debug)]
pub struct RedisStore {
    shared: Arc<Shared>,
    taps: WayIn,
    /// Reads have connections and queues of their own: whoever reads much waits for himself alone.
    reads: WayIn,
}

type Answer<T> = oneshot::Receiver<Result<T, StoreError>>;

impl RedisStore {
    /// Puts an item on its lane.
    fn ask<T>(
        lanes: &WayIn,
        deadline: Deadline,
        item: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Item,
    ) -> Answer<T> {
        let (sender, answer) = oneshot::channel();
        lanes.send(Call::new(deadline, item(sender)));
        answer
    }

    async fn probe_one(&self, partition: Partition, deadline: Deadline) -> Result<(), StoreError> {
        let answer = Self::ask(&self.taps, deadline, |waiting| Item::Probe(partition, waiting));
        match answer.await.unwrap_or_else(|_| Err(stopped())) {
            Ok(_) => Ok(()),
            // What became of the probe itself is of no interest.
            Err(StoreError::OutcomeUnknown) => {
                Err(StoreError::Unavailable("the write path does not answer".into()))
            }
            Err(error) => Err(error),
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the service is stopping".into())
}

impl Store for RedisStore {
    async fn tap(&self, tap: Tap, deadline: Deadline) -> Result<Outcome, StoreError> {
        self.taps.ready(deadline).await?;
        let keyed = tap.record_partition();
        let step = async {
            let answer = Self::ask(&self.taps, deadline, |waiting| Item::Tap(tap, waiting));
            // A batch dropped with its runtime may have been sent.
            answer.await.unwrap_or(Err(StoreError::OutcomeUnknown))
        };
        self.shared.records.around(keyed, step).await
    }

    async fn summaries(
        &self,
        query: SummaryQuery,
        deadline: Deadline,
    ) -> Result<Vec<Summary>, StoreError> {
        let SummaryQuery { posts, viewer, recent } = query;
        self.reads.ready(deadline).await?;
        // All are asked before the first answer is waited for.
        let asked = posts.into_iter().map(|post| {
            let item = SummaryItem { post, viewer, recent };
            Self::ask(&self.reads, deadline, |waiting| Item::Summary(item, waiting))
        });
        let answers: Vec<Answer<Summary>> = asked.collect();
        let mut summaries = Vec::with_capacity(answers.len());
        for answer in answers {
            summaries.push(answer.await.unwrap_or_else(|_| Err(stopped()))?);
        }
        Ok(summaries)
    }

    async fn reactors(
        &self,
        query: ReactorsQuery,
        deadline: Deadline,
    ) -> Result<ReactorsPage, StoreError> {
        let ReactorsQuery { post, reaction, after, limit } = query;
        // One more to know whether there are more, and one for the place itself.
        let item = ReactorsItem { post, reaction, after: after.clone(), take: limit + 2 };
        self.reads.ready(deadline).await?;
        let answer = Self::ask(&self.reads, deadline, |waiting| Item::Reactors(item, waiting));
        let mut found = answer.await.unwrap_or_else(|_| Err(stopped()))?;
        found.retain(|reactor| after.as_ref().is_none_or(|after| reactor < after));
        found.sort_by(|a, b| b.cmp(a));
        Ok(ReactorsPage::cut(found, limit))
    }

    async fn changes(
        &self,
        partition: Partition,
        after: Option<LogPosition>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let read = async {
            let after = after.map(|at| format!("{}-{}", at.millis, at.sequence));
            let key = self.shared.keys.log(partition);
            self.shared.exclusive.read_stream(partition, &key, after, limit).await
        };
        let values = tokio::time::timeout_at(tokio::time::Instant::from_std(deadline.0), read)
            .await
            .map_err(|_| StoreError::Unavailable("no reply in time".into()))??;
        let entries: Option<Vec<_>> = values.iter().map(reply::log_entry).collect();
        entries.ok_or_else(|| StoreError::Damaged("the change log of a partition".into()))
    }

    async fn follow(&self, watched: Watched, news: mpsc::Sender<News>) {
        follow::follow(Arc::clone(&self.shared), watched, news).await;
    }

    /// In a cluster every node is tried, and the first that counts taps is enough: were the service
    /// called useless for the sake of one lost node, the others would be lost as well.
    async fn probe(&self, deadline: Deadline) -> Result<(), StoreError> {
        self.taps.ready(deadline).await?;
        let partitions = self.taps.one_partition_each();
        let probes = partitions.into_iter().map(|partition| self.probe_one(partition, deadline));
        let mut probes: FuturesUnordered<_> = probes.collect();
        let mut result = Err(StoreError::Unavailable("no node of the cluster answers".into()));
        while let Some(probed) = probes.next().await {
            if probed.is_ok() {
                return probed;
            }
            result = probed;
        }
        result
    }
}
