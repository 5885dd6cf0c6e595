//! How many bytes an import will take in a store.

use bytesize::ByteSize;

use super::posts::{PostRows, Rows};
use super::row::Row;
use crate::domain::Reaction;

/// Sets up to this size are small in Redis: `zset-max-listpack-entries`.
const SMALL: u64 = 128;

/// Bytes in Redis of a post with its mark, of a set, and of a member of a small and of a large one,
/// the index of what users gave included. docs/layout.md says how they come about.
const POST: u64 = 120 + 130;
const SET: u64 = 120;
const SMALL_MEMBER: u64 = 11 + 70;
const LARGE_MEMBER: u64 = 100 + 70;

/// Bytes in a store file of a member.
const FILE_MEMBER: u64 = 400;

/// What the rows of an import add to an empty store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    posts: u64,
    sets: u64,
    small: u64,
    large: u64,
}

impl Estimate {
    pub(crate) fn add(&mut self, post: &PostRows) {
        self.posts += 1;
        match &post.rows {
            Rows::Few(rows) => self.few(rows),
            // More than one step takes, in hardly ever more than a few sets.
            Rows::Many(spool) => {
                self.sets += 1;
                self.large += spool.count();
            }
        }
    }

    fn few(&mut self, rows: &[Row]) {
        let on = rows.iter().filter(|row| row.active).map(|row| &row.reaction);
        let mut names: Vec<&Reaction> = on.collect();
        names.sort_unstable();
        for set in names.chunk_by(|a, b| a == b) {
            let members = set.len() as u64;
            self.sets += 1;
            *if members <= SMALL { &mut self.small } else { &mut self.large } += members;
        }
    }

    /// How much that is, in words.
    pub fn describe(&self) -> String {
        let Self { posts, sets, small, large } = self;
        let redis = posts * POST + sets * SET + small * SMALL_MEMBER + large * LARGE_MEMBER;
        let file = (small + large) * FILE_MEMBER;
        let [redis, file] = [redis, file].map(|bytes| ByteSize(bytes).display().iec());
        format!(
            "about {redis} in an empty Redis, or {file} in a new store file, beside the change log \
             (at most 0.2 GB)\n"
        )
    }
}
