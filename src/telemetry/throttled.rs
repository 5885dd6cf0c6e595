//! Throttles log lines about a trouble that repeats: one line when it begins, reminders with a
//! count, and one line when it is over. The number of lines does not grow with the requests that
//! fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A trouble that has not occurred for this long is over.
const QUIET: Duration = Duration::from_secs(30);

/// The same after a success. One success may be luck, as on a disk that is nearly full. So the wait
/// doubles each time that the trouble comes back, up to [`QUIET`].
const CALM: Duration = Duration::from_secs(2);

/// From the first line about a trouble to the second; the wait then doubles each time.
const FIRST_REMINDER: Duration = Duration::from_secs(30);

/// The most distinct troubles at a time, so that many damaged posts do not make many lines.
const REMEMBERED: usize = 16;

const OTHERS: &str = "more troubles of other kinds";

const LOOK: Duration = Duration::from_millis(500);

/// How bad a trouble is.
#[derive(Clone, Copy, Debug)]
pub enum Severity {
    /// An operator should know.
    Warning,
    /// An operator has to act.
    Error,
}

/// Logs troubles. All components that meet the same trouble share one, so that it makes one line.
#[derive(Debug)]
pub struct ThrottledWarnings {
    all: Arc<Mutex<Troubles>>,
    /// Whether there may be a trouble. Every batch reports its success, and reads only this flag.
    any: AtomicBool,
}

#[derive(Debug)]
struct Troubles {
    severity: Severity,
    troubles: Vec<Trouble>,
    /// The message of the first success since the last trouble, and its time.
    well: Option<(String, Instant)>,
    calm: Duration,
    /// When a trouble last ended.
    over: Option<Instant>,
    /// Whether a thread checks for the end of the troubles.
    watched: bool,
}

#[derive(Debug)]
struct Trouble {
    what: String,
    began: Instant,
    last: Instant,
    times: u64,
    /// How many occurrences the log lines have reported.
    told: u64,
    remind: Instant,
    pause: Duration,
}

impl Default for ThrottledWarnings {
    fn default() -> Self {
        Self::new(Severity::Warning)
    }
}

impl ThrottledWarnings {
    /// With the log level of the severity.
    pub fn new(severity: Severity) -> Self {
        let troubles = Troubles::new(severity);
        Self { all: Arc::new(Mutex::new(troubles)), any: AtomicBool::new(false) }
    }

    /// Reports a failure, and logs it if it is new.
    pub fn about(&self, what: &str) {
        let mut all = lock(&self.all);
        self.any.store(true, Ordering::Release);
        if let Some(line) = all.note(what, Instant::now()) {
            all.severity.log(&line);
        }
        if !std::mem::replace(&mut all.watched, true) {
            let all = Arc::downgrade(&self.all);
            let watch = std::thread::Builder::new().name("warnings".into());
            // Without the thread no line says that it is over; that is no reason to fail.
            drop(watch.spawn(move || watch_until_over(&all)));
        }
    }

    /// Reports a success. The thread logs it if a trouble came before and does not come back soon.
    pub fn settled(&self, what: &str) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut all = lock(&self.all);
        let last = all.troubles.iter().map(|trouble| trouble.last).max();
        let Some(last) = last else { return self.any.store(false, Ordering::Release) };
        if all.well.as_ref().is_none_or(|(_, since)| *since < last) {
            all.well = Some((what.to_owned(), Instant::now()));
        }
    }
}

fn lock(all: &Mutex<Troubles>) -> parking_lot::MutexGuard<'_, Troubles> {
    all.lock()
}

fn watch_until_over(all: &Weak<Mutex<Troubles>>) {
    loop {
        std::thread::sleep(LOOK);
        let Some(all) = all.upgrade() else { return };
        let mut all = lock(&all);
        let (reminders, over) = all.review(Instant::now());
        reminders.iter().for_each(|line| all.severity.log(line));
        over.iter().for_each(|line| tracing::info!("{line}"));
        if all.troubles.is_empty() {
            all.watched = false;
            return;
        }
    }
}

impl Severity {
    fn log(self, line: &str) {
        match self {
            Self::Warning => tracing::warn!("{line}"),
            Self::Error => tracing::error!("{line}"),
        }
    }
}

impl Troubles {
    fn new(severity: Severity) -> Self {
        let (troubles, well, over) = (Vec::new(), None, None);
        Self { severity, troubles, well, calm: CALM, over, watched: false }
    }

    /// Counts a trouble; returns the log line if it is new.
    fn note(&mut self, what: &str, now: Instant) -> Option<String> {
        let known = |all: &mut Vec<Trouble>, what: &str| {
            let found = all.iter_mut().find(|trouble| trouble.what == what)?;
            found.times += 1;
            found.last = now;
            Some(())
        };
        if known(&mut self.troubles, what).is_some() {
            if self.well.take().is_some() {
                self.calm = (2 * self.calm).min(QUIET);
            }
            return None;
        }
        let back = self.over.is_some_and(|over| now.duration_since(over) < 2 * QUIET);
        self.calm = if back { (2 * self.calm).min(QUIET) } else { self.calm };
        let what = if self.troubles.len() < REMEMBERED { what } else { OTHERS };
        if known(&mut self.troubles, what).is_some() {
            return None;
        }
        self.troubles.push(Trouble {
            what: what.to_owned(),
            began: now,
            last: now,
            times: 1,
            told: 1,
            remind: now + FIRST_REMINDER,
            pause: FIRST_REMINDER,
        });
        Some(what.to_owned())
    }

