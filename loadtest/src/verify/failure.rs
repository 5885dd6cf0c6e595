//! Why a post cannot be replayed.

/// Why a post cannot be replayed.
pub(super) struct Failure {
    /// The stage that could not be reached.
    pub(super) at: usize,
    pub(super) reason: Reason,
    /// Whether the search ended before it had tried every way.
    pub(super) undecided: bool,
}

/// Why a stage cannot be reached.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// A cell already had the value that it should have changed to.
    Cell { line: u64, cell: usize, was: bool },
    /// A count differs from the number of active cells.
    Count { line: u64, reaction: usize, shown: u64, known: u64 },
    /// A count that is impossible in every state.
    Impossible { line: u64 },
    /// By its revision it comes after an operation that was sent after its answer.
    Late { line: u64, behind: u64 },
    /// No change has this revision.
    Ghost { line: u64 },
    /// The replay has passed this revision already.
    Again { line: u64 },
    /// A number of changes that differs from the real one.
    Changes { line: u64, shown: u64, known: u64 },
    /// Two attempts of one operation took effect.
    Twice { line: u64, other: u64 },
    /// The user got a reaction and kept one that it excludes.
    Both { line: u64, cell: usize, other: usize },
    /// The post got more different reactions than its palette allows.
    Kinds { line: u64, kinds: u64, most: u64 },
    /// The user got more reactions than the palette allows.
    Each { line: u64, held: u64, most: u64 },
    /// There were too many ways to try.
    Undecided,
}
