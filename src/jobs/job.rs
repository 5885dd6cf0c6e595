//! A job as its document keeps it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::plan::{Place, Plan};
use super::{Task, text};
use crate::domain::{Micros, PostId, UserId};

/// How often a pass may find reactions and change none before the job gives up.
const MOST_IDLE_PASSES: u32 = 3;

/// The name of a job: 16 hexadecimal digits, of which the first 11 are the milliseconds since 1970.
/// So later jobs have greater names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(String);

/// Text that is no [`JobId`].
#[derive(Debug, thiserror::Error)]
#[error("a job id is 16 hexadecimal digits in lower case")]
pub struct InvalidJobId;

impl JobId {
    /// A name that no job has yet, as good as certainly.
    pub(super) fn new(now: Micros) -> Self {
        let chance = Uuid::new_v4().as_u128() & 0xF_FFFF;
        Self(format!("{:011x}{chance:05x}", now.0 / 1000))
    }

    /// The number of the day since 1970 on which the job was created.
    pub(super) fn day(&self) -> u64 {
        u64::from_str_radix(&self.0[..11], 16).unwrap_or_default() / 86_400_000
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let is_id = text.len() == 16 && text.bytes().all(digit);
        if is_id { Ok(Self(text.to_owned())) } else { Err(InvalidJobId) }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a job has ended, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on.
    Running,
    /// It did all that it was to do.
    Done,
    /// It could not do all; the receipt says what is left.
    Failed,
    /// A moderator ended it.
    Cancelled,
}

impl State {
    /// The word in answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The users and posts that a job lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// The users of a retraction.
    pub users: Vec<UserId>,
    /// The posts of a retraction or a renaming.
    pub posts: Vec<PostId>,
}

/// What a job counts, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Numbers(BTreeMap<String, u64>);

impl Numbers {
    /// Adds to a number. Nothing is no number.
    pub(super) fn add(&mut self, name: &str, more: u64) {
        if more > 0 {
            *self.0.entry(name.to_owned()).or_default() += more;
        }
    }

    /// A number; 0 if nothing was counted.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, more)| self.add(name, *more));
    }
}

/// Who works on a job. It only spares other runners work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    /// The runner.
    pub(super) runner: String,
    /// When others may go on, in ms since 1970.
    pub(super) until: u64,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    #[serde(with = "text")]
    pub id: JobId,
    /// What it is to do.
    pub task: Task,
    /// Whether it only counts what it would change.
    pub dry_run: bool,
    /// The moderator that started it.
    #[serde(with = "text::option")]
    pub actor: Option<UserId>,
    /// When it was created, in µs.
    pub created: u64,
    /// When it ended, in µs.
    pub ended: Option<u64>,
    /// Whether it has ended.
    pub state: State,
    /// Whether a moderator wants it to end.
    pub cancelled: bool,
    /// Why its last step failed, and is tried again; or why it could not go on.
    pub error: Option<String>,
    /// How much of `total` it has done.
    pub done: u64,
    /// How much there is to do, once that is known.
    pub total: Option<u64>,
    /// What it did.
    pub numbers: Numbers,
    /// The time of which the receipt speaks, in µs: what was given later is another matter.
    pub until: u64,
    /// The number of the pass, from 1.
    pub pass: u32,
    /// How many users it lists.
    pub users: usize,
    /// How many posts it lists.
    pub posts: usize,
    /// How many parts its receipt has besides what stands here.
    pub receipts: u64,
    pub(super) step: u64,
    pub(super) place: Place,
    pub(super) plan: Option<Plan>,
    pub(super) lease: Option<Lease>,
    /// What this pass has found.
    found: u64,
    /// What this pass has changed.
    changed: u64,
    idle_passes: u32,
}

impl Job {
    pub(super) fn new(
        id: JobId,
        task: Task,
        lists: &Lists,
        actor: Option<UserId>,
        dry_run: bool,
        now: Micros,
    ) -> Self {
        Self {
            id,
            task,
            dry_run,
            actor,
            created: now.0,
            ended: None,
            state: State::Running,
            cancelled: false,
            error: None,
            done: 0,
            total: None,
            numbers: Numbers::default(),
            until: now.0,
            pass: 1,
            users: lists.users.len(),
            posts: lists.posts.len(),
            receipts: 0,
            step: 0,
            place: Place::default(),
            plan: None,
            lease: None,
            found: 0,
            changed: 0,
            idle_passes: 0,
        }
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.state != State::Running
    }

    /// Whether this pass takes what was given at this time. The first pass takes what it finds, so
    /// that nothing depends on whether our clock and the store's agree.
    pub(super) fn takes(&self, at: Micros) -> bool {
        self.pass == 1 || at.0 <= self.until
    }

    /// Goes on behind a step: what it did, and how many documents of the receipt it wrote.
    pub(super) fn advance(&mut self, plan: &Plan, did: &Numbers, receipts: u64, now: Micros) {
        self.numbers.merge(did);
        self.receipts += receipts;
        self.step += 1;
        if self.pass == 1 {
            self.done += match self.task {
                Task::Retract { .. } | Task::Rename { .. } | Task::Audit { .. } => plan.looked,
                _ => plan.items.len() as u64,
            };
        }
        self.found += plan.items.len() as u64;
        self.changed += did.get("removed") + did.get("added");
        self.place = plan.next.clone();
        if self.cancelled {
            self.end(State::Cancelled, now);
        } else if plan.ends_pass {
            self.end_pass(now);
        }
    }

    fn end_pass(&mut self, now: Micros) {
        if self.pass == 1 {
            self.total = Some(self.done);
        }
        self.idle_passes = if self.changed == 0 { self.idle_passes + 1 } else { 0 };
        let last = self.found == 0 || self.dry_run || !self.task.repeats();
        if last || self.idle_passes >= MOST_IDLE_PASSES {
            if !last {
                self.numbers.add("left", self.found);
            }
            let whole = last && self.numbers.get("damaged") == 0;
            self.end(if whole { State::Done } else { State::Failed }, now);
            return;
        }
        self.pass += 1;
        (self.place, self.found, self.changed) = (Place::default(), 0, 0);
    }

    pub(super) fn end(&mut self, state: State, now: Micros) {
        (self.state, self.ended) = (state, Some(now.0));
        (self.plan, self.lease, self.place) = (None, None, Place::default());
    }
}
