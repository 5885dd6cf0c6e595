//! A connection and the clock of the server behind it.

use super::clock::StoreClock;
use crate::store::redis::net::Connection;

/// The lane shares it with its batches in flight.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) clock: StoreClock,
}
