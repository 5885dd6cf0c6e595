//! A history: the requests to a reaction service and its answers, as its clients recorded them.
//!
//! `loadtest/HISTORY.md` describes the file format; [`crate::verify`] judges a history.

mod format;
mod palette;
mod recorder;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

pub use format::{Damaged, read_file, tap_value};
pub(crate) use palette::FIELDS;
pub use palette::{AllOr, Palette, Star};
pub use recorder::Recorder;

/// The verb of a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Flips the flag.
    Toggle,
    /// Turns it on.
    Set,
    /// Turns it off.
    Unset,
}

/// The parts of an answer to a tap that a history keeps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TapAnswer {
    /// Whether the user has the reaction now.
    pub active: bool,
    /// Whether this tap changed that.
    pub changed: bool,
    /// How many users have it now.
    pub count: u64,
    /// The revision of the post.
    pub revision: u64,
    /// How many changes the post has seen, if the service says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<u64>,
    /// Whether the service says that it repeats the answer of an earlier attempt.
    #[serde(default)]
    pub replayed: bool,
    /// The other reactions that the same step took from the user.
    #[serde(default)]
    pub replaced: Vec<Replaced>,
}

/// A reaction that a tap took from its user, because it excludes the one that was added.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Replaced {
    /// The reaction.
    pub reaction: String,
    /// How many users have it now.
    pub count: u64,
}

/// The rule by which a service refused a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Nothing may be added to the post.
    ReactionsLocked,
    /// The palette does not have the reaction.
    ReactionNotAllowed,
    /// The post or the user has as many reactions as the palette allows.
    TooManyReactions,
}

/// The outcome of a tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service applied it and answered.
    Answered {
        /// When the whole answer had arrived.
        at_micros: u64,
        /// The answer.
        answer: TapAnswer,
    },
    /// The service did not apply it and will not.
    Refused,
    /// A rule of the post did not let the service apply it.
    RuledOut {
        /// When the whole answer had arrived.
        at_micros: u64,
        /// The rule.
        limit: Limit,
    },
    /// The service may have applied it.
    Unknown {
        /// After this time the service will not apply it any more.
        not_after_micros: Option<u64>,
    },
}

impl Outcome {
    /// Whether the service applied nothing and will not.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused | Self::RuledOut { .. })
    }
}

/// One attempt at a tap. All times are microseconds of one monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap<'a> {
    /// The post.
    pub post_id: Cow<'a, str>,
    /// The reaction.
    pub reaction: Cow<'a, str>,
    /// The user.
    pub user_id: u64,
    /// The verb.
    pub verb: Verb,
    /// When the request was given to the socket, or earlier.
    pub sent_micros: u64,
    /// The idempotency key. Attempts of one user on one post with the same key are one operation.
    pub key: Option<Cow<'a, str>>,
    /// The outcome.
    pub outcome: Outcome,
}

/// A read of a whole post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<'a> {
    /// The post.
    pub post_id: Cow<'a, str>,
    /// When the request was given to the socket, or earlier.
    pub sent_micros: u64,
    /// When the whole answer had arrived.
    pub answered_micros: u64,
    /// The revision of the state read.
    pub revision: u64,
    /// How many changes the post has seen, if the service says so.
    pub changes: Option<u64>,
    /// The sum of the counts, if the service says so.
    pub total: Option<u64>,
    /// The count of every reaction that has one.
    pub reactions: Vec<(Cow<'a, str>, u64)>,
    /// The users of each reaction. A read that has them is the final state of its post.
    pub reactors: Option<BTreeMap<Cow<'a, str>, Vec<u64>>>,
}

/// Strings, interned as small numbers.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_name: HashMap<Box<str>, u32>,
    all: Vec<Box<str>>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).expect("fewer than 2^32 names fit into memory");
        self.by_name.insert(name.into(), number);
        self.all.push(name.into());
        number
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        &self.all[number as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// A tap in memory.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) line: u64,
    pub(crate) post: u32,
    pub(crate) reaction: u32,
    pub(crate) user: u64,
    pub(crate) verb: Verb,
    pub(crate) key: Option<u32>,
    pub(crate) sent: u64,
    pub(crate) outcome: Outcome,
    /// As in its answer.
    pub(crate) replaced: Vec<(u32, u64)>,
}

/// A read in memory.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) line: u64,
    pub(crate) post: u32,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) revision: u64,
    pub(crate) changes: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) counts: Vec<(u32, u64)>,
    pub(crate) reactors: Option<Vec<(u32, Vec<u64>)>>,
}

/// A whole history, ready to be judged. Every post begins empty.
#[derive(Debug, Default)]
pub struct History {
    pub(crate) posts: Names,
    pub(crate) reactions: Names,
    keys: Names,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) readings: Vec<Reading>,
    pub(crate) palette: Option<Palette>,
}

impl History {
    /// Says by which palette the service judged all taps. Add it before the first tap.
    pub fn judged_by(&mut self, palette: Palette) {
        self.palette = Some(palette);
    }

    /// Adds a tap; a verdict names it by `line`.
    pub fn tap(&mut self, line: u64, tap: &Tap<'_>) {
        let palette = self.palette.as_ref();
        let counted = palette.map_or(&*tap.reaction, |palette| palette.counted(&tap.reaction));
        let mut replaced = Vec::new();
        if let Outcome::Answered { answer, .. } = &tap.outcome {
            let names = &mut self.reactions;
            let number = |one: &Replaced| (names.number(&one.reaction), one.count);
            replaced = answer.replaced.iter().map(number).collect();
        }
        self.attempts.push(Attempt {
            line,
            post: self.posts.number(&tap.post_id),
            reaction: self.reactions.number(counted),
            user: tap.user_id,
            verb: tap.verb,
            key: tap.key.as_deref().map(|key| self.keys.number(key)),
            sent: tap.sent_micros,
            outcome: tap.outcome.clone(),
            replaced,
        });
    }

    /// Adds a read; a verdict names it by `line`.
    pub fn read(&mut self, line: u64, read: &Read<'_>) {
        let names = &mut self.reactions;
        self.readings.push(Reading {
            line,
            post: self.posts.number(&read.post_id),
            sent: read.sent_micros,
            answered: read.answered_micros,
            revision: read.revision,
            changes: read.changes,
            total: read.total,
            counts: read.reactions.iter().map(|(name, n)| (names.number(name), *n)).collect(),
            reactors: read.reactors.as_ref().map(|all| {
                all.iter().map(|(name, users)| (names.number(name), users.clone())).collect()
            }),
        });
    }
}
