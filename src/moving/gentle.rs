//! An import steps aside for others who use the same Redis.
//!
//! Redis runs one script at a time, and a tap waits for those before it. While others send many
//! scripts, an import sends few rows at a time; while nobody does, many groups side by side.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::target::Target;

/// How often to look, and how long a look may take.
const EVERY: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(2);

/// Others who send no more scripts than this between two looks do not count: an idle service sends
/// about ten, for its audit in the background.
const FEW: i64 = 50;

/// Whether to step aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gentle(Arc<AtomicBool>);

impl Gentle {
    /// Whether others use the store now.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn turn(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    /// Looks again and again.
    pub(crate) async fn watch(&self, target: &Target) -> Infallible {
        let Target::Store(store) = target else { return std::future::pending().await };
        let mut before = None;
        loop {
            let now = timeout(PATIENCE, store.calls_of_others()).await.ok().flatten();
            if let Some(on) = verdict(before, now) {
                self.turn(on);
            }
            before = now;
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Whether others made many calls between two looks; None after the first one. A store that does
/// not say is taken to be ours alone.
fn verdict(before: Option<i64>, now: Option<i64>) -> Option<bool> {
    match (before, now) {
        (_, None) => Some(false),
        (None, Some(_)) => None,
        (Some(before), Some(now)) => Some(now - before > FEW),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_told_from_what_idle_services_do() {
        assert_eq!(verdict(None, Some(600)), None, "as it began");
        assert_eq!(verdict(Some(100), Some(600)), Some(true));
        assert_eq!(verdict(Some(100), Some(140)), Some(false), "audits in the background");
        assert_eq!(verdict(Some(100), None), Some(false));
    }

    /// A server that has started again counts from zero, and we do not.
    #[test]
    fn a_server_that_has_started_again_is_still_shared() {
        assert_eq!(verdict(Some(600), Some(-9000)), Some(false), "for one look");
        assert_eq!(verdict(Some(-9000), Some(-8500)), Some(true));
    }
}
