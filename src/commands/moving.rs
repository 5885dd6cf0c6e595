//! What `import`, `export` and `diff` share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{self, Failure};
use crate::config::{Config, ConfigError, MeaningArgs, Settings, Source, StoreConfig, UrlArg};
use crate::moving::{ExportError, InputError, Meaning, PostIds, Service, Target};
use crate::store::{AnyStore, StoreError};
use crate::telemetry;

/// The exit code after a signal.
const STOPPED: i32 = 130;

/// What the fields of the file mean.
pub(super) fn meaning(args: &MeaningArgs, config: &Config) -> Meaning {
    Meaning {
        columns: args.columns.clone(),
        map: args.map.clone(),
        post_ids: args.post_ids.0.map_or(PostIds::Uuid, PostIds::Integer),
        user_ids: config.user_ids,
        receipt: false,
    }
}

/// So many of these, as in `1 row` and `2 rows`.
pub(super) fn many(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Starts logging: only what goes wrong, unless the operator chose otherwise.
pub(super) fn log(settings: &Settings, config: &Config) -> Result<(), Failure> {
    let chosen = settings.given.source("log") != Source::Default;
    let filter = if chosen { &config.log } else { "warn" };
    telemetry::log_to_stderr(filter, config.log_format)
        .map(drop)
        .map_err(|problem| ConfigError::told("--log", &problem).into())
}

/// The service that `--url` names.
pub(super) fn service(args: &UrlArg, settings: &Settings) -> Result<Option<Service>, Failure> {
    let Some(url) = &args.url else { return Ok(None) };
    if settings.given.source("store") == Source::Flag {
        let problem = "--store is given too, and the service has its own";
        return Err(ConfigError::new("--url", problem, "give one of them").into());
    }
    let service = Service::at(url).map_err(|problem| ConfigError::told("--url", &problem))?;
    let bearer = args.service_key.as_deref().map(super::bearer).transpose()?;
    Ok(Some(service.with_bearer(bearer)))
}

/// The service, or the store that the settings name.
pub(super) async fn target(service: Option<Service>, config: &Config) -> Result<Target, Failure> {
    match service {
        Some(service) => Ok(Target::Service(service)),
        None => store(config).await.map(Target::Store),
    }
}

/// The store that the settings name.
pub(super) async fn store(config: &Config) -> Result<AnyStore, Failure> {
    if matches!(config.store, StoreConfig::Memory(_)) {
        let problem = "memory: keeps nothing after this command";
        let hint = "use --store file:PATH or --store redis://…, or --url for a running service";
        return Err(ConfigError::new("--store", problem, hint).into());
    }
    let opened = app::open_store(config).await.map_err(|failure| match failure {
        Failure::Taken(line) if matches!(config.store, StoreConfig::File(..)) => Failure::Taken(
            format!("{line}; or go through that service with --url http://HOST:PORT"),
        ),
        other => other,
    });
    opened.map(|source| source.attach())
}

/// A store file that is to be read has to be there: opening it would create one.
pub(super) fn is_there(config: &Config) -> Result<(), Failure> {
    match &config.store {
        StoreConfig::File(path, _) if !path.exists() => {
            let key = format!("--store file:{}", path.display());
            Err(ConfigError::new(key, "there is no such file", "name a store file").into())
        }
        _ => Ok(()),
    }
}

/// Sets the flag at the first SIGINT or SIGTERM; the second ends the process.
pub(super) fn stop_on_signals() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = super::hangup()?;
    super::take_no_harm()?;
    let told = Arc::clone(&stop);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = super::heard(&mut hangup) => {}
            }
            if told.swap(true, Ordering::Relaxed) {
                std::process::exit(STOPPED);
            }
            eprintln!("onetap: stopping after the steps in flight; once more to stop at once");
        }
    });
    Ok(stop)
}

/// Works on a thread of its own, since reading standard input may wait for ever.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().spawn(move || sender.send(work()).is_ok())?;
    receiver.await.map_err(std::io::Error::other)
}

pub(super) fn input_failure(path: &Path, error: InputError) -> Failure {
    match error {
        InputError::Unusable(why) => {
            let why = why.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&why).to_owned();
            ConfigError::told(path.display().to_string(), &why).into()
        }
        InputError::Damaged(line) => Failure::Data(line),
        InputError::Sorting(_) => Failure::Taken(error.to_string()),
    }
}

pub(super) fn export_failure(error: ExportError) -> Failure {
    match error {
        ExportError::Store(StoreError::Damaged(why)) => {
            Failure::Data(format!("the store is damaged: {why}"))
        }
        other => Failure::Taken(other.to_string()),
    }
}
