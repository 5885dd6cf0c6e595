//! `[log]`: what the service logs to stderr, and how.

use clap::{ArgAction, Args};

use crate::telemetry::LogFormat;

/// What the service says on stderr.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "log")]
pub struct LogConfig {
    /// What to log: `error`, `warn`, `info`, `debug` or `trace`; also per module, as
    /// `info,onetap=debug`
    #[arg(long, default_value = "info")]
    pub log: String,

    /// How to write the log: `text` for people, or `json`, one object a line
    #[arg(long, default_value = "text", hide_possible_values = true)]
    pub log_format: LogFormat,

    /// Log every request, not only writes that fail
    #[arg(long, action = ArgAction::Set, default_value = "false")]
    pub access_log: bool,
}
