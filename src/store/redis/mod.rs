//! The store over Redis. Nothing outside this room names redis, a key or Lua.
//!
//! [`net`] knows one server, [`cluster`] which server to use, and [`ops`] the operations. A
//! [`lane`] carries these over a few shared, pipelined connections. Imports go one way: lane →
//! {ops, cluster} → net.

mod change_log;
mod cluster;
mod follow;
#[cfg(test)]
mod fuzz_tests;
mod keys;
mod lane;
mod log_entry;
mod maintenance;
mod net;
#[cfg(test)]
mod new_verb_tests;
mod ops;
mod others;
mod value;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use self::change_log::ChangeLogs;
use self::cluster::{Connector, Pools};
use self::keys::Keys;
pub use self::lane::ScriptTimes;
use self::lane::{Call, LaneContext, Lanes};
use self::maintenance::JobLanes;
use self::net::CredentialSource;
pub use self::net::{
    Address, ConnectError, CredentialFiles, Deployment, InvalidAddress, Node, Secret, password_in,
};
use self::ops::{
    Item, Judged, JudgedTap, Operation, Pending, Probe, ReadDocument, ReadReactors, ReadSummary,
    Reply, Settings, WholeSet,
};
use super::record_budget::RecordBudget;
use super::{
    ChangeLog, Deadline, LaneStats, LogCursor, LogPage, News, ReactorsQuery, Retention, Store,
    StoreError, SummaryQuery, UserIds, WatchedPartitions, WriteGate,
};
use crate::domain::{
    Act, Forget, Forgotten, Outcome, Partition, ReactorsPage, Ruled, RulesEdit, Summary, Tap,
};

/// How to reach and use Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// The servers, and the user to log in as.
    pub address: Address,
    /// With TLS: the certificate authorities, in PEM, that onetap accepts; if none, those of the
    /// system.
    pub ca: Option<Vec<u8>>,
    /// The files of the password and of `ca`, if any. onetap reads them again for each connection.
    pub files: CredentialFiles,
    /// Refuse a Redis that onetap would otherwise only warn about.
    pub strict: bool,
    /// Which ids users have.
    pub user_ids: UserIds,
    /// The prefix of every key.
    pub key_prefix: String,
    /// The most time to open a connection and to check the server.
    pub connect_timeout: Duration,
    /// The most calls that wait on one lane; the lane refuses more as overload.
    pub queue_bound: usize,
    /// How long the store keeps the change log and the records.
    pub retention: Retention,
}

/// A Redis that keeps reactions. [`RedisSource::attach`] opens lanes to it.
#[derive(Clone, Debug)]
pub struct RedisSource(Arc<RedisCore>);

/// What all stores of one source share.
#[derive(Debug)]
struct RedisCore {
    lanes: Arc<LaneContext>,
    pools: Arc<Pools>,
    logs: ChangeLogs,
    records: RecordBudget,
    gate: Arc<WriteGate>,
}

/// The certificates of `--redis-ca-file` are unusable.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCa(String);

