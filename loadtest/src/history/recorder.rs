//! Writes a history to a file as it happens.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use super::format::{end_line, header_line, read_line, tap_line};
use super::{Palette, Read, Tap};

/// Takes lines from many tasks. It keeps only a buffer in memory.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    file: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    file: BufWriter<File>,
    written: u64,
    failed: Option<io::Error>,
}

impl Lines {
    /// Keeps the first error for the end: a task that taps cannot use it.
    fn line(&mut self, line: &str) {
        if self.failed.is_none()
            && let Err(error) = writeln!(self.file, "{line}")
        {
            self.failed = Some(error);
        }
        self.written += 1;
    }
}

impl Recorder {
    /// Creates the file, and replaces an existing one. `source` says in free words what is
    /// recorded; `palette` is the one that judges all taps, if it is known.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn create(path: &Path, source: &str, palette: Option<&Palette>) -> io::Result<Self> {
        let mut lines =
            Lines { file: BufWriter::new(File::create(path)?), written: 0, failed: None };
        lines.line(&header_line(source, palette));
        Ok(Self { start: Instant::now(), file: Mutex::new(lines) })
    }

    /// The present time on this history's clock.
    pub fn now_micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Records a tap.
    pub fn tap(&self, tap: &Tap<'_>) {
        let line = tap_line(tap);
        self.lines().line(&line);
    }

    /// Records a read.
    pub fn read(&self, read: &Read<'_>) {
        let line = read_line(read);
        self.lines().line(&line);
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// If any of it could not be written.
    pub fn finish(self) -> io::Result<()> {
        let mut lines = self.file.into_inner();
        let end = end_line(lines.written + 1);
        lines.line(&end);
        match lines.failed {
            Some(error) => Err(error),
            None => lines.file.flush(),
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.file.lock()
    }
}
