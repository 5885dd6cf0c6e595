//! Opening the file: whose it is, whether it is whole, and what to tell the operator if not.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError, TableError};

use super::super::FileStats;
use super::backend::{CountedSync, RoomyFile, Source};
use super::file_error::{FileError, FileResult};
use super::log::Lengths;
use super::place::{GONE, Place};
use super::{UserIds, documents, keys, read};
use crate::store::USER_INDEX;

/// Why the file cannot be used, and what to change. The text does not name the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No file can be kept at the path, or the layout is of another release.
    #[error("{0}")]
    Unusable(String),
    /// It is not a store file, or not a whole one.
    #[error("{0}")]
    Damaged(String),
    /// Another process has it open.
    #[error("the store file is locked by another process; stop it, or choose another file")]
    Locked,
}

/// What the writer knows of the file since its last commit.
#[derive(Clone, Debug)]
pub(super) struct Top {
    /// The number of group commits so far.
    pub(super) commits: u64,
    /// The length of each partition's log.
    pub(super) lengths: Lengths,
    /// Whether the file has entries of sets that are forgotten.
    pub(super) has_forgotten: bool,
}

/// Opens the storage, again after each failure, and watches its syncs.
pub(super) struct Opener {
    pub(super) source: Source,
    pub(super) cache_bytes: usize,
    /// Which ids users must have; any, if None.
    pub(super) user_ids: Option<UserIds>,
    pub(super) stats: Arc<FileStats>,
    pub(super) sync_failed: Arc<AtomicBool>,
}

impl Opener {
    /// Opens the storage and repairs what a crash left unfinished. `check` reads the whole file,
    /// and so finds damage that did not come from onetap.
    pub(super) fn open(&self, check: bool) -> Result<(Database, Top), OpenError> {
        let inner = (self.source)().map_err(|error| judge_io(&error))?;
        let (stats, sync_failed) = (Arc::clone(&self.stats), Arc::clone(&self.sync_failed));
        let database = Database::builder()
            .set_cache_size(self.cache_bytes)
            .set_check_integrity_on_open(check)
            .create_with_backend(CountedSync { inner, stats, sync_failed })
            .map_err(judge)?;
        let top = top(&database, self.user_ids)?;
        Ok((database, top))
    }
}

/// The store file at a path, and which ids users have in a new one.
pub(super) struct StoreFile(pub(super) Arc<Place>, pub(super) UserIds);

impl StoreFile {
    /// Opens the file. The first time, it creates the file if there is none. Later it accepts no
    /// other file: that one lacks the acknowledged taps.
    pub(super) fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let Self(place, user_ids) = self;
        let path = place.path();
        if !place.is_known() && !exists(path)? {
            make(path, *user_ids)?;
        }
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file = opened.map_err(|error| match error.kind() {
            ErrorKind::NotFound if place.is_known() => STALE.into(),
            _ => error,
        })?;
        let about = file.metadata()?;
        regular(&about)?;
        if !place.is_first(&about) {
            return Err(STALE.into());
        }
        if about.len() == 0 {
            // The engine would initialize an empty file as a new store.
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(Box::new(RoomyFile::new(file)?))
    }
}

/// The error for a file other than the one that was opened first.
pub(super) const STALE: ErrorKind = ErrorKind::StaleNetworkFileHandle;

/// Checks whether a store file could be at the path. Opens and creates nothing.
pub(super) fn look(path: &Path) -> Result<(), OpenError> {
    let about = exists(path).and_then(|exists| match exists {
        true => fs::metadata(path).and_then(|about| regular(&about)),
        false => fs::metadata(folder_of(path)).map(drop),
    });
    about.map_err(|error| judge_io(&error))
}

/// The result of [`check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCheck {
    /// There is no file yet.
    Absent,
    /// It is a store file of this layout.
    Usable,
    /// It was not closed; the next start has to repair it first.
    Unrepaired,
}

/// Opens the file if there is one, changes nothing, and closes it. A start also checks every page.
///
/// # Errors
///
/// As [`FileStore::open`](super::FileStore::open).
pub fn check(path: &Path, user_ids: UserIds) -> Result<FileCheck, OpenError> {
    look(path)?;
    if !path.exists() {
        return Ok(FileCheck::Absent);
    }
    let inner = StoreFile(Place::at(path), user_ids).open().map_err(|error| judge_io(&error))?;
    let counted = CountedSync { inner, stats: Arc::default(), sync_failed: Arc::default() };
    let database = match Database::builder().open_read_only_with_backend(counted) {
        Ok(database) => database,
        Err(DatabaseError::RepairAborted) => return Ok(FileCheck::Unrepaired),
        Err(error) => return Err(judge(error)),
    };
    let found = read_top(&database).and_then(|top| top.ok_or_else(|| keys::odd("top")));
    known(found, Some(user_ids)).map(|_| FileCheck::Usable)
}

/// Whether there is anything at this path. Nothing can be created at a dangling link.
fn exists(path: &Path) -> io::Result<bool> {
    let exists = path.try_exists()?;
    if !exists && path.is_symlink() {
        let what = "it is a symbolic link that leads nowhere";
        return Err(io::Error::new(ErrorKind::InvalidInput, what));
    }
    Ok(exists)
}

