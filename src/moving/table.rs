//! Rows of a CSV table, one at a time, in bounded memory.

use std::borrow::Cow;

use csv_core::ReadRecordResult;

use super::input::{Input, InputError};
use super::meaning::{COLUMNS, Fields, Meaning, Parsing};
use super::rejects::{Numbered, Rejected};
use super::row::Line;

/// The longest row. A longer one is rejected without being kept.
const MOST_BYTES: usize = 64 * 1024;

/// The column that says whether a row is on.
const ACTIVE: &str = "is_active";

/// The most columns of a row.
const MOST_FIELDS: usize = 1000;

/// A CSV table.
pub(crate) struct Table {
    input: Input,
    parser: csv_core::Reader,
    columns: Columns,
    record: Record,
}

/// Where our columns stand.
struct Columns {
    post: usize,
    user: usize,
    reaction: usize,
    active: Option<usize>,
    at: usize,
    /// How many there are.
    all: usize,
}

/// One row as bytes.
struct Record {
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
    fields: usize,
    /// The number of the line on which it begins.
    line: u64,
    too_long: bool,
}

impl Record {
    fn field(&self, index: usize) -> Option<Cow<'_, str>> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        let end = *self.ends.get(index).filter(|_| index < self.fields)?;
        Some(String::from_utf8_lossy(&self.bytes[start..end]))
    }

    fn all(&self) -> Vec<String> {
        (0..self.fields).filter_map(|i| self.field(i)).map(Cow::into_owned).collect()
    }
}

impl Table {
    /// Reads the header.
    pub(crate) fn open(mut input: Input, meaning: &Meaning) -> Result<Self, InputError> {
        let mut parser = csv_core::Reader::new();
        let mut record = Record {
            bytes: vec![0; MOST_BYTES],
            ends: vec![0; MOST_FIELDS],
            fields: 0,
            line: 1,
            too_long: false,
        };
        if !read(&mut input, &mut parser, &mut record)? {
            let why = "it is empty; a CSV file begins with the names of columns, and only a file \
                       whose name ends with .ndjson may be empty";
            return Err(input.damaged(why));
        }
        let names = record.all();
        let columns = Columns::find(&names, record.too_long, meaning);
        let columns = columns.map_err(|why| input.damaged(&why))?;
        Ok(Self { input, parser, columns, record })
    }

    /// The next row with the number of its line; None at the end.
    pub(crate) fn next(
        &mut self,
        parsing: &mut Parsing<'_>,
    ) -> Result<Option<Numbered>, InputError> {
        if !read(&mut self.input, &mut self.parser, &mut self.record)? {
            return Ok(None);
        }
        let row = self.row(parsing).map(Line::Member).map_err(|reason| Rejected {
            line: self.record.line,
            reason,
            row: self.record.all(),
        });
        Ok(Some((self.record.line, row)))
    }

    fn row(&self, parsing: &mut Parsing<'_>) -> Result<super::row::Row, String> {
        let (record, columns) = (&self.record, &self.columns);
        if record.too_long {
            return Err(format!(
                "it is longer than {MOST_BYTES} bytes, or has more than {MOST_FIELDS} columns; is \
                 a quote not closed?"
            ));
        }
        if record.fields != columns.all {
            return Err(format!("it has {} columns, not {}", record.fields, columns.all));
        }
        let field = |index| record.field(index).unwrap_or_default();
        parsing.row(&Fields {
            post: field(columns.post),
            user: field(columns.user),
            reaction: field(columns.reaction),
            active: columns.active.map(field),
            at: field(columns.at),
        })
    }

    /// The input, after the end.
    pub(crate) fn into_input(self) -> Input {
        self.input
    }
}

impl Columns {
    fn find(names: &[String], too_long: bool, meaning: &Meaning) -> Result<Self, String> {
        let place = |ours: &str| {
            let theirs = meaning.column(ours);
            let mut places = names.iter().enumerate().filter(|(_, name)| name.trim() == theirs);
            let first = places.next().map(|(place, _)| place);
            if places.next().is_some() {
                return Err(format!("two columns have the name {theirs}; name each once"));
            }
            Ok((theirs.to_owned(), first))
        };
        let required = |ours: &str| match place(ours)? {
            (_, Some(place)) => Ok(place),
            (theirs, None) => Err(format!(
                "its first line names no column {theirs}; it has to be a header such as {}, or \
                 give --columns {ours}=NAME",
                COLUMNS.join(",")
            )),
        };
        if too_long {
            return Err(format!("its first line is longer than {MOST_BYTES} bytes; is it CSV?"));
        }
        // Without this column all rows are on. So nobody may miss it by the case of its letters.
        let active = match place(ACTIVE)? {
            (theirs, None) => {
                let similar = names.iter().find(|name| name.trim().eq_ignore_ascii_case(&theirs));
                if let Some(similar) = similar {
                    return Err(format!(
                        "its first line names no column {theirs}, but {similar}; give --columns \
                         {ACTIVE}={similar}"
                    ));
                }
                if meaning.renames(ACTIVE) { Some(required(ACTIVE)?) } else { None }
            }
            (_, found) => found,
        };
        Ok(Self {
            post: required("post_id")?,
            user: required("user_id")?,
            reaction: required("reaction_type")?,
            active,
            at: required("updated_at")?,
            all: names.len(),
        })
    }
}

/// Reads a row. Of one that is too long it keeps nothing. False at the end.
fn read(
    input: &mut Input,
    parser: &mut csv_core::Reader,
    record: &mut Record,
) -> Result<bool, InputError> {
    let (mut written, mut ended) = (0, 0);
    (record.too_long, record.fields) = (false, 0);
    record.line = parser.line();
    loop {
        let bytes = input.next()?;
        let (result, consumed, wrote, ends) =
            parser.read_record(bytes, &mut record.bytes[written..], &mut record.ends[ended..]);
        if written + ended == 0 && wrote + ends == 0 {
            // Empty lines before a row are no part of it.
            let empty = bytes[..consumed].iter().take_while(|b| b"\r\n".contains(b));
            record.line += empty.filter(|b| **b == b'\n').count() as u64;
        }
        input.consume(consumed);
        (written, ended) = (written + wrote, ended + ends);
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                record.too_long = true;
                (written, ended) = (0, 0);
            }
            ReadRecordResult::Record => {
                record.fields = if record.too_long { 0 } else { ended };
                return Ok(true);
            }
            ReadRecordResult::End => return Ok(false),
        }
    }
}
