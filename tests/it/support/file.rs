//! Store files of the tests.

use std::path::Path;
use std::time::{Duration, Instant};

use onetap::domain::{Forget, PostId};
use onetap::store::file::{FileOptions, FileStore};
use onetap::store::{Retention, Store as _, UserIds};
use tempfile::TempDir;

use super::{reaction, soon};

pub(crate) const OPTIONS: FileOptions = FileOptions {
    queue_bound: 10_000,
    cache_bytes: 16 << 20,
    user_ids: UserIds::Integer,
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

/// Forgets a post, or one reaction of it. Returns how many members that removed.
pub(crate) async fn forget(store: &FileStore, post: PostId, name: Option<&str>) -> u64 {
    let forget = Forget { post, reaction: name.map(reaction), actor: None };
    store.forget(forget, soon()).await.unwrap().removed
}

/// Waits until the writer is quiet: nothing is left to drop.
pub(crate) async fn until_quiet(store: &FileStore) {
    let (mut commits, started) = (None, Instant::now());
    while commits != Some(store.stats().commits.get()) {
        assert!(started.elapsed() < Duration::from_secs(60), "the writer does not come to rest");
        commits = Some(store.stats().commits.get());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
