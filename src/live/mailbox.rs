//! What one stream still has to send: for each of its posts the latest event, unless it was sent.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::domain::Revision;
use crate::sync::WakeCell;

/// A summary, encoded once for all streams that get it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) revision: Revision,
    pub(super) text: Bytes,
    /// The hash of the text. It tells whether two states of a post are equal. The revision does
    /// not, because a store that lost changes may give one out again.
    pub(super) hash: u64,
    /// Whether it has only a revision, which may rise although the post does not change.
    pub(super) blank: bool,
}

/// Filled by the hub, emptied by a connection.
#[derive(Debug)]
pub(super) struct Mailbox(WakeCell<State>);

#[derive(Debug)]
struct State {
    slots: Box<[Slot]>,
    /// A linked list through the slots, oldest unsent event first: its first and its last slot. A
    /// separate queue would make every stream larger.
    queue: Option<(u8, u8)>,
    /// How many slots, from the first on, have queued their snapshots.
    begun: u16,
    closed: bool,
    /// Whether the connection has something new to send, or the stream has ended.
    news: bool,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// Whether it has ever had an event.
    told: bool,
    blank: bool,
    /// Whether its unsent event waits for the snapshots of other posts.
    held: bool,
    /// The next slot in the queue.
    next: u8,
    revision: u64,
    hash: u64,
    unsent: Option<Bytes>,
}

/// The result of putting an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// The event is queued.
    Queued,
    /// The event replaced an older one that was not sent.
    Replaced,
    /// The stream had the event already.
    Known,
    /// The post went back in its history, or has another state at the same revision. No event can
    /// express that. So the stream is closed, and the client starts over with the present state.
    Contradicted,
}

impl Mailbox {
    pub(super) fn new(slots: usize) -> Self {
        Self(WakeCell::new(State {
            slots: vec![Slot::default(); slots].into(),
            queue: None,
            begun: 0,
            closed: false,
            news: false,
        }))
    }

    /// Changes the state, and wakes the connection if there is something new.
    fn change<R>(&self, step: impl FnOnce(&mut State) -> R) -> R {
        self.0.change(|state| {
            let result = step(state);
            (result, std::mem::take(&mut state.news))
        })
    }

    /// The first slot from `slot` on that has never had an event; None if the stream has ended.
    pub(super) fn lacks_from(&self, slot: usize) -> Option<usize> {
        self.0.with(|state| {
            let from = slot.max(state.begun.into());
            let lacking = state.slots.iter().skip(from).position(|slot| !slot.told);
            lacking.filter(|_| !state.closed).map(|place| from + place)
        })
    }

    /// Whether every post has had a snapshot.
    pub(super) fn is_complete(&self) -> bool {
        self.0.with(|state| state.is_complete())
    }

    pub(super) fn put(&self, slot: u8, event: &Event) -> Put {
        self.change(|state| state.put(slot, event))
    }

    /// Ends the stream, and drops its unsent events. Returns whether it was open.
    pub(super) fn close(&self) -> bool {
        self.change(|state| {
            let open = !state.closed;
            state.close();
            open
        })
    }

    /// Whether there is something to send, or the stream has ended.
    pub(super) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.poll(cx, |state| match state.closed || state.queue.is_some() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }

    /// The next event to send; None at the end of the stream.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        self.0.poll(cx, |state| match (state.closed, state.pop()) {
            (true, _) => Poll::Ready(None),
            (false, Some(text)) => Poll::Ready(Some(text)),
            (false, None) => Poll::Pending,
        })
    }
}

impl Slot {
    /// Whether an event may follow the last one.
    fn is_followed_by(&self, event: &Event) -> bool {
        event.revision.0 > self.revision
            || event.revision.0 == self.revision && event.hash == self.hash
    }
}

impl State {
    fn put(&mut self, slot: u8, event: &Event) -> Put {
        if self.closed {
            return Put::Known;
        }
        let complete = self.is_complete();
        let place = &mut self.slots[usize::from(slot)];
        let first = !place.told;
        if !first && !place.is_followed_by(event) {
            self.close();
            return Put::Contradicted;
        }
        let known = !first && (place.revision == event.revision.0 || place.blank && event.blank);
        place.told = true;
        (place.revision, place.hash, place.blank) = (event.revision.0, event.hash, event.blank);
        if known {
            return Put::Known;
        }
        let replaced = place.unsent.replace(event.text.clone()).is_some();
        if first {
            self.begin();
        } else if !replaced {
            place.held = !complete;
            if complete {
                self.push(slot);
                self.news = true;
            }
        }
        if replaced { Put::Replaced } else { Put::Queued }
    }

    /// Queues the snapshots whose turn has come: they go out in the order in which the client named
    /// the posts. Changes that came meanwhile follow after the last snapshot.
    fn begin(&mut self) {
        let before = self.begun;
        while let Ok(slot) = u8::try_from(self.begun)
            && self.slots.get(usize::from(slot)).is_some_and(|slot| slot.told)
        {
            self.push(slot);
            self.begun += 1;
        }
        if self.is_complete() {
            for slot in (0..=u8::MAX).take(self.slots.len()) {
                if std::mem::take(&mut self.slots[usize::from(slot)].held) {
                    self.push(slot);
                }
            }
        }
        self.news |= self.begun > before;
    }

