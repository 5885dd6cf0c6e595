//! From a request to the domain's types. All validation of a request happens here.
//!
//! Extractors take groups of a router's state (`FromRef`). So routers with other states share them.

mod actor;
mod body;
mod cursor;
#[cfg(test)]
mod fuzz_tests;
mod hidden;
mod idempotency;
mod job;
mod path;
mod query;

pub(super) use actor::{ActorHeader, ONETAP_ACTOR};
pub(super) use body::{JsonBody, LongBody, NoBody};
pub(super) use cursor::{
    decode as decode_cursor, decode_given, encode as encode_cursor, encode_given,
};
pub(super) use hidden::Hidden;
pub(super) use idempotency::IdempotencyHeader;
pub(crate) use path::TapPath;
pub(super) use path::{JobPath, PostPath, ReactionPath, SetPath, UserPath};
pub(crate) use query::Query;
pub(super) use query::{limit_in_body, posts};
