//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{BoolishValueParser, Resettable};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::ConfigError;
use super::store_url::PASSWORD_VARIABLE;
use crate::http::{HostName, Limits, Origin};
use crate::telemetry::LogFormat;

/// Reactions that count every tap exactly once.
#[derive(Debug, Parser)]
#[command(name = "onetap", version)]
pub struct Cli {
    /// What to do; serve unless said otherwise.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service (this is also what happens without a command)
    Serve,
    /// Say whether the configuration can be run, and what it comes to
    CheckConfig,
    /// Print the OpenAPI document
    Openapi,
    /// Copy a store file, also while a service holds it; then check the copy
    Backup(BackupArgs),
}

/// What to copy.
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// The store file, as `--store` names it: file:PATH
    #[arg(long)]
    pub from: String,

    /// The copy; nothing may be there yet
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// How to serve. Every flag is also a variable.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Where to listen: IP:PORT (port 0 takes a free one), `localhost`, or `unix:PATH`
    #[arg(long, env = "ONETAP_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,

    /// Where reactions are kept: `file:PATH`, `memory:`, `redis://host[:port][/database]`,
    /// `redis+sentinel://host[:port],…/name[/database]` or `redis+cluster://host[:port],…`;
    /// `rediss` instead of `redis` for TLS
    #[arg(
        long,
        env = "ONETAP_STORE",
        default_value = "file:./onetap.redb",
        hide_env_values = true
    )]
    pub store: String,

    /// Threads that answer requests, each with its own connection to Redis [default: one per core]
    #[arg(long, env = "ONETAP_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Listen on other addresses than loopback although every caller may do everything
    #[arg(long, env = "ONETAP_INSECURE_NO_AUTH", value_parser = BoolishValueParser::new())]
    pub insecure_no_auth: bool,

    /// Whose pages may call from browsers, such as `https://forum.example`; again, or separated by
    /// commas, for more [default: only pages of the service's own origin]
    #[arg(long, env = "ONETAP_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,

    /// A name that the service may be called by, such as `reactions.forum.example`; again, or
    /// separated by commas, for more [default: loopback names and the address listened on; every IP
    /// address if that is 0.0.0.0 or ::]
    #[arg(long, env = "ONETAP_ALLOWED_HOST", value_name = "HOST", value_delimiter = ',')]
    pub allowed_host: Vec<HostName>,

    /// Serve the demo at /demo; `--demo=false` leaves it out [default: true]
    #[arg(long, env = "ONETAP_DEMO", value_parser = BoolishValueParser::new(), num_args = 0..=1)]
    #[arg(require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub demo: Option<bool>,

    /// What every key in Redis begins with [default: ot]
    #[arg(long, env = "ONETAP_KEY_PREFIX")]
    pub key_prefix: Option<String>,

    /// Whom to be to Redis [default: its default user]
    #[arg(long, env = "ONETAP_REDIS_USERNAME")]
    pub redis_username: Option<String>,

    /// A file with the password for Redis; or else the variable ONETAP_REDIS_PASSWORD holds it
    #[arg(long, env = "ONETAP_REDIS_PASSWORD_FILE")]
    pub redis_password_file: Option<PathBuf>,

    /// With TLS: a PEM file of who may sign Redis' certificate [default: whom the system trusts]
    #[arg(long, env = "ONETAP_REDIS_CA_FILE")]
    pub redis_ca_file: Option<PathBuf>,

    /// Refuse to run where a warning would do: a store that may lose or evict reactions
    #[arg(long, env = "ONETAP_STRICT", value_parser = BoolishValueParser::new())]
    pub strict: bool,

    /// The most time to open a connection to Redis, in milliseconds [default: 1000]
    #[arg(long, env = "ONETAP_REDIS_CONNECT_TIMEOUT_MS", value_parser = millis())]
    pub redis_connect_timeout_ms: Option<u64>,

    /// The most taps and reads that wait on one connection to Redis; more get 503 [default: 10000]
    #[arg(long, env = "ONETAP_REDIS_QUEUE_CALLS", value_parser = clap::value_parser!(u32).range(1..))]
    pub redis_queue_calls: Option<u32>,

    /// The most taps that wait for the store file; more get 503 [default: 10000]
    #[arg(long, env = "ONETAP_FILE_QUEUE_TAPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub file_queue_taps: Option<u32>,

    /// How much of the store file is kept in memory, in MiB [default: 128]
    #[arg(long, env = "ONETAP_FILE_CACHE_MIB", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub file_cache_mib: Option<u32>,

    /// With `memory:`: how much memory reactions may take, such as 512MiB. Beyond it only removing
    /// goes on [default: 1GiB]
    #[arg(long, env = "ONETAP_MEMORY_MAX", value_name = "SIZE")]
    pub memory_max: Option<ByteSize>,

    /// How long the change log keeps an entry, in seconds
    #[arg(long, env = "ONETAP_CHANGE_LOG_RETENTION_SECONDS", default_value_t = 3600,
          value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub change_log_retention_seconds: u64,

    /// The most entries that the change log of a partition keeps; there are 256 partitions
    #[arg(long, env = "ONETAP_CHANGE_LOG_MAX_ENTRIES", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1000..))]
    pub change_log_max_entries: u32,

    /// How long the answer to a tap with an idempotency key is kept, in seconds
    #[arg(long, env = "ONETAP_IDEMPOTENCY_RETENTION_SECONDS", default_value_t = 600,
          value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub idempotency_retention_seconds: u64,

    /// The most of these answers that are kept at a time for this process; half of them may come at
    /// once, an eighth for the posts of one partition. More taps with a key get 503
    #[arg(long, env = "ONETAP_IDEMPOTENCY_MAX_RECORDS", default_value_t = 2_000_000,
          value_parser = clap::value_parser!(u32).range(1000..))]
    pub idempotency_max_records: u32,

    /// From the first byte of a request's head to its last, in milliseconds
    #[arg(long, env = "ONETAP_HEAD_TIMEOUT_MS", default_value_t = 5000, value_parser = millis())]
    pub head_timeout_ms: u64,

    /// For a request's body to arrive, in milliseconds
    #[arg(long, env = "ONETAP_BODY_TIMEOUT_MS", default_value_t = 10_000, value_parser = millis())]
    pub body_timeout_ms: u64,

    /// From a complete request to its answer, the store included, in milliseconds
    #[arg(long, env = "ONETAP_REQUEST_TIMEOUT_MS", default_value_t = 2000, value_parser = millis())]
    pub request_timeout_ms: u64,

    /// After which a connection on which nothing is asked is closed, in milliseconds
    #[arg(long, env = "ONETAP_IDLE_TIMEOUT_MS", default_value_t = 60_000, value_parser = millis())]
    pub idle_timeout_ms: u64,

    /// After which a connection whose client takes nothing of what it is sent is cut, in
    /// milliseconds
    #[arg(long, env = "ONETAP_WRITE_TIMEOUT_MS", default_value_t = 30_000, value_parser = millis())]
    pub write_timeout_ms: u64,

    /// How long a stop waits for requests in flight, in milliseconds
    #[arg(long, env = "ONETAP_SHUTDOWN_GRACE_MS", default_value_t = 10_000, value_parser = millis())]
    pub shutdown_grace_ms: u64,

    /// The largest body, in bytes
    #[arg(long, env = "ONETAP_MAX_BODY_BYTES", default_value_t = 64 * 1024,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_body_bytes: u32,

    /// The longest path and query, in bytes
    #[arg(long, env = "ONETAP_MAX_URI_BYTES", default_value_t = 8 * 1024,
          value_parser = clap::value_parser!(u32).range(256..=32_768))]
    pub max_uri_bytes: u32,

    /// The most connections at a time; more wait to be accepted. The last 100 take no streams
    #[arg(long, env = "ONETAP_MAX_CONNECTIONS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// The most bytes of requests that have not been answered, all connections together; the first
    /// 8 KiB of each are not counted. More get 503, or are cut
    #[arg(long, env = "ONETAP_MAX_REQUEST_BYTES_IN_FLIGHT", default_value_t = 64 << 20,
          value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub max_request_bytes_in_flight: u64,

    /// The most bytes of answers above 16 KiB that have not been read, all connections together;
    /// more get 503
    #[arg(long, env = "ONETAP_MAX_ANSWER_BYTES_IN_FLIGHT", default_value_t = 256 << 20,
          value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub max_answer_bytes_in_flight: u64,

    /// What to log: error, warn, info, debug or trace; also per module, as `info,onetap=debug`
    #[arg(long, env = "ONETAP_LOG", default_value = "info")]
    pub log: String,

    /// How to write the log: for people, or one JSON object a line
    #[arg(long, env = "ONETAP_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Log every request, not only writes that fail
    #[arg(long, env = "ONETAP_ACCESS_LOG", value_parser = BoolishValueParser::new())]
    pub access_log: bool,
}

