//! Cursors: a place in one list of reactors, as text that callers send back unchanged.
//!
//! `base64url(check ‖ µs ‖ user ‖ reaction)`. The check is a hash of the list and the place. By it
//! we refuse a cursor that was cut, altered or taken from another list. It is no secret: a cursor
//! made by hand shows nothing that the list would not show.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::super::problem::{Code, Problem};
use crate::domain::{Micros, Position, PostId, Reaction};

/// The detail for a cursor that we did not give for this list.
const FOREIGN: &str = "the cursor is not from this list; pass on its `next_cursor` unchanged";

const CHECK_BYTES: usize = 8;

/// The cursor of a place in the list of `post`'s reactors, of `reaction` or of all.
pub(in crate::http) fn encode(
    post: PostId,
    reaction: Option<&Reaction>,
    place: &Position,
) -> String {
    let mut payload = Vec::with_capacity(64);
    payload.extend(place.reacted_at.0.to_be_bytes());
    payload.extend(place.user.get().to_be_bytes());
    payload.extend(place.reaction.as_str().as_bytes());
    let mut bytes = check(post, reaction, &payload).to_vec();
    bytes.extend(payload);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a cursor means, if it is a cursor of this list.
pub(in crate::http) fn decode(
    post: PostId,
    reaction: Option<&Reaction>,
    cursor: &str,
) -> Result<Position, Problem> {
    place(post, reaction, cursor).ok_or_else(|| Problem::new(Code::InvalidCursor, FOREIGN))
}

fn place(post: PostId, reaction: Option<&Reaction>, cursor: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (sum, payload) = bytes.split_at_checked(CHECK_BYTES)?;
    if sum != check(post, reaction, payload) {
        return None;
    }
    let (micros, rest) = payload.split_first_chunk()?;
    let (user, name) = rest.split_first_chunk()?;
    Some(Position {
        reacted_at: Micros(u64::from_be_bytes(*micros)),
        user: u64::from_be_bytes(*user).try_into().ok()?,
        reaction: std::str::from_utf8(name).ok()?.parse().ok()?,
    })
}

fn check(post: PostId, reaction: Option<&Reaction>, payload: &[u8]) -> [u8; CHECK_BYTES] {
    let list = reaction.map_or("*all", Reaction::as_str);
    let hash = Uuid::new_v5(post.as_uuid(), &[list.as_bytes(), &[0], payload].concat());
    let mut sum = [0; CHECK_BYTES];
    sum.copy_from_slice(&hash.as_bytes()[..CHECK_BYTES]);
    sum
}
