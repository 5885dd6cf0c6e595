//! Why a post cannot be replayed.

/// Why a post cannot be replayed.
pub(super) struct Failure {
    /// The stage that could not be reached.
    pub(super) at: usize,
    pub(super) reason: Reason,
    /// Whether there was more to try.
    pub(super) undecided: bool,
}

/// Why a stage cannot be reached.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// A cell was already, or still, what it became.
    Cell { line: u64, cell: usize, was: bool },
    /// A count is not the number of cells that are active.
    Count { line: u64, reaction: usize, shown: u64, known: u64 },
    /// A count that cannot be, whatever was before.
    Impossible { line: u64 },
    /// Its revision places it behind something that was sent after it was answered.
    Late { line: u64, behind: u64 },
    /// A revision that no change has.
    Ghost { line: u64 },
    /// A revision that was passed already.
    Again { line: u64 },
    /// A number of changes that is not the number of changes.
    Changes { line: u64, shown: u64, known: u64 },
    /// Two attempts of one operation took effect.
    Twice { line: u64, other: u64 },
    /// There was too much to try.
    Undecided,
}
