//! The demo's counterexample: the table of a forum that reads a row, flips it and saves it. Here as
//! there, reading and saving are two steps, and other requests run between them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::domain::{PostId, Reaction, UserId};

/// How long the database of a forum takes to reply within one data centre.
pub(super) const ROUND_TRIP: Duration = Duration::from_millis(2);

/// The most rows. The oldest are removed first, so that no caller of the demo can fill the memory.
const MAX_ROWS: usize = 10_000;

/// Identifies a row of a post: reaction and user.
type Key = (Reaction, UserId);

/// The table, in memory.
#[derive(Debug, Default)]
pub struct NaiveTable(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    posts: HashMap<PostId, BTreeMap<Key, bool>>,
    /// All rows, in the order of their first save.
    oldest_first: VecDeque<(PostId, Key)>,
}

/// A reaction of a post, its count, and whether the viewer has it.
pub(super) type Counted = (Reaction, u64, bool);

impl NaiveTable {
    /// Reads a row.
    pub(super) fn is_active(&self, post: PostId, reaction: &Reaction, user: UserId) -> bool {
        let key = (reaction.clone(), user);
        self.rows().posts.get(&post).and_then(|rows| rows.get(&key)).copied().unwrap_or(false)
    }

    /// Saves a row, without a look at what changed since it was read.
    pub(super) fn save(&self, post: PostId, reaction: &Reaction, user: UserId, active: bool) {
        let key = (reaction.clone(), user);
        let mut rows = self.rows();
        if rows.posts.entry(post).or_default().insert(key.clone(), active).is_none() {
            rows.oldest_first.push_back((post, key));
        }
        if rows.oldest_first.len() > MAX_ROWS
            && let Some((post, key)) = rows.oldest_first.pop_front()
            && let Some(of_post) = rows.posts.get_mut(&post)
        {
            of_post.remove(&key);
            if of_post.is_empty() {
                rows.posts.remove(&post);
            }
        }
    }

    /// The counts of a post, by reaction.
    pub(super) fn counts(&self, post: PostId, viewer: Option<UserId>) -> Vec<Counted> {
        let mut counts: Vec<Counted> = Vec::new();
        let rows = self.rows();
        let of_post = rows.posts.get(&post).into_iter().flatten();
        for ((reaction, user), _) in of_post.filter(|(_, active)| **active) {
            let mine = viewer == Some(*user);
            match counts.last_mut() {
                Some((last, count, had)) if last == reaction => {
                    *count += 1;
                    *had |= mine;
                }
                _ => counts.push((reaction.clone(), 1, mine)),
            }
        }
        counts
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(number: u128) -> PostId {
        uuid::Uuid::from_u128(number).try_into().unwrap()
    }

    fn user(number: u64) -> UserId {
        number.try_into().unwrap()
    }

    #[test]
    fn counts_are_of_the_rows_that_are_active() {
        let table = NaiveTable::default();
        let like: Reaction = "like".parse().unwrap();
        table.save(post(1), &like, user(1), true);
        table.save(post(1), &like, user(2), true);
        table.save(post(1), &"love".parse().unwrap(), user(2), false);
        table.save(post(2), &like, user(1), true);
        assert_eq!(table.counts(post(1), Some(user(1))), [(like.clone(), 2, true)]);
        assert_eq!(table.counts(post(1), None), [(like.clone(), 2, false)]);
        assert!(table.is_active(post(1), &like, user(2)));
        assert!(!table.is_active(post(2), &like, user(2)));
    }

    #[test]
    fn the_oldest_rows_make_room() {
        let table = NaiveTable::default();
        let like: Reaction = "like".parse().unwrap();
        for number in 0..=MAX_ROWS as u64 {
            table.save(post(1), &like, user(number + 1), true);
        }
        assert!(!table.is_active(post(1), &like, user(1)));
        assert!(table.is_active(post(1), &like, user(2)));
        assert_eq!(table.counts(post(1), None), [(like, MAX_ROWS as u64, false)]);
    }
}