impl RedisSource {
    /// Reads the options; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// If [`RedisOptions::ca`] has no certificate.
    pub fn new(options: &RedisOptions) -> Result<Self, InvalidCa> {
        let RedisOptions { address, ca, files, retention, .. } = options;
        let keys = Keys::new(&options.key_prefix);
        let credentials =
            CredentialSource::new(address, ca.clone(), files.clone()).map_err(InvalidCa)?;
        let connector = Arc::new(Connector::new(
            address.clone(),
            credentials,
            &keys,
            options.user_ids,
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
        let pools = Arc::new(Pools::new(Arc::clone(&connector)));
        let logs = ChangeLogs::new(Arc::clone(&pools), keys);
        Ok(Self(Arc::new(RedisCore {
            lanes: Arc::new(LaneContext::new(connector, settings, options.queue_bound)),
            pools,
            logs,
            records: RecordBudget::new(retention),
            gate: Arc::new(WriteGate::of_many_processes(options.queue_bound)),
        })))
    }

    /// Connects once and checks the servers.
    ///
    /// # Errors
    ///
    /// If no server answers, or if the server is not one for this release.
    pub async fn check(&self) -> Result<(), ConnectError> {
        self.0.lanes.connector.check_all().await
    }

    /// Host, port and database, for people.
    pub fn place(&self) -> &str {
        &self.0.lanes.connector.place
    }

    /// A store with lanes of its own, whose tasks run on the current runtime.
    pub fn attach(&self) -> RedisStore {
        let (taps, reads) = (Lanes::open(&self.0.lanes), Lanes::open(&self.0.lanes));
        let jobs = Arc::new(JobLanes::new(&self.0.lanes));
        RedisStore { shared: Arc::clone(&self.0), taps, reads, jobs }
    }

    pub(in crate::store) fn gate(&self) -> &Arc<WriteGate> {
        &self.0.gate
    }

    /// How long scripts took.
    pub fn script_times(&self) -> Arc<ScriptTimes> {
        Arc::clone(&self.0.lanes.script_times)
    }

    /// Counters of all lanes.
    pub fn lane_stats(&self) -> Arc<LaneStats> {
        Arc::clone(&self.0.lanes.stats)
    }
}

/// How often a tap asks with the palette that the post names. More is needed only if a moderator
/// changes it in between.
const PALETTES_TRIED: usize = 4;

/// Reactions in Redis. The store has a lane for taps and one for reads; in a cluster, two to each
/// node. Clones share the lanes.
#[derive(Clone, Debug)]
pub struct RedisStore {
    shared: Arc<RedisCore>,
    taps: Lanes,
    /// Reads have connections and queues of their own, so that no tap waits behind them.
    reads: Lanes,
    jobs: Arc<JobLanes>,
}

impl RedisStore {
    pub(in crate::store) fn gate(&self) -> &Arc<WriteGate> {
        &self.shared.gate
    }

    /// Whether there is a document with this name. It is read on the way of taps: behind reads or
    /// jobs it could come too late.
    pub(in crate::store) async fn has_document(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        self.taps.ready(deadline).await?;
        let answer = Self::ask(&self.taps, deadline, ReadDocument(name.into()));
        Ok(answer.await.unwrap_or_else(|_| Err(stopped()))?.is_some())
    }

    /// Whether the state is divided over the nodes of a cluster.
    pub(in crate::store) fn is_divided(&self) -> bool {
        self.shared.lanes.connector.cluster().is_some()
    }

    /// Puts an operation on its lane.
    fn ask<O: Operation>(lanes: &Lanes, deadline: Deadline, operation: O) -> Reply<O>
    where
        Item: From<Pending<O>>,
    {
        let (pending, answer) = Pending::new(operation);
        lanes.send(Call::new(deadline, pending.into()));
        answer
    }

    /// Asks with the palette of a post without rules. If the post names another, the script has
    /// applied nothing, and this asks again with that one.
    async fn judged(&self, tap: &Tap, deadline: Deadline) -> Result<Outcome, StoreError> {
        let mut palette = Arc::clone(tap.palettes.default_palette());
        for _ in 0..PALETTES_TRIED {
            let (tap, palettes) = (tap.clone(), &tap.palettes);
            let answer = match tap.act.clone() {
                Act::One(verb, reaction) => {
                    Self::ask(&self.taps, deadline, JudgedTap { tap, verb, reaction, palette })
                        .await
                }
                Act::Exactly(named) => {
                    let set = WholeSet::new(tap, &named, palette);
                    Self::ask(&self.taps, deadline, set).await
                }
            };
            // Without an answer, the runtime dropped the batch, which may have been sent.
            palette = match answer.unwrap_or(Err(StoreError::OutcomeUnknown))? {
                Judged::Done(outcome) => return Ok(outcome),
                Judged::Other(name) => palettes.of_name(&name),
            };
        }
        Err(StoreError::Unavailable("the palette of the post changes all the time".into()))
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
        let keyed = tap.record_charge();
        self.shared.records.around(keyed, self.judged(&tap, deadline)).await
    }

    async fn rule(&self, edit: RulesEdit, deadline: Deadline) -> Result<Ruled, StoreError> {
        self.taps.ready(deadline).await?;
        let answer = Self::ask(&self.taps, deadline, edit);
        answer.await.unwrap_or(Err(StoreError::OutcomeUnknown))
    }

    async fn forget(&self, forget: Forget, deadline: Deadline) -> Result<Forgotten, StoreError> {
        self.taps.ready(deadline).await?;
        let answer = Self::ask(&self.taps, deadline, forget);
        answer.await.unwrap_or(Err(StoreError::OutcomeUnknown))
    }

    async fn summaries(
        &self,
        query: SummaryQuery,
        deadline: Deadline,
    ) -> Result<Vec<Summary>, StoreError> {
        let SummaryQuery { posts, viewer, recent } = query;
        self.reads.ready(deadline).await?;
        // Queue all reads before waiting for the first answer.
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
        // One more to know whether another page follows, and one for the position itself.
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

    /// In a cluster onetap probes every node, and the first success is enough. If one lost node
    /// made the whole service unready, the posts of the other nodes would be lost too.
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

    async fn newest(
        &self,
        partition: Partition,
        deadline: Deadline,
    ) -> Result<LogCursor, StoreError> {
        self.shared.logs.newest(partition, deadline).await
    }
}
