//! Log lines on stderr.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Decides which log lines there are. A reload replaces it.
#[derive(Clone)]
pub struct LogFilter(Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl LogFilter {
    /// Replaces it.
    ///
    /// # Errors
    ///
    /// If the filter is invalid; the text says why.
    pub fn replace(&self, filter: &str) -> Result<(), String> {
        (self.0)(read_filter(filter)?)
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogFilter")
    }
}

/// Sends log lines to stderr from now on. `filter` is a level (`info`), or one per module
/// (`onetap=debug`).
///
/// # Errors
///
/// If the filter is invalid; the text says why.
pub fn log_to_stderr(filter: &str, format: LogFormat) -> Result<LogFilter, String> {
    let filter = read_filter(filter)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A failed write to stderr would be reported on stderr, fail again, and panic in the task
        // that logs.
        .log_internal_errors(false)
        .with_ansi(is_colourful())
        .with_target(false);
    // A test process may have a logger already; that is no error.
    macro_rules! start {
        ($log:expr) => {{
            let log = $log.with_filter_reloading();
            let handle = log.reload_handle();
            drop(log.try_init());
            LogFilter(Arc::new(move |filter| {
                handle.reload(filter).map_err(|error| error.to_string())
            }))
        }};
    }
    Ok(match format {
        LogFormat::Text => start!(log),
        LogFormat::Json => start!(log.json().flatten_event(true)),
    })
}

/// Whether stderr is a terminal with colours and the operator has not turned them off
/// (<https://no-color.org>).
fn is_colourful() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    std::io::stderr().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_none_or(|term| term != "dumb")
}

/// Parses a filter.
///
/// # Errors
///
/// If it is invalid. We refuse a bare word that is no level. As a module's name it would silence
/// everything else, warnings included.
pub fn read_filter(filter: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for part in filter.split(',') {
        if !part.contains('=') && !LEVELS.contains(&part.trim()) {
            return Err(format!(
                "`{part}` is no level; write one of {}, or MODULE=LEVEL",
                LEVELS.join(", ")
            ));
        }
    }
    filter.parse().map_err(|_| format!("`{filter}` is not a level, or MODULE=LEVEL"))
}
