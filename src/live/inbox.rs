//! What one stream has still to send: for each of its posts the latest event, if it is not sent.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::domain::Revision;

/// A summary, encoded once for all who are to be sent it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) revision: Revision,
    pub(super) text: Bytes,
    /// It says nothing but its revision, which is the clock where a post has no state.
    pub(super) blank: bool,
}

/// Filled by the hub, emptied by a connection.
#[derive(Debug)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Debug)]
struct State {
    slots: Box<[Slot]>,
    /// The slots with something to send, in the order in which that came.
    queue: VecDeque<u8>,
    /// How many slots have never had an event. Nothing is sent before each has.
    missing: usize,
    closed: bool,
    waker: Option<Waker>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    latest: Option<Revision>,
    blank: bool,
    unsent: Option<Bytes>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is to be sent.
    Queued,
    /// It is to be sent in place of one that has not been.
    Replaced,
    /// The stream had it already.
    Known,
    /// The post has gone back in its history, which no event can tell: the stream is closed, and
    /// the client begins with what is true now.
    WentBack,
}

impl Inbox {
    pub(super) fn new(slots: usize) -> Self {
        Self(Mutex::new(State {
            slots: vec![Slot::default(); slots].into(),
            queue: VecDeque::new(),
            missing: slots,
            closed: false,
            waker: None,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a slot has never had an event.
    pub(super) fn lacks(&self, slot: u8) -> bool {
        self.state().slots[usize::from(slot)].latest.is_none()
    }

    pub(super) fn put(&self, slot: u8, event: &Event) -> Put {
        let mut state = self.state();
        if state.closed {
            return Put::Known;
        }
        let place = &mut state.slots[usize::from(slot)];
        let first = place.latest.is_none();
        match place.latest {
            Some(latest) if latest > event.revision => {
                state.close();
                return Put::WentBack;
            }
            Some(latest) if latest == event.revision => return Put::Known,
            _ => {}
        }
        place.latest = Some(event.revision);
        if !first && place.blank && event.blank {
            return Put::Known;
        }
        place.blank = event.blank;
        let replaced = place.unsent.replace(event.text.clone()).is_some();
        if first {
            state.missing -= 1;
            if state.missing == 0 {
                // The snapshots go out in the order in which the posts were asked for.
                state.queue = (0..state.slots.len()).filter_map(|i| u8::try_from(i).ok()).collect();
                state.wake();
            }
        } else if !replaced {
            state.queue.push_back(slot);
            state.wake();
        }
        if replaced { Put::Replaced } else { Put::Queued }
    }

    /// Ends the stream, if it has not ended. What is not sent is not sent.
    pub(super) fn close(&self) -> bool {
        let mut state = self.state();
        let open = !state.closed;
        state.close();
        open
    }

    /// Waits until there is a snapshot of every post. False if the stream was closed before.
    pub(super) fn poll_complete(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.state();
        if state.closed || state.missing == 0 {
            return Poll::Ready(!state.closed);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next event to send; none at the end of the stream.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state();
        if state.closed {
            return Poll::Ready(None);
        }
        while let Some(slot) = state.queue.pop_front() {
            if let Some(text) = state.slots[usize::from(slot)].unsent.take() {
                return Poll::Ready(Some(text));
            }
        }
        if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn close(&mut self) {
        self.closed = true;
        self.queue = VecDeque::new();
        self.slots.iter_mut().for_each(|slot| slot.unsent = None);
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn event(revision: u64, text: &'static str) -> Event {
        let text = Bytes::from_static(text.as_bytes());
        Event { revision: Revision(revision), blank: text.is_empty(), text }
    }

    fn next(inbox: &Inbox) -> Poll<Option<Bytes>> {
        inbox.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn snapshots_come_in_order_and_then_the_latest_of_each_post() {
        let inbox = Inbox::new(2);
        assert_eq!(inbox.put(1, &event(5, "b5")), Put::Queued);
        assert!(next(&inbox).is_pending(), "the other is missing");
        assert_eq!(inbox.put(0, &event(7, "a7")), Put::Queued);
        assert_eq!(next(&inbox), Poll::Ready(Some("a7".into())));
        assert_eq!(next(&inbox), Poll::Ready(Some("b5".into())));
        assert_eq!(inbox.put(1, &event(6, "b6")), Put::Queued);
        assert_eq!(inbox.put(0, &event(7, "a7")), Put::Known);
        assert_eq!(inbox.put(1, &event(9, "b9")), Put::Replaced);
        assert_eq!(next(&inbox), Poll::Ready(Some("b9".into())));
        assert!(next(&inbox).is_pending());
        // However much comes that is not read, what is kept does not grow.
        for revision in 10..1000 {
            inbox.put(1, &event(revision, "later"));
        }
        assert_eq!(inbox.state().queue.len(), 1);
    }

    #[test]
    fn of_a_post_that_stays_without_reactions_nothing_is_told() {
        let inbox = Inbox::new(1);
        assert_eq!(inbox.put(0, &event(5, "")), Put::Queued);
        assert!(next(&inbox).is_ready());
        assert_eq!(inbox.put(0, &event(6, "")), Put::Known);
        assert_eq!(inbox.put(0, &event(7, "one")), Put::Queued);
        assert_eq!(inbox.put(0, &event(8, "")), Put::Replaced);
        assert_eq!(next(&inbox), Poll::Ready(Some("".into())));
    }

    #[test]
    fn a_post_that_goes_back_in_its_history_ends_the_stream() {
        let inbox = Inbox::new(1);
        assert_eq!(inbox.put(0, &event(5, "5")), Put::Queued);
        assert_eq!(inbox.put(0, &event(4, "4")), Put::WentBack);
        assert_eq!(next(&inbox), Poll::Ready(None));
        assert_eq!(inbox.put(0, &event(6, "6")), Put::Known, "nobody is there any more");
    }
}
