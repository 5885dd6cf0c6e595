//! A small value and the time since when it holds, read and written together.

use super::prim::{AtomicU64, Ordering};

/// The bits of the value.
const VALUE_BITS: u32 = 3;
const VALUE_MASK: u64 = (1 << VALUE_BITS) - 1;

/// Milliseconds and a value below 8 in one atomic word. A reader never sees the value of one moment
/// with the time of another.
#[derive(Debug)]
pub struct Stamped(AtomicU64);

impl Stamped {
    /// The greatest time that fits.
    pub const MAX_MILLIS: u64 = u64::MAX >> VALUE_BITS;

    /// This value since time 0.
    pub fn new(value: u8) -> Self {
        Self(AtomicU64::new(u64::from(value) & VALUE_MASK))
    }

    /// Sets the value and its time.
    pub fn set(&self, millis: u64, value: u8) {
        let word = (millis.min(Self::MAX_MILLIS) << VALUE_BITS) | (u64::from(value) & VALUE_MASK);
        self.0.store(word, Ordering::Relaxed);
    }

    /// The time and the value.
    pub fn get(&self) -> (u64, u8) {
        let word = self.0.load(Ordering::Relaxed);
        // The mask keeps three bits.
        (word >> VALUE_BITS, u8::try_from(word & VALUE_MASK).unwrap_or_default())
    }
}