    fn is_complete(&self) -> bool {
        usize::from(self.begun) == self.slots.len()
    }

    /// Appends a slot that is not in the queue.
    fn push(&mut self, slot: u8) {
        let (first, last) = self.queue.unwrap_or((slot, slot));
        self.slots[usize::from(last)].next = slot;
        self.queue = Some((first, slot));
    }

    /// Takes the event of the first slot in the queue.
    fn pop(&mut self) -> Option<Bytes> {
        let (first, last) = self.queue?;
        let slot = &mut self.slots[usize::from(first)];
        self.queue = (first != last).then_some((slot.next, last));
        slot.unsent.take()
    }

    fn close(&mut self) {
        self.closed = true;
        self.queue = None;
        self.slots.iter_mut().for_each(|slot| slot.unsent = None);
        self.news = true;
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn event(revision: u64, text: &'static str) -> Event {
        let hash = text.bytes().fold(revision, |hash, byte| hash * 31 + u64::from(byte));
        let (blank, text) = (text.is_empty(), Bytes::from_static(text.as_bytes()));
        Event { revision: Revision(revision), blank, text, hash }
    }

    fn next(mailbox: &Mailbox) -> Poll<Option<Bytes>> {
        mailbox.poll_next(&Context::from_waker(Waker::noop()))
    }

    fn sent(mailbox: &Mailbox) -> Vec<Bytes> {
        std::iter::from_fn(|| match next(mailbox) {
            Poll::Ready(text) => text,
            Poll::Pending => None,
        })
        .collect()
    }

    #[test]
    fn snapshots_are_sent_in_order_as_they_come_and_then_the_latest_of_each_post() {
        let mailbox = Mailbox::new(3);
        assert_eq!(mailbox.put(1, &event(5, "b5")), Put::Queued);
        assert!(next(&mailbox).is_pending(), "the one before it is missing");
        assert_eq!(mailbox.lacks_from(1), Some(2));
        assert_eq!(mailbox.put(0, &event(7, "a7")), Put::Queued);
        assert_eq!(sent(&mailbox), ["a7", "b5"]);
        assert!(!mailbox.is_complete());
        // A change before the last snapshot waits for it, and then goes out as the newest event.
        assert_eq!(mailbox.put(0, &event(8, "a8")), Put::Queued);
        assert_eq!(mailbox.put(0, &event(9, "a9")), Put::Replaced);
        assert!(next(&mailbox).is_pending());
        assert_eq!(mailbox.put(2, &event(1, "c1")), Put::Queued);
        assert!(mailbox.is_complete() && mailbox.lacks_from(0).is_none());
        assert_eq!(mailbox.put(2, &event(2, "c2")), Put::Replaced);
        assert_eq!(sent(&mailbox), ["c2", "a9"]);
        assert_eq!(mailbox.put(1, &event(6, "b6")), Put::Queued);
        assert_eq!(mailbox.put(0, &event(9, "a9")), Put::Known);
        assert_eq!(mailbox.put(1, &event(9, "b9")), Put::Replaced);
        assert_eq!(sent(&mailbox), ["b9"]);
        // However much arrives unread, the mailbox does not grow.
        for revision in 10..1000 {
            mailbox.put(1, &event(revision, "later"));
        }
        assert_eq!(mailbox.0.with(|state| state.queue), Some((1, 1)));
        assert_eq!(sent(&mailbox), ["later"]);
    }

    #[test]
    fn of_a_post_that_stays_without_reactions_nothing_is_told() {
        let mailbox = Mailbox::new(1);
        assert_eq!(mailbox.put(0, &event(0, "")), Put::Queued);
        assert!(next(&mailbox).is_ready());
        assert_eq!(mailbox.put(0, &event(6, "")), Put::Known);
        assert_eq!(mailbox.put(0, &event(7, "one")), Put::Queued);
        assert_eq!(mailbox.put(0, &event(8, "")), Put::Replaced);
        assert_eq!(sent(&mailbox), [""]);
    }

    #[test]
    fn a_post_that_goes_back_in_its_history_ends_the_stream() {
        let mailbox = Mailbox::new(1);
        assert_eq!(mailbox.put(0, &event(5, "5")), Put::Queued);
        assert_eq!(mailbox.put(0, &event(4, "4")), Put::Contradicted);
        assert_eq!(next(&mailbox), Poll::Ready(None));
        assert_eq!(mailbox.put(0, &event(6, "6")), Put::Known, "nobody is there any more");
    }

    #[test]
    fn an_equal_revision_is_no_evidence_of_an_equal_state() {
        let mailbox = Mailbox::new(1);
        assert_eq!(mailbox.put(0, &event(5, "two")), Put::Queued);
        assert_eq!(mailbox.put(0, &event(5, "two")), Put::Known);
        assert_eq!(mailbox.put(0, &event(5, "three")), Put::Contradicted);
        assert_eq!(next(&mailbox), Poll::Ready(None));
    }
}
