//! What a connection is doing, since when, and what it holds. Its own task enforces timeouts with
//! it. The acceptor uses it to find places.
//!
//! Only the connection's own task writes here, except for the wishes: the acceptor and
//! `LargeAnswers` ask the connection to end.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::super::limits::{ByteBudget, Limits};
use crate::sync::{Stamped, WakeCell};

/// Request bytes that the budget does not count. A usual request has fewer.
const FREE_REQUEST_BYTES: usize = 8 * 1024;

/// A connection that has been idle for less is not closed to make room. A new client's first
/// request may be on its way, or a busy client's next one.
pub(super) const IDLE_AT_LEAST: Duration = Duration::from_millis(100);

/// The same for a connection whose request is incomplete.
const UNFINISHED_AT_LEAST: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client ended it, a stop did, or a timeout that no counter distinguishes.
    Done,
    /// The client did not read its endless response.
    SlowReader,
    /// It was closed to free its place for others.
    MadeRoom,
    /// It was closed because its large response took too long, and others need the room.
    GaveUp,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Phase {
    /// There is no request, or the client reads its response. Each write restarts the phase.
    Idle = 0,
    /// A part of a request head has arrived.
    Head = 1,
    /// A request is being answered. The timeouts of the request apply, not the watch.
    Answering = 2,
    /// A response goes on until one side ends it.
    Endless = 3,
    /// The request head has arrived, and the body has not.
    Body = 4,
}

/// The order in which connections are closed for room: idle ones before those with an incomplete
/// request, and of each kind the longest first.
pub(super) type Spare = (bool, Reverse<Duration>);

/// The phase of a connection, since when, and what it holds.
#[derive(Debug)]
pub(in crate::http) struct Watch {
    base: Instant,
    /// The phase, and the milliseconds from `base` to its start.
    phase: Stamped,
    /// One more than the milliseconds from `base` to when the client stopped reading. 0 while it
    /// reads.
    stalled: AtomicU64,
    /// Bytes received since the connection was last idle.
    received: AtomicUsize,
    /// Bytes that this connection has taken from the budget.
    counted: AtomicUsize,
    budget: Arc<ByteBudget>,
    /// A request was refused for its size in bytes. Nothing after it is read.
    refused: AtomicBool,
    wishes: WakeCell<Wishes>,
}

/// What other tasks want of the connection. Its own task waits for a change.
#[derive(Clone, Copy, Debug, Default)]
struct Wishes {
    /// The acceptor needs its place.
    told: bool,
    /// A large response has been on its way for too long.
    too_slow: bool,
}

impl Watch {
    pub(super) fn new(budget: Arc<ByteBudget>) -> Self {
        Self {
            base: Instant::now(),
            phase: Stamped::new(Phase::Idle as u8),
            stalled: AtomicU64::new(0),
            received: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            budget,
            refused: AtomicBool::new(false),
            wishes: WakeCell::new(Wishes::default()),
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).unwrap_or(Stamped::MAX_MILLIS)
    }

    pub(in crate::http) fn enter(&self, phase: Phase) {
        self.phase.set(self.millis(), phase as u8);
    }

    pub(super) fn is_in(&self, phase: Phase) -> bool {
        self.phase.get().1 == phase as u8
    }

    /// The response is ready, so the bytes of its request are no longer held.
    pub(super) fn answered(&self, phase: Phase) {
        self.enter(phase);
        self.received.store(0, Ordering::Relaxed);
        self.release();
    }

    fn release(&self) {
        if self.counted.load(Ordering::Relaxed) > 0 {
            self.budget.give_back(self.counted.swap(0, Ordering::Relaxed));
        }
    }

    /// Counts bytes that came in. On an idle connection they begin a request head. False if the
    /// budget has no room for them.
    pub(super) fn received(&self, bytes: usize) -> bool {
        if self.is_in(Phase::Idle) {
            self.enter(Phase::Head);
        }
        let received = self.received.load(Ordering::Relaxed) + bytes;
        self.received.store(received, Ordering::Relaxed);
        let room = self.count(received);
        if !room {
            self.refused.store(true, Ordering::Relaxed);
        }
        room
    }

