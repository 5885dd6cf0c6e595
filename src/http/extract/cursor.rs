//! Cursors: a place in one list of reactors, as text that callers send back unchanged.
//!
//! `base64url(check ‖ µs ‖ user ‖ reaction)`, the user as [`UserId::append_to`] writes it. The
//! check is a hash of the list and the place. By it we refuse a cursor that was cut, altered or
//! taken from another list. It is no secret: a cursor made by hand shows nothing that the list
//! would not show.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::super::problem::{Code, Problem};
use crate::domain::{Micros, Position, PostId, Reaction, UserId};

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
    place.user.append_to(&mut payload);
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
    let (user, name) = UserId::split_from(rest)?;
    Some(Position {
        reacted_at: Micros(u64::from_be_bytes(*micros)),
        user,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn place(user: &str) -> (PostId, Reaction, Position) {
        let like: Reaction = "like".parse().expect("a reaction");
        let user = user.parse().expect("a user id");
        let post = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
        let reacted_at = Micros(1_795_574_075_748_479);
        (post, like.clone(), Position { reacted_at, user, reaction: like })
    }

    #[test]
    fn the_bytes_of_a_cursor_never_change() {
        // A reader goes on with its cursor after an upgrade.
        for (user, cursor) in [
            ("42", "4w1XSc9XXOUABmEQqvPwfwAAAAAAAAAqbGlrZQ"),
            ("@a:b.example", "Qi-MncHiVQ0ABmEQqvPwf4xAYTpiLmV4YW1wbGVsaWtl"),
        ] {
            let (post, like, at) = place(user);
            assert_eq!(encode(post, Some(&like), &at), cursor, "{user}");
            assert_eq!(decode(post, Some(&like), cursor).ok(), Some(at), "{user}");
        }
    }

    #[test]
    fn every_user_has_a_cursor_of_its_own() {
        let users = ["1", "12", "=", "a", "alike", &"x".repeat(64)];
        let cursors = users.map(|user| {
            let (post, _, at) = place(user);
            let cursor = encode(post, None, &at);
            assert_eq!(decode(post, None, &cursor).ok(), Some(at), "{user}");
            cursor
        });
        assert_eq!(cursors.iter().collect::<std::collections::HashSet<_>>().len(), users.len());
    }
}
