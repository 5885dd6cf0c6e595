//! What a post looks like to a reader.

use super::{PostId, Reaction, Reactor, Revision};

/// The counts of one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which post.
    pub post: PostId,
    /// Vouches for all of the post. A post without state answers the floor of its partition.
    pub revision: Revision,
    /// The reactions with a count above zero; count descending, then by name.
    pub reactions: Vec<ReactionSummary>,
}

/// One reaction of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionSummary {
    /// Which reaction.
    pub reaction: Reaction,
    /// How many users have it.
    pub count: u64,
    /// Whether the viewer has it. `None` where the question had no viewer.
    pub mine: Option<bool>,
    /// The newest users, newest first, as many as were asked for.
    pub recent: Vec<Reactor>,
}

impl Summary {
    /// Puts the reactions in their order and leaves out zero counts.
    pub fn new(post: PostId, revision: Revision, mut reactions: Vec<ReactionSummary>) -> Self {
        reactions.retain(|r| r.count > 0);
        reactions.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reaction.cmp(&b.reaction)));
        Self { post, revision, reactions }
    }

    /// Whether it says nothing but a revision: the post has no state, or nothing is left of it.
    pub fn is_blank(&self) -> bool {
        self.reactions.is_empty()
    }

    /// The sum of the counts. A count that was falsified beyond all measure does not overflow it.
    pub fn total(&self) -> u64 {
        self.reactions.iter().fold(0, |total, r| total.saturating_add(r.count))
    }
}
