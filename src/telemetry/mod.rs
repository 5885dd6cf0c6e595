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
    let filter =
        filter.parse::<tracing_subscriber::EnvFilter>().map_err(|error| error.to_string())?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second logger in one process (a test's) is no reason to fail.
    drop(log.try_init());
    Ok(())
}
