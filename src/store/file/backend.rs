//! The layer between the engine and the disk: it counts, remembers a failed sync, and reserves
//! space.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, retry_on_intr};

use super::super::FileStats;

/// Opens the storage; see `FileStore::with_backend`.
pub(super) type Source = Box<dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send>;

/// A file that reserves disk blocks as it grows. With holes in the file, a full disk would break a
/// commit in the middle. Here the error comes before the commit, and the file stays as it was.
#[derive(Debug)]
pub(super) struct RoomyFile {
    file: File,
    inner: FileBackend,
}

impl RoomyFile {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let inner = FileBackend::new(file.try_clone()?).map_err(io::Error::other)?;
        Ok(Self { file, inner })
    }

    /// Extends the file by writing zeros.
    fn fill(&self, mut from: u64, len: u64) -> io::Result<()> {
        const ZEROS: &[u8] = &[0; 64 * 1024];
        while from < len {
            let left = usize::try_from(len - from).unwrap_or(usize::MAX);
            let zeros = &ZEROS[..left.min(ZEROS.len())];
            self.inner.write(from, zeros)?;
            from += zeros.len() as u64;
        }
        Ok(())
    }
}

/// The storage as the engine sees it, with counted syncs.
#[derive(Debug)]
pub(super) struct CountedSync {
    pub(super) inner: Box<dyn StorageBackend>,
    pub(super) stats: Arc<FileStats>,
    /// Whether a sync has failed since the store was opened.
    pub(super) sync_failed: Arc<AtomicBool>,
}

/// Passes the locks of a backend through.
macro_rules! locks_of_inner {
    () => {
        fn try_lock_range(&self, a: Bound<u64>, b: Bound<u64>) -> Result<bool, BackendError> {
            self.inner.try_lock_range(a, b)
        }

        fn try_lock_shared_range(
            &self,
            a: Bound<u64>,
            b: Bound<u64>,
        ) -> Result<bool, BackendError> {
            self.inner.try_lock_shared_range(a, b)
        }

        fn lock_range(&self, a: Bound<u64>, b: Bound<u64>) -> Result<(), BackendError> {
            self.inner.lock_range(a, b)
        }

        fn lock_shared_range(&self, a: Bound<u64>, b: Bound<u64>) -> Result<(), BackendError> {
            self.inner.lock_shared_range(a, b)
        }

        fn unlock_range(&self, a: Bound<u64>, b: Bound<u64>) -> Result<(), BackendError> {
            self.inner.unlock_range(a, b)
        }

        fn query_lock_range(&self, a: Bound<u64>, b: Bound<u64>) -> Result<bool, BackendError> {
            self.inner.query_lock_range(a, b)
        }
    };
}

impl StorageBackend for RoomyFile {
    locks_of_inner!();

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let before = self.inner.len()?;
        if len <= before {
            return self.inner.set_len(len);
        }
        let grow = || fallocate(&self.file, FallocateFlags::empty(), before, len - before);
        let grown = match retry_on_intr(grow) {
            // Some file systems have no `fallocate`.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.fill(before, len),
            grown => grown.map_err(io::Error::from),
        };
        grown.or_else(|error| {
            // Give back the blocks that it reserved before it failed.
            self.inner.set_len(before)?;
            Err(error)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
}

impl StorageBackend for CountedSync {
    locks_of_inner!();

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.stats.syncs.add(1);
        let synced = self.inner.sync_data();
        if synced.is_err() {
            self.sync_failed.store(true, Ordering::Release);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.stats.bytes_written.add(data.len() as u64);
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on a file system without `fallocate`.
    #[test]
    fn a_file_that_is_filled_has_its_length_and_reads_as_zeros() {
        let file = tempfile::tempfile().expect("a file");
        let roomy = RoomyFile::new(file).expect("storage");
        roomy.write(0, b"x").expect("a byte");
        roomy.fill(1, 200_000).expect("room");
        assert_eq!(roomy.len().expect("its length"), 200_000);
        let mut all = vec![1; 200_000];
        roomy.read(0, &mut all).expect("all of it");
        assert!(all[0] == b'x' && all[1..].iter().all(|byte| *byte == 0));
    }
}
