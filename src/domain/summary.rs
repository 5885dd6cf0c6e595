//! A post as readers see it.

use super::{PostId, Reaction, Reactor, Revision};

/// The counts of one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The post.
    pub post: PostId,
    /// The revision of the whole summary. For a post without state it is the floor of its
    /// partition.
    pub revision: Revision,
    /// The reactions with a count above zero: by count descending, then by name.
    pub reactions: Vec<ReactionSummary>,
}

/// One reaction of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionSummary {
    /// The reaction.
    pub reaction: Reaction,
    /// How many users have it.
    pub count: u64,
    /// Whether the viewer has it; `None` without a viewer.
    pub mine: Option<bool>,
    /// The newest users, newest first, as many as asked for.
    pub recent: Vec<Reactor>,
}

impl Summary {
    /// Sorts the reactions and drops zero counts.
    pub fn new(post: PostId, revision: Revision, mut reactions: Vec<ReactionSummary>) -> Self {
        reactions.retain(|r| r.count > 0);
        reactions.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reaction.cmp(&b.reaction)));
        Self { post, revision, reactions }
    }

    /// Whether it has no reaction: the post has no state, or nothing is left of it.
    pub fn is_blank(&self) -> bool {
        self.reactions.is_empty()
    }

    /// The sum of the counts. It saturates, because a falsified count may be huge.
    pub fn total(&self) -> u64 {
        self.reactions.iter().fold(0, |total, r| total.saturating_add(r.count))
    }
}
