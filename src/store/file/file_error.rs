//! What goes wrong inside the file store.

use super::StoreError;

/// The answer of a look or a step.
pub(super) type Found<T> = Result<T, Trouble>;

/// Why a look or a step came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The engine, and mostly the disk under it. Concerns the whole transaction.
    Engine(Box<redb::Error>),
    /// An entry has a form that onetap never writes. Concerns that entry alone.
    Damaged(String),
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Engine(Box::new(error.into()))
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Damaged(what) => what.fmt(f),
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Engine(error) => Self::Unavailable(error.to_string()),
            Trouble::Damaged(what) => Self::Damaged(what),
        }
    }
}
