//! Points in time and in a post's history, both counted in microseconds.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const RFC_3339_MICROS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A point in time of a store's clock: microseconds since 1970-01-01T00:00:00Z.
///
/// Displays as RFC 3339 with six digits: `2026-11-25T08:30:00.000001Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Micros(pub u64);

impl Micros {
    /// The time that much later.
    #[must_use]
    pub fn later(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Whether what is of this time is not to be kept any more at `now`. What is as far ahead of
    /// the clock is not either: the clock that said so has been put right, and until it is that
    /// late again all that has come since would be kept, too.
    pub fn is_old(self, now: Self, retention: Duration) -> bool {
        self.later(retention) < now || self > now.later(retention)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .ok()
            .and_then(|at| at.format(RFC_3339_MICROS).ok());
        // Beyond the year 9999 there is no RFC 3339; no clock of ours says so.
        f.write_str(text.as_deref().unwrap_or("9999-12-31T23:59:59.999999Z"))
    }
}

/// Where a post is in its history: rises with every change, on one post strictly.
///
/// A change gets `max(previous + 1, the store's clock in µs)`, so that it goes on upwards even
/// where the previous revision was lost. Below 2^53 until the year 2255, so it is exact in
/// JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a change made at `now` on top of `previous`.
    #[must_use]
    pub fn next(previous: Option<Self>, now: Micros) -> Self {
        previous.map_or(Self(now.0), |Self(previous)| Self(now.0.max(previous + 1)))
    }

    /// What a post without state answers: the clock, less the one microsecond in which its first
    /// change may still come. So no two states of a post share a revision.
    #[must_use]
    pub fn without_state(now: Micros) -> Self {
        Self(now.0.saturating_sub(1))
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
        assert_eq!(Revision::next(None, Micros(50)), Revision(50));
        assert_eq!(Revision::next(Some(Revision(40)), Micros(50)), Revision(50));
        assert_eq!(Revision::next(Some(Revision(50)), Micros(50)), Revision(51));
        assert_eq!(Revision::next(Some(Revision(70)), Micros(50)), Revision(71));
    }
}
