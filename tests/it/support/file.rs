//! Store files of the tests.

use std::path::Path;

use onetap::store::Retention;
use onetap::store::file::{FileOptions, FileStore};
use tempfile::TempDir;

pub(crate) const OPTIONS: FileOptions = FileOptions {
    queue_bound: 10_000,
    cache_bytes: 16 << 20,
    retention: Retention {
        change_log: std::time::Duration::from_secs(3600),
        records: std::time::Duration::from_secs(600),
        change_log_entries: 10_000,
        most_records: 2_000_000,
    },
};

pub(crate) fn open_at(path: &Path) -> FileStore {
    FileStore::open(path, OPTIONS).unwrap()
}

/// A store in its own folder. The folder is removed on drop.
pub(crate) fn fresh() -> (FileStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open_at(&folder.path().join("store.redb")), folder)
}
