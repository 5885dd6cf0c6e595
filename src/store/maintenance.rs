//! The trait `Maintenance` with its laws: what imports, exports and jobs need of a store.

use std::future::Future;
use std::time::Duration;

use super::{Deadline, StoreError};
use crate::domain::{Amended, Amendment, MOST_EDITS, Micros, PostId, Reaction, Revision, UserId};

/// The most bytes of a document.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// The document that is there once the index of what users gave is complete. A new store has it
/// from its first start. An older store gets it when every post has been audited with `repair`.
pub const USER_INDEX: &str = "user-index";

/// How long a store keeps what a step of a job answered, under its token.
pub(super) const STEPS_KEPT: Duration = Duration::from_secs(3600);

/// How long a store keeps the mark of an import after the step that wrote it.
pub(super) const MARKS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where a walk over all posts goes on. Opaque: each store has its own form. It is text without
/// white space, at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkCursor(pub String);

/// A page of a walk over all posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkPage {
    /// Posts, in no order that a caller may rely on.
    pub posts: Vec<WalkedPost>,
    /// Entries that onetap did not write and that belong to no post, in words for people. The walk
    /// goes on behind them.
    pub damaged: Vec<String>,
    /// Where to go on; None at the end.
    pub next: Option<WalkCursor>,
}

/// A post that a walk came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedPost {
    /// The post.
    pub post: PostId,
    /// Whether the walk has come by the post itself, and not only by members of it. It comes by
    /// each post that has a count or rules, mostly once. It may come by the members of a post any
    /// number of times, beside that.
    pub own: bool,
    /// Reactions of which the walk has seen members. It need not have seen all. For
    /// [`Maintenance::audit`], since members may be there that no count names.
    pub seen: Vec<Reaction>,
}

/// A reaction that a user gave. The order is that of the list, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Given {
    /// When the user reacted.
    pub reacted_at: Micros,
    /// The post.
    pub post: PostId,
    /// The reaction.
    pub reaction: Reaction,
}

/// A page of what a user gave, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPage {
    /// At most as many as asked for.
    pub given: Vec<Given>,
    /// Whether more follow.
    pub more: bool,
}

/// What does not agree in the state of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The count of a reaction is not the number of its members. A count of 0: members without a
    /// count; 0 members: a count without members.
    Count {
        /// The reaction.
        reaction: Reaction,
        /// The count that readers see.
        count: u64,
        /// How many members there are.
        members: u64,
    },
    /// This many of the members asked about are missing from the index of what users gave.
    NotIndexed(u64),
    /// The post has reactions or rules, but no revision that onetap would write.
    Revision,
    /// The rules are not such as onetap writes.
    Rules,
    /// Keys of the post hold something of another type. An audit does not repair this.
    Damaged(String),
}

/// What an audit of a post found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// What did not agree; empty for a sound post.
    pub drift: Vec<Drift>,
    /// Whether the step repaired it. A repair raises the revision, unless it repairs the index
    /// alone, and writes no log entry.
    pub repaired: bool,
    /// The revision of the post now.
    pub revision: Revision,
}

/// A document: what jobs keep in the store besides the reactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Counts the writes of this document: 1 for the first.
    pub version: u64,
    /// The content.
    pub body: Vec<u8>,
}

/// A write of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentWrite {
    /// The name: 1 to 100 characters `a-z 0-9 - /`.
    pub name: String,
    /// The version that the document has now; 0 if there must be none.
    pub expected: u64,
    /// The new content, of at most [`MAX_DOCUMENT_BYTES`]. None deletes the document.
    pub body: Option<Vec<u8>>,
    /// How long to keep it from now on; None: until it is deleted.
    pub keep: Option<Duration>,
}

impl WalkCursor {
    /// The error for text that is no cursor of the store that reads it.
    pub(super) fn odd() -> StoreError {
        StoreError::Unavailable("this is no cursor of this store; begin the walk again".into())
    }
}

impl GivenPage {
    /// Makes a page of at most `limit`. The caller passes those behind some position, newest first,
    /// and one more than `limit` if there are as many.
    pub(super) fn cut(mut given: Vec<Given>, limit: usize) -> Self {
        let more = given.len() > limit;
        given.truncate(limit);
        Self { given, more }
    }
}

