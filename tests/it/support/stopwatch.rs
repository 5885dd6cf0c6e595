//! Time, less the time in which this machine stood still.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

const BEAT: Duration = Duration::from_millis(5);

/// What a beat may be late by without the machine having stood still.
const LATE: Duration = Duration::from_millis(50);

/// A thread that only sleeps, a beat at a time.
struct Watch {
    last: Instant,
    stood: Duration,
}

impl Watch {
    /// How long this machine has stood still so far, the present beat included.
    fn stood(&self) -> Duration {
        let beat = self.last.elapsed();
        self.stood + if beat > BEAT + LATE { beat - BEAT } else { Duration::ZERO }
    }

    fn beat(&mut self) {
        self.stood = self.stood();
        self.last = Instant::now();
    }
}

static WATCH: LazyLock<Mutex<Watch>> = LazyLock::new(|| {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(BEAT);
            WATCH.lock().unwrap_or_else(PoisonError::into_inner).beat();
        }
    });
    Mutex::new(Watch { last: Instant::now(), stood: Duration::ZERO })
});

fn stood() -> Duration {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner).stood()
}

/// Measures what is not to take longer than it may. A machine that stands still for a second is no
/// fault of what is tested.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch {
    begun: Instant,
    stood: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { stood: stood(), begun: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        let elapsed = self.begun.elapsed();
        elapsed.saturating_sub(stood() - self.stood)
    }
}

#[test]
fn a_stopwatch_counts_what_the_test_waits_for_and_not_a_machine_that_stands_still() {
    let watch = Stopwatch::start();
    std::thread::sleep(Duration::from_millis(300));
    assert!(watch.elapsed() > Duration::from_millis(200), "{:?}", watch.elapsed());
    // Nothing beats meanwhile, as if no thread ran.
    let held = WATCH.lock().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    drop(held);
    assert!(watch.elapsed() < Duration::from_millis(500), "{:?}", watch.elapsed());
}
