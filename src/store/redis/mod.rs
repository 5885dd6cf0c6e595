//! The store over Redis. Nothing outside this room names redis, a key or Lua.
//!
//! [`net`] knows one server, [`cluster`] which server to use, [`ops`] what can be asked, and
//! [`lane`] carries it: taps and reads travel on a few shared, pipelined connections. Imports go
//! one way: lane → {ops, cluster} → net.

mod change_log;
mod cluster;
mod follow;
#[cfg(test)]
mod forget_tests;
mod keys;
mod lane;
mod log_entry;
mod net;
mod ops;
mod value;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use self::change_log::ChangeLogs;
use self::cluster::{Connector, Pools};
use self::keys::Keys;
use self::lane::{Call, LaneContext, Lanes};
use self::net::CredentialSource;
pub use self::net::{
    Address, ConnectError, CredentialFiles, Deployment, InvalidAddress, Node, Secret, password_in,
};
use self::ops::{Item, Operation, Pending, Probe, ReadReactors, ReadSummary, Reply, Settings};
use super::record_budget::RecordBudget;
use super::{
    ChangeLog, Deadline, LaneStats, LogCursor, LogPage, News, ReactorsQuery, Retention, Store,
    StoreError, SummaryQuery, WatchedPartitions,
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

/// A Redis that reactions are kept in. [`RedisSource::attach`] opens lanes to it.
#[derive(Clone, Debug)]
pub struct RedisSource(Arc<RedisCore>);

/// What all stores of one source share.
#[derive(Debug)]
struct RedisCore {
    lanes: Arc<LaneContext>,
    logs: ChangeLogs,
    records: RecordBudget,
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
        let RedisOptions { address, ca, files, retention, .. } = options;
        let keys = Keys::new(&options.key_prefix);
        let credentials =
            CredentialSource::new(address, ca.clone(), files.clone()).map_err(InvalidCa)?;
        let connector = Arc::new(Connector::new(
            address.clone(),
            credentials,
            &keys,
            options.strict,
            options.connect_timeout,
        ));
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let settings = Settings {
            keys: keys.clone(),
            change_log_retention_millis: millis(retention.change_log),
            change_log_entries: retention.change_log_entries,
            record_retention_millis: millis(retention.records),
        };
        let logs = ChangeLogs::new(Pools::new(Arc::clone(&connector)), keys);
        Ok(Self(Arc::new(RedisCore {
            lanes: Arc::new(LaneContext::new(connector, settings, options.queue_bound)),
            logs,
            records: RecordBudget::new(retention),
        })))
    }

    /// Connects once, to see what is there.
    ///
    /// # Errors
    ///
    /// If nobody answers, or if what is there is not for this release.
    pub async fn check(&self) -> Result<(), ConnectError> {
        self.0.lanes.connector.check_all().await
    }

    /// Host, port and database, for people.
    pub fn place(&self) -> &str {
        &self.0.lanes.connector.place
    }

    /// A store with lanes of its own, whose work runs on the current runtime.
    pub fn attach(&self) -> RedisStore {
        let (taps, reads) = (Lanes::open(&self.0.lanes), Lanes::open(&self.0.lanes));
        RedisStore { shared: Arc::clone(&self.0), taps, reads }
    }

    /// What all lanes have done so far.
    pub fn lane_stats(&self) -> Arc<LaneStats> {
        Arc::clone(&self.0.lanes.stats)
    }
}

/// Reactions in Redis, reached through a lane for taps and one for reads, or in a cluster through
/// these to each node. Clones share them.
#[derive(Clone, Debug)]
pub struct RedisStore {
    shared: Arc<RedisCore>,
    taps: Lanes,
    /// Reads have connections and queues of their own, so that no tap waits behind them.
    reads: Lanes,
}

impl RedisStore {
    /// Puts an operation on its lane.
    fn ask<O: Operation>(lanes: &Lanes, deadline: Deadline, operation: O) -> Reply<O>
    where
        Item: From<Pending<O>>,
    {
        let (pending, answer) = Pending::new(operation);
        lanes.send(Call::new(deadline, pending.into()));
        answer
    }

    async fn probe_one(&self, partition: Partition, deadline: Deadline) -> Result<(), StoreError> {
        let answer = Self::ask(&self.taps, deadline, Probe(partition));
        match answer.await.unwrap_or_else(|_| Err(stopped())) {
            // The outcome of the probe itself does not matter.
            Err(StoreError::OutcomeUnknown) => {
                Err(StoreError::Unavailable("the write path does not answer".into()))
            }
            result => result,
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
            let answer = Self::ask(&self.taps, deadline, tap);
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
        let ask = |post| Self::ask(&self.reads, deadline, ReadSummary { post, viewer, recent });
        let answers: Vec<_> = posts.into_iter().map(ask).collect();
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
        let page = ReadReactors { post, reaction, after: after.clone(), take: limit + 2 };
        self.reads.ready(deadline).await?;
        let answer = Self::ask(&self.reads, deadline, page);
        let mut found = answer.await.unwrap_or_else(|_| Err(stopped()))?;
        found.retain(|reactor| after.as_ref().is_none_or(|after| reactor < after));
        found.sort_by(|a, b| b.cmp(a));
        Ok(ReactorsPage::cut(found, limit))
    }

    async fn follow(&self, watched: WatchedPartitions, news: mpsc::Sender<News>) {
        let context = Arc::clone(&self.shared.lanes);
        follow::follow(context, watched, news).await;
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

impl ChangeLog for RedisStore {
    async fn read(
        &self,
        partition: Partition,
        after: Option<LogCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<LogPage, StoreError> {
        self.shared.logs.read(partition, after, limit, deadline).await
    }
}