impl DocumentWrite {
    /// Checks the name and the length.
    ///
    /// # Errors
    ///
    /// If the store can keep no such document.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-/".contains(&b);
        let is_name = (1..=100).contains(&self.name.len()) && self.name.bytes().all(allowed);
        if !is_name {
            return Err(StoreError::Unavailable(
                "the name of a document is 1 to 100 characters a-z 0-9 - /".into(),
            ));
        }
        let length = self.body.as_ref().map_or(0, Vec::len);
        if length > MAX_DOCUMENT_BYTES {
            return Err(StoreError::Unavailable(format!(
                "a document has at most {MAX_DOCUMENT_BYTES} bytes, and this one has {length}"
            )));
        }
        Ok(())
    }
}

/// Checks the number of edits.
///
/// # Errors
///
/// If they are too many for one step.
pub(super) fn check_edits(amendment: &Amendment) -> Result<(), StoreError> {
    match amendment.edits.len() {
        0..=MOST_EDITS => Ok(()),
        edits => Err(StoreError::Unavailable(format!(
            "an amendment has at most {MOST_EDITS} edits, and this one has {edits}"
        ))),
    }
}

/// What imports, exports and jobs need of a store.
///
/// The laws, for every store:
///
/// 18. **Amendments.** Each amendment is one atomic step on its post: members, counts, revision,
///     index, log and what makes it harmless to repeat change together or not at all. The edits
///     apply in their order, each to the state that the ones before it left, as
///     [`EditAct`](crate::domain::EditAct) says. Each change raises the revision once and has one
///     log entry with the amendment's cause. An edit that changes nothing writes nothing. Neither
///     rules nor palettes judge it. An amendment that only removes works when memory is full.
/// 19. **Once.** A repetition with the same [`StepToken`](crate::domain::StepToken) answers what
///     the first one answered and writes nothing, for an hour; for a minute if memory was full at
///     the first one. A step of an import is applied at most once:
///     [`ImportOutcome`](crate::domain::ImportOutcome) says when it is not. A post without state
///     and without a mark is untouched; any other post whose revision is not the mark's has live
///     taps. That judges the first step of a source; the others go on, unless the first one merged
///     over live taps. A step that leaves a post untouched keeps no mark, as
///     [`ImportMark`](crate::domain::ImportMark) says. Forgetting all of a post deletes its mark.
///     The rules that a step states come in with its rows, and are under its mark. A dry run
///     answers what the step would do, and writes nothing.
/// 20. **Walk.** A walk from the start to the end comes by every post that has members or rules all
///     the while, at least once. Damage ends no walk.
/// 21. **Given.** The list of a user has exactly the memberships of that user, newest first, as of
///     the time of the read. Pages meet without a gap or a duplicate. A member that was there
///     before the store had the index is in the list once every post has been audited with
///     `repair`.
/// 22. **Audit.** An audit finds each disagreement of [`Drift`] in a post, in one atomic step. With
///     `repair` it makes the rest agree with the members, and loses none of them. Damage in one
///     reaction of a post keeps no member of another one out of the index.
/// 23. **Documents.** A write happens only if the document has the expected version, and is one
///     atomic step.
pub trait Maintenance {
    /// Applies amendments, each as a step of its own, and answers in their order. A store may send
    /// the steps of one partition together.
    fn amend(
        &self,
        amendments: Vec<Amendment>,
        deadline: Deadline,
    ) -> impl Future<Output = Vec<Result<Amended, StoreError>>> + Send;

    /// Reads a page of a walk over all posts, from the start without a cursor. `limit` is a hint.
    fn walk(
        &self,
        after: Option<WalkCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> impl Future<Output = Result<WalkPage, StoreError>> + Send;

    /// Reads a page of what a user gave, newest first, behind `after`.
    fn given(
        &self,
        user: UserId,
        after: Option<Given>,
        limit: usize,
        deadline: Deadline,
    ) -> impl Future<Output = Result<GivenPage, StoreError>> + Send;

    /// Compares counts, members, rules and revision of a post. `indexed`: members to look up in the
    /// index too, at most 1,000.
    fn audit(
        &self,
        post: WalkedPost,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Audited, StoreError>> + Send;

    /// The same for members of a post and the index alone, so that a caller who goes through many
    /// members compares the rest once.
    fn audit_index(
        &self,
        post: PostId,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Audited, StoreError>> + Send;

    /// Reads a document.
    fn document(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Option<Document>, StoreError>> + Send;

    /// Writes a document. Returns whether it had the expected version.
    fn write_document(
        &self,
        write: DocumentWrite,
        deadline: Deadline,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
