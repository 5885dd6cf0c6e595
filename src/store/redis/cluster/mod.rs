//! Which server to use: the present primary, or the node that has a slot.

mod connector;
mod pool;
mod primary;
mod slots;
mod topology;

pub(crate) use self::connector::Connector;
pub(crate) use self::pool::{Pools, Server};
pub(crate) use self::slots::SlotMap;
pub(crate) use self::topology::{Known, Topology};
