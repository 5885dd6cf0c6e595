//! Progress on stderr: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use parking_lot::Mutex;

/// How often a plain line appears.
const EVERY: Duration = Duration::from_secs(10);

/// How far a phase of a command is.
#[derive(Debug)]
pub struct Progress {
    /// What is done, such as `reading`.
    doing: &'static str,
    /// What is counted, such as `rows`.
    unit: &'static str,
    total: Option<u64>,
    done: AtomicU64,
    started: Instant,
    bar: Option<ProgressBar>,
    said: Mutex<Instant>,
}

impl Progress {
    /// A phase with so much to do, if that is known.
    pub fn begin(doing: &'static str, unit: &'static str, total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, form) = match total {
                Some(total) => (
                    ProgressBar::new(total),
                    "{prefix} {bar:30} {human_pos}/{human_len} {msg} {per_sec}, {eta} left",
                ),
                None => (ProgressBar::no_length(), "{prefix} {human_pos} {msg} {per_sec}"),
            };
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style);
            }
            bar.with_prefix(doing).with_message(unit)
        });
        let (started, done) = (Instant::now(), AtomicU64::new(0));
        Self { doing, unit, total, done, started, bar, said: Mutex::new(started) }
    }

    /// So much is done now.
    pub fn at(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        let Some(mut said) = self.said.try_lock() else { return };
        if said.elapsed() >= EVERY {
            *said = Instant::now();
            eprintln!("onetap: {}", self.line(self.started.elapsed()));
        }
    }

    /// So much more is done.
    pub fn more(&self, done: u64) {
        self.at(self.done.load(Ordering::Relaxed) + done);
    }

    fn line(&self, took: Duration) -> String {
        let done = self.done.load(Ordering::Relaxed);
        let rate = rate(done, took);
        let Self { doing, unit, total, .. } = self;
        let rest = total.map(|total| total.saturating_sub(done));
        let left = rest.filter(|_| rate > 0).map(|rest| Duration::from_secs(rest / rate));
        let of = total.map_or(String::new(), |total| format!(" of {}", HumanCount(total)));
        let left = left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
        format!("{doing}: {}{of} {unit}, {}/s{left}", HumanCount(done), HumanCount(rate))
    }
}

/// So much a second.
pub(crate) fn rate(done: u64, took: Duration) -> u64 {
    u64::try_from(u128::from(done) * 1000 / took.as_millis().max(1)).unwrap_or(u64::MAX)
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_has_rate_and_remaining_time() {
        let progress = Progress::begin("importing", "rows", Some(5_000_000));
        progress.done.store(1_200_000, Ordering::Relaxed);
        assert_eq!(
            progress.line(Duration::from_secs(12)),
            "importing: 1,200,000 of 5,000,000 rows, 100,000/s, 38 seconds left"
        );
        let endless = Progress::begin("reading", "bytes", None);
        assert_eq!(endless.line(Duration::from_secs(1)), "reading: 0 bytes, 0/s");
    }
}
