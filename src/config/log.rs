//! `[log]`: what the service logs to stderr, and how.

use clap::{ArgAction, Args};

use super::ConfigError;
use crate::telemetry::{self, LogFormat};

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

impl LogConfig {
    /// The filter of log lines, if it is one.
    pub(super) fn filter(&self) -> Result<String, ConfigError> {
        match telemetry::read_filter(&self.log) {
            Ok(_) => Ok(self.log.clone()),
            Err(problem) => Err(ConfigError::told("--log", &problem)),
        }
    }
}
