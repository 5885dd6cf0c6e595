//! Holds streams open and sends taps at a fixed rate. Measures how late each tap reaches each
//! stream, and checks that all streams end at the true count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::client::{self, ClientError, Events, Target};
use crate::rate::{self, RateOptions, RateReport};

/// Streams opened at a time.
const OPENING: usize = 128;

/// How many events beyond the expected ones a stream may get.
const SPARE: usize = 100;

/// How long after the last tap its event may still arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of a run.
#[derive(Debug)]
pub struct WatchReport {
    /// The result of the taps.
    pub taps: RateReport,
    /// The number of streams.
    pub streams: usize,
    /// The time that it took to open them.
    pub opened: Duration,
    /// Events received, without the first of each stream.
    pub events: u64,
    /// Microseconds from the intended start of a tap to the first event that includes it, on each
    /// stream of its post.
    pub lag_micros: Histogram<u64>,
    /// The fault of each stream that did not end at the true count.
    pub wrong: Vec<String>,
}

impl WatchReport {
    /// Whether every stream and every tap was right.
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty() && self.taps.is_right()
    }
}

/// An event, and its time.
struct Seen {
    revision: u64,
    total: u64,
    at: Instant,
}

/// The revision and total at which each post must end, once that is known.
type Truth = Option<Arc<Vec<(u64, u64)>>>;

/// Opens the streams, sends the taps, and waits until the streams have all of them.
///
/// # Errors
///
/// If the first connection to the service fails, or if the service refuses a stream.
pub async fn run(
    target: &Target,
    options: &RateOptions,
    streams: usize,
    progress: impl FnMut(u64) + Send + 'static,
) -> Result<WatchReport, ClientError> {
    let begun = Instant::now();
    let (tell, truth) = watch::channel(None);
    let opening = Arc::new(Semaphore::new(OPENING));
    let open = (0..streams).map(|i| {
        let (place, opening) = (i % options.posts.len(), Arc::clone(&opening));
        let (target, posts) = (target.clone(), Arc::clone(&options.posts));
        tokio::spawn(async move {
            let _permit = opening.acquire().await;
            let mut events = target.connect().await?.watch(&[&posts[place]]).await?;
            // The first event shows the state before the taps.
            events.next_within(client::PATIENCE).await?.ok_or(ClientError::NoStream)?;
            Ok::<_, ClientError>((place, events))
        })
    });
    // A stream gets one event for each tap, or two if the service reads the post again.
    let most = usize::try_from(2 * u64::from(options.rate) * u64::from(options.seconds));
    let most = most.unwrap_or(usize::MAX).saturating_add(SPARE);
    let mut readers: Vec<JoinHandle<(usize, Vec<Seen>)>> = Vec::new();
    for opened in open.collect::<Vec<_>>() {
        let (place, events) = joined(opened).await?;
        readers.push(tokio::spawn(read(place, events, most, truth.clone())));
    }
    let opened = begun.elapsed();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&answers);
    let told: rate::Told = Arc::new(move |place, intended, answer| {
        let mut answers = noted.lock();
        answers.push((place, intended, answer.revision));
    });
    let taps = rate::run(target, options, progress, told).await?;
    let mut client = target.connect().await?;
    let mut truth = Vec::new();
    for post in options.posts.iter() {
        let summary = client.summary(post).await?;
        truth.push((summary.revision, summary.total.unwrap_or_default()));
    }
    let truth = Arc::new(truth);
    tell.send_replace(Some(Arc::clone(&truth)));
    let mut by_post: Vec<Vec<Vec<Seen>>> = truth.iter().map(|_| Vec::new()).collect();
    for reader in readers {
        let (place, seen) = joined(reader).await;
        by_post[place].push(seen);
    }
    let answers = std::mem::take(&mut *answers.lock());
    let (lag_micros, events, wrong) = judge(&by_post, &truth, &answers);
    Ok(WatchReport { taps, streams, opened, events, lag_micros, wrong })
}

async fn joined<T>(task: JoinHandle<T>) -> T {
    task.await.expect("the load test's own task does not panic")
}

/// Reads until the stream has reached the true count, its time is up, it ends, or it has sent more
/// events than possible.
async fn read(
    place: usize,
    mut events: Events,
    most: usize,
    mut truth: watch::Receiver<Truth>,
) -> (usize, Vec<Seen>) {
    let mut seen: Vec<Seen> = Vec::new();
    let mut deadline: Option<Instant> = None;
    loop {
        if let Some((revision, total)) = truth.borrow().as_ref().map(|truth| truth[place]) {
            if total == 0 || seen.last().is_some_and(|last| last.revision >= revision) {
                break;
            }
            deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
        let until = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            next = events.next() => match next {
                Ok(Some(_)) if seen.len() == most => break,
                Ok(Some(summary)) => seen.push(Seen {
                    revision: summary.revision,
                    total: summary.total.unwrap_or_default(),
                    at: Instant::now(),
                }),
                Ok(None) | Err(_) => break,
            },
            changed = truth.changed() => if changed.is_err() { break },
            () = tokio::time::sleep_until(until.into()) => break,
        }
    }
    (place, seen)
}

/// The lag of each tap on each stream, the number of events, and the faults.
fn judge(
    by_post: &[Vec<Vec<Seen>>],
    truth: &[(u64, u64)],
    answers: &[(usize, Instant, u64)],
) -> (Histogram<u64>, u64, Vec<String>) {
    let mut lag = Histogram::new(3).expect("three digits are possible");
    for (place, intended, revision) in answers {
        for stream in &by_post[*place] {
            let first = stream.partition_point(|seen| seen.revision < *revision);
            if let Some(seen) = stream.get(first) {
                let late = seen.at.saturating_duration_since(*intended);
                // Cannot fail: the histogram resizes itself.
                let _ = lag.record(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
            }
        }
    }
    let (mut events, mut wrong) = (0, Vec::new());
    for (streams, (_, total)) in by_post.iter().zip(truth) {
        for stream in streams {
            events += stream.len() as u64;
            let last = stream.last().map_or(0, |seen| seen.total);
            let rises = stream.windows(2).all(|pair| pair[0].revision < pair[1].revision);
            if last != *total {
                wrong.push(format!("a stream ended at {last} of {total}"));
            } else if !rises {
                wrong.push("the revisions of a stream do not rise".to_owned());
            }
        }
    }
    (lag, events, wrong)
}
