//! A call on a lane: an operation, its deadline, and its retries.

use deadpool_redis::redis::Value;

use crate::domain::Partition;
use crate::store::redis::ops::{Item, Retry, Script};
use crate::store::{Deadline, StoreError};
use crate::telemetry::ThrottledWarnings;

/// An operation on its way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) deadline: Deadline,
    pub(super) item: Item,
    /// How often it was sent and came back.
    pub(super) returns: u8,
    /// Whether an earlier attempt may have run.
    in_doubt: bool,
    /// Whether Redis refused it because memory is full. Then the script for that case runs it.
    when_full: bool,
}

impl Call {
    pub(crate) fn new(deadline: Deadline, item: Item) -> Self {
        Self { deadline, item, returns: 0, in_doubt: false, when_full: false }
    }

    pub(super) fn script(&self) -> &'static Script {
        let when_full = self.item.script_when_full().filter(|_| self.when_full);
        when_full.unwrap_or_else(|| self.item.script())
    }

    /// Switches to the script for full memory. Returns whether there is one that was not tried yet.
    pub(super) fn turn_to_full_memory(&mut self) -> bool {
        let turns = !self.when_full && self.item.script_when_full().is_some();
        self.when_full |= turns;
        turns
    }

    pub(super) fn partition(&self) -> Partition {
        self.item.partition()
    }

    /// Keeps the call for a retry if a second run does no harm. Otherwise answers that the outcome
    /// is unknown.
    pub(super) fn retry_in_doubt(mut self) -> Option<Self> {
        if self.item.retry() == Retry::Safe {
            self.in_doubt = true;
            return Some(self);
        }
        self.fail(StoreError::OutcomeUnknown);
        None
    }

    /// Answers with the call's elements of a reply; None if the reply is unreadable.
    pub(super) fn answer(mut self, elements: Option<&[Value]>, warnings: &ThrottledWarnings) {
        let doubt = self.in_doubt;
        self.item.answer(elements, doubt, warnings);
    }

    pub(super) fn fail(mut self, error: StoreError) {
        let doubt = self.in_doubt;
        self.item.fail(error, doubt);
    }
}
