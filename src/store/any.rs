//! The store that the configuration chose, and where its state is.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    Audited, ChangeLog, Deadline, Document, DocumentWrite, FileStats, Given, GivenPage, LaneStats,
    LogCursor, LogPage, Maintenance, News, ReactorsQuery, Store, StoreError, SummaryQuery,
    WalkCursor, WalkPage, WalkedPost, WatchedPartitions, file, memory, redis,
};
use crate::domain::{
    Amended, Amendment, Forget, Forgotten, Outcome, Partition, Reaction, ReactorsPage, Ruled,
    RulesEdit, Summary, Tap, UserId,
};

/// The store that the configuration chose.
#[derive(Clone, Debug)]
pub enum AnyStore {
    /// State in the memory of this process.
    Memory(memory::MemoryStore),
    /// State in a file.
    File(file::FileStore),
    /// State in Redis.
    Redis(redis::RedisStore),
}

impl AnyStore {
    /// The kind of store, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::File(_) => "file",
            Self::Redis(_) => "redis",
        }
    }
}

/// Where the state is, before a runtime attaches to it.
#[derive(Clone, Debug)]
pub enum StoreSource {
    /// The memory of this process.
    Memory(memory::MemoryStore),
    /// An open file, and its path.
    File(file::FileStore, PathBuf),
    /// Redis.
    Redis(redis::RedisSource),
}

impl StoreSource {
    /// A store whose tasks run on the current runtime. All stores of one source share its state.
    pub fn attach(&self) -> AnyStore {
        match self {
            Self::Memory(store) => AnyStore::Memory(store.clone()),
            Self::File(store, _) => AnyStore::File(store.clone()),
            Self::Redis(source) => AnyStore::Redis(source.attach()),
        }
    }

    /// Where the state is, in words for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Memory(_) => "in memory".into(),
            Self::File(_, path) => format!("in the file {}", path.display()),
            Self::Redis(source) => format!("in Redis at {}", source.place()),
        }
    }

    /// Counters of the lanes; None for a store without lanes.
    pub fn lane_stats(&self) -> Option<Arc<LaneStats>> {
        match self {
            Self::Memory(_) | Self::File(..) => None,
            Self::Redis(source) => Some(source.lane_stats()),
        }
    }

    /// Counters of the file's writer; None for a store without a file.
    pub fn file_stats(&self) -> Option<Arc<FileStats>> {
        match self {
            Self::File(store, _) => Some(store.stats()),
            Self::Memory(_) | Self::Redis(_) => None,
        }
    }
}

/// Makes the same call on each kind of store.
macro_rules! on_store {
    ($any:ident, $store:ident => $call:expr) => {
        match $any {
            AnyStore::Memory($store) => $call,
            AnyStore::File($store) => $call,
            AnyStore::Redis($store) => $call,
        }
    };
}

impl Store for AnyStore {
    async fn tap(&self, tap: Tap, deadline: Deadline) -> Result<Outcome, StoreError> {
        on_store!(self, store => store.tap(tap, deadline).await)
    }

    async fn rule(&self, edit: RulesEdit, deadline: Deadline) -> Result<Ruled, StoreError> {
        on_store!(self, store => store.rule(edit, deadline).await)
    }

    async fn forget(&self, forget: Forget, deadline: Deadline) -> Result<Forgotten, StoreError> {
        on_store!(self, store => store.forget(forget, deadline).await)
    }

    async fn summaries(
        &self,
        query: SummaryQuery,
        deadline: Deadline,
    ) -> Result<Vec<Summary>, StoreError> {
        on_store!(self, store => store.summaries(query, deadline).await)
    }

    async fn reactors(
        &self,
        query: ReactorsQuery,
        deadline: Deadline,
    ) -> Result<ReactorsPage, StoreError> {
        on_store!(self, store => store.reactors(query, deadline).await)
    }

    async fn follow(&self, watched: WatchedPartitions, news: mpsc::Sender<News>) {
        on_store!(self, store => store.follow(watched, news).await);
    }

    async fn probe(&self, deadline: Deadline) -> Result<(), StoreError> {
        on_store!(self, store => store.probe(deadline).await)
    }
}

impl ChangeLog for AnyStore {
    async fn read(
        &self,
        partition: Partition,
        after: Option<LogCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<LogPage, StoreError> {
        on_store!(self, store => store.read(partition, after, limit, deadline).await)
    }

    async fn newest(
        &self,
        partition: Partition,
        deadline: Deadline,
    ) -> Result<LogCursor, StoreError> {
        on_store!(self, store => store.newest(partition, deadline).await)
    }
}

impl Maintenance for AnyStore {
    async fn amend(
        &self,
        amendments: Vec<Amendment>,
        deadline: Deadline,
    ) -> Vec<Result<Amended, StoreError>> {
        on_store!(self, store => store.amend(amendments, deadline).await)
    }

    async fn walk(
        &self,
        after: Option<WalkCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<WalkPage, StoreError> {
        on_store!(self, store => store.walk(after, limit, deadline).await)
    }

    async fn given(
        &self,
        user: UserId,
        after: Option<Given>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<GivenPage, StoreError> {
        on_store!(self, store => store.given(user, after, limit, deadline).await)
    }

    async fn audit(
        &self,
        post: WalkedPost,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        on_store!(self, store => store.audit(post, indexed, repair, deadline).await)
    }

    async fn document(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<Option<Document>, StoreError> {
        on_store!(self, store => store.document(name, deadline).await)
    }

    async fn write_document(
        &self,
        write: DocumentWrite,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        on_store!(self, store => store.write_document(write, deadline).await)
    }
}
