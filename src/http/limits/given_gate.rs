//! The gate of the lists of what users gave. A page looks at everything that its user gave, in all
//! partitions. So a few clients that list could keep the store from the taps of others.

use tokio::sync::SemaphorePermit;

use super::super::problem::{Code, Problem};
use super::queue::Queue;
use crate::store::Deadline;

/// The most pages that a process reads at a time.
const AT_ONCE: u32 = 4;

/// The gate of a process: all workers share it.
#[derive(Debug)]
pub struct GivenGate(Queue);

impl Default for GivenGate {
    fn default() -> Self {
        Self(Queue::new(AT_ONCE))
    }
}

impl GivenGate {
    /// Lets a page in, in the order of arrival.
    ///
    /// # Errors
    ///
    /// `overloaded`, if the queue is full or the deadline passes.
    pub(in crate::http) async fn enter(
        &self,
        deadline: Deadline,
    ) -> Result<SemaphorePermit<'_>, Problem> {
        let detail = "too many lists of what users gave are being read; try again";
        let full = || Problem::new(Code::Overloaded, detail);
        self.0.enter(1, deadline).await.ok_or_else(full)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_page_waits_until_another_is_read_or_its_deadline_passes() {
        let gate = GivenGate::default();
        let (soon, later) = (Duration::from_millis(50), Duration::from_secs(20));
        let mut read = Vec::new();
        for _ in 0..4 {
            read.push(gate.enter(Deadline::after(later)).await.expect("there is room"));
        }
        assert!(gate.enter(Deadline::after(soon)).await.is_err(), "a fifth page at a time");
        let (next, ()) = tokio::join!(gate.enter(Deadline::after(later)), async {
            tokio::task::yield_now().await;
            drop(read.pop());
        });
        assert!(next.is_ok(), "nobody let it in");
        drop((next, read));
        let all = [(); 4].map(|()| gate.enter(Deadline::after(soon)));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(Result::is_ok), "all was given back");
    }
}
