//! What was asked of a reaction service and what it answered, as recorded by its clients.
//!
//! `loadtest/HISTORY.md` describes the format of a recorded file; [`crate::verify`] judges it.

mod format;
mod recorder;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

pub use format::{Damaged, read_file, tap_value};
pub use recorder::Recorder;

/// What a tap asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// To flip.
    Toggle,
    /// To turn on.
    Set,
    /// To turn off.
    Unset,
}

/// What the service answers to a tap, as far as a history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TapAnswer {
    /// Whether the user has the reaction now.
    pub active: bool,
    /// Whether this tap changed that.
    pub changed: bool,
    /// How many users have it now.
    pub count: u64,
    /// The order of the change.
    pub revision: u64,
    /// How many changes the post has seen, if the service tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<u64>,
    /// Whether the service says that it repeats the answer of an earlier attempt.
    #[serde(default)]
    pub replayed: bool,
}

/// What came of a tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied, and this is the answer.
    Answered {
        /// When the whole answer was here.
        at_micros: u64,
        /// The answer.
        answer: TapAnswer,
    },
    /// It was not applied and will not be.
    Refused,
    /// It may have been applied.
    Unknown {
        /// After this moment it will not be applied any more.
        not_after_micros: Option<u64>,
    },
}

/// One attempt at a tap. All times are microseconds on one clock that never goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap<'a> {
    /// On which post.
    pub post_id: Cow<'a, str>,
    /// Which reaction.
    pub reaction: Cow<'a, str>,
    /// Whose.
    pub user_id: u64,
    /// What was asked for.
    pub verb: Verb,
    /// When the request was handed to the socket, or earlier.
    pub sent_micros: u64,
    /// Attempts of one user on one post with the same key are one operation.
    pub key: Option<Cow<'a, str>>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What the service said of a whole post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<'a> {
    /// Which post.
    pub post_id: Cow<'a, str>,
    /// When the request was handed to the socket, or earlier.
    pub sent_micros: u64,
    /// When the whole answer was here.
    pub answered_micros: u64,
    /// The revision of the state that was read.
    pub revision: u64,
    /// How many changes the post has seen, if the service tells.
    pub changes: Option<u64>,
    /// The sum of the counts, if the service tells.
    pub total: Option<u64>,
    /// The count of every reaction that somebody has.
    pub reactions: Vec<(Cow<'a, str>, u64)>,
    /// Who has each reaction. Such a read is the final state of its post.
    pub reactors: Option<BTreeMap<Cow<'a, str>, Vec<u64>>>,
}

/// Strings as small numbers.
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

/// A tap as it is kept in memory.
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
}

/// A read as it is kept in memory.
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

/// A whole history, ready to be judged. Every post began empty.
#[derive(Debug, Default)]
pub struct History {
    pub(crate) posts: Names,
    pub(crate) reactions: Names,
    keys: Names,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) readings: Vec<Reading>,
}

impl History {
    /// Adds a tap; `line` is how a verdict calls it.
    pub fn tap(&mut self, line: u64, tap: &Tap<'_>) {
        self.attempts.push(Attempt {
            line,
            post: self.posts.number(&tap.post_id),
            reaction: self.reactions.number(&tap.reaction),
            user: tap.user_id,
            verb: tap.verb,
            key: tap.key.as_deref().map(|key| self.keys.number(key)),
            sent: tap.sent_micros,
            outcome: tap.outcome.clone(),
        });
    }

    /// Adds a read; `line` is how a verdict calls it.
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
