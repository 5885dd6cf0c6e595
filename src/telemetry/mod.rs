//! What the service says of itself: log lines on stderr, figures at `/metrics`.

mod metrics;

use std::io::IsTerminal as _;

pub use metrics::Metrics;

/// Logs to stderr from now on. `filter` is a level (`info`), or per module (`onetap=debug`).
///
/// # Errors
///
/// If the filter cannot be read; says what is wrong with it.
pub fn log_to_stderr(filter: &str) -> Result<(), String> {
    let filter = read_filter(filter)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Said on the same stderr, it would be a panic in whatever task has logged.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second logger in one process (a test's) is no reason to fail.
    drop(log.try_init());
    Ok(())
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
