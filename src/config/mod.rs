//! The configuration: flags and `ONETAP_…` variables, read and judged before anything starts.

mod cli;
mod listen;
mod store_url;

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
pub use cli::{BackupArgs, Cli, Command, Parsed, ServeArgs, by_variable, parse, unknown_variables};
pub use listen::Listen;

use crate::http::{HostName, Limits, Origin};
use crate::store::Retention;
use crate::store::file::FileOptions;
use crate::store::redis::RedisOptions;
use crate::telemetry::LogFormat;

/// What is wrong with the configuration, in one line that says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// A configuration that can be run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Where the reactions are.
    pub store: StoreConfig,
    /// By which names the service may be called, beside its own.
    pub allowed_hosts: Vec<HostName>,
    /// Whose pages may call from browsers.
    pub cors_origins: Vec<Origin>,
    /// Whether the demo is served.
    pub demo: bool,
    /// How many threads answer requests.
    pub threads: usize,
    /// The bounds on requests and connections.
    pub limits: Limits,
    /// How long a stop waits for what is in flight.
    pub shutdown_grace: Duration,
    /// For how long the change log and the records are kept.
    pub retention: Retention,
    /// What to log.
    pub log: String,
    /// In which form.
    pub log_format: LogFormat,
    /// Whether every request has a log line.
    pub access_log: bool,
}

/// Which store, with what only that store needs.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// This process's memory, and at most so much of it.
    Memory(ByteSize),
    /// The file at a path.
    File(PathBuf, FileOptions),
    /// A Redis.
    Redis(Box<RedisOptions>),
}

impl Config {
    /// Judges the arguments.
    ///
    /// # Errors
    ///
    /// If they contradict each other, or are not allowed as they are.
    pub fn new(args: ServeArgs) -> Result<Self, ConfigError> {
        let listen = Listen::read(&args.listen)?;
        if listen.is_open() && !args.insecure_no_auth {
            return Err(ConfigError(format!(
                "--listen {listen} can be reached from other machines, and without authentication \
                 every caller may do everything: listen on 127.0.0.1, or add --insecure-no-auth"
            )));
        }
        let limits = args.limits();
        let shutdown_grace = Duration::from_millis(args.shutdown_grace_ms);
        if shutdown_grace < limits.request_timeout {
            return Err(ConfigError(
                "--shutdown-grace-ms is shorter than --request-timeout-ms: a stop would cut off \
                 requests that still have time; make it at least as long"
                    .into(),
            ));
        }
        if limits.idle_timeout < limits.head_timeout {
            return Err(ConfigError(
                "--idle-timeout-ms is shorter than --head-timeout-ms; make it at least as long"
                    .into(),
            ));
        }
        crate::telemetry::read_filter(&args.log)
            .map_err(|problem| ConfigError(format!("--log: {problem}")))?;
        let retention = Retention {
            change_log_entries: args.change_log_max_entries,
            most_records: args.idempotency_max_records,
            change_log: Duration::from_secs(args.change_log_retention_seconds),
            records: Duration::from_secs(args.idempotency_retention_seconds),
        };
        if retention.records < 2 * limits.request_timeout {
            return Err(ConfigError(
                "--idempotency-retention-seconds is shorter than twice --request-timeout-ms: a tap \
                 that is sent again could outlive the record of its first time; make it longer"
                    .into(),
            ));
        }
        Ok(Self {
            listen,
            store: store_url::store(&args, retention)?,
            allowed_hosts: args.allowed_host,
            cors_origins: args.cors_origin,
            // Nobody has to say who they are; where they have to, it will be off unless asked for.
            demo: args.demo.unwrap_or(true),
            threads: args.threads.map_or_else(cores, usize::from),
            limits,
            shutdown_grace,
            retention,
            log: args.log,
            log_format: args.log_format,
            access_log: args.access_log,
        })
    }

    /// The configuration as `check-config` shows it: a line a flag, without secrets.
    pub fn describe(&self) -> String {
        let limits = &self.limits;
        let mut lines =
            vec![("--listen", self.listen.to_string()), ("--threads", self.threads.to_string())];
        lines.extend(self.allowed_hosts.iter().map(|host| ("--allowed-host", host.to_string())));
        lines.extend(self.cors_origins.iter().map(|origin| ("--cors-origin", origin.to_string())));
        match &self.store {
            StoreConfig::Memory(most) => lines.extend([
                ("--store", "memory:".into()),
                ("--memory-max", most.display().iec().to_string()),
            ]),
            StoreConfig::File(path, options) => lines.extend([
                ("--store", format!("file:{}", path.display())),
                ("--file-queue-taps", options.queue_bound.to_string()),
                ("--file-cache-mib", (options.cache_bytes >> 20).to_string()),
            ]),
            StoreConfig::Redis(options) => lines.extend([
                ("--store", options.address.to_string()),
                ("--strict", options.strict.to_string()),
                ("--key-prefix", options.key_prefix.clone()),
                ("--redis-connect-timeout-ms", options.connect_timeout.as_millis().to_string()),
                ("--redis-queue-calls", options.queue_bound.to_string()),
            ]),
        }
        lines.extend([
            ("--change-log-retention-seconds", self.retention.change_log.as_secs().to_string()),
            ("--change-log-max-entries", self.retention.change_log_entries.to_string()),
            ("--idempotency-retention-seconds", self.retention.records.as_secs().to_string()),
            ("--idempotency-max-records", self.retention.most_records.to_string()),
            ("--head-timeout-ms", limits.head_timeout.as_millis().to_string()),
            ("--body-timeout-ms", limits.body_timeout.as_millis().to_string()),
            ("--request-timeout-ms", limits.request_timeout.as_millis().to_string()),
            ("--idle-timeout-ms", limits.idle_timeout.as_millis().to_string()),
            ("--write-timeout-ms", limits.write_timeout.as_millis().to_string()),
            ("--shutdown-grace-ms", self.shutdown_grace.as_millis().to_string()),
            ("--max-body-bytes", limits.max_body_bytes.to_string()),
            ("--max-uri-bytes", limits.max_uri_bytes.to_string()),
            ("--max-connections", limits.max_connections.to_string()),
            ("--max-request-bytes-in-flight", limits.max_request_bytes_in_flight.to_string()),
            ("--max-answer-bytes-in-flight", limits.max_answer_bytes_in_flight.to_string()),
            ("--demo", self.demo.to_string()),
            ("--log", self.log.clone()),
            ("--log-format", self.log_format.to_string()),
            ("--access-log", self.access_log.to_string()),
        ]);
        let line = |(flag, value): (&str, String)| format!("{flag:<32}{value}\n");
        let table: String = lines.into_iter().map(line).collect();
        let note = match &self.store {
            StoreConfig::Memory(_) => "Reactions in memory do not survive a restart.\n",
            StoreConfig::File(..) => "The store file was not opened.\n",
            StoreConfig::Redis(_) => "Redis was not asked.\n",
        };
        table + note
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
