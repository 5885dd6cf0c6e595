//! The store that the configuration chose, and where its state is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::read_only::Admitted;
use super::{
    Audited, ChangeLog, Deadline, Document, DocumentWrite, FileStats, Given, GivenPage, LaneStats,
    LogCursor, LogPage, Maintenance, News, ReactorsQuery, Store, StoreError, SummaryQuery,
    WalkCursor, WalkPage, WalkedPost, WatchedPartitions, WriteGate, file, memory, redis,
};
use crate::domain::{
    Amended, Amendment, Forget, Forgotten, Outcome, Partition, PostId, Reaction, ReactorsPage,
    Ruled, RulesEdit, Summary, Tap, UserId,
};
use crate::telemetry::in_span;

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

/// The same, with a name for it in the trace of the request that makes the call.
macro_rules! traced {
    ($any:ident, $name:literal, $store:ident => $call:expr) => {
        on_store!($any, $store => in_span($any.kind(), $name, StoreError::fault, $call).await)
    };
}

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

    pub(super) fn gate(&self) -> &WriteGate {
        on_store!(self, store => store.gate())
    }

    /// Lets a write begin, with the deadline that it then has. Every write passes here.
    async fn admit(&self, deadline: Deadline) -> Result<Admitted<'_>, StoreError> {
        match self.gate().admit_at_once(self, deadline) {
            Some(admitted) => admitted,
            // Boxed, so that the future of a tap stays small.
            None => Box::pin(self.gate().admit_after_a_look(self, deadline)).await,
        }
    }

    /// Admits a call that may write, and says by when it has to. A window holds up no read.
    async fn admit_if(
        &self,
        writes: bool,
        deadline: Deadline,
    ) -> Result<(Deadline, Option<Admitted<'_>>), StoreError> {
        if !writes {
            return Ok((deadline, None));
        }
        let admitted = self.admit(deadline).await?;
        Ok((admitted.deadline, Some(admitted)))
    }

    /// Begins a read-only window, or ends it. When this has begun one, no process can still apply a
    /// write that a window holds up.
    ///
    /// # Errors
    ///
    /// If the store does not take the change, or not all of it.
    pub async fn set_read_only(&self, on: bool) -> Result<(), StoreError> {
        self.gate().set(self, on).await
    }

    /// Writes a document that says whether a window is open. No window holds it up.
    pub(super) async fn write_flag(
        &self,
        write: DocumentWrite,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        on_store!(self, store => store.write_document(write, deadline).await)
    }

    /// How many script calls a shared store has run, less those of this process; None if it does
    /// not say, or is not shared. Only the difference of two such numbers says something.
    pub async fn calls_of_others(&self) -> Option<i64> {
        match self {
            Self::Redis(store) => store.calls_of_others().await,
            Self::Memory(_) | Self::File(_) => None,
        }
    }

    /// Whether this process takes no writes for as long as it lives.
    pub fn takes_no_writes(&self) -> bool {
        self.gate().shut.load(Ordering::Relaxed)
    }

    /// Whether a write may begin now.
    ///
    /// # Errors
    ///
    /// If a window is open, or this process takes no writes, or the store does not say.
    pub async fn takes_writes(&self, deadline: Deadline) -> Result<(), StoreError> {
        self.admit(deadline).await.map(drop)
    }

    /// Looks whether a window is open, unless this process knows.
    ///
    /// # Errors
    ///
    /// If the store does not say.
    pub async fn look_at_window(&self, deadline: Deadline) -> Result<(), StoreError> {
        self.gate().look(self, deadline).await
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

    /// Decides whether writes may begin in this process.
    pub fn gate(&self) -> &Arc<WriteGate> {
        match self {
            Self::Memory(store) => store.gate(),
            Self::File(store, _) => store.gate(),
            Self::Redis(source) => source.gate(),
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

impl Store for AnyStore {
    async fn tap(&self, tap: Tap, deadline: Deadline) -> Result<Outcome, StoreError> {
        let admitted = self.admit(deadline).await?;
        traced!(self, "tap", store => store.tap(tap, admitted.deadline))
    }

    async fn rule(&self, edit: RulesEdit, deadline: Deadline) -> Result<Ruled, StoreError> {
        let admitted = self.admit(deadline).await?;
        traced!(self, "rule", store => store.rule(edit, admitted.deadline))
    }

    async fn forget(&self, forget: Forget, deadline: Deadline) -> Result<Forgotten, StoreError> {
        let admitted = self.admit(deadline).await?;
        traced!(self, "forget", store => store.forget(forget, admitted.deadline))
    }

    async fn summaries(
        &self,
        query: SummaryQuery,
        deadline: Deadline,
    ) -> Result<Vec<Summary>, StoreError> {
        traced!(self, "summaries", store => store.summaries(query, deadline))
    }

    async fn reactors(
        &self,
        query: ReactorsQuery,
        deadline: Deadline,
    ) -> Result<ReactorsPage, StoreError> {
        traced!(self, "reactors", store => store.reactors(query, deadline))
    }

    async fn follow(&self, watched: WatchedPartitions, news: mpsc::Sender<News>) {
        on_store!(self, store => store.follow(watched, news).await);
    }

    async fn probe(&self, deadline: Deadline) -> Result<(), StoreError> {
        on_store!(self, store => store.probe(deadline).await)?;
        // A process that cannot learn whether a window is open refuses every tap.
        self.look_at_window(deadline).await
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
        match self.admit(deadline).await {
            Ok(admitted) => {
                on_store!(self, store => store.amend(amendments, admitted.deadline).await)
            }
            Err(error) => amendments.iter().map(|_| Err(error.clone())).collect(),
        }
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
        traced!(self, "given", store => store.given(user, after, limit, deadline))
    }

    async fn audit(
        &self,
        post: WalkedPost,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        let (deadline, _admitted) = self.admit_if(repair, deadline).await?;
        on_store!(self, store => store.audit(post, indexed, repair, deadline).await)
    }

    async fn audit_index(
        &self,
        post: PostId,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        let (deadline, _admitted) = self.admit_if(repair, deadline).await?;
        on_store!(self, store => store.audit_index(post, indexed, repair, deadline).await)
    }

    async fn document(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<Option<Document>, StoreError> {
        traced!(self, "document", store => store.document(name, deadline))
    }

    async fn write_document(
        &self,
        write: DocumentWrite,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let admitted = self.admit(deadline).await?;
        self.write_flag(write, admitted.deadline).await
    }
}
