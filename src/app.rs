//! The composition root: from a configuration to a running service, and to its end.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError, StoreConfig};
use crate::demo::NaiveTable;
use crate::http::{
    self, Acceptor, Hosts, HttpState, LargeAnswers, Listener, PageGate, ROUTES, RequestLog, Worker,
};
use crate::live::Hub;
use crate::store::StoreSource;
use crate::store::file::{FileStore, OpenError};
use crate::store::memory::MemoryStore;
use crate::store::redis::{ConnectError, RedisSource};
use crate::telemetry::Metrics;

/// Why the program ends before its time.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration cannot be run; the line says what to change.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file is damaged, or is not what it should be.
    #[error("{0}")]
    Data(String),
    /// Something that this program needs belongs to another.
    #[error("{0}")]
    Taken(String),
    /// The machine refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Failure {
    /// The exit code, as in sysexits: 64 usage, 65 data, 69 unavailable.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 64,
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

/// So many connections take no streams; a quarter, where that is less.
const KEPT_FROM_STREAMS: usize = 100;

/// What every worker has a share of.
#[derive(Clone)]
struct Shared {
    source: StoreSource,
    metrics: Arc<Metrics>,
    live: Hub,
    answers: Arc<LargeAnswers>,
    naive: Arc<NaiveTable>,
    log: Arc<RequestLog>,
    hosts: Hosts,
    stop: CancellationToken,
}

/// Runs the service on these listeners until `stop`, then lets what is in flight be answered.
///
/// # Errors
///
/// If the store is there but not usable, or the machine refuses something.
pub async fn run(
    config: Config,
    listeners: Vec<Listener>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let source = open_store(&config).await?;
    let routes = ROUTES.iter().map(|(path, _)| *path).collect();
    let room = connections_within_descriptors(config.limits.max_connections);
    // The rest is for what ends by itself: however many pages are open, taps are taken in.
    let live = Hub::new(room - (room / 4).min(KEPT_FROM_STREAMS));
    let (lanes, file) = (source.lane_stats(), source.file_stats());
    let metrics = Arc::new(Metrics::new(routes, live.stats(), lanes, file));
    let address = listeners.first().and_then(Listener::address);
    let shared = Shared {
        source,
        metrics,
        live,
        answers: LargeAnswers::new(config.limits.max_answer_bytes_in_flight),
        naive: Arc::default(),
        log: RequestLog::new(config.access_log),
        hosts: Hosts::new(address, config.allowed_hosts.clone()),
        stop: stop.clone(),
    };
    let request_bytes = config.limits.max_request_bytes_in_flight;
    let (acceptor, workers) = Acceptor::with_workers(config.threads, room, request_bytes);
    let mut threads = workers
        .into_iter()
        .enumerate()
        .map(|(i, worker)| start(i, worker, &config, &shared))
        .collect::<io::Result<Vec<_>>>()?;
    threads.push(start_hub(shared.live.clone(), shared.source.clone(), stop.clone())?);

    tracing::warn!("no authentication: every caller may do everything in the name of every user");
    match address {
        Some(address) => greet(address),
        None => say(&format!("Listening on {}\n", config.listen)),
    }
    tracing::info!(
        "onetap {} with {} threads, reactions {}",
        env!("CARGO_PKG_VERSION"),
        config.threads,
        shared.source.describe(),
    );
    acceptor.run(listeners, stop).await?;
    for thread in threads {
        // A worker waits for its connections; this runtime has nothing else to do meanwhile.
        let joined = tokio::task::spawn_blocking(|| thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            return Err(Failure::Io(io::Error::other("a worker thread panicked")));
        }
    }
    // The store ends with the last who has it, and may have something to say.
    drop(shared);
    tracing::info!("Stopped.");
    Ok(())
}

async fn open_store(config: &Config) -> Result<StoreSource, Failure> {
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
                // The lanes go on trying, and say what is in the way.
                Err(ConnectError::Unreachable(_)) => {}
            }
            Ok(StoreSource::Redis(source))
        }
    }
}

/// Starts a worker on a thread of its own, with a runtime, a lane and a router of its own.
fn start(
    index: usize,
    worker: Worker,
    config: &Config,
    shared: &Shared,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (limits, grace) = (config.limits, config.shutdown_grace);
    let (shared, cors_origins) = (shared.clone(), config.cors_origins.clone());
    std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        runtime.block_on(async move {
            let Shared { source, metrics, live, answers, naive, log, hosts, stop } = shared;
            let store = source.attach();
            let state = HttpState {
                store,
                limits,
                metrics: Arc::clone(&metrics),
                answers,
                pages: PageGate::default(),
                turns: Arc::default(),
                live,
                naive,
                log,
                hosts,
                cors_origins,
            };
            worker.run(http::router(state), limits, metrics, stop, grace).await;
        });
    })
}

/// Starts the hub of the live streams, with a lane of its own as soon as there is a stream.
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

fn greet(address: SocketAddr) {
    say(&format!(
        "Listening on http://{address}\n\
         Try: curl -w '\\n' -X PUT http://{address}/v1/posts/{EXAMPLE_POST}/reactions/like/users/42\n\
         Docs: http://{address}/docs\n\
         Demo: http://{address}/demo\n"
    ));
}

const EXAMPLE_POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";

/// Prints. That nobody reads, or that the disk is full, is no reason to end.
pub(crate) fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// File descriptors that are not clients' connections: lanes, pool, runtimes, log, and some air.
const RESERVED_DESCRIPTORS: u64 = 128;

/// Raises the limit on open files as far as it may, and fits the connections into it: a service out
/// of descriptors could not open a connection to Redis either.
fn connections_within_descriptors(wanted: usize) -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let room = limit.saturating_sub(RESERVED_DESCRIPTORS).max(limit / 2).max(1);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(
            "only {limit} files may be open: at most {room} connections instead of {wanted}; \
             raise `ulimit -n`, or lower --max-connections"
        );
    }
    room.min(wanted)
}
