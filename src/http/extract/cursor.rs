//! Cursors: a place in one list, as text that callers send back unchanged.
//!
//! In a list of reactors `base64url(check ‖ µs ‖ user ‖ reaction)`, the user as
//! [`UserId::append_to`] writes it. In the list of what a user gave, the post takes the place of
//! the user. The check is a hash of the list and the place. By it we refuse a cursor that was cut,
//! altered or taken from another list. It is no secret: a cursor made by hand shows nothing that
//! the list would not show.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::super::problem::{Code, Problem};
use crate::domain::{Micros, Position, PostId, Reaction, UserId};
use crate::store::Given;

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

/// The cursor of a place in the list of what `user` gave.
pub(in crate::http) fn encode_given(user: UserId, place: &Given) -> String {
    let mut payload = Vec::with_capacity(64);
    payload.extend(place.reacted_at.0.to_be_bytes());
    payload.extend(place.post.as_uuid().as_bytes());
    payload.extend(place.reaction.as_str().as_bytes());
    let mut bytes = check_given(user, &payload).to_vec();
    bytes.extend(payload);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a cursor means, if it is a cursor of that list.
pub(in crate::http) fn decode_given(user: UserId, cursor: &str) -> Result<Given, Problem> {
    place_given(user, cursor).ok_or_else(|| Problem::new(Code::InvalidCursor, FOREIGN))
}

fn place_given(user: UserId, cursor: &str) -> Option<Given> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (sum, payload) = bytes.split_at_checked(CHECK_BYTES)?;
    if sum != check_given(user, payload) {
        return None;
    }
    let (micros, rest) = payload.split_first_chunk()?;
    let (post, name) = rest.split_first_chunk()?;
    Some(Given {
        reacted_at: Micros(u64::from_be_bytes(*micros)),
        post: Uuid::from_bytes(*post).try_into().ok()?,
        reaction: std::str::from_utf8(name).ok()?.parse().ok()?,
    })
}

fn check(post: PostId, reaction: Option<&Reaction>, payload: &[u8]) -> [u8; CHECK_BYTES] {
    let list = reaction.map_or("*all", Reaction::as_str);
    hash(post.as_uuid(), list, payload)
}

/// The nil UUID is no post, so no list of reactors has these.
fn check_given(user: UserId, payload: &[u8]) -> [u8; CHECK_BYTES] {
    hash(&Uuid::nil(), user.spelled().as_str(), payload)
}

fn hash(space: &Uuid, list: &str, payload: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Uuid::new_v5(space, &[list.as_bytes(), &[0], payload].concat());
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
    fn the_bytes_of_a_cursor_of_what_a_user_gave_never_change() {
        for (user, cursor) in [
            ("42", "1cg_HKDnV8wABmEQqvPwfwGS8MEjRXiQq83vASNFZ4lsaWtl"),
            ("@a:b.example", "qftY7E85VPQABmEQqvPwfwGS8MEjRXiQq83vASNFZ4lsaWtl"),
        ] {
            let (post, reaction, Position { reacted_at, user, .. }) = place(user);
            let at = Given { reacted_at, post, reaction };
            assert_eq!(encode_given(user, &at), cursor, "{user}");
            assert_eq!(decode_given(user, cursor).ok(), Some(at), "{user}");
            let other = "43".parse().expect("a user id");
            assert!(decode_given(other, cursor).is_err(), "the list of another user");
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
