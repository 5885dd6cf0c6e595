//! What a step will change: found by reads, then written down before anything changes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::text;
use crate::domain::{Micros, PostId, Reaction, Reactor, UserId};
use crate::store::{Given, MAX_DOCUMENT_BYTES};

/// The most reactions of a step. Each is at most two edits, of which an amendment takes 1,000.
pub(super) const STEP: usize = 500;

/// The same where a palette lets nobody have two reactions on a post: each reaction of the plan may
/// then have a list of its own of those that it excludes.
pub(super) const STEP_WITH_LISTS: usize = 30;

/// A plan that has more bytes than this takes nothing more. What a read adds at once, the posts
/// that are not read yet, and the rest of the job need less than as much again. So the document of
/// the job stays below [`MAX_DOCUMENT_BYTES`], and the receipt of the step, too.
const ROOM: usize = MAX_DOCUMENT_BYTES * 7 / 16;

/// The most bytes of an [`Item`] in the document.
const ITEM_BYTES: usize = 220;

/// The most bytes of a text that says what is wrong.
const MOST_TEXT: usize = 200;

/// The next step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The reactions to change.
    pub(super) items: Vec<Item>,
    /// Lists of reactions that exclude another one. An [`Item`] names one by its number.
    pub(super) excluded: Vec<Names>,
    /// Posts that do not agree with themselves, for an audit.
    pub(super) drifted: Vec<Drifted>,
    /// Posts that hold what onetap did not write, with what that is. The post is empty for an entry
    /// that belongs to none.
    pub(super) damaged: Vec<(String, String)>,
    /// Where the step after this one begins.
    pub(super) next: Place,
    /// Whether this is the last step of a pass.
    pub(super) ends_pass: bool,
    /// How many posts or users it has looked at to the end.
    pub(super) looked: u64,
    /// How many members it has looked at, for an audit.
    pub(super) members: u64,
    /// About how many bytes of the document it takes so far.
    #[serde(skip)]
    pub(super) bytes: usize,
}

impl Plan {
    /// What it counts against the rate.
    pub(super) fn cost(&self) -> u64 {
        self.items.len() as u64 + self.looked + self.members
    }

    /// Whether it may take more.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < ROOM
    }

    /// How many more reactions it may take, if a step has at most this many.
    pub(super) fn room_for(&self, step: usize) -> usize {
        let free = ROOM.saturating_sub(self.bytes) / ITEM_BYTES;
        step.saturating_sub(self.items.len()).min(free)
    }

    /// Takes a reaction to change.
    pub(super) fn add(&mut self, item: Item) {
        self.bytes += bytes_of(&item);
        self.items.push(item);
    }

    /// Drops the reactions that are not to be changed.
    pub(super) fn retain(&mut self, keeps: impl FnMut(&Item) -> bool) {
        let before: usize = self.items.iter().map(bytes_of).sum();
        self.items.retain(keeps);
        let after: usize = self.items.iter().map(bytes_of).sum();
        self.bytes -= before - after;
    }

    /// Notes what a post holds that onetap did not write; without a post, what the store does.
    pub(super) fn note_damage(&mut self, post: Option<PostId>, why: &str) {
        let damaged = (post.map(|post| post.to_string()).unwrap_or_default(), short(why));
        self.bytes += bytes_of(&damaged);
        self.damaged.push(damaged);
    }

    /// Notes what does not agree in a post.
    pub(super) fn note_drift(&mut self, drifted: Drifted) {
        self.bytes += bytes_of(&drifted);
        self.drifted.push(drifted);
    }
}

/// How many bytes this has in the document, and what separates it from the next.
fn bytes_of(part: &impl Serialize) -> usize {
    serde_json::to_vec(part).map_or(0, |json| json.len() + 1)
}

/// A text that says what is wrong, cut to a bounded length.
pub(super) fn short(text: &str) -> String {
    let mut end = text.len().min(MOST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Some reactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Names {
    #[serde(with = "text::list")]
    pub(super) names: Vec<Reaction>,
}

/// A reaction as a read found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    #[serde(rename = "p", with = "text")]
    pub(super) post: PostId,
    #[serde(rename = "u", with = "text")]
    pub(super) user: UserId,
    #[serde(rename = "r", with = "text")]
    pub(super) reaction: Reaction,
    /// When the user reacted, in µs.
    #[serde(rename = "t")]
    pub(super) at: u64,
    /// The number of the list of reactions that exclude the one that it becomes.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(super) excluded: Option<usize>,
}

/// A post that does not agree with itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Drifted {
    /// The post, and from where on its members are compared with the index.
    pub(super) pending: Pending,
    /// What disagrees, as the receipt names it.
    pub(super) drift: Vec<serde_json::Value>,
}

/// How far a pass is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// How many of the users or of the listed posts it has read.
    pub(super) nth: usize,
    /// The last reaction of the present user that it has read.
    pub(super) given: Option<Spot>,
    /// Where the walk goes on.
    pub(super) walk: Option<String>,
    /// Whether the walk has come to its end.
    pub(super) walked: bool,
    /// Posts that it has come by and not read yet.
    pub(super) pending: VecDeque<Pending>,
}

/// A post to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    #[serde(with = "text")]
    pub(super) post: PostId,
    /// Reactions of which a walk has seen members.
    #[serde(with = "text::list", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) seen: Vec<Reaction>,
    /// The last reactor that was read.
    pub(super) after: Option<Behind>,
    /// The only reaction to read, if others of the post are damaged.
    #[serde(with = "text::option", default, skip_serializing_if = "Option::is_none")]
    pub(super) only: Option<Reaction>,
}

impl Pending {
    /// A post of which nothing has been read.
    pub(super) fn new(post: PostId, seen: Vec<Reaction>) -> Self {
        Self { post, seen, after: None, only: None }
    }

    /// The same for one reaction of a damaged post.
    pub(super) fn of_one(post: PostId, only: Reaction) -> Self {
        Self { only: Some(only), ..Self::new(post, Vec::new()) }
    }

    /// Whether nothing of the post has been read.
    pub(super) fn is_first(&self) -> bool {
        self.after.is_none() && self.only.is_none()
    }
}

/// A position in the list of what a user gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spot {
    at: u64,
    #[serde(with = "text")]
    post: PostId,
    #[serde(with = "text")]
    reaction: Reaction,
}

impl From<&Given> for Spot {
    fn from(given: &Given) -> Self {
        Self { at: given.reacted_at.0, post: given.post, reaction: given.reaction.clone() }
    }
}

impl From<Spot> for Given {
    fn from(Spot { at, post, reaction }: Spot) -> Self {
        Self { reacted_at: Micros(at), post, reaction }
    }
}

/// A position in the list of a post's reactors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Behind {
    at: u64,
    #[serde(with = "text")]
    user: UserId,
    #[serde(with = "text")]
    reaction: Reaction,
}

impl From<&Reactor> for Behind {
    fn from(reactor: &Reactor) -> Self {
        let (at, reaction) = (reactor.reacted_at.0, reactor.reaction.clone());
        Self { at, user: reactor.user, reaction }
    }
}

impl From<Behind> for Reactor {
    fn from(Behind { at, user, reaction }: Behind) -> Self {
        Self { reacted_at: Micros(at), user, reaction }
    }
}
