//! From a request to the domain's types. Everything that a caller can get wrong is found here.

mod body;
mod cursor;
mod idempotency;
mod path;
mod query;

pub(super) use body::{JsonBody, NoBody};
pub(super) use cursor::{decode as decode_cursor, encode as encode_cursor};
pub(super) use idempotency::IdempotencyHeader;
pub(super) use path::{PostPath, ReactionPath, TapPath};
pub(super) use query::{Query, posts, recent_in_body};

use super::problem::{Code, Problem};
use crate::domain::UserId;

/// A user as addresses and queries name one: an id, or `me`.
fn user(text: &str) -> Result<UserId, Problem> {
    if text == "me" {
        let detail =
            "`me` is the user of a token, and this service takes none yet: name the user id";
        return Err(Problem::new(Code::Unauthenticated, detail));
    }
    Ok(text.parse()?)
}
