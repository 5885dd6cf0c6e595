//! Points in time and in a post's history, both counted in microseconds.

use std::fmt;

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
