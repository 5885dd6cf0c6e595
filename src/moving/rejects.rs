//! The file of rejected rows.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::input::InputError;

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

/// The first line of the file. So a second run of the same import may write it anew, and nobody
/// loses another file.
#[derive(Serialize, Deserialize)]
struct Header {
    rejects_of: String,
}

/// The file, which is created with the first row.
pub(crate) struct Rejects {
    path: PathBuf,
    input: String,
    file: Option<BufWriter<File>>,
    count: u64,
    first: Option<(u64, String)>,
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
        let (path, input) = (path.to_owned(), input.to_owned());
        Ok(Self { path, input, file: None, count: 0, first: None })
    }

    /// Writes a row.
    pub(crate) fn add(&mut self, mut rejected: Rejected) -> io::Result<()> {
        rejected.row.iter_mut().for_each(|field| shorten(field));
        let file = match &mut self.file {
            Some(file) => file,
            empty @ None => {
                let mut file = BufWriter::new(File::create(&self.path)?);
                let header = Header { rejects_of: self.input.clone() };
                serde_json::to_writer(&mut file, &header)?;
                file.write_all(b"\n")?;
                empty.insert(file)
            }
        };
        serde_json::to_writer(&mut *file, &rejected)?;
        file.write_all(b"\n")?;
        self.count += 1;
        self.first.get_or_insert((rejected.line, rejected.reason));
        Ok(())
    }

    /// The file cannot be written.
    pub(crate) fn error(&self, error: &io::Error) -> InputError {
        let path = self.path.display();
        InputError::Unusable(format!("{path}: {error}; name another file with --rejects"))
    }

    /// Ends the file. Without rejected rows it removes that of an earlier run.
    pub(crate) fn end(mut self) -> Result<RejectsSummary, InputError> {
        let ended = match self.file.take() {
            Some(mut file) => file.flush(),
            None => std::fs::remove_file(&self.path),
        };
        match ended {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.error(&error)),
            _ => {}
        }
        Ok(RejectsSummary { count: self.count, first: self.first, path: self.path })
    }
}

/// What was rejected.
#[derive(Clone, Debug)]
pub struct RejectsSummary {
    /// How many rows.
    pub count: u64,
    /// The line and the reason of the first.
    pub first: Option<(u64, String)>,
    /// The file that has them all.
    pub path: PathBuf,
}

fn shorten(field: &mut String) {
    if field.len() > MOST_SHOWN {
        let end = (0..=MOST_SHOWN).rev().find(|end| field.is_char_boundary(*end));
        field.truncate(end.unwrap_or_default());
        field.push('…');
    }
}
