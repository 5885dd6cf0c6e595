//! What one stream watches.

use std::time::{Duration, Instant};

use super::mailbox::Mailbox;
use crate::domain::PostId;

/// A post, and how many of its newest users to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Topic {
    pub(super) post: PostId,
    pub(super) recent: u8,
}

/// A stream closes this long after one of its posts became stale, or up to [`SPREAD`] later.
pub(super) const STALE: Duration = Duration::from_secs(3);

/// Spreads the closes over this time, so that the clients do not all reconnect at once. With the
/// time that it takes to close many, none is open five seconds after the post became stale.
const SPREAD: Duration = Duration::from_millis(1500);

/// The shortest reconnect delay that a client gets, and the most that is added to it.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_SPREAD: Duration = Duration::from_millis(2500);

/// As parts of 2^64, the steps of two numbers from one stream to the next. Their multiples spread
/// evenly, each alone and as pairs (Roberts' R2 sequence).
const STEP: u64 = 0xC13F_A9A9_02A6_328F;
const OTHER_STEP: u64 = 0x91E1_0DA5_C79E_7B1D;

/// A stream: its posts in the order asked, and the events to send.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Unique in this process.
    pub(super) id: u64,
    pub(super) topics: Box<[Topic]>,
    pub(super) mailbox: Mailbox,
    pub(super) since: Instant,
}

impl Subscription {
    pub(super) fn new(id: u64, topics: Box<[Topic]>, since: Instant) -> Self {
        let mailbox = Mailbox::new(topics.len());
        Self { id, topics, mailbox, since }
    }

    /// How long the stream stays open while stale: from 3 to 4.5 s, another time for each stream.
    pub(super) fn patience(&self) -> Duration {
        STALE + share(SPREAD, self.id.wrapping_mul(STEP))
    }

    /// The reconnect delay of its client.
    pub(super) fn retry(&self) -> Duration {
        RETRY + share(RETRY_SPREAD, self.id.wrapping_mul(OTHER_STEP))
    }
}

/// The fraction `of` / 2^64 of a time, in whole milliseconds.
fn share(time: Duration, of: u64) -> Duration {
    let part = (time.as_millis() * u128::from(of)) >> 64;
    Duration::from_millis(u64::try_from(part).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_neighbouring_streams_each_has_times_of_its_own() {
        let times = |time: fn(&Subscription) -> Duration| {
            let stream = |id| Subscription::new(id, Box::default(), Instant::now());
            let mut times: Vec<_> = (0..1000).map(|id| time(&stream(id)).as_millis()).collect();
            times.sort_unstable();
            times
        };
        let (patience, retry) = (times(Subscription::patience), times(Subscription::retry));
        assert!(patience.iter().all(|ms| (3000..4500).contains(ms)), "{patience:?}");
        assert!(retry.iter().all(|ms| (500..3000).contains(ms)), "{retry:?}");
        // No tenth of a second has much more than its share of a thousand.
        for (times, most) in [(patience, 72), (retry, 50)] {
            for ms in &times {
                let near = times.iter().filter(|other| (*ms..ms + 100).contains(other)).count();
                assert!(near <= most, "{near} of a thousand within 100 ms of {ms}");
            }
        }
    }
}