fn millis() -> clap::builder::RangedU64ValueParser {
    // A day: a deadline beyond it is a mistake.
    clap::value_parser!(u64).range(1..=86_400_000)
}

fn bytes(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl ServeArgs {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            head_timeout: Duration::from_millis(self.head_timeout_ms),
            body_timeout: Duration::from_millis(self.body_timeout_ms),
            request_timeout: Duration::from_millis(self.request_timeout_ms),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            write_timeout: Duration::from_millis(self.write_timeout_ms),
            max_body_bytes: self.max_body_bytes as usize,
            max_uri_bytes: self.max_uri_bytes as usize,
            max_connections: self.max_connections as usize,
            max_request_bytes_in_flight: bytes(self.max_request_bytes_in_flight),
            max_answer_bytes_in_flight: bytes(self.max_answer_bytes_in_flight),
        }
    }
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Parsed {
    /// To do something.
    Run(Box<Cli>),
    /// To print a text, such as the help.
    Print(String),
}

/// Reads the command line.
///
/// # Errors
///
/// If it cannot be read, in one line.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, ConfigError> {
    // Flags mean the same before and after the command.
    let command = Cli::command().mut_args(|arg| {
        // Compose files and unit files set variables to nothing where they mean to set none.
        let empty = arg.get_env().is_some_and(|name| std::env::var_os(name) == Some("".into()));
        let arg = if empty { arg.env(Resettable::Reset) } else { arg };
        arg.global(true)
    });
    let read = command.try_get_matches_from(args);
    match read.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Parsed::Print(error.render().to_string()))
            }
            _ => Err(ConfigError(one_line(&error.render().to_string()))),
        },
    }
}

