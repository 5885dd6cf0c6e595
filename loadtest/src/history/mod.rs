//! A history: the requests to a reaction service and its answers, as its clients recorded them.
//!
//! `loadtest/HISTORY.md` describes the file format; [`crate::verify`] judges a history.

mod format;
mod recorder;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

pub use format::{Damaged, read_file, tap_value};
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
    /// The service may have applied it.
    Unknown {
        /// After this time the service will not apply it any more.
        not_after_micros: Option<u64>,
    },
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
}

impl History {
    /// Adds a tap; a verdict names it by `line`.
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
