//! The configuration: flags, `ONETAP_…` variables and a file. They are merged and checked before
//! anything starts.

mod auth;
mod cli;
mod config_file;
mod cors;
mod document;
mod error;
mod file;
mod flags;
#[cfg(test)]
mod fuzz_tests;
mod given;
mod invalid_setting;
mod job_args;
mod jobs;
mod limits;
mod listen;
mod log;
mod memory;
mod moving;
mod or_none;
mod palettes;
mod rates;
mod redis;
mod retention;
mod sections;
mod server;
mod setting;
mod settings;
mod show;
mod store;
mod traces;
mod units;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use auth::{AuthConfig, AuthOptions};
use bytesize::ByteSize;
pub use cli::{
    BackupArgs, CheckConfigArgs, Cli, Command, CompletionsArgs, DefaultConfigArgs, HealthArgs,
    Parsed, ServiceKeyArgs, TokenArgs, command_line, parse,
};
pub use cors::CorsConfig;
pub use error::ConfigError;
pub use file::FileConfig;
pub use flags::Flags;
pub use given::{Given, Source};
pub use invalid_setting::InvalidSetting;
pub use job_args::{
    AtUrl, EraseArgs, JobsArgs, JobsCommand, OneJob, ReceiptArgs, StartArgs, Starting,
};
pub use jobs::JobsConfig;
pub use limits::LimitsConfig;
pub use listen::Listen;
pub use log::LogConfig;
pub use memory::MemoryConfig;
pub use moving::{DiffArgs, ExportArgs, ExportFormat, ImportArgs, MeaningArgs, PostIdsArg, UrlArg};
pub use or_none::OrNone;
pub use rates::RatesConfig;
pub use redis::RedisConfig;
pub use retention::RetentionConfig;
pub use sections::Sections;
pub use server::ServerConfig;
pub use settings::Settings;
pub use show::{default_config, markdown};
pub use store::{StoreSection, StoreUrl};
pub use traces::{CollectorUrl, TracesConfig};

use crate::domain::Palettes;
use crate::http::{BasePath, HostName, Limits, Network, Origin};
use crate::jobs::Rates;
use crate::rate_limit::RateOptions;
use crate::store::file::FileOptions;
use crate::store::redis::RedisOptions;
use crate::store::{Retention, UserIds};
use crate::telemetry::{LogFormat, TraceOptions};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listen address.
    pub listen: Listen,
    /// Where `/metrics` and `/readyz` are, if not there.
    pub admin_listen: Option<Listen>,
    /// The store.
    pub store: StoreConfig,
    /// Which ids users have.
    pub user_ids: UserIds,
    /// Host names that callers may use, besides the service's own.
    pub allowed_hosts: Vec<HostName>,
    /// The origins whose pages may call from browsers.
    pub cors_origins: Vec<Origin>,
    /// Whether to serve the demo.
    pub demo: bool,
    /// How the service knows its callers. None if every caller may do everything.
    pub auth: Option<AuthOptions>,
    /// How much each caller may do. None without limits.
    pub rate_limits: Option<RateOptions>,
    /// The path before each route.
    pub base_path: BasePath,
    /// How long shared caches may keep counts that name no viewer.
    pub cache_counts: Duration,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether this process refuses every write.
    pub read_only: bool,
    /// How many threads answer requests.
    pub threads: usize,
    /// The limits on requests and connections.
    pub limits: Limits,
    /// How long a stop waits for requests in flight.
    pub shutdown_grace: Duration,
    /// How long the change log and the idempotency records are kept.
    pub retention: Retention,
    /// Where traces go. None without traces.
    pub traces: Option<TraceOptions>,
    /// The filter of log lines.
    pub log: String,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// What may be tapped.
    pub palettes: Arc<Palettes>,
    /// How fast jobs and the background audit go.
    pub rates: Rates,
    /// Whether every request gets a log line.
    pub access_log: bool,
}

/// Which store, with the settings that only this store has.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// The memory of this process, up to this size.
    Memory(ByteSize),
    /// The file at a path.
    File(PathBuf, FileOptions),
    /// A Redis.
    Redis(Box<RedisOptions>),
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// If a setting is not allowed, or contradicts another.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let config = Self::without_keys(settings)?;
        let read = config.auth.as_ref().map_or(Ok(()), AuthOptions::read);
        read.map_err(|error| settings.given.name(error))?;
        Ok(config)
    }

    /// The same, without reading the files with keys. A reload reads each of them by itself.
    ///
    /// # Errors
    ///
    /// If a setting is not allowed, or contradicts another.
    pub fn without_keys(settings: &Settings) -> Result<Self, ConfigError> {
        judge(settings).map_err(|error| settings.given.name(error))
    }
}

