//! When an operation took place.

/// A span of time in which something took place, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// When an operation took place: within one of these windows. Nearly always there is only one.
#[derive(Clone, Debug)]
pub(super) struct When {
    first: Window,
    others: Vec<Window>,
}

impl When {
    pub(super) fn one(from: u64, to: u64) -> Self {
        Self { first: Window { from, to }, others: Vec::new() }
    }

    pub(super) fn any(mut windows: Vec<Window>) -> Option<Self> {
        let first = windows.pop()?;
        Some(Self { first, others: windows })
    }

    fn windows(&self) -> impl Iterator<Item = Window> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// The first possible time at or after `now`.
    pub(super) fn earliest(&self, now: u64) -> Option<u64> {
        self.windows().filter(|w| w.to >= now).map(|w| w.from.max(now)).min()
    }

    /// The last possible time.
    pub(super) fn latest(&self) -> u64 {
        self.windows().map(|w| w.to).max().unwrap_or(0)
    }

    /// The first possible time.
    pub(super) fn begin(&self) -> u64 {
        self.windows().map(|w| w.from).min().unwrap_or(0)
    }
}
