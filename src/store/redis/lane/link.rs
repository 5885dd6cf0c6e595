//! A connection, and the clock of its server.

use super::clock::StoreClock;
use crate::store::redis::net::Connection;

/// The lane and its batches in flight share it.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) clock: StoreClock,
}
