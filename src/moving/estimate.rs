//! How many bytes an import will take in a store.

use bytesize::ByteSize;

use super::apply::{Step, StepRow};
use crate::domain::Reaction;

/// Sets up to this size are small in Redis: `zset-max-listpack-entries`.
const SMALL: u64 = 128;

/// Bytes in Redis of a post with its mark, of a set, and of a member of a small and of a large one,
/// the index of what users gave included. docs/layout.md says how they come about.
const POST: u64 = 120 + 130;
const SET: u64 = 120;
const SMALL_MEMBER: u64 = 11 + 70;
const LARGE_MEMBER: u64 = 100 + 70;

/// Bytes in a store file of a post with its mark, and of a member with its place in the index.
/// docs/figures.md has the measurements: 456 bytes a reaction with 2.5 on each post, 357 with 10.
const FILE_POST: u64 = 330;
const FILE_MEMBER: u64 = 324;

/// What the rows of an import add to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    posts: u64,
    sets: u64,
    small: u64,
    large: u64,
}

impl Estimate {
    pub(crate) fn add(&mut self, other: Self) {
        self.posts += other.posts;
        self.sets += other.sets;
        self.small += other.small;
        self.large += other.large;
    }

    /// A step that was applied, and how many members it added.
    pub(crate) fn step(&mut self, step: &Step, added: u64) {
        self.posts += u64::from(step.from == 0);
        if added == 0 {
            return;
        }
        let active = |row: &&StepRow| !row.edit.act.only_removes();
        let mut names: Vec<&Reaction> =
            step.rows.iter().filter(active).map(|row| &row.edit.reaction).collect();
        names.sort_unstable();
        let mut left = added;
        for set in names.chunk_by(|a, b| a == b) {
            let members = (set.len() as u64).min(left);
            left -= members;
            // A later step of the post finds the sets that the first one has made.
            self.sets += u64::from(step.from == 0 && members > 0);
            let is_small = step.from == 0 && members <= SMALL;
            *if is_small { &mut self.small } else { &mut self.large } += members;
        }
    }

    /// How much that is, in words.
    pub fn describe(&self) -> String {
        let Self { posts, sets, small, large } = self;
        let redis = posts * POST + sets * SET + small * SMALL_MEMBER + large * LARGE_MEMBER;
        let file = posts * FILE_POST + (small + large) * FILE_MEMBER;
        let [redis, file] = [redis, file].map(|bytes| ByteSize(bytes).display().iec());
        format!(
            "about {redis} more in Redis, or {file} more in a store file, beside the change log (at \
             most 0.2 GB)\n"
        )
    }
}
