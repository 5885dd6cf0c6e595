//! Moving in and out: imports, exports, and what differs between a file and a store.
//!
//! An import reads an input (`input`, `table`, `lines`, `meaning`), sorts its rows outside memory
//! (`sorted`, `row`, `posts`), and applies them in atomic steps of one post each (`apply`,
//! `target`, `import`).

mod apply;
mod import;
mod input;
mod lines;
mod meaning;
mod posts;
mod progress;
mod read;
mod rejects;
mod row;
mod sorted;
mod table;
mod target;

pub use apply::{Counts, Plan, Step, StepRow, Stepped, apply};
pub use import::{Ended, Import, Posted, Totals};
pub use input::{From, InputError};
pub use meaning::{Meaning, PostIds};
pub use progress::Progress;
pub use rejects::{Rejected, RejectsSummary};
pub use target::{Service, Target};

use crate::domain::ImportOutcome;

/// The word for an outcome in answers.
pub fn outcome_word(outcome: ImportOutcome) -> &'static str {
    match outcome {
        ImportOutcome::Applied => "applied",
        ImportOutcome::Done => "done",
        ImportOutcome::LiveTaps => "live_taps",
        ImportOutcome::Behind => "behind",
    }
}
