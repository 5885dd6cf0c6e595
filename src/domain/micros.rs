//! Points in time and revisions of a post, both in microseconds.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const RFC_3339_MICROS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A point in time by a store's clock: microseconds since 1970-01-01T00:00:00Z.
///
/// Displays as RFC 3339 with six digits: `2026-11-25T08:30:00.000001Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Micros(pub u64);

impl Micros {
    /// The time after `span`.
    #[must_use]
    pub fn later(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Whether something of this time is too old at `now`. The answer is also yes if the time is
    /// ahead of `now` by more than `retention`: the clock was wrong then and has been corrected.
    /// Otherwise this entry, and all later ones behind it, would stay until the clock gets there.
    pub fn is_old(self, now: Self, retention: Duration) -> bool {
        self.later(retention) < now || self > now.later(retention)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .ok()
            .and_then(|at| at.format(RFC_3339_MICROS).ok());
        // RFC 3339 ends with the year 9999; no clock of ours gets there.
        f.write_str(text.as_deref().unwrap_or("9999-12-31T23:59:59.999999Z"))
    }
}

/// A post's position in its history: it rises strictly with every change of the post.
///
/// A change gets the store's clock in µs. If the clock is behind the previous revision, the change
/// gets that revision plus a little. So revisions rise even if the store lost the previous one.
/// They stay below 2^53 until the year 2255, so they are exact in JavaScript.
///
/// A revision orders answers. It is never evidence that two states are equal: a store that lost its
/// newest changes may give a revision out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// The number of different steps by which a revision may rise while the clock is behind it.
const STEPS: u64 = 1024;

impl Revision {
    /// The revision of a change made at `now` on top of `previous`: the post's revision, or its
    /// partition's floor if the post has no state.
    ///
    /// If the clock is behind `previous`, the step depends on the clock. So two histories that
    /// part, of which one is lost, hardly ever give out the same revision.
    #[must_use]
    pub fn next(previous: Self, now: Micros) -> Self {
        if now.0 > previous.0 { Self(now.0) } else { Self(previous.0 + 1 + now.0 % STEPS) }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_as_rfc_3339_with_six_digits() {
        assert_eq!(Micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Micros(1_795_572_407_166_781).to_string(), "2026-11-25T02:06:47.166781Z");
        assert_eq!(Micros(u64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn old_is_what_is_further_from_now_than_is_kept_on_either_side() {
        let old = |at| Micros(at).is_old(Micros(100), Duration::from_micros(10));
        assert_eq!([89, 90, 100, 110, 111].map(old), [true, false, false, false, true]);
        assert!(!Micros(0).is_old(Micros(u64::MAX - 1), Duration::MAX), "kept for ever");
    }

    #[test]
    fn a_revision_displays_as_its_number() {
        assert_eq!(Revision(1_795_572_407_166_781).to_string(), "1795572407166781");
    }

    #[test]
    fn a_revision_follows_the_clock_but_never_goes_back() {
        assert_eq!(Revision::next(Revision(0), Micros(50)), Revision(50));
        assert_eq!(Revision::next(Revision(40), Micros(50)), Revision(50));
        assert_eq!(Revision::next(Revision(50), Micros(50)), Revision(50 + 1 + 50));
        assert_eq!(Revision::next(Revision(70), Micros(50)), Revision(70 + 1 + 50));
    }

    #[test]
    fn behind_an_earlier_clock_the_step_depends_on_the_clock() {
        let ahead = Revision(9_000_000);
        let next = |now| Revision::next(ahead, Micros(now)).0 - ahead.0;
        assert_eq!([1024, 1025, 2047, 2048].map(next), [1, 2, 1024, 1]);
    }
}
