//! From a request to the domain's types. All validation of a request happens here.
//!
//! Extractors take groups of a router's state (`FromRef`). So routers with other states share them.

mod actor;
mod body;
mod cursor;
mod hidden;
mod idempotency;
mod path;
mod query;

pub(super) use actor::{ActorHeader, ONETAP_ACTOR};
pub(super) use body::{JsonBody, NoBody};
pub(super) use cursor::{decode as decode_cursor, encode as encode_cursor};
pub(super) use hidden::Hidden;
pub(super) use idempotency::IdempotencyHeader;
pub(crate) use path::TapPath;
pub(super) use path::{PostPath, ReactionPath, SetPath};
pub(crate) use query::Query;
pub(super) use query::{limit_in_body, posts};
