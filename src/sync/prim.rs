//! The primitives under our own algorithms: the standard library's, or loom's under its cfg, so
//! that the algorithms themselves contain no `cfg`.

#[cfg(onetap_loom)]
pub(super) use loom::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(onetap_loom))]
pub(super) use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
