//! What a connection is doing, since when, and what it holds: for its own deadlines, and for the
//! acceptor, which looks for places.
//!
//! Only the connection's own task writes here, but for the acceptor's wish that it end.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::super::limits::{ByteBudget, Limits};
use crate::sync::{Stamped, WakeCell};

/// So many bytes of a request are not counted: more than a usual one has.
const FREE_REQUEST_BYTES: usize = 8 * 1024;

/// A connection that has been idle for less is not closed to make room: its first request, or the
/// next one of somebody busy, may be on its way.
pub(super) const IDLE_AT_LEAST: Duration = Duration::from_millis(100);

/// The same for one whose request is not complete.
const UNFINISHED_AT_LEAST: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should, or because too little was asked.
    Done,
    /// It was cut: the reader of an endless answer did not read.
    SlowReader,
    /// It was closed so that others have a place.
    MadeRoom,
    /// It was closed so that others have a large answer: it was too long in taking its own.
    GaveUp,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Phase {
    /// Nothing is asked, or the client takes its answer: what it takes begins the phase anew.
    Idle = 0,
    /// A part of a head is here.
    Head = 1,
    /// A request is being answered. Its own deadlines see to it.
    Answering = 2,
    /// An answer goes on until one side ends it.
    Endless = 3,
    /// A head is here, and the body is waited for.
    Body = 4,
}

/// How dear a connection is that may be closed: whether something was begun to be asked on it, and
/// for how long that has been so, the longest first.
pub(super) type Spare = (bool, Reverse<Duration>);

/// Since when a connection has been in its phase, and what it holds.
#[derive(Debug)]
pub(in crate::http) struct Watch {
    base: Instant,
    /// The phase, and since how many milliseconds after `base`.
    phase: Stamped,
    /// Milliseconds since `base` at which the client stopped to take what it is sent, and one; none
    /// if it takes it.
    stalled: AtomicU64,
    /// Bytes that came in since nothing was asked.
    received: AtomicUsize,
    /// Bytes of the budget that this connection has taken.
    counted: AtomicUsize,
    budget: Arc<ByteBudget>,
    /// A request was refused for its bytes: what comes after it is not read.
    refused: AtomicBool,
    wishes: WakeCell<Wishes>,
}

/// What others want of a connection; its task waits for it.
#[derive(Clone, Copy, Debug, Default)]
struct Wishes {
    /// The acceptor wants its place.
    told: bool,
    /// A large answer has been on its way for too long.
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

    /// An answer is there: its request is held no longer.
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

    /// Bytes came in: if nothing was asked, this is the beginning of a head. False if there is no
    /// room for them.
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

    /// A body of so many bytes is waited for. False if there is no room for it; its connection is
    /// then closed after the answer.
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

    /// Takes what a request of so many bytes needs of the budget, unless that has been taken.
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

    /// The client took what it was sent, or took nothing.
    pub(super) fn written(&self, taken: bool) {
        // An answer that is long in being read is not idleness.
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

    /// How the connection ends, if it has been in its phase for too long.
    pub(super) fn overdue(&self, limits: &Limits, stopping: bool) -> Option<End> {
        let since = |millis| self.base.elapsed().saturating_sub(Duration::from_millis(millis));
        let (stalled, endless) = (self.stalled.load(Ordering::Relaxed), self.is_in(Phase::Endless));
        // At a stop nobody waits for who does not read: a stream has no answer to be missed.
        let patience = if stopping && endless { Duration::ZERO } else { limits.write_timeout };
        if stalled > 0 && since(stalled - 1) >= patience {
            return Some(if endless { End::SlowReader } else { End::Done });
        }
        let (entered, phase) = self.phase.get();
        let spent = since(entered);
        // Who has not taken all of its answer is not idle, however short that deadline.
        let is_in = |other: Phase| phase == other as u8;
        let over = is_in(Phase::Idle) && stalled == 0 && spent >= limits.idle_timeout
            || is_in(Phase::Head) && spent >= limits.head_timeout;
        over.then_some(End::Done)
    }

    /// How dear the connection is, if nobody would miss much of it: nothing is asked on it and all
    /// has been read, or its request is not complete, so that nothing of it was applied.
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

    /// Asks the connection's task to end, if nobody misses it then either.
    pub(super) fn tell_to_end(&self) {
        self.wishes.change(|wishes| (wishes.told = true, true));
    }

    /// Asks the connection's task to end, if its client is still taking an answer then.
    pub(super) fn give_answer_up(&self) {
        self.wishes.change(|wishes| (wishes.too_slow = true, true));
    }

    /// How the connection ends if it was asked to; none if something was asked in the meantime:
    /// then it goes on.
    pub(super) fn wanted_end(&self) -> Option<End> {
        let Wishes { told, too_slow } = self.wishes.with(std::mem::take);
        if too_slow && self.is_in(Phase::Idle) {
            return Some(End::GaveUp);
        }
        (told && self.spare(Instant::now()).is_some()).then_some(End::MadeRoom)
    }

    /// Waits until somebody asks the connection to end.
    pub(super) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        self.wishes.poll(cx, |wishes| match wishes.told || wishes.too_slow {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }

    /// Whether the acceptor has asked for its place.
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
