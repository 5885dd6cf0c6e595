//! The composition root: builds the service from a configuration, runs it, and stops it.

mod descriptors;
mod greeting;
mod keys;
mod metrics;
mod output;
mod reload;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use futures_util::future::try_join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::metrics::Reloads;
pub(crate) use self::output::{output, print, say};
pub use self::reload::{AskReload, Fresh, Reload};
use crate::auth::KeyRing;
use crate::config::{Config, ConfigError, StoreConfig};
use crate::demo::{self, NaiveTable};
use crate::domain::Palettes;
use crate::http::{
    self, Acceptor, Access, AccessRules, ConnectionStats, Edge, Gate, GivenGate, Hosts, HttpState,
    LargeAnswers, Listener, ReadRates, Readiness, RequestLog, RequestMetrics, Served, Worker,
};
use crate::jobs::{AuditStats, JobStats, Rates, Runner};
use crate::live::Hub;
use crate::rate_limit::RateLimits;
use crate::store::file::{FileStore, OpenError};
use crate::store::memory::MemoryStore;
use crate::store::redis::{ConnectError, RedisSource};
use crate::store::{FileSize, StoreSource};
use crate::telemetry::{Registry, Traces};

/// Why the program ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is invalid; the line says what to change.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file is damaged, or is of another kind.
    #[error("{0}")]
    Data(String),
    /// Another program holds something that this one needs.
    #[error("{0}")]
    Taken(String),
    /// All is done, but rows were left out, or something differs.
    #[error("{0}")]
    Partly(String),
    /// A signal stopped the command; how far it got.
    #[error("{0}")]
    Stopped(String),
    /// The service that was asked cannot count taps.
    #[error("{0}")]
    Unready(String),
    /// The operating system reported an error.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Failure {
    /// The exit code, as in sysexits: 64 usage, 65 data, 69 unavailable; 1 if not all is well; 130
    /// after Ctrl-C. Docker reserves all but 0 and 1 for a health check.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unready(_) => 1,
            Self::Config(_) => 64,
            Self::Partly(_) => 1,
            Self::Stopped(_) => 130,
            Self::Data(_) => 65,
            Self::Taken(_) | Self::Io(_) => 69,
        }
    }
}

pub(crate) fn file_failure(path: &Path, error: OpenError) -> Failure {
    let key = format!("--store file:{}", path.display());
    match error {
        OpenError::Unusable(why) => Failure::Config(ConfigError::told(key, &why)),
        OpenError::Damaged(why) => Failure::Data(format!("{key}: {why}")),
        OpenError::Locked => Failure::Taken(format!("{key}: {error}")),
    }
}

/// How many connections take no streams: this many, or a quarter if that is fewer.
const KEPT_FROM_STREAMS: usize = 100;

/// What all workers share.
#[derive(Clone)]
struct Shared {
    source: StoreSource,
    figures: Figures,
    live: Hub,
    answers: Arc<LargeAnswers>,
    given: Arc<GivenGate>,
    /// Tells the runner of jobs about new ones.
    wake: Arc<Notify>,
    /// The demo's table.
    naive: Arc<NaiveTable>,
    log: Arc<RequestLog>,
    /// None without traces.
    traces: Option<Traces>,
    hosts: Hosts,
    /// The keys and rules. None if every caller may do everything.
    keys: Option<(Arc<KeyRing>, AccessRules)>,
    /// What may be tapped. A reload replaces it.
    palettes: Arc<ArcSwap<Palettes>>,
    /// None without rate limits.
    rates: Option<Arc<RateLimits>>,
    stop: CancellationToken,
}

/// The metrics: the registry, and the components that count.
#[derive(Clone)]
struct Figures {
    registry: Arc<Registry>,
    requests: Arc<RequestMetrics>,
    connections: Arc<ConnectionStats>,
    readiness: Arc<Readiness>,
    jobs: (Arc<JobStats>, Arc<AuditStats>),
}

impl Figures {
    /// Registers the metrics of every component that this store needs.
    fn new(
        source: &StoreSource,
        live: &Hub,
        rates: Option<&RateLimits>,
        reloads: &Arc<Reloads>,
    ) -> Self {
        let (requests, connections) = (Arc::default(), Arc::default());
        let readiness = Arc::default();
        let mut registry = Registry::default();
        registry.register(Arc::clone(&readiness));
        registry.register(Arc::clone(&requests));
        registry.register(Arc::clone(&connections));
        registry.register(live.stats());
        registry.register(Arc::clone(source.gate()));
        let jobs: (Arc<JobStats>, Arc<AuditStats>) = Default::default();
        registry.register(Arc::clone(&jobs.0));
        registry.register(Arc::clone(&jobs.1));
        registry.register(Arc::clone(reloads));
        rates.into_iter().for_each(|rates| registry.register(rates.stats()));
        source.lane_stats().into_iter().for_each(|lanes| registry.register(lanes));
        if let StoreSource::Redis(source) = source {
            registry.register(source.script_times());
        }
        source.file_stats().into_iter().for_each(|file| registry.register(file));
        if let StoreSource::File(_, path) = source {
            registry.register(FileSize(path.clone()));
        }
        Self { registry: Arc::new(registry), requests, connections, readiness, jobs }
    }
}

