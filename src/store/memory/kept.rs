//! What a partition keeps for a while: the marks of imports, and the answers to steps of jobs.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use crate::domain::{Fate, Micros};

/// Values that are kept for a while after they were written.
#[derive(Debug)]
pub(super) struct Kept<K, V> {
    retention: Duration,
    values: HashMap<K, (Micros, V)>,
    /// The keys, oldest write first, with the expiry times of those writes.
    by_age: VecDeque<(Micros, K)>,
}

impl<K: Copy + Eq + Hash, V> Kept<K, V> {
    pub(super) fn new(retention: Duration) -> Self {
        Self { retention, values: HashMap::new(), by_age: VecDeque::new() }
    }

    pub(super) fn get(&self, key: &K, now: Micros) -> Option<&V> {
        self.values.get(key).filter(|(expires_at, _)| *expires_at > now).map(|(_, value)| value)
    }

    /// Keeps a value from now on. Returns the one before.
    pub(super) fn put(&mut self, key: K, value: V, now: Micros) -> Option<V> {
        let expires_at = now.later(self.retention);
        self.by_age.push_back((expires_at, key));
        self.values.insert(key, (expires_at, value)).map(|(_, before)| before)
    }

    /// Forgets a value. The write that kept it counts until it would have expired.
    pub(super) fn remove(&mut self, key: &K) {
        self.values.remove(key);
    }

    /// Drops the values that have expired, oldest first, and tells of each.
    pub(super) fn sweep(&mut self, now: Micros, mut gone: impl FnMut(V)) {
        while let Some((then, key)) = self.by_age.front().copied() {
            let fate = Fate::at(now, then, self.retention);
            if fate == Fate::Keep {
                break;
            }
            self.by_age.pop_front();
            // A key that was written again has a later entry.
            let Some(value) = self.values.get_mut(&key).filter(|(at, _)| *at == then) else {
                continue;
            };
            if let Fate::Redate(expires_at) = fate {
                value.0 = expires_at;
                self.by_age.push_back((expires_at, key));
            } else if let Some((_, value)) = self.values.remove(&key) {
                gone(value);
            }
        }
    }

    /// How many writes it remembers.
    pub(super) fn writes(&self) -> u64 {
        self.by_age.len() as u64
    }
}
