//! The trait `Store` with its numbered laws, and the stores that keep them.
//!
//! `tests/it/store/contract/` tests each law against every store, by number.

mod any;
mod change_log;
mod error;
pub mod file;
mod follow;
mod maintenance;
pub mod memory;
mod read_only;
mod read_only_figure;
mod record_budget;
pub mod redis;
mod stats;

use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use crate::domain::UserIds;
pub use any::{AnyStore, StoreSource};
pub use change_log::{ChangeLog, LogCursor, LogPage};
pub use error::{ReadOnly, StoreError};
pub use follow::{News, WatchedPartitions};
pub use maintenance::{
    Audited, Document, DocumentWrite, Drift, Given, GivenPage, MAX_DOCUMENT_BYTES, Maintenance,
    USER_INDEX, WalkCursor, WalkPage, WalkedPost,
};
use maintenance::{MARKS_KEPT, STEPS_KEPT};
pub use read_only::WriteGate;
pub use stats::{Counter, FileSize, FileStats, LaneStats};
use tokio::sync::mpsc;

use crate::domain::{
    Change, Forget, Forgotten, Micros, Outcome, Position, PostId, Reaction, ReactorsPage, Ruled,
    RulesEdit, Summary, Tap, UserId,
};

/// The time by which the store must answer. A write that the store has not applied by then is never
/// applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline `span` from now.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// Whether the deadline has passed.
    pub fn has_passed(&self) -> bool {
        Instant::now() > self.0
    }
}

/// The clock of the embedded stores. Redis uses its server's clock.
fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// How long, and how much, a store keeps besides the state.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How long the store keeps an entry of the change log.
    pub change_log: Duration,
    /// The most entries that the log of a partition keeps, give or take a hundred.
    pub change_log_entries: u32,
    /// How long the store keeps the idempotency record of a tap: the key and the answer.
    pub records: Duration,
    /// The most records that the taps of this process keep at a time.
    pub most_records: u32,
}

impl Default for Retention {
    /// An hour and 10,000 entries a partition; ten minutes and two million records.
    fn default() -> Self {
        Self {
            change_log: Duration::from_secs(3600),
            change_log_entries: 10_000,
            records: Duration::from_secs(600),
            most_records: 2_000_000,
        }
    }
}

/// Which summaries to read, and with what.
#[derive(Clone, Debug)]
pub struct SummaryQuery {
    /// The posts, in the order in which to answer them.
    pub posts: Vec<PostId>,
    /// The user whose flags to answer as `mine`.
    pub viewer: Option<UserId>,
    /// How many of the newest users to add to each reaction.
    pub recent: usize,
}

/// Which reactors to read.
#[derive(Clone, Debug)]
pub struct ReactorsQuery {
    /// The post that they reacted to.
    pub post: PostId,
    /// The reaction that they gave; all reactions if none.
    pub reaction: Option<Reaction>,
    /// The position to continue behind; from the newest if none.
    pub after: Option<Position>,
    /// The most reactors to answer.
    pub limit: usize,
}

/// A position in the change log of one partition. Later entries have greater positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// Milliseconds of the store's clock since 1970.
    pub millis: u64,
    /// The number of the entry within the millisecond.
    pub sequence: u64,
}

/// An entry of the change log with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position.
    pub position: LogPosition,
    /// The change that it records.
    pub change: Change,
}

