//! State split over locks.

use super::prim::Mutex;

/// Values behind a lock each. All that must agree lives in one value and is changed under one hold
/// of its lock; nothing ever holds two.
#[derive(Debug)]
pub struct Sharded<T> {
    shards: Box<[Mutex<T>]>,
}

impl<T> Sharded<T> {
    /// As many shards as `make` is asked for.
    pub fn new(shards: usize, make: impl Fn(usize) -> T) -> Self {
        Self { shards: (0..shards).map(|index| Mutex::new(make(index))).collect() }
    }

    /// Runs `step` on one shard while nobody else sees it. `index` is below the number of shards.
    ///
    /// A step that panicked has left its shard as far as it came. The steps of the stores are the
    /// domain's pure functions; refusing the whole shard for ever would not undo anything.
    pub fn with<R>(&self, index: usize, step: impl FnOnce(&mut T) -> R) -> R {
        let mut shard = self.shards[index].lock();
        step(&mut shard)
    }
}
