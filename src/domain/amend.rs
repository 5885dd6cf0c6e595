//! Amendments: what an import or a job does to one post in one atomic step.
//!
//! A tap says what a user wants now. An edit of an amendment also states the time of the reaction,
//! and it may depend on the time that the store has. So a job that read a post some moments ago
//! undoes no tap that came in between.

use std::fmt;
use std::sync::Arc;

use super::{Cause, Micros, PostId, Reaction, Revision, Rules, UserId};

/// The most edits of one amendment.
pub const MOST_EDITS: usize = 1000;

/// What an import or a job does to one post in one atomic step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// The post.
    pub post: PostId,
    /// The cause that the entries in the change log name.
    pub cause: Cause,
    /// The moderator, if the caller named one.
    pub actor: Option<UserId>,
    /// The edits, applied in this order. At most [`MOST_EDITS`].
    pub edits: Vec<MemberEdit>,
    /// What makes a repetition of the step harmless.
    pub once: Once,
    /// The rules that the post has afterwards; None: its own. An import that merges over live taps
    /// leaves the post its own. So does one that goes on over a change of somebody else, unless
    /// they are the default ones.
    pub rules: Option<Rules>,
    /// Whether only to answer what the step would do. A step of an import then answers as if the
    /// steps before it had been applied.
    pub dry_run: bool,
}

/// What an amendment does with one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEdit {
    /// The user.
    pub user: UserId,
    /// The reaction, as it is counted. Palettes do not judge it, and aliases do not change it.
    pub reaction: Reaction,
    /// What to do.
    pub act: EditAct,
}

/// What an edit does with a member. The times are those of reactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditAct {
    /// Afterwards the user has the reaction, with this time, or with its own if that is later.
    Put(Micros),
    /// Afterwards the user has the reaction: with this time if the edit adds it, with its own if it
    /// was there.
    Restore(Micros),
    /// Afterwards the user has the reaction, with the older of this time and its own.
    ///
    /// If the user has one of `excluded` with a time after this one, the edit does nothing.
    /// Otherwise it first removes those of them that the user has. The outcome speaks of the
    /// reaction itself alone.
    Merge {
        /// The time of the reaction.
        at: Micros,
        /// The reactions that exclude this one.
        excluded: Arc<[Reaction]>,
    },
    /// As `Merge`, but it does nothing unless the edit before it removed a member. So a reaction
    /// that its user took back before the step goes nowhere.
    Move {
        /// The time of the reaction.
        at: Micros,
        /// The reactions that exclude this one.
        excluded: Arc<[Reaction]>,
    },
    /// Afterwards the user does not have the reaction, unless its time lies after this one.
    RemoveUpTo(Micros),
    /// Afterwards the user does not have the reaction, unless its time is another one.
    RemoveAt(Micros),
}

impl EditAct {
    /// The time that the edit states.
    pub fn time(&self) -> Micros {
        match self {
            Self::Put(at)
            | Self::Restore(at)
            | Self::Merge { at, .. }
            | Self::Move { at, .. }
            | Self::RemoveUpTo(at)
            | Self::RemoveAt(at) => *at,
        }
    }

    /// Whether it never adds a member.
    pub fn only_removes(&self) -> bool {
        matches!(self, Self::RemoveUpTo(_) | Self::RemoveAt(_))
    }
}

impl Amendment {
    /// Edits of a post that leave its rules alone.
    pub fn new(post: PostId, cause: Cause, edits: Vec<MemberEdit>, once: Once) -> Self {
        Self { post, cause, actor: None, edits, once, rules: None, dry_run: false }
    }

    /// Whether it never adds anything.
    pub fn only_removes(&self) -> bool {
        self.dry_run
            || self.rules.is_none() && self.edits.iter().all(|edit| edit.act.only_removes())
    }
}

/// What makes a repetition of an amendment harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once {
    /// Its edits are such that a second run changes nothing, or the caller does not mind.
    No,
    /// The step keeps what it answered under this token for an hour, as it keeps the record of a
    /// tap; for a minute if memory is full. A repetition answers that, and writes nothing. The
    /// token depends on the post.
    Step(StepToken),
    /// The step keeps a mark at the post: how far this source is in.
    Import(ImportStep),
}

/// Names a step of a job: a hash of the job, the number of the step, and the post.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepToken(pub [u8; 16]);

/// Names what an import reads: a hash of the content of the file, and of the options that change
/// what the rows mean.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub [u8; 16]);

macro_rules! shown_as_hex {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }
    )+};
}

shown_as_hex!(StepToken, SourceId);

/// A step of an import: some rows of one post, in the order of the sorted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportStep {
    /// What the rows come from.
    pub source: SourceId,
    /// How many rows of this post come before those of this step.
    pub from: u64,
    /// Whether more rows of this post may follow in another step.
    pub more: bool,
    /// On a post with live taps: whether to apply the rows that are newer than its last tap,
    /// instead of none.
    pub merge: bool,
}

/// How far an import is with a post. The store keeps it for at least 30 days after the step.
///
/// The last step of a source at a post leaves no mark if it leaves the post without state, unless
/// the post had live taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportMark {
    /// What the rows came from.
    pub source: SourceId,
    /// How many rows of the post are done.
    pub done: u64,
    /// The revision of the post after the step: its own, or the floor if it has no state. If the
    /// revision is another one now, somebody has changed the post since. If somebody did so between
    /// two steps of the source, it stays that of the first of them.
    pub revision: Revision,
    /// The revision that the post had when an import found live taps, or the time by the store's
    /// clock if that was less; 0 if it found none.
    pub live: Revision,
}

/// What an amendment did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// What each edit did, in their order.
    pub outcomes: Vec<EditOutcome>,
    /// What became of the rules that the amendment states: `Moved` if the post has got them, `Lost`
    /// if it keeps others.
    pub rules: EditOutcome,
    /// The revision of the last change; if nothing changed, the present one of the post.
    pub revision: Revision,
    /// For an import: whether the rows were applied, or why not.
    pub import: ImportOutcome,
    /// Whether an earlier run of this step gave this answer.
    pub replayed: bool,
}

/// What an edit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOutcome {
    /// Nothing.
    Unchanged,
    /// It added the member.
    Added,
    /// It gave the member another time.
    Moved,
    /// It removed the member.
    Removed,
    /// Nothing, since another reaction that excludes it is newer, since a live tap is newer, or
    /// since there was nothing to move.
    Lost,
}

/// Whether a step of an import was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// Yes; also for an amendment that is no import.
    Applied,
    /// An earlier run has done these rows.
    Done,
    /// No: the post has live taps, and the step does not merge.
    LiveTaps,
    /// No: the store has fewer rows of this source than come before the step. It lost its newest
    /// changes. Begin this post again, at its first row.
    Behind,
}