/// Keeps reactions, and counts every tap exactly once.
///
/// The laws, for every store:
///
/// 1. **One step.** A tap is one atomic step: flag, count, revision and change-log entry change
///    together or not at all.
/// 2. **Right verb.** `Toggle` flips the flag, `Set` turns it on, `Unset` turns it off. `changed`
///    is true exactly if the step changed the flag. Only then does the store write anything (but
///    see 3).
/// 3. **True count.** `count` is the number of users that have the reaction when the step ends, at
///    least 0. If something else has falsified the stored count, the next tap corrects it and
///    raises the revision, even if the tap changes no flag. The log has no entry for the
///    correction.
/// 4. **Order.** The revisions of one post's changes rise strictly, in the order in which the
///    changes took place. This holds within one microsecond too, and when the clock goes back. A
///    tap without effect answers the present revision. A post without state answers the *floor* of
///    its partition: the greatest revision of any of its posts that became empty, 0 at first. The
///    first change of a post lies above the floor. A floor never falls.
/// 5. **Reads see writes.** A read that starts after the answer to a tap contains that tap. The
///    counts and the revision of a summary are of one moment.
/// 6. **Order of answers.** Summaries come in the order asked, every post present. Reactions come
///    by count descending, then by name, without zero counts. `mine` has the flags of the viewer.
///    `recent` is read for the first [`MOST_NAMED`](crate::domain::MOST_NAMED) of them.
/// 7. **Newest first.** Reactors come in the order of [`Reactor`](crate::domain::Reactor). Pages
///    meet without a gap or a duplicate, across equal times too.
/// 8. **Change log.** Every change has one entry in its partition's log, in the order of the
///    revisions of its post. A tap that changed nothing has none.
/// 9. **Deadline.** If the deadline of a write has passed before its step, the store refuses the
///    write as [`StoreError::Unavailable`] and never applies it. An answer comes by the deadline.
/// 10. **Honest errors.** Only [`StoreError::OutcomeUnknown`] leaves open whether the store applied
///     the tap. Every other error means that it applied nothing.
/// 11. **Batches.** Each tap of a batch fails or succeeds by itself.
/// 12. **Keys.** Of all taps with one idempotency key, the store applies at most one for as long as
///     it keeps records. The others answer what that one answered, as `replayed`, and write
///     nothing. The store writes the record in the tap's own step, and only for a success, also for
///     one without a change. It refuses a key that was used for another verb, body or reaction as
///     [`StoreError::KeyReused`].
/// 13. **News.** A follower of a partition receives [`Following`](News::Following) for it, or
///     [`Lost`](News::Lost). Between the two it receives every change: the post as
///     [`Changed`](News::Changed), or the partition as `Following` again, where there are too many
///     changes or some may have been missed. A follower that receives a change can read it.
///     Partitions that are not watched give no news.
/// 14. See [`ChangeLog`].
/// 15. **Rules.** The step of a tap judges what it adds by the post's rules and palette and by
///     [`Tap::add`](crate::domain::Tap), by the state that it leads to, as
///     [`decide`](crate::domain::decide()) says. It refuses the whole tap as
///     [`StoreError::Refused`] and writes nothing. Removing is always allowed. Rules survive
///     forgetting and emptying; a change to them is one entry in the log.
/// 16. **Whole sets.** A tap with [`Act::Exactly`](crate::domain::Act) leaves the user exactly
///     these reactions on the post, in one step, with one entry for each that changed.
/// 17. **Forgetting.** Afterwards nobody has the reaction, or any reaction, on the post. Counts,
///     members and the list of reactors go in one step, and no reader sees half of it. The revision
///     lies above all earlier ones of the post. The log has one entry. Idempotency records stay.
pub trait Store: Clone + Send + Sync + 'static {
    /// Applies one tap.
    fn tap(
        &self,
        tap: Tap,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + Send;

    /// Changes the rules of a post.
    fn rule(
        &self,
        edit: RulesEdit,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Ruled, StoreError>> + Send;

    /// Removes every member of a post, or of one reaction of it.
    fn forget(
        &self,
        forget: Forget,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Forgotten, StoreError>> + Send;

    /// Reads the summaries of some posts.
    fn summaries(
        &self,
        query: SummaryQuery,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Vec<Summary>, StoreError>> + Send;

    /// Reads a page of reactors.
    fn reactors(
        &self,
        query: ReactorsQuery,
        deadline: Deadline,
    ) -> impl Future<Output = Result<ReactorsPage, StoreError>> + Send;

    /// Follows the logs of the watched partitions and sends news, until the receiver is closed.
    fn follow(
        &self,
        watched: WatchedPartitions,
        news: mpsc::Sender<News>,
    ) -> impl Future<Output = ()> + Send;

    /// Runs the real write path on keys of its own that no caller can reach, and leaves nothing
    /// behind.
    fn probe(&self, deadline: Deadline) -> impl Future<Output = Result<(), StoreError>> + Send;
}