fn regular(about: &Metadata) -> io::Result<()> {
    match about {
        _ if about.is_file() => Ok(()),
        _ if about.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Only the service may read who reacted to what.
pub(super) const OWNER_ONLY: u32 = 0o600;

/// Creates an empty store under another name, then links it to its own. So a file with that name is
/// whole, even if the process or the machine dies.
fn make(path: &Path, user_ids: UserIds) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".new-{}", std::process::id()));
    let new = Path::new(&new);
    // A process with the same id may have left this file, readable to others.
    let _ = fs::remove_file(new);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(OWNER_ONLY);
    let file = options.open(new)?;
    let linked = fill(file, user_ids).and_then(|()| match fs::hard_link(new, path) {
        // Another process was faster; use its file.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(new)?;
    linked?;
    // Without this sync, a power cut could lose the name of the synced file.
    File::open(folder_of(path))?.sync_all()
}

fn fill(file: File, user_ids: UserIds) -> io::Result<()> {
    let backend = RoomyFile::new(file)?;
    let database = Database::builder().create_with_backend(backend).map_err(to_io)?;
    write_top(&database, user_ids).map_err(|trouble| match trouble {
        FileError::Engine(error) => to_io(*error),
        FileError::Damaged(what) => io::Error::other(what),
    })?;
    database.close().map_err(to_io)
}

fn to_io(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

pub(super) fn judge_io(error: &io::Error) -> OpenError {
    let advice = match error.kind() {
        ErrorKind::InvalidData => return foreign(),
        ErrorKind::UnexpectedEof => return damaged("it has been cut short"),
        ErrorKind::IsADirectory => "it is a directory; name a file in it",
        ErrorKind::NotFound => "its directory does not exist; make it first",
        STALE => GONE,
        ErrorKind::NotADirectory => {
            "a part of the path is a file, not a directory; choose another path"
        }
        ErrorKind::PermissionDenied => "it may not be read and written; give this user the right",
        ErrorKind::ReadOnlyFilesystem => {
            "it is on a file system that is read-only; choose another path"
        }
        ErrorKind::StorageFull => "the disk is full; make room first",
        _ => return OpenError::Unusable(format!("{error}; choose another file")),
    };
    OpenError::Unusable(advice.into())
}

const RESTORE: &str = "restore it from a copy, or move it away to begin with an empty one";

fn judge(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::Locked
        }
        DatabaseError::Storage(StorageError::Io(error)) => judge_io(&error),
        DatabaseError::Storage(StorageError::Corrupted(what)) => damaged(&what),
        other => damaged(&other.to_string()),
    }
}

fn damaged(what: &str) -> OpenError {
    OpenError::Damaged(format!("the store file is damaged ({what}); {RESTORE}"))
}

fn foreign() -> OpenError {
    OpenError::Damaged("it is not a store file of onetap; choose another file".into())
}

/// Reads the top of the file, or writes it if the file is new.
fn top(database: &Database, user_ids: Option<UserIds>) -> Result<Top, OpenError> {
    let found = match read_top(database) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => write_top(database, user_ids.unwrap_or_default()),
        Err(trouble) => Err(trouble),
    };
    known(found, user_ids)
}

/// The top of the file, if the file has this release's layout.
fn known(found: FileResult<(u64, Top)>, user_ids: Option<UserIds>) -> Result<Top, OpenError> {
    let (layout, top) = found.map_err(|trouble| match trouble {
        FileError::Damaged(_) => foreign(),
        FileError::Engine(error) => damaged(&error.to_string()),
    })?;
    let is = |ids: &UserIds| keys::layout_of(*ids) == layout;
    match ([UserIds::Integer, UserIds::Text].into_iter().find(is), user_ids) {
        (None, _) => {}
        (Some(ids), Some(wanted)) if ids != wanted => {
            return Err(OpenError::Unusable(format!(
                "users have {ids} ids in the store file, and --user-ids is {wanted}; start with \
                 --user-ids {ids}, or choose another file"
            )));
        }
        (Some(_), _) => return Ok(top),
    }
    Err(OpenError::Unusable(format!(
        "the store file has layout {layout} and this release reads layout {}; use the release \
         that wrote it, or choose another file",
        keys::LAYOUT
    )))
}

fn read_top(database: &impl ReadableDatabase) -> FileResult<Option<(u64, Top)>> {
    let txn = database.begin_read()?;
    let meta = match txn.open_table(keys::META) {
        Ok(meta) => meta,
        // The storage is new.
        Err(TableError::TableDoesNotExist(_)) if txn.list_tables()?.next().is_none() => {
            return Ok(None);
        }
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(keys::odd("top")),
    };
    let number = |name| meta.get(name)?.map(|n| n.value()).ok_or_else(|| keys::odd("top"));
    let top = Top {
        commits: number(keys::META_COMMITS)?,
        lengths: read::log_lengths(&txn)?,
        has_forgotten: read::has_forgotten(&txn)?,
    };
    Ok(Some((number(keys::META_LAYOUT)?, top)))
}

fn write_top(database: &Database, user_ids: UserIds) -> FileResult<(u64, Top)> {
    let layout = keys::layout_of(user_ids);
    let top = Top { commits: 0, lengths: Lengths::default(), has_forgotten: false };
    let txn = database.begin_write()?;
    {
        let mut meta = txn.open_table(keys::META)?;
        meta.insert(keys::META_LAYOUT, layout)?;
        meta.insert(keys::META_COMMITS, top.commits)?;
        meta.insert(keys::META_INDEXED, top.commits)?;
        meta.insert(keys::META_FLOOR, 0)?;
        // A new file has every member in its index.
        let complete = documents::encode(1, None, &[]);
        txn.open_table(keys::DOCUMENTS)?.insert(USER_INDEX, &complete[..])?;
    }
    // Create all tables now, so that readers always find them.
    txn.open_table(keys::POSTS)?;
    txn.open_table(keys::LOG)?;
    txn.open_table(keys::EXPIRY)?;
    txn.open_table(keys::GIVEN)?;
    txn.open_table(keys::UNTIL)?;
    txn.commit()?;
    Ok((layout, top))
}
