//! The read-only window: whether a process may begin a write.
//!
//! The window is a document in the store. No tap reads it: that would cost every tap a step. A
//! process reads it now and then instead. A read that found no window gives the process a *lease*
//! on writing. Writes begin only under a lease, and their deadline is cut to its end. The store
//! refuses a write after its deadline, by its own clock. So once a window has been open for as long
//! as a lease lasts, no process can still apply a write, not even one that was stopped meanwhile.
//!
//! A store of one process needs no lease: its window waits for the writes in progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::time::timeout_at;

use super::{
    AnyStore, Deadline, DocumentWrite, Maintenance as _, ReadOnly, Store as _, StoreError,
};
use crate::sync::{Gate, Inside, Stamped};

/// The documents that are there while a window is open. A cluster has several, at different nodes:
/// otherwise the node of a single one would take the writes of all others along when it is lost.
/// To begin a window, all of them are needed; to renew a lease, one.
const FLAGS: [&str; 4] = ["read-only", "read-only/2", "read-only/3", "read-only/4"];

/// How long a process may write after the beginning of its last read that found no window. Longer
/// than `--request-timeout` by default, so that a failover that a tap survives cuts no tap short.
const LEASE: Duration = Duration::from_secs(4);

/// From this age on, the next write renews the lease beside itself. A process that refuses writes
/// looks again after this time.
const RENEW_AFTER: Duration = Duration::from_millis(500);

/// The timeout of a look. It travels with the taps, and a lane gives a connection up whose calls
/// all expired. So it is not shorter than theirs.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a look waits for the other nodes after the first has answered.
const OTHER_NODES: Duration = Duration::from_millis(100);

/// What a window waits beyond the lease. Covers how far two clocks drift apart within a lease, and
/// what the store's clock may be put back unnoticed.
const MARGIN: Duration = Duration::from_millis(250);

/// The most time for a change of the documents, and for the writes inside to end.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Values of [`WriteGate::known`].
const UNKNOWN: u8 = 0;
const FREE: u8 = 1;
const READ_ONLY: u8 = 2;

/// Decides whether writes may begin in this process.
#[derive(Debug)]
pub struct WriteGate {
    base: Instant,
    /// What the last look found, and when it began, in milliseconds since `base`.
    known: Stamped,
    /// `--read-only`.
    pub(super) shut: AtomicBool,
    /// Whether other processes may begin a window.
    leased: bool,
    /// The writes of a store that only this process has.
    inside: Gate,
    /// For the writes that wait for a look. More than these are refused at once.
    places: Semaphore,
    /// Held by the look in progress. Holds the last look that failed.
    look: Arc<Mutex<Option<FailedLook>>>,
    /// Held while this process changes the documents.
    change: Mutex<()>,
}

#[derive(Debug)]
struct FailedLook {
    began: Instant,
    error: StoreError,
}

/// A write that may begin.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    /// Its deadline: the caller's, or the end of the lease if that is earlier.
    pub(super) deadline: Deadline,
    _inside: Option<Inside<'a>>,
}

/// What this process knows at a moment.
enum View {
    /// Writes may begin and are applied by then; None: without a bound.
    Free {
        until: Option<Instant>,
        ages: bool,
    },
    ReadOnly {
        ages: bool,
    },
    Unknown,
}

impl WriteGate {
    /// For a store that only this process has.
    pub(super) fn of_one_process(most_waiting: usize) -> Self {
        Self::new(false, most_waiting)
    }

    /// For a store that other processes may have, too.
    pub(super) fn of_many_processes(most_waiting: usize) -> Self {
        Self::new(true, most_waiting)
    }

