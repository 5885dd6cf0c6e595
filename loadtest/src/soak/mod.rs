//! A mixed load that goes on through faults, is recorded, and is judged at its end.
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

/// So long after the end what is under way is waited for, if nothing at all was answered before.
const GRACE: Duration = Duration::from_secs(1);

/// What to send.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// No longer than this.
    pub time: Option<Duration>,
    /// No more operations than this.
    pub taps: Option<u64>,
    /// Over so many connections; each sends one request at a time.
    pub connections: usize,
    /// For so many users.
    pub users: u64,
    /// On so many posts, all new.
    pub posts: usize,
    /// With an idempotency key for every tap: what came of unknown outcome is sent again.
    pub keys: bool,
    /// The service's own request timeout: so long after its connection broke or it was answered
    /// 504, a tap may still be applied.
    pub request_timeout: Duration,
    /// Where the history is recorded.
    pub record: PathBuf,
    /// What is held to be right.
    pub rules: Rules,
    /// Counts the operations that have begun, for whoever watches.
    pub begun: Arc<AtomicU64>,
}

impl SoakOptions {
    /// 64 connections, 100 users, 16 posts, without keys, until it is stopped.
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

/// What a soak came to.
#[derive(Clone, Debug)]
pub struct SoakReport {
    /// Where its history is.
    pub history: PathBuf,
    /// What the history is worth.
    pub verdict: Verdict,
    /// How long the load lasted.
    pub took: Duration,
    /// What was not answered 2xx, and how often.
    pub errors: BTreeMap<String, u64>,
}

/// Why a soak came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// The service cannot be reached to begin with.
    #[error(transparent)]
    Unreachable(ClientError),
    /// The history cannot be written.
    #[error("{}: {error}", .path.display())]
    Record {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The final state cannot be read.
    #[error("the final state cannot be read: {0}")]
    NoEnding(ClientError),
    /// The history cannot be read back.
    #[error("{}: {error}", .path.display())]
    History {
        /// Which.
        path: PathBuf,
        /// Why.
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
    /// Whether anything at all was answered 2xx.
    answered: AtomicBool,
    /// No tap of unknown outcome is applied after this.
    quiet_micros: AtomicU64,
}

impl Shared {
    fn has_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Whether nothing was answered 2xx, and nothing more is asked.
    fn is_hopeless(&self) -> bool {
        self.has_stopped() && !self.answered.load(Ordering::Relaxed)
    }

    /// Ends with the load.
    async fn until_stopped(&self) {
        // The sender is here, so there is no error.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Whether one more operation is to begin.
    fn begins(&self) -> bool {
        let before = self.options.begun.fetch_add(1, Ordering::Relaxed);
        let within = self.options.taps.is_none_or(|most| before < most);
        within && !self.has_stopped()
    }
}

/// Sends until the time is over, the taps are sent, or `stop` is; then judges what happened.
///
/// # Errors
///
/// If there is nothing to judge. What was found wrong is in the report.
pub async fn run(
    target: Target,
    options: SoakOptions,
    stop: impl Future<Output = ()>,
) -> Result<SoakReport, SoakError> {
    target.connect().await.map_err(SoakError::Unreachable)?;
    let path = options.record.clone();
    let recorder = Recorder::create(&path, &source(&options)).map_err(not_recorded(&path))?;
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
    // Who answered nothing will not tell the final state either.
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

/// Runs all connections; collects what was not answered.
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
