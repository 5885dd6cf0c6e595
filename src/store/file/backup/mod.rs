//! A copy of the store file, taken while a service holds it or while none does.
//!
//! Copying the bytes of a file during writes makes a damaged copy. So the process that has the file
//! open reads the entries of one commit and sends them ([`entries`]). The process that makes the
//! copy writes them to a file of its own. The two meet at a Unix socket beside the store file
//! ([`holder`]), which only the owner can open. An HTTP route would give the file to every client
//! that can reach a proxy.

mod copy;
mod entries;
mod holder;

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableDatabase as _};

use self::copy::Copy;
pub use self::copy::unfinished;
pub(super) use self::holder::Holder;
use super::super::{FileStats, UserIds};
use super::open::{self, OpenError, Opener, StoreFile};
use super::place::Place;

/// How long one side waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cache for the source while no other process has it open.
const CACHE_BYTES: usize = 64 << 20;

/// The progress of a copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupProgress {
    /// Entries written to the copy.
    pub entries: u64,
    /// Entries in total.
    pub of: u64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The source cannot be opened.
    #[error("--from file:{0}: {1}")]
    Source(PathBuf, OpenError),
    /// Another process holds the source and gives no copy of it.
    #[error(
        "--from file:{0}: another process holds it and does not answer at {1}: stop it, or give \
         this user the right to its socket"
    )]
    Held(PathBuf, PathBuf),
    /// The target exists already, or cannot be a file.
    #[error("--to {0}: {1}")]
    Target(PathBuf, String),
    /// Writing the copy failed.
    #[error("--to {0}: {1}; nothing was left behind")]
    Write(PathBuf, String),
    /// Reading the entries failed.
    #[error("--from file:{0}: {1}; nothing was left behind")]
    Read(PathBuf, String),
}

/// Copies the store file at `from` to a new file at `to`, and checks the copy.
///
/// # Errors
///
/// If there is no source, if `to` exists, or if reading or writing fails. Then there is no new file
/// at `to`.
pub fn back_up(
    from: &Path,
    to: &Path,
    progress: impl FnMut(BackupProgress),
) -> Result<BackupProgress, BackupError> {
    let copy = Copy::begin(to)?;
    let (input, _source) = open_source(from)?;
    input.set_read_timeout(Some(PATIENCE)).map_err(|error| read_error(from, &error))?;
    copy.fill(from, BufReader::with_capacity(1 << 20, input), progress)
}

fn read_error(from: &Path, error: &io::Error) -> BackupError {
    let why = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => format!(
            "its holder sent nothing for {} s; it may be making another copy, so try again later",
            PATIENCE.as_secs()
        ),
        _ => error.to_string(),
    };
    BackupError::Read(from.to_owned(), why)
}

/// The stream of entries, and the thread that must live until all have come.
fn open_source(from: &Path) -> Result<(UnixStream, Option<SourceThread>), BackupError> {
    open::look(from).map_err(|error| BackupError::Source(from.to_owned(), error))?;
    if !from.exists() {
        let missing =
            OpenError::Unusable("there is no such file; name the store file to copy".into());
        return Err(BackupError::Source(from.to_owned(), missing));
    }
    if let Ok(stream) = holder::connect(from) {
        return Ok((stream, None));
    }
    let place = Place::at(from);
    let file = StoreFile(place, UserIds::default());
    let opener = Opener {
        source: Box::new(move || file.open()),
        cache_bytes: CACHE_BYTES,
        // A copy has the ids of its source.
        user_ids: None,
        stats: Arc::new(FileStats::default()),
        sync_failed: Arc::default(),
    };
    let (database, _) = opener.open(false).map_err(|error| match error {
        OpenError::Locked => BackupError::Held(from.to_owned(), holder::socket_of(from)),
        error => BackupError::Source(from.to_owned(), error),
    })?;
    let (ours, theirs) = UnixStream::pair().map_err(|error| read_error(from, &error))?;
    let thread = std::thread::spawn(move || send_all(&database, theirs));
    Ok((ours, Some(SourceThread(Some(thread)))))
}

/// Reads a file that no other process has open.
struct SourceThread(Option<std::thread::JoinHandle<()>>);

impl Drop for SourceThread {
    fn drop(&mut self) {
        // The thread ends when the reader is gone; then the file is closed.
        let _ = self.0.take().map(std::thread::JoinHandle::join);
    }
}

fn send_all(database: &Database, out: UnixStream) {
    let _ = out.set_write_timeout(Some(PATIENCE));
    let mut out = io::BufWriter::with_capacity(1 << 18, out);
    // The other side receives the error if it still reads.
    let _ = match database.begin_read() {
        Ok(txn) => entries::send(&txn, &mut out, || Ok(())),
        Err(error) => entries::fail(&mut out, &error.to_string()),
    };
}

/// Syncs the folder, so that a power cut does not lose the name of the file.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(open::folder_of(path))?.sync_all()
}
