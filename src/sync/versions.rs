//! Tracks which of many things have changed, so that a reader looks only at those.

use super::prim::{AtomicU64, Ordering};

/// A version for each of some things. A writer raises it *after* the change. A reader compares it
/// with the version that it saw last, and only then reads the thing. So a reader that has seen a
/// version sees its change too, and misses none.
///
/// Any number of readers share it, since none of them writes.
#[derive(Debug)]
pub struct Versions {
    counts: Box<[AtomicU64]>,
}

impl Versions {
    /// Versions of `things` things, none of which has changed.
    pub fn new(things: usize) -> Self {
        Self { counts: (0..things).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Reports a change of a thing. `index` must be below the number of things.
    pub fn raise(&self, index: usize) {
        self.counts[index].fetch_add(1, Ordering::Release);
    }

    /// Reports that everything may have changed.
    pub fn raise_all(&self) {
        (0..self.counts.len()).for_each(|index| self.raise(index));
    }

    /// The things that changed since the last call with this `seen`, which begins as all zeros.
    pub fn changed(&self, seen: &mut [u64]) -> Vec<usize> {
        let pairs = self.counts.iter().zip(seen).enumerate();
        let risen = |(index, (count, seen)): (usize, (&AtomicU64, &mut u64))| {
            let count = count.load(Ordering::Acquire);
            (std::mem::replace(seen, count) != count).then_some(index)
        };
        pairs.filter_map(risen).collect()
    }
}

#[cfg(all(test, not(onetap_loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_reader_is_told_once_of_each_change() {
        let versions = Versions::new(300);
        let (mut one, mut other) = (vec![0; 300], vec![0; 300]);
        assert!(versions.changed(&mut one).is_empty());
        versions.raise(7);
        versions.raise(299);
        versions.raise(7);
        assert_eq!(versions.changed(&mut one), [7, 299]);
        assert!(versions.changed(&mut one).is_empty());
        assert_eq!(versions.changed(&mut other), [7, 299]);
        versions.raise_all();
        assert_eq!(versions.changed(&mut one).len(), 300);
    }
}
