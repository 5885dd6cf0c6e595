//! Sorting more than fits into memory, in temporary files.

use std::cmp::Ordering;
use std::io;

use extsort::{ExternalSorter, PushExternalSorter, SortedIterator};

use super::input::InputError;
use super::row::Key;

/// How many keys are sorted in memory at a time: about 60 MB.
const IN_MEMORY: usize = 500_000;

type Compare = fn(&Key, &Key) -> Ordering;

/// Takes keys in any order. Up to half a million of them need no file.
pub(crate) struct Sorter {
    keys: PushExternalSorter<Key, Compare>,
    count: usize,
    in_memory: usize,
}

/// Gives the keys in order.
pub(crate) struct Sorted(SortedIterator<Key, Compare>);

impl Sorter {
    /// A sorter whose files lie in the folder for temporary files.
    pub(crate) fn new() -> Self {
        Self::with(IN_MEMORY)
    }

    fn with(in_memory: usize) -> Self {
        let sorter = ExternalSorter::new().with_segment_size(in_memory);
        Self { keys: sorter.pushed_by(Key::cmp as Compare), count: 0, in_memory }
    }

    pub(crate) fn push(&mut self, key: Key) -> Result<(), InputError> {
        self.count += 1;
        self.keys.push(key).map_err(InputError::Sorting)
    }

    pub(crate) fn done(mut self) -> Result<Sorted, InputError> {
        // extsort 0.5 forgets its files if nothing is left in memory at the end, so we add a key
        // that we leave out again. It writes a file when it has one more than `in_memory`.
        if self.count > 0 && self.count.is_multiple_of(self.in_memory + 1) {
            self.keys.push(Key::nothing()).map_err(InputError::Sorting)?;
        }
        self.keys.done().map(Sorted).map_err(InputError::Sorting)
    }
}

impl Iterator for Sorted {
    type Item = io::Result<Key>;

    fn next(&mut self) -> Option<io::Result<Key>> {
        self.0
            .by_ref()
            .find(|key| key.as_ref().is_err() || key.as_ref().is_ok_and(|k| !k.is_nothing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_out_in_order_however_many_there_are() {
        for count in 0..40_u32 {
            let mut sorter = Sorter::with(4);
            for n in 0..count {
                sorter.push(Key::of_bytes(&(n * 7 % 41).to_be_bytes())).expect("room");
            }
            let sorted: Vec<_> =
                sorter.done().expect("sorted").map(|key| key.expect("a key")).collect();
            assert_eq!(sorted.len(), count as usize, "of {count} keys");
            assert!(sorted.is_sorted());
        }
    }
}
