//! Taps at a fixed rate, however the service responds (an open loop).
//!
//! Latency counts from the *intended* start of a tap. A generator that waited for a stalled service
//! before the next tap would not measure the stall (coordinated omission).

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::client::{ClientError, Errors, Target};
use crate::history::{TapAnswer, Verb};

/// The taps to send.
#[derive(Clone, Debug)]
pub struct RateOptions {
    /// Taps per second.
    pub rate: u32,
    /// Seconds to send for.
    pub seconds: u32,
    /// The number of connections.
    pub connections: usize,
    /// The posts, in turn.
    pub posts: Arc<Vec<String>>,
}

/// Called for each answered tap with the index of its post, its intended start, and the answer.
pub type Told = Arc<dyn Fn(usize, Instant, &TapAnswer) + Send + Sync>;

/// As many new posts.
pub fn new_posts(count: usize) -> Arc<Vec<String>> {
    Arc::new((0..count).map(|_| uuid::Uuid::new_v4().to_string()).collect())
}

/// The result of a run.
#[derive(Debug)]
pub struct RateReport {
    /// Taps that were due.
    pub due: u64,
    /// Taps that were answered 2xx.
    pub answered: u64,
    /// The errors of the other taps, and how often each occurred.
    pub errors: Vec<(String, u64)>,
    /// Microseconds from the intended start to the answer.
    pub latency_micros: Histogram<u64>,
    /// The length of the run.
    pub took: Duration,
}

impl RateReport {
    /// Whether every tap was answered 2xx.
    pub fn is_right(&self) -> bool {
        self.errors.is_empty() && self.answered > 0
    }
}

struct Tally {
    latency_micros: Histogram<u64>,
    answered: u64,
    errors: Errors,
}

/// Sends the taps. Calls `progress` with the number of taps that were due, and `told` for each
/// answer.
///
/// # Errors
///
/// If the first connection to the service fails.
pub async fn run(
    target: &Target,
    options: &RateOptions,
    mut progress: impl FnMut(u64) + Send + 'static,
    told: Told,
) -> Result<RateReport, ClientError> {
    let due = u64::from(options.rate) * u64::from(options.seconds);
    let mut connecting = JoinSet::new();
    for _ in 0..options.connections {
        let target = target.clone();
        connecting.spawn(async move { target.connect().await });
    }
    let clients: Result<Vec<_>, _> = connecting.join_all().await.into_iter().collect();
    let clients = clients?;
    // Room for every tap, so that the clock never waits for the connections.
    let (send, receive) = mpsc::channel(usize::try_from(due).unwrap_or(usize::MAX).max(1));
    let receive = Arc::new(Mutex::new(receive));
    let start = Instant::now();
    let rate = options.rate;
    // A thread, because its sleep is finer than the runtime's timer.
    let clock = std::thread::spawn(move || {
        for i in 0..due {
            let intended = start + Duration::from_secs_f64(i as f64 / f64::from(rate));
            std::thread::sleep(intended.saturating_duration_since(Instant::now()));
            if send.blocking_send((i, intended)).is_err() {
                return;
            }
            progress(i + 1);
        }
    });
    let workers: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let (receive, posts) = (Arc::clone(&receive), Arc::clone(&options.posts));
            let (target, told) = (target.clone(), Arc::clone(&told));
            tokio::spawn(async move {
                let mut tally = Tally::new();
                loop {
                    let next = receive.lock().await.recv().await;
                    let Some((i, intended)) = next else { return tally };
                    let place = usize::try_from(i).unwrap_or(0) % posts.len();
                    let answer = client.tap(&posts[place], "like", 1 + i, Verb::Toggle, None).await;
                    if let Ok(answer) = &answer {
                        told(place, intended, answer);
                    }
                    tally.count(intended.elapsed(), answer.as_ref().err());
                    if answer.is_err_and(|error| error.is_broken())
                        && let Ok(again) = target.connect().await
                    {
                        client = again;
                    }
                }
            })
        })
        .collect();
    let mut total = Tally::new();
    for worker in workers {
        total.add(worker.await.expect("the load test's own task does not panic"));
    }
    clock.join().expect("the load test's clock does not panic");
    Ok(RateReport {
        due,
        answered: total.answered,
        errors: total.errors.into_inner().into_iter().collect(),
        latency_micros: total.latency_micros,
        took: start.elapsed(),
    })
}

impl Tally {
    fn new() -> Self {
        let latency_micros = Histogram::new(3).expect("three digits are possible");
        Self { latency_micros, answered: 0, errors: Errors::default() }
    }

    fn count(&mut self, latency: Duration, error: Option<&ClientError>) {
        match error {
            None => self.answered += 1,
            Some(error) => self.errors.count(error.to_string(), 1),
        }
        // Cannot fail: the histogram resizes itself.
        let _ = self.latency_micros.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    fn add(&mut self, other: Self) {
        let _ = self.latency_micros.add(other.latency_micros);
        self.answered += other.answered;
        self.errors.add(other.errors);
    }
}
