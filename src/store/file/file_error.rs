//! Errors inside the file store.

use super::StoreError;

/// The result of a read or a step.
pub(super) type FileResult<T> = Result<T, FileError>;

/// Why a read or a step failed.
#[derive(Debug)]
pub(super) enum FileError {
    /// An error of the engine, mostly of the disk under it. It fails the whole transaction.
    Engine(Box<redb::Error>),
    /// An entry has a form that onetap never writes. The error concerns that entry alone.
    Damaged(String),
}

impl<E: Into<redb::Error>> From<E> for FileError {
    fn from(error: E) -> Self {
        Self::Engine(Box::new(error.into()))
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Damaged(what) => what.fmt(f),
        }
    }
}

impl From<FileError> for StoreError {
    fn from(trouble: FileError) -> Self {
        match trouble {
            FileError::Engine(error) => Self::Unavailable(error.to_string()),
            FileError::Damaged(what) => Self::Damaged(what),
        }
    }
}
