//! Reading an input into sorted rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::input::{From, Input, InputError};
use super::lines::Lines;
use super::meaning::{Meaning, Reading};
use super::progress::Progress;
use super::rejects::{Rejected, Rejects, RejectsSummary};
use super::row::{Grouping, Key, Line};
use super::sorted::{Sorted, Sorter};
use super::table::Table;
use crate::domain::{Micros, SourceId};

/// How many rows are read between two looks at the clock and at signals.
const A_WHILE: u64 = 4096;

/// An input that was read to its end.
pub(crate) struct Whole {
    pub(crate) rows: Sorted,
    /// How many rows there are; some may be of the same member.
    pub(crate) count: u64,
    /// The id of the content and of its meaning.
    pub(crate) source: SourceId,
    pub(crate) rejects: Option<RejectsSummary>,
    /// How many rows were rejected.
    pub(crate) rejected: u64,
}

enum Format {
    Csv(Table),
    NdJson(Lines),
}

impl Format {
    /// An input that begins with a brace is NDJSON: no header of a table does.
    fn of(mut input: Input, meaning: &Meaning) -> Result<Self, InputError> {
        let first = input.next()?.trim_ascii_start().first().copied();
        match first {
            Some(b'{') => Ok(Self::NdJson(Lines::open(input))),
            _ => Table::open(input, meaning).map(Self::Csv),
        }
    }

    fn next(
        &mut self,
        meaning: &Meaning,
        reading: &mut Reading<'_>,
    ) -> Result<Option<(u64, Result<Line, Rejected>)>, InputError> {
        match self {
            Self::Csv(table) => table.next(reading),
            Self::NdJson(lines) => lines.next(meaning, reading),
        }
    }

    fn into_input(self) -> Input {
        match self {
            Self::Csv(table) => table.into_input(),
            Self::NdJson(lines) => lines.into_input(),
        }
    }
}

/// Reads all rows. None if `stop` was set. Without `rejects`, rejected rows are only counted.
pub(crate) fn read(
    from: &From,
    meaning: &Meaning,
    grouping: Grouping,
    mut rejects: Option<Rejects>,
    stop: &AtomicBool,
) -> Result<Option<Whole>, InputError> {
    let taken = Arc::new(AtomicU64::new(0));
    let input = from.open(Arc::clone(&taken))?;
    let progress = Progress::begin("reading", "bytes", from.length());
    let mut reading = Reading::new(meaning, now());
    let mut format = Format::of(input, meaning)?;
    let (mut sorter, mut count, mut rejected) = (Sorter::new(), 0, 0);
    while let Some((number, line)) = format.next(meaning, &mut reading)? {
        match (line, &mut rejects) {
            (Ok(line), _) => sorter.push(Key::new(&line, number, grouping))?,
            (Err(row), Some(rejects)) => {
                rejected += 1;
                rejects.add(row).map_err(|error| rejects.error(&error))?;
            }
            (Err(_), None) => rejected += 1,
        }
        count += 1;
        if u64::is_multiple_of(count, A_WHILE) {
            progress.at(taken.load(Ordering::Relaxed));
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
    }
    let source = format.into_input().id(&meaning.describe());
    let rejects = rejects.map(Rejects::end).transpose()?;
    let count = sorter.count() as u64;
    Ok(Some(Whole { rows: sorter.done()?, count, source, rejects, rejected }))
}

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
