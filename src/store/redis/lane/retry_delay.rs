//! How long a call that came back waits until its lane sends it again.

use std::time::Duration;

/// The backoff of a call from its second retry on: doubles from the first value to the last. The
/// call's deadline ends the retries.
const FIRST_DELAY: Duration = Duration::from_millis(10);
const LAST_DELAY: Duration = Duration::from_millis(320);

/// A refused call with less time than this is not sent again: it would end in doubt.
const LAST_MOMENT: Duration = Duration::from_millis(50);

/// How long a call that came back `returns` times waits for its retry, if there is time for one.
pub(super) fn of(returns: u8, left: Duration) -> Option<Duration> {
    let doubled = 2_u32.saturating_pow(returns.saturating_sub(2).into());
    let delay = FIRST_DELAY.saturating_mul(doubled).min(LAST_DELAY).min(left / 2);
    (left >= LAST_MOMENT).then_some(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays_ms(left: u64) -> Vec<Option<u128>> {
        let delay = |returns| of(returns, Duration::from_millis(left));
        (1..=9).map(|returns| delay(returns).map(|delay| delay.as_millis())).collect()
    }

    #[test]
    fn a_retry_waits_longer_each_time_and_leaves_half_of_the_time_that_is_left() {
        assert_eq!(delays_ms(2_000), [10, 10, 20, 40, 80, 160, 320, 320, 320].map(Some));
        assert_eq!(delays_ms(100), [10, 10, 20, 40, 50, 50, 50, 50, 50].map(Some));
        assert_eq!(delays_ms(50), [10, 10, 20, 25, 25, 25, 25, 25, 25].map(Some));
        assert_eq!(of(u8::MAX, Duration::MAX), Some(LAST_DELAY));
    }

    /// It would end in doubt, where "nothing was applied" can be said now.
    #[test]
    fn nothing_is_sent_again_in_the_last_50_ms() {
        for left in [0, 1, 20, 49] {
            assert_eq!(delays_ms(left), [None; 9], "{left} ms are left");
        }
    }
}