    /// Counts a body that is expected. False if the budget has no room for it. Then the connection
    /// is closed after the response.
    pub(in crate::http) fn expect_body(&self, bytes: usize) -> bool {
        self.enter(Phase::Body);
        let room = self.count(self.received.load(Ordering::Relaxed) + bytes);
        if !room {
            self.refused.store(true, Ordering::Relaxed);
        }
        room
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes what a request of this size still needs from the budget.
    fn count(&self, bytes: usize) -> bool {
        let counted = self.counted.load(Ordering::Relaxed);
        let more = bytes.saturating_sub(FREE_REQUEST_BYTES).saturating_sub(counted);
        if more > 0 {
            if !self.budget.try_take(more) {
                return false;
            }
            self.counted.store(counted + more, Ordering::Relaxed);
        }
        true
    }

    /// The client took some of its response, or the socket was full.
    pub(super) fn written(&self, taken: bool) {
        // A slowly read response is not idleness: each write restarts the phase.
        if taken && self.is_in(Phase::Idle) {
            self.enter(Phase::Idle);
        }
        let stalled = self.stalled.load(Ordering::Relaxed);
        match (taken, stalled) {
            (true, 0) | (false, 1..) => {}
            (true, _) => self.stalled.store(0, Ordering::Relaxed),
            (false, 0) => self.stalled.store(self.millis() + 1, Ordering::Relaxed),
        }
    }

    /// How long the connection may stay as it is, or how it ends if that time is over.
    pub(super) fn time_left(&self, limits: &Limits, stopping: bool) -> Result<Duration, End> {
        let since = |millis| self.base.elapsed().saturating_sub(Duration::from_millis(millis));
        let (stalled, endless) = (self.stalled.load(Ordering::Relaxed), self.is_in(Phase::Endless));
        let mut left = Duration::MAX;
        if stalled > 0 {
            // At a stop we do not wait for a client that does not read its stream: no response gets
            // lost.
            let patience = if stopping && endless { Duration::ZERO } else { limits.write_timeout };
            left = patience.saturating_sub(since(stalled - 1));
            if left.is_zero() {
                return Err(if endless { End::SlowReader } else { End::Done });
            }
        }
        let (entered, phase) = self.phase.get();
        let is_in = |other: Phase| phase == other as u8;
        // A client that has not read all of its response is not idle, even with a short idle
        // timeout.
        let timeout = if is_in(Phase::Idle) && stalled == 0 {
            limits.idle_timeout
        } else if is_in(Phase::Head) {
            limits.head_timeout
        } else {
            return Ok(left);
        };
        let in_phase = timeout.saturating_sub(since(entered));
        if in_phase.is_zero() { Err(End::Done) } else { Ok(left.min(in_phase)) }
    }

    /// How this connection ranks for closing. None if closing would cost something. An idle one has
    /// read all of its responses. Of an incomplete request nothing was applied.
    pub(super) fn spare(&self, now: Instant) -> Option<Spare> {
        let (entered, phase) = self.phase.get();
        let since = Duration::from_millis(entered);
        let spent = now.saturating_duration_since(self.base).saturating_sub(since);
        let is_in = |other: Phase| phase == other as u8;
        let unfinished = is_in(Phase::Head) || is_in(Phase::Body);
        let at_least = if unfinished {
            UNFINISHED_AT_LEAST
        } else if is_in(Phase::Idle) && self.stalled.load(Ordering::Relaxed) == 0 {
            IDLE_AT_LEAST
        } else {
            return None;
        };
        (spent >= at_least).then_some((unfinished, Reverse(spent)))
    }

    /// Asks the connection's task to end, if the connection still ranks for closing then.
    pub(super) fn tell_to_end(&self) {
        self.wishes.change(|wishes| (wishes.told = true, true));
    }

    /// Asks the connection's task to end, if its client is still reading a response then.
    pub(super) fn give_answer_up(&self) {
        self.wishes.change(|wishes| (wishes.too_slow = true, true));
    }

    /// How the connection ends if it was asked to. None if a request came in the meantime: then it
    /// goes on.
    pub(super) fn wanted_end(&self) -> Option<End> {
        let Wishes { told, too_slow } = self.wishes.with(std::mem::take);
        if too_slow && self.is_in(Phase::Idle) {
            return Some(End::GaveUp);
        }
        (told && self.spare(Instant::now()).is_some()).then_some(End::MadeRoom)
    }

    /// Waits until another task asks the connection to end.
    pub(super) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        self.wishes.poll(cx, |wishes| match wishes.told || wishes.too_slow {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }

    /// Whether the acceptor has asked the connection to end.
    pub(super) fn is_told(&self) -> bool {
        self.wishes.with(|wishes| wishes.told)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(bytes: usize) -> (Watch, Arc<ByteBudget>) {
        let budget = Arc::new(ByteBudget::new(bytes));
        (Watch::new(Arc::clone(&budget)), budget)
    }

    #[test]
    fn a_request_beyond_the_free_bytes_is_counted_until_its_answer() {
        let (watch, budget) = watch(1000);
        assert!(watch.received(FREE_REQUEST_BYTES));
        assert!(budget.try_take(1000), "nothing was counted yet");
        assert!(!watch.received(1), "there is no room");
        budget.give_back(1000);
        assert!(watch.received(600));
        assert!(!budget.try_take(400));
        watch.answered(Phase::Idle);
        assert!(budget.try_take(1000), "the answer gave all back");
    }

    #[test]
    fn a_body_is_counted_once_whether_expected_or_received() {
        let (watch, budget) = watch(1000);
        assert!(watch.received(FREE_REQUEST_BYTES));
        assert!(watch.expect_body(1000));
        assert!(!watch.is_refused());
        assert!(watch.received(1000), "it has its room already");
        assert!(!budget.try_take(1));
        assert!(!watch.expect_body(1) && watch.is_refused());
        drop(watch);
        assert!(budget.try_take(1000), "the end of the connection gave all back");
    }

    #[test]
    fn the_time_that_is_left_is_that_of_the_phase() {
        let [head, idle, write] = [5, 60, 30].map(Duration::from_secs);
        let limits = Limits {
            head_timeout: head,
            body_timeout: idle,
            request_timeout: idle,
            idle_timeout: idle,
            write_timeout: write,
            max_body_bytes: 0,
            max_uri_bytes: 0,
            max_connections: 0,
            max_request_bytes_in_flight: 0,
            max_answer_bytes_in_flight: 0,
            note_peers: false,
        };
        let (watch, _) = watch(0);
        let is_left = |most: Duration| {
            let left = watch.time_left(&limits, false).expect("time is left");
            assert!(left <= most && left >= most / 2, "{left:?} of {most:?}");
        };
        is_left(idle);
        watch.written(false);
        is_left(write);
        watch.written(true);
        watch.received(1);
        is_left(head);
        let none = Limits { head_timeout: Duration::ZERO, ..limits };
        assert_eq!(watch.time_left(&none, false), Err(End::Done));
        watch.enter(Phase::Answering);
        assert_eq!(watch.time_left(&none, false), Ok(Duration::MAX), "the request has its own");
        watch.enter(Phase::Endless);
        watch.written(false);
        is_left(write);
        assert_eq!(watch.time_left(&limits, true), Err(End::SlowReader));
    }

    #[test]
    fn who_asks_is_never_spare_and_who_has_just_come_neither() {
        let (watch, _) = watch(0);
        let (now, later) = (Instant::now(), Instant::now() + UNFINISHED_AT_LEAST * 2);
        assert_eq!(watch.spare(now), None, "its request may be on its way");
        let idle = watch.spare(now + IDLE_AT_LEAST * 2).expect("idle");
        watch.written(false);
        assert_eq!(watch.spare(later), None, "it has not read its answer");
        watch.written(true);
        watch.received(1);
        assert_eq!(watch.spare(now + IDLE_AT_LEAST * 2), None, "it has only begun to ask");
        assert!(watch.spare(later).expect("half a head") > idle);
        watch.enter(Phase::Body);
        assert!(watch.spare(later).expect("half a body") > idle);
        for phase in [Phase::Answering, Phase::Endless] {
            watch.enter(phase);
            assert_eq!(watch.spare(later), None);
        }
    }
}
