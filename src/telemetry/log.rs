//! Log lines on stderr.

use std::io::IsTerminal as _;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Sends log lines to stderr from now on. `filter` is a level (`info`), or one per module
/// (`onetap=debug`).
///
/// # Errors
///
/// If the filter is invalid; the text says why.
pub fn log_to_stderr(filter: &str, format: LogFormat) -> Result<(), String> {
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
    drop(match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    });
    Ok(())
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
pub fn read_filter(filter: &str) -> Result<tracing_subscriber::EnvFilter, String> {
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
