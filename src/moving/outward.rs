//! An export from a store or a service, for a reader on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::changes::{Changes, ChangesCursor, SinceError};
use super::compare::{Difference, Differences, compare};
use super::export::{ExportError, Exported, Parts, WAITING, export};
use super::read::Whole;
use super::served;
use super::target::Target;

/// Why nothing more comes out.
#[derive(Debug, thiserror::Error)]
pub enum OutwardError {
    /// Of a store.
    #[error(transparent)]
    Store(#[from] SinceError),
    /// Of a service; its answer.
    #[error("{0}")]
    Service(String),
    /// The reader's own.
    #[error(transparent)]
    Reader(#[from] std::io::Error),
}

impl From<ExportError> for OutwardError {
    fn from(error: ExportError) -> Self {
        Self::Store(error.into())
    }
}

/// What a reader gets: parts of an export. None at the end, also at an early one.
pub struct Reader {
    parts: mpsc::Receiver<Vec<Exported>>,
    failed: Arc<AtomicBool>,
}

impl Reader {
    /// The next part. Blocks.
    pub fn part(&mut self) -> Option<Vec<Exported>> {
        self.parts.blocking_recv()
    }

    /// Whether the end came too early.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Exports everything, or what changed since a cursor. `read` reads it, on a thread of its own.
/// Returns what it returns, and the cursor to go on from.
///
/// # Errors
///
/// If the store or the service fails, or `read` does.
pub async fn outward<T: Send + 'static>(
    target: Target,
    since: Option<ChangesCursor>,
    read: impl FnOnce(Reader) -> std::io::Result<T> + Send + 'static,
) -> Result<(T, String), OutwardError> {
    let (parts, receiver) = mpsc::channel(WAITING);
    let failed = Arc::new(AtomicBool::new(false));
    let reader = Reader { parts: receiver, failed: Arc::clone(&failed) };
    let reading = tokio::task::spawn_blocking(move || read(reader));
    let sent = Box::pin(send(target, since, parts.clone())).await;
    failed.store(sent.is_err(), Ordering::Relaxed);
    drop(parts);
    let read = reading.await.map_err(std::io::Error::other)?;
    match sent {
        // The reader ended it, and says why.
        Err(OutwardError::Store(SinceError::Export(ExportError::Gone))) => {
            Ok((read?, String::new()))
        }
        sent => {
            let cursor = sent?;
            Ok((read?, cursor))
        }
    }
}

async fn send(
    target: Target,
    since: Option<ChangesCursor>,
    parts: Parts,
) -> Result<String, OutwardError> {
    match (target, since) {
        (Target::Store(store), None) => {
            let cursor = ChangesCursor::now(&store).await.map_err(ExportError::from)?;
            Box::pin(export(&store, parts)).await?;
            Ok(cursor.to_string())
        }
        (Target::Store(store), Some(cursor)) => {
            let changes = Box::pin(Changes::since(&store, cursor)).await?;
            let next = changes.next.to_string();
            Box::pin(changes.export(&store, parts)).await?;
            Ok(next)
        }
        (Target::Service(service), since) => {
            let since = since.map(|cursor| cursor.to_string());
            let sent = tokio::task::spawn_blocking(move || {
                served::lines(&service, since.as_deref(), &parts)
            });
            sent.await.map_err(std::io::Error::other)?.map_err(OutwardError::Service)
        }
    }
}

/// Compares an input with a store or a service. `found` gets each difference; false ends it.
///
/// # Errors
///
/// If the store or the service fails.
pub async fn diff(
    target: Target,
    whole: Whole,
    found: impl FnMut(&Difference) -> bool + Send + 'static,
) -> Result<Differences, OutwardError> {
    let read = move |reader| compare(whole.lines, reader, whole.has_rules, found);
    outward(target, None, read).await.map(|(differences, _)| differences)
}
