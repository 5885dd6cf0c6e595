//! From a request to the domain's types. Everything that a caller can get wrong is found here.
//!
//! Extractors take what they need of a router's state by groups, so that routers with other states
//! share them.

mod body;
mod cursor;
mod hidden;
mod idempotency;
mod path;
mod query;

pub(super) use body::{JsonBody, NoBody};
pub(super) use cursor::{decode as decode_cursor, encode as encode_cursor};
pub(super) use hidden::Hidden;
pub(super) use idempotency::IdempotencyHeader;
pub(crate) use path::TapPath;
pub(super) use path::{PostPath, ReactionPath};
pub(crate) use query::Query;
pub(super) use query::{limit_in_body, posts, recent_in_body};
