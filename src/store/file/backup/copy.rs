//! The copy in progress: it has another name until it is whole and checked.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::{Database, Durability};

use super::super::backend::RoomyFile;
use super::super::file_error::{FileError, FileResult};
use super::super::keys;
use super::super::open::OWNER_ONLY;
use super::entries::{Entries, Entry, Table};
use super::{BackupError, BackupProgress, read_error, sync_folder};

/// About how many bytes one transaction writes.
const BATCH_BYTES: usize = 4 << 20;

/// The engine's cache for the copy.
const CACHE_BYTES: usize = 64 << 20;

/// The name of an unfinished copy.
pub fn unfinished(to: &Path) -> PathBuf {
    let mut new = to.as_os_str().to_owned();
    new.push(format!(".new-{}", std::process::id()));
    new.into()
}

/// A file that becomes the copy. If it does not, dropping this removes it.
pub(super) struct Copy {
    to: PathBuf,
    new: PathBuf,
}

impl Copy {
    /// Creates an empty file beside the target.
    pub(super) fn begin(to: &Path) -> Result<Self, BackupError> {
        let target = |why: &str| BackupError::Target(to.to_owned(), why.to_owned());
        if to.symlink_metadata().is_ok() {
            return Err(target("it is there already; choose a name that is free"));
        }
        if to.file_name().is_none() {
            return Err(target("it names no file; say which one is to be made"));
        }
        let new = unfinished(to);
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(OWNER_ONLY).open(&new);
        made.map_err(|error| match error.kind() {
            ErrorKind::NotFound => target("its directory does not exist; make it first"),
            ErrorKind::PermissionDenied => target("this user may not write to its directory"),
            _ => target(&error.to_string()),
        })?;
        Ok(Self { to: to.to_owned(), new })
    }

    /// Writes all entries, checks the file, and gives it its name.
    pub(super) fn fill(
        self,
        from: &Path,
        input: impl Read,
        mut progress: impl FnMut(BackupProgress),
    ) -> Result<BackupProgress, BackupError> {
        let unwritable = |why: &dyn std::fmt::Display| self.unwritable(why);
        let database = self.open(false)?;
        let mut entries = Entries::begin(input).map_err(|error| read_error(from, &error))?;
        let mut done = BackupProgress { entries: 0, of: entries.of };
        progress(done);
        let mut batch = Vec::new();
        loop {
            let (mut bytes, mut last) = (0, false);
            while bytes < BATCH_BYTES && !last {
                match entries.next().map_err(|error| read_error(from, &error))? {
                    Some(entry) => {
                        bytes += entry.key.len() + entry.value.len() + 16;
                        batch.push(entry);
                    }
                    None => last = true,
                }
            }
            done.entries += batch.len() as u64;
            write(&database, batch.drain(..)).map_err(|trouble| unwritable(&trouble))?;
            progress(done);
            if last {
                break;
            }
        }
        database.close().map_err(|error| unwritable(&error))?;
        // Opens it as a start would.
        self.open(true)?.close().map_err(|error| unwritable(&error))?;
        self.give_name().map_err(|error| unwritable(&error))?;
        Ok(done)
    }

    /// Gives the copy its name and syncs the folder.
    fn give_name(&self) -> io::Result<()> {
        // Not a rename: that would replace a file that appeared meanwhile.
        match fs::hard_link(&self.new, &self.to) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            // Some file systems have no hard links.
            Err(_) if self.to.symlink_metadata().is_err() => fs::rename(&self.new, &self.to)?,
            linked => linked?,
        }
        sync_folder(&self.to).inspect_err(|_| drop(fs::remove_file(&self.to)))
    }

    fn open(&self, check: bool) -> Result<Database, BackupError> {
        let opened = OpenOptions::new().read(true).write(true).open(&self.new);
        let backend = opened.and_then(RoomyFile::new).map_err(|error| self.unwritable(&error))?;
        Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(check)
            .create_with_backend(backend)
            .map_err(|error| self.unwritable(&error))
    }

    fn unwritable(&self, why: &dyn std::fmt::Display) -> BackupError {
        BackupError::Write(self.to.clone(), why.to_string())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.new);
    }
}

/// Writes entries unchanged, with one sync.
fn write(database: &Database, entries: impl Iterator<Item = Entry>) -> FileResult<()> {
    let mut txn = database.begin_write()?;
    txn.set_durability(Durability::Immediate).map_err(io::Error::other).map_err(redb::Error::Io)?;
    {
        let mut meta = txn.open_table(keys::META)?;
        let mut posts = txn.open_table(keys::POSTS)?;
        let mut log = txn.open_table(keys::LOG)?;
        let mut expiry = txn.open_table(keys::EXPIRY)?;
        let mut given = txn.open_table(keys::GIVEN)?;
        let mut documents = txn.open_table(keys::DOCUMENTS)?;
        let mut until = txn.open_table(keys::UNTIL)?;
        for Entry { table, key, value } in entries {
            match table {
                Table::Meta => {
                    let name = str::from_utf8(&key).map_err(|_| keys::odd("name"))?;
                    meta.insert(name, keys::number(&value, "number")?)?;
                }
                Table::Given => drop(given.insert(&*key, ())?),
                Table::Until => drop(until.insert(&*key, ())?),
                Table::Documents => {
                    let name = str::from_utf8(&key).map_err(|_| keys::odd("name"))?;
                    documents.insert(name, &*value)?;
                }
                Table::Posts => drop(posts.insert(&*key, &*value)?),
                Table::Log => {
                    let (partition, rest) = key.split_first().ok_or_else(odd)?;
                    let (millis, number) = two_numbers(rest)?;
                    log.insert((*partition, millis, number), &*value)?;
                }
                Table::Expiry => {
                    let (at, rest) = key.split_first_chunk::<8>().ok_or_else(odd)?;
                    let (post, record) = rest.split_first_chunk::<16>().ok_or_else(odd)?;
                    let record = record.try_into().map_err(|_| odd())?;
                    expiry.insert((u64::from_be_bytes(*at), post, record), ())?;
                }
            }
        }
    }
    Ok(txn.commit()?)
}

fn odd() -> FileError {
    keys::odd("key")
}

fn two_numbers(bytes: &[u8]) -> FileResult<(u64, u64)> {
    let (first, second) = bytes.split_first_chunk::<8>().ok_or_else(odd)?;
    Ok((u64::from_be_bytes(*first), keys::number(second, "log")?))
}
