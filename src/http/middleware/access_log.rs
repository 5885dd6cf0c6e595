//! One log line for a write that failed, or for every request.

use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::problem::Problem;

/// How many failed writes of a window get a log line of their own. The log only counts the others.
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);

/// Decides which requests get a log line. All workers share it.
#[derive(Debug)]
pub struct RequestLog {
    all: bool,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    left_out: u64,
}

/// A request that has been answered.
pub(super) struct Answered<'a> {
    pub(super) id: &'a str,
    pub(super) method: &'static str,
    pub(super) route: &'a str,
    pub(super) writes: bool,
    /// Present only if every request gets a log line.
    pub(super) path: Option<&'a PathAndQuery>,
    /// The moderator that the caller names.
    pub(super) actor: Option<&'a str>,
    pub(super) status: u16,
    pub(super) problem: Option<&'a Problem>,
    pub(super) took: Duration,
}

impl RequestLog {
    /// With `all`, every request gets a line. Otherwise only failed writes do.
    pub fn new(all: bool) -> Arc<Self> {
        let window = Window { began: Instant::now(), lines: 0, left_out: 0 };
        Arc::new(Self { all, window: Mutex::new(window) })
    }

    /// Whether every request gets a line.
    pub(super) fn is_of_all(&self) -> bool {
        self.all
    }

    /// Logs a request if it gets a line.
    pub(super) fn note(self: &Arc<Self>, answered: &Answered<'_>) {
        if self.all {
            answered.log("answered");
        } else if answered.writes && answered.problem.is_some() {
            self.failed_write(answered);
        }
    }

    /// Logs a failed write, or counts it for the line that sums them up.
    fn failed_write(self: &Arc<Self>, answered: &Answered<'_>) {
        let mut window = self.window.lock();
        let now = Instant::now();
        if now >= window.began + WINDOW && window.left_out == 0 {
            *window = Window { began: now, lines: 0, left_out: 0 };
        }
        if window.lines < LINES {
            window.lines += 1;
            drop(window);
            return answered.log("a write failed");
        }
        window.left_out += 1;
        if window.left_out == 1 {
            let (log, end) = (Arc::clone(self), window.began + WINDOW);
            tokio::spawn(async move {
                tokio::time::sleep_until(end).await;
                let mut window = log.window.lock();
                let left_out = window.left_out;
                *window = Window { began: Instant::now(), lines: 0, left_out: 0 };
                drop(window);
                tracing::info!(left_out, "more writes failed, without a line of their own");
            });
        }
    }
}

impl Answered<'_> {
    fn log(&self, what: &str) {
        let Self { id, method, route, path, actor, status, problem, took, .. } = self;
        // The query may name users, so the line has only the path.
        let path = path.map(PathAndQuery::path);
        let (code, cause) = (
            problem.map(|problem| problem.code().as_str()),
            problem.map(|problem| problem.cause()),
        );
        let ms = (took.as_secs_f64() * 1e4).round() / 10.0;
        tracing::info!(
            request_id = id,
            method,
            route,
            path,
            actor,
            status,
            code,
            cause,
            ms,
            "{what}"
        );
    }
}
