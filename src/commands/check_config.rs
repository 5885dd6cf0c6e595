//! `onetap check-config`: shows the merged settings, and whether the store can be used.

use std::path::Path;

use crate::app::{Failure, file_failure, say};
use crate::config::{CheckConfigArgs, Config, ConfigError, Settings, StoreConfig};
use crate::store::UserIds;
use crate::store::file::{self, FileCheck, FileStore};
use crate::store::redis::{ConnectError, RedisOptions, RedisSource};
use crate::telemetry;

pub(super) fn run(args: &CheckConfigArgs, settings: &Settings) -> Result<(), Failure> {
    let config = Config::new(settings)?;
    if let StoreConfig::File(path, _) = &config.store {
        FileStore::look(path).map_err(|error| file_failure(path, error))?;
    }
    say(&settings.describe())?;
    say(&format!("\n{}\n", if args.connect { connect(&config)? } else { note(&config.store) }))
}

fn note(store: &StoreConfig) -> String {
    match store {
        StoreConfig::Memory(_) => "Reactions in memory do not survive a restart.",
        StoreConfig::File(..) => "The store file was not opened; --connect opens it.",
        StoreConfig::Redis(_) => "Redis was not asked; --connect asks it.",
    }
    .into()
}

fn connect(config: &Config) -> Result<String, Failure> {
    // It logs the same warnings as a start would.
    telemetry::log_to_stderr(&config.log, config.log_format)
        .map_err(|problem| ConfigError::told("--log", &problem))?;
    match &config.store {
        StoreConfig::Memory(_) => Ok(note(&config.store)),
        StoreConfig::File(path, _) => open_file(path, config.user_ids).map(String::from),
        StoreConfig::Redis(options) => ask_redis(options),
    }
}

fn open_file(path: &Path, user_ids: UserIds) -> Result<&'static str, Failure> {
    let found = file::check(path, user_ids).map_err(|error| file_failure(path, error))?;
    Ok(match found {
        FileCheck::Usable => "The store file was opened and not changed: it can be used.",
        FileCheck::Unrepaired => {
            "The store file was opened and not changed: a crash has left it unfinished, and the \
             next start repairs it."
        }
        FileCheck::Absent => "There is no store file yet, and none was made: a start makes it.",
    })
}

fn ask_redis(options: &RedisOptions) -> Result<String, Failure> {
    let source = RedisSource::new(options)
        .map_err(|why| ConfigError::told("--redis-ca-file", &why.to_string()))?;
    let key = format!("Redis at {}", source.place());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(source.check()) {
        Ok(()) => Ok(format!("{key} answered: it can be used.")),
        Err(ConnectError::Foreign(problem)) => Err(ConfigError::told(key, &problem).into()),
        Err(ConnectError::Unreachable(why)) => Err(Failure::Taken(format!(
            "{key}: {why}; start it, or correct --store (a service would wait for it)"
        ))),
    }
}