/// Variables that look like ours and are none, such as one that is misspelt.
pub fn unknown_variables() -> Vec<String> {
    let command = Cli::command();
    let known: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_env).collect();
    let named = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    // Kubernetes sets some for a service of our name; our tests have theirs.
    let foreign = ["ONETAP_SERVICE_", "ONETAP_PORT", "ONETAP_TEST_", "ONETAP_FAULT_", "ONETAP_BIN"];
    named
        .filter(|name| name.starts_with("ONETAP_") && name != PASSWORD_VARIABLE)
        .filter(|name| !known.iter().any(|known| *known == name.as_str()))
        .filter(|name| !foreign.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

/// Says what is wrong of what came from a variable by the name of that variable.
pub fn by_variable(error: ConfigError, args: &[OsString]) -> ConfigError {
    let command = Cli::command();
    let mut line = error.0;
    for arg in command.get_arguments() {
        let (Some(name), Some(variable)) = (arg.get_long(), arg.get_env()) else { continue };
        let flag = format!("--{name}");
        let mut given = args.iter().filter_map(|arg| arg.to_str()?.strip_prefix(&*flag));
        let by_flag = given.any(|rest| rest.is_empty() || rest.starts_with('='));
        if !by_flag && std::env::var_os(variable).is_some() {
            line = replace_flag(&line, &flag, &variable.to_string_lossy());
        }
    }
    ConfigError(line)
}

/// Puts a variable where a flag stands, but not one whose name only begins like it.
fn replace_flag(line: &str, flag: &str, variable: &str) -> String {
    let mut parts = line.split(flag);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, rest| {
        let longer = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        line + if longer { flag } else { variable } + rest
    })
}

/// What clap says in a paragraph, and its first tip, as one line.
fn one_line(rendered: &str) -> String {
    let mut paragraphs = rendered.split("\n\n");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = words(paragraphs.next().unwrap_or_default().trim_start_matches("error: "));
    let tip = paragraphs.find_map(|p| p.trim_start().strip_prefix("tip: ")).map(words);
    let tip = tip.unwrap_or_else(|| "see onetap --help".into());
    format!("{what} ({tip})")
}
