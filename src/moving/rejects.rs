//! The file of rejected rows.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::input::InputError;
use super::row::Line;

/// The most bytes of a field that the file repeats.
const MOST_SHOWN: usize = 1000;

/// A row that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The number of the line on which it begins.
    pub line: u64,
    /// Why it cannot be imported.
    pub reason: String,
    /// Its fields, or the whole line of NDJSON.
    pub row: Vec<String>,
}

/// The number of a line, and the line or why it is none.
pub(crate) type Numbered = (u64, Result<Line, Rejected>);

/// The first line of the file. So a second run of the same import may write it anew, and nobody
/// loses another file.
#[derive(Serialize, Deserialize)]
struct Header {
    rejects_of: String,
}

/// Counts rejected rows, and writes them to a file if there is to be one. The first row creates it.
#[derive(Default)]
pub(crate) struct Rejects {
    /// The file, and the name of the input.
    to: Option<(PathBuf, String)>,
    file: Option<BufWriter<File>>,
    count: u64,
    first: Option<(u64, String)>,
}

/// What was rejected.
#[derive(Clone, Debug, Default)]
pub struct RejectsSummary {
    /// How many rows.
    pub count: u64,
    /// The line and the reason of the first.
    pub first: Option<(u64, String)>,
    /// The file that has them all.
    pub path: PathBuf,
}

impl Rejects {
    /// Checks the path.
    ///
    /// # Errors
    ///
    /// If a file is there that no earlier run of this import has written; what to do.
    pub(crate) fn at(path: &Path, input: &str) -> Result<Self, String> {
        let own = |file: File| {
            let mut first = String::new();
            let read = BufReader::new(file.take(16 * 1024)).read_line(&mut first);
            let header = serde_json::from_str::<Header>(&first);
            match (read, header) {
                (Ok(0), _) => Ok(()),
                (Ok(_), Ok(header)) if header.rejects_of == input => Ok(()),
                _ => Err("a file with something else is there; move it away, or name another"),
            }
        };
        match File::open(path) {
            Ok(file) => own(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.to_string()),
        }
        Ok(Self { to: Some((path.to_owned(), input.to_owned())), ..Self::default() })
    }

    /// Counts a row, and writes it.
    pub(crate) fn add(&mut self, mut rejected: Rejected) -> Result<(), InputError> {
        rejected.row.iter_mut().for_each(shorten);
        self.write(&rejected).map_err(|error| self.error(&error))?;
        self.count += 1;
        self.first.get_or_insert((rejected.line, rejected.reason));
        Ok(())
    }

    fn write(&mut self, rejected: &Rejected) -> io::Result<()> {
        let Some((path, input)) = &self.to else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            none @ None => {
                let mut file = BufWriter::new(File::create(path)?);
                serde_json::to_writer(&mut file, &Header { rejects_of: input.clone() })?;
                file.write_all(b"\n")?;
                none.insert(file)
            }
        };
        serde_json::to_writer(&mut *file, rejected)?;
        file.write_all(b"\n")
    }

    fn error(&self, error: &io::Error) -> InputError {
        let path = self.to.as_ref().map_or("", |(path, _)| path.to_str().unwrap_or("?"));
        InputError::Unusable(format!("{path}: {error}; name another file with --rejects"))
    }

    /// Ends the file. Without rejected rows it removes that of an earlier run.
    pub(crate) fn end(mut self) -> Result<RejectsSummary, InputError> {
        let ended = match (self.file.take(), &self.to) {
            (Some(mut file), _) => file.flush(),
            (None, Some((path, _))) => match std::fs::metadata(path) {
                Ok(found) if found.is_file() => std::fs::remove_file(path),
                // Such as /dev/null.
                other => other.map(|_| ()),
            },
            (None, None) => Ok(()),
        };
        match ended {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(self.error(&error));
            }
            _ => {}
        }
        let path = self.to.map(|(path, _)| path).unwrap_or_default();
        Ok(RejectsSummary { count: self.count, first: self.first, path })
    }
}

fn shorten(field: &mut String) {
    if field.len() > MOST_SHOWN {
        let end = (0..=MOST_SHOWN).rev().find(|end| field.is_char_boundary(*end));
        field.truncate(end.unwrap_or_default());
        field.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (nothing, earlier) = (folder.path().join("nothing"), folder.path().join("earlier"));
        std::os::unix::fs::symlink("/dev/null", &nothing).expect("a link");
        File::create(&earlier).expect("a file");
        for path in [&nothing, &earlier] {
            Rejects::at(path, "rows.csv").expect("a place").end().expect("an end");
        }
        assert!(nothing.exists() && !earlier.exists());
    }
}
