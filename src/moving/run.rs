//! A whole import, after its input was read.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::apply::Plan;
use super::import::{Ended, Import, Totals};
use super::posts::Posts;
use super::progress::Progress;
use super::read::Whole;
use super::rejects::RejectsSummary;
use super::target::Target;
use crate::domain::MOST_EDITS;

/// How to import.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the rows go.
    pub target: Target,
    /// Whether to apply rows that are newer than the last tap of a post with live taps.
    pub merge: bool,
    /// Whether only to say what would happen.
    pub dry_run: bool,
    /// Whether to put back what a job has removed.
    pub restore: bool,
    /// How long to send steps again that are not answered.
    pub retry_for: Duration,
    /// Set when the import is to stop after the steps in flight.
    pub stop: Arc<AtomicBool>,
}

/// What became of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// How many rows the input has that can be imported.
    pub rows: u64,
    /// How long reading and sorting them took.
    pub read_in: Duration,
    /// The others.
    pub rejects: RejectsSummary,
    /// What was done.
    pub totals: Totals,
    /// How it ended.
    pub ended: Ended,
}

impl Imported {
    /// Rows that do not count, since another row of the same member is newer.
    pub fn repeated(&self) -> u64 {
        match self.ended {
            Ended::Whole => self.rows.saturating_sub(self.totals.rows_done()),
            Ended::Stopped | Ended::GaveUp(_) => 0,
        }
    }
}

/// Imports rows that were read and sorted.
pub async fn import(request: Request, whole: Whole) -> Imported {
    let Request { target, merge, dry_run, restore, retry_for, stop } = request;
    let Whole { lines, rows, source, rejects, took, .. } = whole;
    let plan = Plan { source, merge, dry_run, restore, actor: None };
    // The steps of a restoration are known by their first rows: each run has to have the same.
    let posts = Posts::of(lines, if restore { MOST_EDITS } else { target.step() });
    let import = Import { target, plan, retry_for, stop };
    let doing = if dry_run { "looking" } else { "importing" };
    let progress = Progress::begin(doing, "rows", Some(rows));
    let (totals, ended) = import.run(posts, &progress).await;
    Imported { rows, read_in: took, rejects, totals, ended }
}
