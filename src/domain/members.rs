//! The users that have one reaction on one post.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use super::user::Integer;
use super::{Micros, UserId};

/// A set of users with the time at which each joined, listed newest first.
///
/// Integers and texts have collections of their own: an integer takes eight bytes, and most stores
/// have no other ids.
#[derive(Debug, Default)]
pub(super) struct Members {
    integers: Kind<Integer>,
    texts: Option<Box<Kind<Arc<str>>>>,
}

/// The two collections always hold the same pairs. The count is their size, never a separate
/// number.
#[derive(Debug)]
struct Kind<K> {
    since: HashMap<K, Micros>,
    ordered: BTreeSet<(Micros, K)>,
}

impl<K> Default for Kind<K> {
    fn default() -> Self {
        Self { since: HashMap::new(), ordered: BTreeSet::new() }
    }
}

impl<K: Clone + Ord + Hash> Kind<K> {
    fn add(&mut self, user: K, at: Micros) {
        if !self.since.contains_key(&user) {
            self.since.insert(user.clone(), at);
            self.ordered.insert((at, user));
        }
    }

    fn remove<Q: Eq + Hash + ?Sized>(&mut self, user: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some((user, at)) = self.since.remove_entry(user) {
            self.ordered.remove(&(at, user));
        }
    }

    fn newest(&self, end: Bound<(Micros, K)>) -> impl Iterator<Item = &(Micros, K)> {
        self.ordered.range((Bound::Unbounded, end)).rev()
    }
}

impl Members {
    /// Adds a user. A user that is there already keeps its time.
    pub(super) fn add(&mut self, user: UserId, at: Micros) {
        match user.kind() {
            Ok(integer) => self.integers.add(integer, at),
            Err(text) => self.texts.get_or_insert_default().add(text.into(), at),
        }
    }

    pub(super) fn remove(&mut self, user: UserId) {
        match (user.kind(), &mut self.texts) {
            (Ok(integer), _) => self.integers.remove(&integer),
            (Err(text), Some(texts)) => texts.remove(text),
            (Err(_), None) => {}
        }
    }

    pub(super) fn contains(&self, user: UserId) -> bool {
        self.since(user).is_some()
    }

    /// When a user joined; None if it did not.
    pub(super) fn since(&self, user: UserId) -> Option<Micros> {
        match user.kind() {
            Ok(integer) => self.integers.since.get(&integer).copied(),
            Err(text) => self.texts.as_ref()?.since.get(text).copied(),
        }
    }

    /// All users, in no order that a caller may rely on.
    pub(super) fn users(&self) -> impl Iterator<Item = UserId> {
        let integers = self.integers.since.keys().map(|id| UserId::from(*id));
        let texts = self.texts.iter().flat_map(|texts| texts.since.keys());
        integers.chain(texts.filter_map(|text| text.parse().ok()))
    }

    pub(super) fn count(&self) -> u64 {
        self.integers.ordered.len() as u64 + self.count_texts()
    }

    /// How many of the users have text ids.
    pub(super) fn count_texts(&self) -> u64 {
        self.texts.as_ref().map_or(0, |texts| texts.ordered.len() as u64)
    }

    /// The members at or below `from` (or all of them), newest first.
    pub(super) fn newest(
        &self,
        from: Option<(Micros, UserId)>,
    ) -> impl Iterator<Item = (Micros, UserId)> {
        let (integers, texts) = match from {
            None => (Bound::Unbounded, Bound::Unbounded),
            Some((at, user)) => match user.kind() {
                Ok(id) => (Bound::Included((at, id)), at_text(at, user.spelled().as_str())),
                // No integer has the place of a text; those above it are skipped below.
                Err(text) => (
                    Bound::Excluded((Micros(at.0.saturating_add(1)), Integer::FIRST)),
                    at_text(at, text),
                ),
            },
        };
        let integers = self.integers.newest(integers).map(|(at, id)| (*at, UserId::from(*id)));
        let integers = integers.skip_while(move |found| from.is_some_and(|from| *found > from));
        let texts = self.texts.iter().flat_map(move |kind| kind.newest(texts.clone()));
        let texts = texts.filter_map(|(at, text)| Some((*at, text.parse().ok()?)));
        merged(integers, texts)
    }
}

fn at_text(at: Micros, text: &str) -> Bound<(Micros, Arc<str>)> {
    Bound::Included((at, text.into()))
}

/// Two descending lists as one.
fn merged<T: Ord>(
    one: impl Iterator<Item = T>,
    other: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if a < b => other.next(),
        (None, _) => other.next(),
        (Some(_), _) => one.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_texts_are_one_list_from_every_place_on() {
        let texts = ["1", "10", "1a", "2", "=", "A", "a", "9", "90", "999999999999999999", "99a"];
        let mut members = Members::default();
        for (at, text) in [1, 2, 1, 1, 2].into_iter().cycle().zip(texts) {
            members.add(text.parse().expect("a user id"), Micros(at));
        }
        assert_eq!((members.count(), members.count_texts()), (11, 5));
        let all: Vec<_> = members.newest(None).collect();
        let mut sorted = all.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        assert_eq!((all.len(), &all), (texts.len(), &sorted));
        for at in [Micros(0), Micros(1), Micros(2)] {
            for text in texts.iter().chain(&["0", "~", "+", "5"]) {
                let from = (at, text.parse().expect("a user id"));
                let expected: Vec<_> = all.iter().copied().filter(|one| *one <= from).collect();
                assert_eq!(members.newest(Some(from)).collect::<Vec<_>>(), expected, "{from:?}");
            }
        }
    }
}
