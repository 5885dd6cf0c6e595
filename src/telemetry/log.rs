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

/// Logs to stderr from now on. `filter` is a level (`info`), or per module (`onetap=debug`).
///
/// # Errors
///
/// If the filter cannot be read; says what is wrong with it.
pub fn log_to_stderr(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = read_filter(filter)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Said on the same stderr, it would be a panic in whatever task has logged.
        .log_internal_errors(false)
        .with_ansi(is_colourful())
        .with_target(false);
    // A second logger in one process (a test's) is no reason to fail.
    drop(match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    });
    Ok(())
}

/// Whether people read stderr on a terminal that knows colours, and have not asked for none
/// (<https://no-color.org>).
fn is_colourful() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    std::io::stderr().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_none_or(|term| term != "dumb")
}

/// Reads a filter.
///
/// # Errors
///
/// If it cannot be read. A bare word that is no level would be taken as the name of a module, and
/// silence everything else, warnings included; so it is refused.
pub fn read_filter(filter: &str) -> Result<tracing_subscriber::EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for part in filter.split(',') {
        if !part.contains('=') && !LEVELS.contains(&part.trim()) {
            return Err(format!("`{part}` is not one of {}, or MODULE=LEVEL", LEVELS.join(", ")));
        }
    }
    filter.parse().map_err(|_| format!("`{filter}` is not a level, or MODULE=LEVEL"))
}
