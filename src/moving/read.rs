//! Reading an input into sorted rows.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::input::{From, Input, InputError};
use super::lines::Lines;
use super::meaning::{Meaning, Parsing};
use super::progress::Progress;
use super::rejects::{Numbered, Rejects, RejectsSummary};
use super::row::{Grouping, Key, Line};
use super::sorted::{Sorted, Sorter};
use super::table::Table;
use crate::domain::{Micros, SourceId};

/// How many rows are read between two looks at the clock and at signals.
const A_WHILE: u64 = 4096;

/// An input that is about to be read.
pub struct Reading {
    from: From,
    meaning: Meaning,
    rejects: Option<Rejects>,
}

/// An input that was read to its end.
pub struct Whole {
    pub(crate) lines: Sorted,
    /// How many rows there are; some may be of the same member.
    pub rows: u64,
    /// Whether it can say rules of posts: a table cannot.
    pub has_rules: bool,
    /// The id of the content and of its meaning.
    pub source: SourceId,
    /// What was rejected.
    pub rejects: RejectsSummary,
    /// How long reading took.
    pub took: Duration,
}

enum Format {
    Csv(Box<Table>),
    NdJson(Box<Lines>),
}

impl Format {
    /// An input that begins with a brace is NDJSON: no header of a table does.
    fn of(mut input: Input, meaning: &Meaning) -> Result<Self, InputError> {
        let first = input.next()?.trim_ascii_start().first().copied();
        match first {
            Some(b'{') => Ok(Self::NdJson(Box::new(Lines::open(input)))),
            // An export without changes is an empty file. A table has at least its header.
            None if !meaning.receipt && input.is_named_ndjson() => {
                Ok(Self::NdJson(Box::new(Lines::open(input))))
            }
            _ if meaning.receipt => Err(input.damaged("it is not the receipt of a job")),
            _ => Ok(Self::Csv(Box::new(Table::open(input, meaning)?))),
        }
    }

    fn next(
        &mut self,
        meaning: &Meaning,
        parsing: &mut Parsing<'_>,
    ) -> Result<Option<Numbered>, InputError> {
        match self {
            Self::Csv(table) => table.next(parsing),
            Self::NdJson(lines) => lines.next(meaning, parsing),
        }
    }

    fn into_input(self) -> Input {
        match self {
            Self::Csv(table) => table.into_input(),
            Self::NdJson(lines) => lines.into_input(),
        }
    }
}

impl Reading {
    /// Of this input. Looks at the beginning of a file already, before anything else happens.
    ///
    /// # Errors
    ///
    /// If there is no such file, or it is no table.
    pub fn of(from: From, meaning: Meaning) -> Result<Self, InputError> {
        // A pipe can be opened only once.
        if !from.is_pipe() {
            Format::of(from.open(Arc::default())?, &meaning)?;
        }
        Ok(Self { from, meaning, rejects: None })
    }

    /// Writes rejected rows to this file; otherwise they are only counted.
    ///
    /// # Errors
    ///
    /// If a file is there that no earlier run of this import has written; what to do.
    pub fn rejecting_to(mut self, path: &Path) -> Result<Self, String> {
        self.rejects = Some(Rejects::at(path, &self.from.name())?);
        Ok(self)
    }

    /// Reads and sorts all rows. None if `stop` was set.
    ///
    /// # Errors
    ///
    /// If the input is damaged, or a file cannot be written.
    pub fn read(self, grouping: Grouping, stop: &AtomicBool) -> Result<Option<Whole>, InputError> {
        let Self { from, meaning, rejects } = self;
        let (taken, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let input = from.open(Arc::clone(&taken))?;
        let progress = Progress::begin("reading", "bytes", from.length());
        let mut parsing = Parsing::new(&meaning, now());
        let mut format = Format::of(input, &meaning)?;
        let mut rejects = rejects.unwrap_or_default();
        let (mut sorter, mut count, mut rows) = (Sorter::new(), 0, 0);
        while let Some((number, line)) = format.next(&meaning, &mut parsing)? {
            match line {
                Ok(line) => {
                    rows += u64::from(matches!(line, Line::Member(_)));
                    sorter.push(Key::new(&line, number, grouping))?;
                }
                Err(row) => rejects.add(row)?,
            }
            count += 1;
            if u64::is_multiple_of(count, A_WHILE) {
                progress.at(taken.load(Ordering::Relaxed));
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
            }
        }
        let has_rules = matches!(format, Format::NdJson(_));
        let source = format.into_input().id(&meaning.describe());
        let (lines, rejects) = (sorter.done()?, rejects.end()?);
        Ok(Some(Whole { lines, rows, has_rules, source, rejects, took: began.elapsed() }))
    }
}

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