fn judge(settings: &Settings) -> Result<Config, ConfigError> {
    let Sections { server, limits, cors, retention, jobs, log, traces, auth, rates, .. } =
        &settings.sections;
    let auth = auth.options(settings)?;
    let rate_limits = rates.options(settings, auth.is_some())?;
    if server.listen.is_open() && !server.insecure_no_auth && auth.is_none() {
        return Err(ConfigError::new(
            format!("--listen {}", server.listen),
            "other machines can reach it, and without authentication every caller may do \
             everything",
            "listen on 127.0.0.1, name keys in [auth], or add --insecure-no-auth",
        ));
    }
    if server.admin_listen.0.as_ref().is_some_and(|admin| admin.is_same(&server.listen)) {
        return Err(ConfigError::new(
            "--admin-listen",
            format!("--listen has the same address, {}", server.listen),
            "choose another port, or drop it",
        ));
    }
    let limits = Limits { note_peers: rate_limits.is_some(), ..limits.limits() };
    if server.shutdown_grace < limits.request_timeout {
        return Err(ConfigError::new(
            "--shutdown-grace",
            "it is shorter than --request-timeout, so a stop would cut off requests that still \
             have time",
            "make it at least as long",
        ));
    }
    if limits.idle_timeout < limits.head_timeout {
        return Err(ConfigError::new(
            "--idle-timeout",
            "it is shorter than --head-timeout",
            "make it at least as long",
        ));
    }
    let retention = retention.retention();
    if retention.records < 2 * limits.request_timeout {
        return Err(ConfigError::new(
            "--idempotency-retention",
            "it is shorter than twice --request-timeout, so a repeated tap could arrive after its \
             record has expired",
            "make it longer",
        ));
    }
    Ok(Config {
        traces: traces.options()?,
        listen: server.listen.clone(),
        admin_listen: server.admin_listen.0.clone(),
        store: store(settings, retention)?,
        user_ids: settings.sections.store.user_ids,
        allowed_hosts: server.allowed_host.clone(),
        cors_origins: cors.cors_origin.clone(),
        demo: server.demo && auth.is_none(),
        auth,
        rate_limits,
        base_path: server.base_path.clone(),
        cache_counts: server.cache_counts,
        trusted_proxies: server.trusted_proxies.clone(),
        read_only: server.read_only,
        threads: server.threads.map_or_else(cores, |threads| threads as usize),
        limits,
        shutdown_grace: server.shutdown_grace,
        retention,
        log: log.filter()?,
        log_format: log.log_format,
        palettes: Arc::clone(&settings.given.palettes.palettes),
        rates: jobs.rates(),
        access_log: log.access_log,
    })
}

fn store(settings: &Settings, retention: Retention) -> Result<StoreConfig, ConfigError> {
    let Sections { store, redis, file, memory, .. } = &settings.sections;
    let kind = store.store.section();
    let command = cli::definitions();
    for setting in setting::Setting::all(&command) {
        let section = setting.section().unwrap_or_default();
        let other = ["memory", "file", "redis"].contains(&section) && section != kind;
        if other && settings.given.source(setting.key()) != Source::Default {
            return Err(ConfigError::new(
                setting.flag(),
                format!("it means nothing with --store {kind}:"),
                "drop it, or use another store",
            ));
        }
    }
    match &store.store {
        StoreUrl::Memory if store.strict => Err(ConfigError::new(
            "--strict",
            "it wants a store that keeps reactions over a restart, and memory: does not",
            "use --store file:PATH or --store redis://…, or drop it",
        )),
        StoreUrl::Memory => Ok(StoreConfig::Memory(memory.memory_max)),
        StoreUrl::File(path) => {
            Ok(StoreConfig::File(path.clone(), file.options(store.user_ids, retention)))
        }
        StoreUrl::Redis(address) => {
            let options = redis.options((**address).clone(), store, retention)?;
            Ok(StoreConfig::Redis(Box::new(options)))
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
