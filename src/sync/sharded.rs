//! State divided over locks.

use super::prim::Mutex;

/// Values, each behind its own lock. Everything that must agree lives in one value and changes
/// under one hold of its lock. No thread ever holds two of the locks.
#[derive(Debug)]
pub struct Sharded<T> {
    shards: Box<[Mutex<T>]>,
}

impl<T> Sharded<T> {
    /// Makes `shards` values.
    pub fn new(shards: usize, make: impl Fn(usize) -> T) -> Self {
        Self { shards: (0..shards).map(|index| Mutex::new(make(index))).collect() }
    }

    /// Runs `step` on one shard under its lock. `index` must be below the number of shards.
    ///
    /// A step that panics leaves its shard half changed. The steps of the stores are pure functions
    /// of the domain; refusing the whole shard for ever would repair nothing.
    pub fn with<R>(&self, index: usize, step: impl FnOnce(&mut T) -> R) -> R {
        let mut shard = self.shards[index].lock();
        step(&mut shard)
    }
}
