//! One write: the request, and its outcome.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Add, Keyed, Palettes, Partition, PostId, Reaction, Revision, UserId, Verb};

/// A tap: one write of one user on one post.
#[derive(Clone, Debug)]
pub struct Tap {
    /// The post.
    pub post: PostId,
    /// The user whose reactions to change.
    pub user: UserId,
    /// What to change.
    pub act: Act,
    /// The idempotency key of the request and its form, if the caller gave a key.
    pub keyed: Option<Keyed>,
    /// The palettes that the step judges by.
    pub palettes: Arc<Palettes>,
    /// The moderator that acts, if it is not the user.
    pub actor: Option<UserId>,
    /// What this user may add, besides what the rules of the post say.
    pub add: Add,
}

/// What a tap changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The flag for one reaction, by the name that the caller used.
    One(Verb, Reaction),
    /// All flags of the user on the post: afterwards exactly these are on.
    Exactly(Vec<Reaction>),
}

impl Act {
    /// Whether it never adds a reaction.
    pub fn only_removes(&self) -> bool {
        match self {
            Self::One(verb, _) => *verb == Verb::Unset,
            Self::Exactly(reactions) => reactions.is_empty(),
        }
    }

    /// How many reactions it names, at least one.
    pub fn reactions(&self) -> NonZeroU32 {
        let Self::Exactly(reactions) = self else { return NonZeroU32::MIN };
        u32::try_from(reactions.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }

    /// The one reaction, if it names one.
    pub fn one(&self) -> Option<(Verb, &Reaction)> {
        match self {
            Self::One(verb, reaction) => Some((*verb, reaction)),
            Self::Exactly(_) => None,
        }
    }

    /// How many records of an ordinary tap are as large as the one that this leaves. The record of
    /// a whole set has the names as the caller sent them, and again as they were counted.
    pub(crate) fn record_units(&self) -> u32 {
        match self {
            Self::One(..) => 1,
            Self::Exactly(_) => record_units_of_set(&self.named()),
        }
    }

    /// The reactions as the caller named them, in a record. Part of the layout, so it must never
    /// change: no reaction contains a comma.
    pub fn named(&self) -> Cow<'_, str> {
        match self {
            Self::One(_, reaction) => reaction.as_str().into(),
            Self::Exactly(reactions) => {
                let mut names: Vec<_> = reactions.iter().map(Reaction::as_str).collect();
                names.sort_unstable();
                names.dedup();
                format!(",{}", names.join(",")).into()
            }
        }
    }
}

/// About how many bytes the record of an ordinary tap takes in Redis.
const RECORD_BYTES: usize = 184;

/// See [`Act::record_units`]; the names as [`Act::named`] writes them.
pub(super) fn record_units_of_set(named: &str) -> u32 {
    1 + u32::try_from((2 * named.len()).div_ceil(RECORD_BYTES)).unwrap_or(u32::MAX - 1)
}

impl Tap {
    /// A tap on one reaction without a key, judged by the palettes of a service without
    /// configuration.
    pub fn new(post: PostId, user: UserId, verb: Verb, reaction: Reaction) -> Self {
        let palettes = Palettes::unconfigured();
        let act = Act::One(verb, reaction);
        Self { post, user, act, keyed: None, palettes, actor: None, add: Add::All }
    }

    /// The partition in which this tap may leave an idempotency record, and the record's size in
    /// [units](Act::record_units).
    pub(crate) fn record_charge(&self) -> Option<(Partition, u32)> {
        self.keyed.map(|_| (self.post.partition(), self.act.record_units()))
    }
}

/// What a tap did; all of it read in the step that did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the user has the reaction now; for a whole set, whether the user has any.
    pub active: bool,
    /// Whether this tap changed anything.
    pub changed: bool,
    /// How many users have the reaction now; 0 for a whole set.
    pub count: u64,
    /// The revision of the last change; if nothing changed, the present revision of the post.
    pub revision: Revision,
    /// Whether this repeats the answer to an earlier tap with the same key. Then the other fields
    /// are of that tap's step.
    pub replayed: bool,
    /// What few taps have to say.
    pub details: Option<Box<Details>>,
}

/// What an outcome says besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The reactions that were counted: of one, if the caller used an alias; of a whole set, all
    /// that the user has now.
    pub counted: Vec<Reaction>,
    /// The other reactions that the step took from the user, with their counts now.
    pub replaced: Vec<(Reaction, u64)>,
}

impl Outcome {
    /// The other reactions that the step took from the user.
    pub fn replaced(&self) -> &[(Reaction, u64)] {
        self.details.as_ref().map_or(&[], |details| &details.replaced)
    }

    /// The reactions that were counted, if the caller's words do not say which.
    pub fn counted(&self) -> &[Reaction] {
        self.details.as_ref().map_or(&[], |details| &details.counted)
    }
}

/// Why the rules of a post, or its palette, refuse a tap. The tap then changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A moderator has locked the post, or lets nothing be added.
    Locked,
    /// The palette of the post does not have this reaction.
    NotInPalette(Reaction),
    /// Only reactions that somebody has may be added, and nobody has this one.
    NobodyHas(Reaction),
    /// The post would have more different reactions than this.
    TooManyKinds(u32),
    /// The user would have more reactions on the post than this.
    TooManyOfUser(u32),
    /// The set has two reactions that exclude each other.
    Exclusive(Reaction, Reaction),
}
