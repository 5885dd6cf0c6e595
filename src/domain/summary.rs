//! A post as readers see it.

use super::{PostId, Reaction, Reactor, Revision, Rules};

/// The most reactions that an answer names: the largest ones. So no answer can grow without a
/// bound, even if a post has many reactions from a time before its palette had limits.
pub const MOST_NAMED: usize = 100;

/// The counts of one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The post.
    pub post: PostId,
    /// The revision of the whole summary. For a post without state it is the floor of its
    /// partition.
    pub revision: Revision,
    /// The rules of the post.
    pub rules: Rules,
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
    /// The newest users, newest first, as many as asked for. A store reads them only for the first
    /// [`MOST_NAMED`] reactions of a summary.
    pub recent: Vec<Reactor>,
}

impl Summary {
    /// Sorts the reactions and drops zero counts.
    pub fn new(
        post: PostId,
        revision: Revision,
        rules: Rules,
        mut reactions: Vec<ReactionSummary>,
    ) -> Self {
        reactions.retain(|r| r.count > 0);
        reactions.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reaction.cmp(&b.reaction)));
        Self { post, revision, rules, reactions }
    }

    /// How many reactions an answer leaves out.
    pub fn unnamed(&self) -> usize {
        self.reactions.len().saturating_sub(MOST_NAMED)
    }

    /// Whether it has neither reactions nor rules: the post has no state.
    pub fn is_blank(&self) -> bool {
        self.reactions.is_empty() && self.rules.is_default()
    }

    /// The sum of the counts. It saturates, because a falsified count may be huge.
    pub fn total(&self) -> u64 {
        self.reactions.iter().fold(0, |total, r| total.saturating_add(r.count))
    }
}
