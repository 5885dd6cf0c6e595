//! The file of rejected rows.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, Write as _};
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

const SOMETHING_ELSE: &str = "a file with something else is there; move it away, or name another";

/// What a file has already.
enum Content {
    Nothing,
    /// What a run of this import has written.
    Own,
    Other,
}

impl Content {
    fn of(file: &File, input: &str) -> Self {
        let mut first = String::new();
        let read = BufReader::new(file.take(16 * 1024)).read_line(&mut first);
        match (read, serde_json::from_str::<Header>(&first)) {
            (Ok(0), _) => Self::Nothing,
            (Ok(_), Ok(header)) if header.rejects_of == input => Self::Own,
            _ => Self::Other,
        }
    }
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
        match std::fs::metadata(path) {
            // Such as /dev/null: it has nothing to lose, and reading it may not end.
            Ok(found) if !found.is_file() => {}
            Ok(_) => {
                let file = File::open(path).map_err(|error| error.to_string())?;
                if matches!(Content::of(&file, input), Content::Other) {
                    return Err(SOMETHING_ELSE.into());
                }
            }
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
                let mut file = BufWriter::new(own(path, input)?);
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
            (None, Some((path, input))) => remove(path, input),
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

/// Opens the file for this import alone, and empties it.
fn own(path: &Path, input: &str) -> io::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    if file.metadata()?.is_file() {
        file.try_lock().map_err(|_| io::Error::other("another import writes it now"))?;
        if matches!(Content::of(&file, input), Content::Other) {
            return Err(io::Error::other(SOMETHING_ELSE));
        }
        file.set_len(0)?;
        (&file).rewind()?;
    }
    Ok(file)
}

/// Removes what an earlier run of this import has written, and nothing else.
fn remove(path: &Path, input: &str) -> io::Result<()> {
    if !std::fs::metadata(path)?.is_file() {
        return Ok(());
    }
    let file = File::open(path)?;
    let is_own = file.try_lock().is_ok() && matches!(Content::of(&file, input), Content::Own);
    if is_own { std::fs::remove_file(path) } else { Ok(()) }
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

    fn rejected() -> Rejected {
        Rejected { line: 2, reason: "odd".into(), row: vec!["x".into()] }
    }

    #[test]
    fn only_a_file_of_this_import_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let [device, empty, own] = ["device", "empty", "own"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink("/dev/null", &device).expect("a link");
        File::create(&empty).expect("a file");
        for path in [&device, &own] {
            let mut rejects = Rejects::at(path, "rows.csv").expect("a place");
            rejects.add(rejected()).expect("a row");
            rejects.end().expect("an end");
        }
        assert!(device.exists() && own.exists());
        for path in [&device, &empty, &own] {
            Rejects::at(path, "rows.csv").expect("a place").end().expect("an end");
        }
        assert!(device.exists() && empty.exists() && !own.exists());
    }

    #[test]
    fn two_imports_at_once_do_not_write_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rejects");
        let mut first = Rejects::at(&path, "rows.csv").expect("a place");
        let mut second = Rejects::at(&path, "rows.csv").expect("a place");
        first.add(rejected()).expect("a row");
        assert!(second.add(rejected()).is_err());
        // An import without rejected rows leaves the file to the one that writes it.
        let third = Rejects { to: Some((path.clone(), "rows.csv".into())), ..Rejects::default() };
        third.end().expect("an end");
        assert_eq!(first.end().expect("an end").count, 1);
        assert_eq!(std::fs::read_to_string(&path).expect("a file").lines().count(), 2);
    }
}
