//! A mixed load that keeps sending through faults; it is recorded, and judged at the end.
//!
//! ```no_run
//! use onetap_loadtest::client::Target;
//! use onetap_loadtest::soak::{self, SoakOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::new("http://127.0.0.1:8080")?;
//! let options = SoakOptions { keys: true, ..SoakOptions::new("history.ndjson") };
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let load = tokio::spawn(soak::run(target, options, async { drop(stopped.await) }));
//! // Break something here.
//! drop(stop);
//! let report = load.await??;
//! assert!(report.verdict.is_right(), "{:?}", report.verdict.violations);
//! # Ok(())
//! # }
//! ```

mod ending;
mod worker;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::client::{ClientError, Errors, Target};
use crate::history::{Damaged, Recorder};
use crate::verify::{self, Rules, Verdict};

/// How long to wait at the end for requests in flight if the service has answered none at all.
const GRACE: Duration = Duration::from_secs(1);

/// The load to send.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// The longest time, if any.
    pub time: Option<Duration>,
    /// The most operations, if any.
    pub taps: Option<u64>,
    /// The number of connections; each sends one request at a time.
    pub connections: usize,
    /// The number of users.
    pub users: u64,
    /// The number of posts, all new.
    pub posts: usize,
    /// Whether every tap has an idempotency key. Taps of unknown outcome are then retried.
    pub keys: bool,
    /// The service's own request timeout. A tap may still be applied this long after its connection
    /// broke or it got a 504.
    pub request_timeout: Duration,
    /// The file of the history.
    pub record: PathBuf,
    /// The rules for the verdict.
    pub rules: Rules,
    /// Counts the operations that have begun; for a progress bar.
    pub begun: Arc<AtomicU64>,
}

impl SoakOptions {
    /// 64 connections, 100 users, 16 posts, no keys, until `stop`.
    pub fn new(record: impl Into<PathBuf>) -> Self {
        Self {
            time: None,
            taps: None,
            connections: 64,
            users: 100,
            posts: 16,
            keys: false,
            request_timeout: Duration::from_secs(2),
            record: record.into(),
            rules: Rules::default(),
            begun: Arc::default(),
        }
    }
}

/// The result of a soak.
#[derive(Clone, Debug)]
pub struct SoakReport {
    /// The file of its history.
    pub history: PathBuf,
    /// The verdict on the history.
    pub verdict: Verdict,
    /// How long the load lasted.
    pub took: Duration,
    /// The requests that were not answered 2xx: each error, and how often it occurred.
    pub errors: BTreeMap<String, u64>,
}

/// Why a soak has no result.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// The first connection to the service failed.
    #[error(transparent)]
    Unreachable(ClientError),
    /// Writing the history failed.
    #[error("{}: {error}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// Reading the final state failed.
    #[error("the final state cannot be read: {0}")]
    NoEnding(ClientError),
    /// Reading the history back failed.
    #[error("{}: {error}", .path.display())]
    History {
        /// The file.
        path: PathBuf,
        /// The error.
        error: Damaged,
    },
}

/// What all connections share.
struct Shared {
    target: Target,
    options: SoakOptions,
    posts: Vec<String>,
    recorder: Recorder,
    stopped: watch::Sender<bool>,
    /// Whether the service has answered any request 2xx.
    answered: AtomicBool,
    /// After this time no tap of unknown outcome can be applied.
    quiet_micros: AtomicU64,
}

impl Shared {
    fn has_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Whether the load has ended without any 2xx.
    fn is_hopeless(&self) -> bool {
        self.has_stopped() && !self.answered.load(Ordering::Relaxed)
    }

    /// Waits for the end of the load.
    async fn until_stopped(&self) {
        // Cannot fail: `self` holds the sender.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Whether one more operation may begin.
    fn begins(&self) -> bool {
        let before = self.options.begun.fetch_add(1, Ordering::Relaxed);
        let within = self.options.taps.is_none_or(|most| before < most);
        within && !self.has_stopped()
    }
}

/// Sends until the time is over, the operations are sent, or `stop` completes. Then judges the
/// history.
///
/// # Errors
///
/// If there is nothing to judge. What the verdict found wrong is in the report.
pub async fn run(
    target: Target,
    options: SoakOptions,
    stop: impl Future<Output = ()>,
) -> Result<SoakReport, SoakError> {
    let mut first = target.connect().await.map_err(SoakError::Unreachable)?;
    // Without it the verdict says that the palette's rules were not checked.
    let palette = first.palette().await.ok().flatten();
    let path = options.record.clone();
    let recorder = Recorder::create(&path, &source(&options), palette.as_ref());
    let recorder = recorder.map_err(not_recorded(&path))?;
    let start = Instant::now();
    let shared = Arc::new(Shared {
        posts: (0..options.posts).map(|_| uuid::Uuid::new_v4().to_string()).collect(),
        target,
        recorder,
        stopped: watch::Sender::new(false),
        answered: AtomicBool::new(false),
        quiet_micros: AtomicU64::new(0),
        options,
    });
    let errors = load(&shared, stop).await.into_inner();
    let took = start.elapsed();
    // A service that answered nothing will not answer for the final state either.
    if shared.answered.load(Ordering::Relaxed) {
        ending::record(&shared).await.map_err(SoakError::NoEnding)?;
    }
    let rules = shared.options.rules;
    let shared = Arc::into_inner(shared).expect("the load has ended");
    shared.recorder.finish().map_err(not_recorded(&path))?;
    let judged = path.clone();
    let verdict = tokio::task::spawn_blocking(move || verify::file(&judged, rules));
    match verdict.await.expect("the checker does not panic") {
        Ok(verdict) => Ok(SoakReport { history: path, verdict, took, errors }),
        Err(error) => Err(SoakError::History { path, error }),
    }
}

fn source(options: &SoakOptions) -> String {
    let SoakOptions { connections, users, posts, keys, .. } = options;
    format!(
        "onetap-loadtest soak --connections {connections} --users {users} --posts {posts}{}",
        if *keys { " --keys" } else { "" }
    )
}

fn not_recorded(path: &Path) -> impl FnOnce(io::Error) -> SoakError {
    let path = path.to_owned();
    move |error| SoakError::Record { path, error }
}

/// Runs all connections; collects their errors.
async fn load(shared: &Arc<Shared>, stop: impl Future<Output = ()>) -> Errors {
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..shared.options.connections {
        workers.spawn(worker::run(Arc::clone(shared), number));
    }
    let time = async {
        match shared.options.time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let ended = async {
        tokio::select! { () = stop => {}, () = time => {} }
    };
    tokio::pin!(ended);
    let hopeless = tokio::time::sleep(GRACE);
    tokio::pin!(hopeless);
    let (mut errors, mut given_up) = (Errors::default(), false);
    loop {
        tokio::select! {
            () = &mut ended, if !shared.has_stopped() => {
                shared.stopped.send_replace(true);
                hopeless.as_mut().reset((Instant::now() + GRACE).into());
            }
            () = &mut hopeless, if shared.is_hopeless() && !given_up => {
                given_up = true;
                workers.abort_all();
            }
            worker = workers.join_next() => match worker {
                None => return errors,
                Some(Err(error)) if error.is_cancelled() => {}
                Some(found) => {
                    errors.add(found.expect("the load test's own task does not panic"));
                }
            },
        }
    }
}