/// How many connections the admin address takes. They come out of the reserve of descriptors.
const ADMIN_CONNECTIONS: usize = 32;

/// The sockets of a service.
#[derive(Debug)]
pub struct Listeners {
    /// Where callers are answered.
    pub callers: Listener,
    /// Where `/metrics` and `/readyz` are. None if they are with the other calls.
    pub admin: Option<Listener>,
}

/// Runs the service on these listeners until `stop`, then waits for the requests in flight.
///
/// # Errors
///
/// If the store is reachable but not usable, or the operating system reports an error.
pub async fn run(
    config: Config,
    Listeners { callers, admin }: Listeners,
    reload: Reload,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let (reloads, asked) = (Arc::<Reloads>::default(), &reload.keys);
    let watch = |auth| keys::watch(auth, Arc::clone(asked), Arc::clone(&reloads), &stop);
    let keys = config.auth.as_ref().map(watch).transpose()?;
    let palettes = Arc::new(ArcSwap::new(Arc::clone(&config.palettes)));
    let traces = config.traces.as_ref().map(Traces::new).transpose();
    let traces = traces.map_err(|problem| ConfigError::told("--otlp-url", &problem))?;
    let source = open_store(&config).await?;
    if config.read_only {
        source.gate().shut();
    }
    let room = descriptors::connections_within(config.limits.max_connections);
    // Streams may not take all connections: the rest are for requests that end soon, such as taps.
    let live = Hub::new(room - (room / 4).min(KEPT_FROM_STREAMS));
    let rates = config.rate_limits.as_ref().map(|options| Arc::new(RateLimits::new(options)));
    let address = callers.address();
    let shared = Shared {
        figures: Figures::new(&source, &live, rates.as_deref(), &reloads),
        source,
        live,
        answers: LargeAnswers::new(config.limits.max_answer_bytes_in_flight),
        given: Arc::default(),
        wake: Arc::default(),
        naive: Arc::default(),
        log: RequestLog::new(config.access_log),
        traces: traces.clone(),
        hosts: Hosts::new(address, config.allowed_hosts.clone()),
        keys,
        palettes: Arc::clone(&palettes),
        rates,
        stop: stop.clone(),
    };
    let admin_address = admin.as_ref().and_then(Listener::address);
    let (accepting, mut threads) =
        start_workers(Listeners { callers, admin }, room, &config, &shared)?;
    threads.push(start_hub(shared.live.clone(), shared.source.clone(), stop.clone())?);
    // A process that may not write would only keep jobs from the others.
    if !config.read_only {
        threads.push(start_jobs(&shared, config.rates)?);
    }

    reload.watch_configuration(palettes, reloads, stop.clone());
    if config.auth.is_none() {
        tracing::warn!(
            "no authentication: every caller may do everything in the name of every user"
        );
    }
    greeting::greet(address, admin_address, &config);
    tracing::info!(
        "onetap {} with {} threads, reactions {}",
        env!("CARGO_PKG_VERSION"),
        config.threads,
        shared.source.describe(),
    );
    let accepting = accepting.into_iter().map(|(acceptor, listener)| {
        // Each stops accepting at `stop`, or with an error.
        acceptor.run(vec![listener], stop.clone())
    });
    try_join_all(accepting).await?;
    for thread in threads {
        // A worker ends after its connections. Nothing else needs this runtime until then.
        let joined = tokio::task::spawn_blocking(|| thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            return Err(Failure::Io(io::Error::other("a worker thread panicked")));
        }
    }
    // The last owner that drops the store closes it, and closing may log something.
    drop(shared);
    if let Some(traces) = traces {
        let _ = tokio::task::spawn_blocking(move || traces.stop()).await;
    }
    tracing::info!("Stopped.");
    Ok(())
}

/// A listener, and what deals its connections out.
type Accepting = Vec<(Acceptor, Listener)>;

