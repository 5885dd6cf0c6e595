//! What an operator has to hear of the store, without a line for each request that suffers from it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The same complaint is repeated after this time at the earliest.
const SILENCE: Duration = Duration::from_secs(30);

/// The most different complaints within that time: many damaged posts are not many lines.
const REMEMBERED: usize = 16;

/// Logs complaints, each now and then. Shared by all lanes, so that a fact is one line and not one
/// for each lane.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    said: Mutex<Vec<(String, Instant)>>,
}

impl Complaints {
    /// Logs a warning, unless the same was said just now.
    pub(super) fn about(&self, what: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|(_, at)| at.elapsed() < SILENCE);
        if said.len() == REMEMBERED || said.iter().any(|(earlier, _)| earlier == what) {
            return;
        }
        said.push((what.to_owned(), Instant::now()));
        tracing::warn!("{what}");
    }

    /// All is well: what was said may be said anew. Says so if there was anything.
    pub(super) fn settled(&self, what: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_empty() {
            said.clear();
            tracing::info!("{what}");
        }
    }
}
