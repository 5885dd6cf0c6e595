//! Moving in and out: imports, exports, and what differs between a file and a store.
//!
//! An import reads an input (`input`, `table`, `lines`, `meaning`), sorts its rows outside memory
//! (`sorted`, `row`, `posts`), and applies them in atomic steps of one post each (`apply`,
//! `target`, `import`).

mod apply;
mod changes;
mod compare;
mod estimate;
mod export;
#[cfg(test)]
mod fuzz_tests;
mod gentle;
mod import;
mod input;
mod lines;
mod meaning;
mod outward;
mod pace;
mod posts;
mod progress;
mod read;
mod rejects;
mod retry;
mod row;
mod run;
mod served;
mod sorted;
mod table;
mod target;
mod written;

pub use apply::{Counts, Plan, Step, StepRow, Stepped, apply};
pub use changes::{Changes, ChangesCursor, InvalidCursor, SinceError};
pub use compare::{Difference, Differences, Said, Subject};
pub use estimate::Estimate;
pub use export::{ExportError, Exported, Moved, WAITING, export};
pub use import::{Ended, Import, Posted, Totals};
pub use input::{From, InputError};
pub use meaning::{Meaning, PostIds};
pub use outward::{OutwardError, Reader, diff, outward};
pub use progress::Progress;
pub use read::{Reading, Whole};
pub use rejects::{Rejected, RejectsSummary};
pub use row::Grouping;
pub use run::{Imported, Request, import};
pub use served::CURSOR_HEADER;
pub use target::{Service, Target};
pub use written::{Format, LeftOut, Writer};

use crate::domain::{ImportOutcome, Micros};

/// The word for an outcome in answers.
pub fn outcome_word(outcome: ImportOutcome) -> &'static str {
    match outcome {
        ImportOutcome::Applied => "applied",
        ImportOutcome::Done => "done",
        ImportOutcome::LiveTaps => "live_taps",
        ImportOutcome::Behind => "behind",
    }
}

/// The time that a text of any usual form names.
///
/// # Errors
///
/// If it names none; what to write.
pub fn time(text: &str) -> Result<Micros, String> {
    meaning::time(text)
}
