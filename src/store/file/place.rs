//! Checks that the file is still at its path. While onetap has a file open, it can write to it even
//! after someone removed or replaced it. But what it writes is lost, and another process that opens
//! the path gets a different file.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::store::StoreError;
use crate::store::follow::Written;

/// The answer while the file is away. It names no path, because callers may read it.
pub const GONE: &str = "the file that was opened at the start is not there any more; put it back, \
                        or restart onetap, which begins with what is there then";

/// The period between two checks, which run without any request.
const PERIOD: Duration = Duration::from_secs(1);

/// A path, and the identity of the file that was opened there first.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The device and inode of that file.
    first: OnceLock<(u64, u64)>,
    gone: AtomicBool,
    /// Tells followers that the log has become unreadable, or readable again.
    pub(super) written: Arc<Written>,
}

impl Place {
    pub(super) fn at(path: &Path) -> Arc<Self> {
        let (first, gone) = (OnceLock::new(), AtomicBool::new(false));
        Arc::new(Self { path: path.to_owned(), first, gone, written: Arc::default() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file was opened here before.
    pub(super) fn is_known(&self) -> bool {
        self.first.get().is_some()
    }

    /// Whether this is the file that was opened here first. The first call sets it.
    pub(super) fn is_first(&self, about: &Metadata) -> bool {
        let found = (about.dev(), about.ino());
        *self.first.get_or_init(|| found) == found
    }

    /// The error for callers while the file is away, as of the last check.
    pub(super) fn refusal(&self) -> Option<StoreError> {
        let gone = self.gone.load(Ordering::Relaxed);
        gone.then(|| StoreError::Unavailable(GONE.into()))
    }

    /// Checks now. Logs when the file goes, and when it is back.
    pub(super) fn is_gone(&self) -> bool {
        if !self.is_known() {
            return false;
        }
        let gone = match fs::metadata(&self.path) {
            Ok(about) => !self.is_first(&about),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => true,
                // A failed check says nothing about the file.
                _ => self.gone.load(Ordering::Relaxed),
            },
        };
        let before = self.gone.swap(gone, Ordering::Relaxed);
        let path = self.path.display();
        match (before, gone) {
            (false, true) => tracing::error!("taps and reads are refused: {path}: {GONE}"),
            (true, false) => tracing::info!("taps and reads are answered again: {path} is back"),
            _ => return gone,
        }
        self.written.tell_all();
        gone
    }

    /// Checks once a second while anyone else holds this place.
    pub(super) fn watch(self: &Arc<Self>) -> std::io::Result<()> {
        let place = Arc::downgrade(self);
        let watch = move || {
            while let Some(place) = place.upgrade() {
                place.is_gone();
                drop(place);
                std::thread::sleep(PERIOD);
            }
        };
        std::thread::Builder::new().name("store-place".into()).spawn(watch).map(drop)
    }
}