/// Starts the workers of each address, with room for this many connections of callers.
fn start_workers(
    Listeners { callers, admin }: Listeners,
    room: usize,
    config: &Config,
    shared: &Shared,
) -> io::Result<(Accepting, Vec<JoinHandle<()>>)> {
    let request_bytes = config.limits.max_request_bytes_in_flight;
    let (acceptor, workers) = Acceptor::with_workers(config.threads, room, request_bytes);
    let served = if admin.is_some() { Served::Callers } else { Served::All };
    let mut threads = Vec::new();
    for (i, worker) in workers.into_iter().enumerate() {
        threads.push(start(format!("worker-{i}"), worker, served, config, shared)?);
    }
    let mut accepting = vec![(acceptor, callers)];
    if let Some(listener) = admin {
        // Its own thread, lanes and places: what callers do must not hide how the service is.
        let (acceptor, workers) = Acceptor::with_workers(1, ADMIN_CONNECTIONS, request_bytes);
        for worker in workers {
            threads.push(start("admin".into(), worker, Served::Admin, config, shared)?);
        }
        accepting.push((acceptor, listener));
    }
    Ok((accepting, threads))
}

/// Opens the store of a configuration.
///
/// # Errors
///
/// If the store is reachable but not usable.
pub(crate) async fn open_store(config: &Config) -> Result<StoreSource, Failure> {
    match &config.store {
        StoreConfig::Memory(most) => {
            tracing::warn!(
                "reactions are kept in memory only: they will NOT survive a restart; \
                 use --store file:PATH or redis://… to keep them"
            );
            let store = MemoryStore::bounded(config.retention, most.as_u64());
            Ok(StoreSource::Memory(store))
        }
        StoreConfig::File(path, options) => {
            let opened = FileStore::open(path, *options);
            let store = opened.map_err(|error| file_failure(path, error))?;
            if let Err(error) = store.give_copies() {
                tracing::warn!("`onetap backup` will not work while this service runs: {error}");
            }
            Ok(StoreSource::File(store, path.clone()))
        }
        StoreConfig::Redis(options) => {
            let source = RedisSource::new(options)
                .map_err(|error| ConfigError::told("--redis-ca-file", &error.to_string()))?;
            match source.check().await {
                Ok(()) => {}
                Err(ConnectError::Foreign(problem)) => {
                    let key = format!("Redis at {}", source.place());
                    return Err(ConfigError::told(key, &problem).into());
                }
                // The lanes keep trying to connect, and log why they fail.
                Err(ConnectError::Unreachable(_)) => {}
            }
            Ok(StoreSource::Redis(source))
        }
    }
}

/// Starts a worker on its own thread, with its own runtime, lanes and router.
fn start(
    name: String,
    worker: Worker,
    served: Served,
    config: &Config,
    shared: &Shared,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (limits, grace, demo) = (config.limits, config.shutdown_grace, config.demo);
    let access = Access::new(config.user_ids).with_rules(config.auth.as_ref().map(|it| it.rules));
    let (shared, cors_origins) = (shared.clone(), config.cors_origins.clone());
    let (proxies, base) = (config.trusted_proxies.clone(), config.base_path.clone());
    let cache_counts = config.cache_counts;
    std::thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(async move {
            let Shared { source, figures, live, answers, given, palettes, rates, .. } = shared;
            let Shared { wake, naive, log, traces, hosts, keys, stop, .. } = shared;
            let Figures { registry, requests, connections, readiness, .. } = figures;
            let (store, stats) = (source.attach(), (connections, live.stats()));
            let gate = keys.map(|(ring, rules)| Gate::new(&ring, rules));
            let reads = rates.clone().map(|rates| ReadRates::new(rates, proxies));
            let (bytes, guards) = (limits.max_uri_bytes, (gate, reads));
            let told = (log, traces);
            let edge = Edge::new(hosts, cors_origins, bytes, requests, told, guards, base.clone());
            let state =
                HttpState::new(store, palettes, &limits, answers, live, registry, readiness)
                    .with_access(access)
                    .with_rates(rates)
                    .with_cached_counts(cache_counts)
                    .with_base(base)
                    .with_given(given)
                    .with_jobs(wake);
            let demo = demo && served != Served::Admin;
            let demo = demo.then(|| demo::router(&edge, naive, access));
            let router = http::router(state, &edge, served, demo);
            worker.run(router, limits, stats, stop, grace).await;
        });
    })
}

/// Starts the hub of the streams on its own thread. The hub opens its lane with the first stream.
fn start_hub(
    live: Hub,
    source: StoreSource,
    stop: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("live".into())
        .spawn(move || runtime.block_on(live.run(|| source.attach(), http::event, stop)))
}

/// Starts the runner of jobs on its own thread, with lanes of its own.
fn start_jobs(shared: &Shared, rates: Rates) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (source, wake, stop) =
        (shared.source.clone(), Arc::clone(&shared.wake), shared.stop.clone());
    let (stats, palettes) = (shared.figures.jobs.clone(), Arc::clone(&shared.palettes));
    std::thread::Builder::new().name("jobs".into()).spawn(move || {
        runtime.block_on(async move {
            Runner::new(source.attach(), wake, palettes, rates, stats).run(stop).await;
        });
    })
}