    /// At most so many writes wait for a look. A burst after a quiet time has to wait for one, so
    /// this must be no less than the store takes at once.
    fn new(leased: bool, most_waiting: usize) -> Self {
        Self {
            base: Instant::now(),
            known: Stamped::new(UNKNOWN),
            shut: AtomicBool::new(false),
            leased,
            inside: Gate::new(),
            places: Semaphore::new(most_waiting.min(Semaphore::MAX_PERMITS)),
            look: Arc::default(),
            change: Mutex::default(),
        }
    }

    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Relaxed) || self.known.get().1 == READ_ONLY
    }

    /// From now on refuses all writes of this process.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::Relaxed);
    }

    /// Admits or refuses a write; None if the process has to look first.
    pub(super) fn admit_at_once(
        &self,
        store: &AnyStore,
        deadline: Deadline,
    ) -> Option<Result<Admitted<'_>, StoreError>> {
        if self.shut.load(Ordering::Relaxed) {
            return Some(Err(StoreError::ReadOnly(ReadOnly::Process)));
        }
        let inside = match self.leased {
            true => None,
            false => match self.inside.enter() {
                Some(inside) => Some(inside),
                None => return Some(Err(StoreError::ReadOnly(ReadOnly::Window))),
            },
        };
        match self.view(Instant::now()) {
            View::Free { until, ages } => {
                if ages {
                    self.look_beside(store);
                }
                let deadline = until.map_or(deadline, |until| deadline.min(Deadline(until)));
                Some(Ok(Admitted { deadline, _inside: inside }))
            }
            View::ReadOnly { ages: false } => Some(Err(StoreError::ReadOnly(ReadOnly::Window))),
            View::ReadOnly { ages: true } | View::Unknown => None,
        }
    }

    /// Looks, and then admits or refuses.
    pub(super) async fn admit_after_a_look(
        &self,
        store: &AnyStore,
        deadline: Deadline,
    ) -> Result<Admitted<'_>, StoreError> {
        let _place = self.places.try_acquire().map_err(|_| StoreError::Overloaded)?;
        self.look(store, deadline).await?;
        self.admit_at_once(store, deadline).unwrap_or_else(|| {
            // A look that took so long that its result is old again.
            Err(match self.known.get() {
                (_, READ_ONLY) => StoreError::ReadOnly(ReadOnly::Window),
                _ => StoreError::Unavailable("the store answers too slowly".into()),
            })
        })
    }

    /// Looks whether a window is open, unless the process knows. Looks of others count.
    pub(super) async fn look(
        &self,
        store: &AnyStore,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let arrived = Instant::now();
        let looked = async {
            let failed = Arc::clone(&self.look).lock_owned().await;
            match &*failed {
                Some(failed) if failed.began >= arrived => return Err(failed.error.clone()),
                _ if !self.has_to_look() => return Ok(()),
                _ => {}
            }
            // A task of its own: a caller that goes away must not take the look of others along.
            let look = tokio::spawn(look(store.clone(), failed));
            look.await.unwrap_or_else(|_| Err(StoreError::too_late()))
        };
        timeout_at(deadline.0.into(), looked).await.unwrap_or_else(|_| Err(StoreError::too_late()))
    }

    /// Renews the lease, and waits for nothing.
    fn look_beside(&self, store: &AnyStore) {
        if let Ok(failed) = Arc::clone(&self.look).try_lock_owned() {
            tokio::spawn(look(store.clone(), failed));
        }
    }

    fn has_to_look(&self) -> bool {
        !matches!(self.view(Instant::now()), View::Free { .. } | View::ReadOnly { ages: false })
    }

    fn view(&self, now: Instant) -> View {
        let (millis, value) = self.known.get();
        let began = self.base + Duration::from_millis(millis);
        let age = now.saturating_duration_since(began);
        let ages = self.leased && age >= RENEW_AFTER;
        match value {
            FREE if !self.leased => View::Free { until: None, ages },
            FREE if age < LEASE => View::Free { until: Some(began + LEASE), ages },
            READ_ONLY => View::ReadOnly { ages },
            _ => View::Unknown,
        }
    }

    /// Keeps what a look found that began then.
    fn learn(&self, began: Instant, value: u8) {
        // Rounded down, so that a lease ends early rather than late.
        let millis = began.saturating_duration_since(self.base).as_millis();
        let before = self.known.get().1;
        self.known.set(u64::try_from(millis).unwrap_or(Stamped::MAX_MILLIS), value);
        match value {
            READ_ONLY if before != READ_ONLY => {
                tracing::warn!("a read-only window is open: writes get 503 until it ends");
            }
            FREE if before == READ_ONLY => tracing::info!("the read-only window has ended"),
            _ => {}
        }
    }

    /// Begins or ends a window.
    pub(super) async fn set(&self, store: &AnyStore, on: bool) -> Result<(), StoreError> {
        let _alone = self.change.lock().await;
        let began = Instant::now();
        if on {
            self.inside.close();
        }
        let set = async {
            if on {
                self.until_nobody_is_inside().await?;
            }
            set_flags(store, on).await
        };
        let set = set.await;
        let known = match (&set, on) {
            (Ok(()), true) => READ_ONLY,
            // As a look that began then: a window that another process begins later is not missed.
            (Ok(()), false) => FREE,
            (Err(_), _) => UNKNOWN,
        };
        drop(self.look.lock().await);
        self.learn(began, known);
        self.inside.open();
        set?;
        if on && self.leased {
            tokio::time::sleep(LEASE + MARGIN).await;
            // A failover may have lost it before a replica had it. Even so, writes were refused.
            if !all_set(store).await.unwrap_or(false) {
                tracing::warn!("the store may have lost the read-only window while it began");
                return Err(StoreError::OutcomeUnknown);
            }
        }
        Ok(())
    }

    /// The deadlines of the writes bound this.
    async fn until_nobody_is_inside(&self) -> Result<(), StoreError> {
        let deadline = Deadline::after(CHANGE_TIMEOUT);
        while !self.inside.is_empty() {
            if deadline.has_passed() {
                return Err(StoreError::Unavailable("a write takes too long".into()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

/// Reads the documents once, and keeps what it found.
async fn look(
    store: AnyStore,
    mut failed: OwnedMutexGuard<Option<FailedLook>>,
) -> Result<(), StoreError> {
    let began = Instant::now();
    let found = find(&store, Deadline(began + LOOK_TIMEOUT)).await;
    if let (Err(_), AnyStore::File(file)) = (&found, &store) {
        // A write opens a store file again that failed, and none passes this gate.
        let _ = file.probe(Deadline::after(LOOK_TIMEOUT)).await;
    }
    *failed = None;
    match found {
        Ok(open) => store.gate().learn(began, if open { READ_ONLY } else { FREE }),
        Err(error) => {
            *failed = Some(FailedLook { began, error: error.clone() });
            return Err(error);
        }
    }
    Ok(())
}

/// Whether a window is open. In a cluster one node that answers is enough: before a window begins,
/// all have it. The others may correct a node that has lost it.
async fn find(store: &AnyStore, deadline: Deadline) -> Result<bool, StoreError> {
    let mut reads: FuturesUnordered<_> =
        flags(store).iter().map(|name| is_set(store, name, deadline)).collect();
    let (mut found, mut until) = (Err(StoreError::too_late()), deadline.0);
    while let Ok(Some(read)) = timeout_at(until.into(), reads.next()).await {
        match read {
            Ok(true) => return Ok(true),
            Ok(false) => {
                found = Ok(false);
                until = until.min(Instant::now() + OTHER_NODES);
            }
            Err(error) if found.is_err() => found = Err(error),
            Err(_) => {}
        }
    }
    found
}

/// Reads a document on the way of taps: not behind the reads, nor behind the jobs.
async fn is_set(store: &AnyStore, name: &str, deadline: Deadline) -> Result<bool, StoreError> {
    match store {
        AnyStore::Redis(redis) => redis.has_document(name, deadline).await,
        _ => Ok(store.document(name, deadline).await?.is_some()),
    }
}

fn flags(store: &AnyStore) -> &'static [&'static str] {
    match store {
        AnyStore::Redis(redis) if redis.is_divided() => &FLAGS,
        _ => &FLAGS[..1],
    }
}

/// Writes or deletes each document that is not as it should be.
async fn set_flags(store: &AnyStore, on: bool) -> Result<(), StoreError> {
    let deadline = Deadline::after(CHANGE_TIMEOUT);
    for (done, name) in flags(store).iter().enumerate() {
        match set_flag(store, name, on, deadline).await {
            Ok(()) => {}
            // Some are set, some are not: so nobody knows which writes are refused.
            Err(_) if done > 0 => return Err(StoreError::OutcomeUnknown),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn set_flag(
    store: &AnyStore,
    name: &str,
    on: bool,
    deadline: Deadline,
) -> Result<(), StoreError> {
    // After a write without an answer, no error means that nothing was applied.
    let mut doubt: Option<StoreError> = None;
    loop {
        let read = store.document(name, deadline).await;
        let document = read.map_err(|error| doubt.clone().unwrap_or(error))?;
        if document.is_some() == on {
            return Ok(());
        }
        let expected = document.map_or(0, |document| document.version);
        let body = on.then(|| br#"{"read_only":true}"#.to_vec());
        let write = DocumentWrite { name: name.to_owned(), expected, body, keep: None };
        match store.write_flag(write, deadline).await {
            Ok(true) => return Ok(()),
            Ok(false) => {} // Another process was faster: look again.
            Err(error @ StoreError::OutcomeUnknown) => doubt = Some(error),
            Err(error) => return Err(doubt.unwrap_or(error)),
        }
        if deadline.has_passed() {
            return Err(doubt.unwrap_or_else(StoreError::too_late));
        }
    }
}

async fn all_set(store: &AnyStore) -> Result<bool, StoreError> {
    let deadline = Deadline::after(CHANGE_TIMEOUT);
    let reads = flags(store).iter().map(|name| is_set(store, name, deadline));
    Ok(try_join_all(reads).await?.into_iter().all(|is_set| is_set))
}
