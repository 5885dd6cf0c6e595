//! An import steps aside for others who use the same Redis.
//!
//! Redis runs one script at a time, and a tap waits for those before it. While somebody taps, an
//! import sends short steps one after the other; while nobody does, long ones side by side.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::target::Target;

/// How often to look.
const EVERY: Duration = Duration::from_millis(500);

/// So many script calls of others between two looks are no taps: an idle service makes some, too.
const FEW: u64 = 25;

/// Whether to step aside. Nobody knows before the second look, so it begins with yes.
#[derive(Clone, Debug)]
pub(crate) struct Gentle(Arc<AtomicBool>);

impl Default for Gentle {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Gentle {
    /// Whether others use the store now.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Looks again and again.
    pub(crate) async fn watch(&self, target: &Target) -> Infallible {
        let Target::Store(store) = target else { return self.stay_off().await };
        let Some(first) = store.calls_of_others().await else { return self.stay_off().await };
        let mut before = Some(first);
        loop {
            tokio::time::sleep(EVERY).await;
            let now = store.calls_of_others().await;
            self.turn(are_many(before, now));
            before = now;
        }
    }

    pub(super) fn turn(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    async fn stay_off(&self) -> Infallible {
        self.turn(false);
        std::future::pending().await
    }
}

/// Whether others made many calls between two looks. A store that does not say is used alone.
fn are_many(before: Option<u64>, now: Option<u64>) -> bool {
    let calls = now.zip(before).map(|(now, before)| now.saturating_sub(before));
    calls.is_some_and(|calls| calls > FEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_told_from_what_an_idle_service_does() {
        assert!(are_many(Some(100), Some(600)));
        assert!(!are_many(Some(100), Some(120)), "the audit in the background");
        assert!(!are_many(Some(600), Some(100)), "a server that has started again");
        assert!(!are_many(None, Some(600)) && !are_many(Some(600), None));
    }
}