    /// Returns the reminders about troubles that last, and the lines about those that are over. It
    /// forgets the latter.
    fn review(&mut self, now: Instant) -> (Vec<String>, Vec<String>) {
        let (mut reminders, mut over) = (Vec::new(), Vec::new());
        if self.over.is_some_and(|over| now.duration_since(over) >= 2 * QUIET) {
            (self.over, self.calm) = (None, CALM);
        }
        let well = self.well.as_ref().filter(|(_, since)| now.duration_since(*since) >= self.calm);
        let mut before = 0;
        let all = std::mem::take(&mut self.troubles);
        for mut trouble in all {
            if well.is_some_and(|(_, since)| trouble.last <= *since) {
                before += trouble.times;
            } else if now.duration_since(trouble.last) >= QUIET {
                over.push(format!("not seen for {} s: {trouble}", QUIET.as_secs()));
            } else {
                if now >= trouble.remind && trouble.times > trouble.told {
                    reminders.push(trouble.to_string());
                    trouble.told = trouble.times;
                    trouble.pause *= 2;
                    trouble.remind = now + trouble.pause;
                }
                self.troubles.push(trouble);
            }
        }
        match well {
            Some((what, _)) if before > 0 => {
                over.push(match before {
                    1 => what.clone(),
                    _ => format!("{what} (it failed {before} times before)"),
                });
                self.well = None;
            }
            _ => {}
        }
        if !over.is_empty() {
            self.over = Some(now);
        }
        (reminders, over)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.last.duration_since(self.began).as_secs_f64();
        match self.times {
            1 => f.write_str(&self.what),
            times => write!(f, "{} ({times} times in {seconds:.0} s)", self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> (Troubles, Instant) {
        (Troubles::new(Severity::Error), Instant::now())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_trouble_has_a_line_when_it_begins_and_one_with_its_count_when_it_is_over() {
        let (mut all, start) = new();
        assert_eq!(all.note("full", start), Some("full".into()));
        for i in 1..30_000 {
            assert_eq!(all.note("full", start + i * SECOND / 10_000), None);
        }
        assert_eq!(all.review(start + 10 * SECOND), (vec![], vec![]));
        let over = vec!["not seen for 30 s: full (30000 times in 3 s)".to_owned()];
        assert_eq!(all.review(start + 33 * SECOND), (vec![], over));
        assert_eq!(all.review(start + 34 * SECOND), (vec![], vec![]));
        assert_eq!(all.note("full", start + 35 * SECOND), Some("full".into()));
    }

    /// Like a disk that is nearly full: small commits fit and larger ones do not.
    #[test]
    fn what_comes_and_goes_is_one_trouble() {
        let (mut all, start) = new();
        let mut lines = Vec::new();
        for i in 0..25 {
            lines.extend(all.note("full", start + i * SECOND));
            all.well = Some(("written again".into(), start + i * SECOND + SECOND / 2));
            let (reminders, over) = all.review(start + i * SECOND + SECOND * 3 / 4);
            lines.extend(reminders.into_iter().chain(over));
        }
        assert_eq!(lines, ["full"]);
        let over = vec!["written again (it failed 25 times before)".to_owned()];
        assert_eq!(all.review(start + 27 * SECOND), (vec![], vec![]), "it has come back too often");
        assert_eq!(all.review(start + 55 * SECOND), (vec![], over));
    }

    #[test]
    fn what_lasts_is_told_again_and_many_kinds_are_not_many_lines() {
        let (mut all, start) = new();
        let (mut reminders, mut firsts) = (0, 0);
        for i in 0..600 {
            firsts += all.note("away", start + i * SECOND).iter().count();
            reminders += all.review(start + i * SECOND).0.len();
        }
        assert_eq!((firsts, reminders), (1, 4), "after 30 s, 90 s, 210 s, 450 s");
        let kinds = (0..100).filter_map(|i| all.note(&format!("post {i}"), start + 600 * SECOND));
        assert_eq!(kinds.count(), REMEMBERED, "15 kinds and the line for all others");
    }

    #[test]
    fn a_trouble_that_is_new_since_all_went_well_goes_on() {
        let (mut all, start) = new();
        all.note("away", start);
        all.well = Some(("connected".into(), start + SECOND));
        all.note("refused", start + 2 * SECOND);
        let (_, over) = all.review(start + 4 * SECOND);
        assert_eq!(over, ["connected"]);
        assert_eq!(all.troubles.len(), 1);
    }
}
