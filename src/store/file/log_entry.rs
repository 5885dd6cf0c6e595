//! The bytes of a change in the log of the file:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | the letter of what happened; a capital if a moderator is named |
//! | 1 | what it says besides; see [`parts`] |
//! | 16 | post |
//! | 8 | user, if it is an integer, else 0 |
//! | 8, 8 | revision, µs of the change |
//! | | user, if it is a text: see [`UserId::append_to`] |
//! | | the moderator, after a capital letter alone: likewise |
//! | the rest | reaction or palette |
//!
//! An earlier release wrote the letter `t` alone, in the same form.

use super::file_error::FileResult;
use super::{keys, values};
use crate::domain::{Cause, Change, Micros, Reaction, Revision, UserId, What};

const TAP: u8 = b't';
const REPLACE: u8 = b'p';
const IMPORT: u8 = b'i';
const ERASE: u8 = b'e';
const MODERATE: u8 = b'm';
const FORGOTTEN: u8 = b'f';
const LOCKED: u8 = b'l';
const RULES: u8 = b'r';

/// Letter, value, user and text of a change. The value is 1 for a flag that is on, for one reaction
/// and not all, and for a lock; of rules it is the letter of `add`. The text is empty for all
/// reactions and for the default palette.
fn parts(what: &What) -> (u8, u8, Option<UserId>, &str) {
    match what {
        What::Reaction { user, reaction, active, cause } => {
            let letter = match cause {
                Cause::Tap => TAP,
                Cause::Replace => REPLACE,
                Cause::Import => IMPORT,
                Cause::Erase => ERASE,
                Cause::Moderate => MODERATE,
            };
            (letter, u8::from(*active), Some(*user), reaction.as_str())
        }
        What::Forgotten(reaction) => {
            let text = reaction.as_ref().map_or("", Reaction::as_str);
            (FORGOTTEN, u8::from(reaction.is_some()), None, text)
        }
        What::Locked(locked) => (LOCKED, u8::from(*locked), None, ""),
        What::Rules(palette, add) => {
            let text = palette.as_ref().map_or("", |name| name.as_str());
            (RULES, values::letter(*add), None, text)
        }
    }
}

/// The bytes of a change.
pub(super) fn encode(change: &Change) -> Vec<u8> {
    let (letter, value, user, text) = parts(&change.what);
    let mut ids = Vec::new();
    let subject = user.and_then(UserId::integer);
    let text_id = user.filter(|_| subject.is_none());
    [text_id, change.actor].into_iter().flatten().for_each(|id| id.append_to(&mut ids));
    let letter = if change.actor.is_some() { letter.to_ascii_uppercase() } else { letter };
    [
        &[letter, value][..],
        change.post.as_uuid().as_bytes(),
        &subject.unwrap_or(0).to_be_bytes(),
        &change.revision.0.to_be_bytes(),
        &change.occurred_at.0.to_be_bytes(),
        &ids,
        text.as_bytes(),
    ]
    .concat()
}

/// When the change of an entry took place; None if the entry is not of our form.
pub(super) fn occurred_at(value: &[u8]) -> Option<Micros> {
    let bytes = value.get(34..42)?;
    keys::number(bytes, "log").ok().map(Micros)
}

/// The cause that has this letter.
fn cause(letter: u8) -> Option<Cause> {
    match letter {
        TAP => Some(Cause::Tap),
        REPLACE => Some(Cause::Replace),
        IMPORT => Some(Cause::Import),
        ERASE => Some(Cause::Erase),
        MODERATE => Some(Cause::Moderate),
        _ => None,
    }
}

/// The change of an entry.
pub(super) fn decode(value: &[u8]) -> FileResult<Change> {
    let odd = || keys::odd("log");
    let ([letter, value], rest) = value.split_first_chunk().ok_or_else(odd)?;
    let (post, rest) = rest.split_first_chunk().ok_or_else(odd)?;
    let (subject, rest) = rest.split_first_chunk().ok_or_else(odd)?;
    let (revision, rest) = rest.split_first_chunk().ok_or_else(odd)?;
    let (occurred_at, rest) = rest.split_first_chunk().ok_or_else(odd)?;
    let id = |bytes| UserId::split_from(bytes).map(|(id, rest)| (Some(id), rest)).ok_or_else(odd);
    let cause = cause(letter.to_ascii_lowercase());
    let (user, rest) = match (cause, u64::from_be_bytes(*subject)) {
        (None, _) => (None, rest),
        (Some(_), 0) => id(rest)?,
        (Some(_), integer) => (Some(integer.try_into().map_err(|_| odd())?), rest),
    };
    let (actor, text) = if letter.is_ascii_uppercase() { id(rest)? } else { (None, rest) };
    let flag = |cause| -> FileResult<What> {
        let (user, reaction) = (user.ok_or_else(odd)?, keys::reaction(text)?);
        Ok(What::Reaction { user, reaction, active: *value == 1, cause })
    };
    let what = match (cause, letter.to_ascii_lowercase()) {
        (Some(cause), _) => flag(cause)?,
        (None, FORGOTTEN) if *value == 0 => What::Forgotten(None),
        (None, FORGOTTEN) => What::Forgotten(Some(keys::reaction(text)?)),
        (None, LOCKED) => What::Locked(*value == 1),
        (None, RULES) => {
            let name = str::from_utf8(text).map_err(|_| odd())?;
            let palette = match name {
                "" => None,
                name => Some(name.parse().map_err(|_| odd())?),
            };
            What::Rules(palette, values::add_of_letter(*value).ok_or_else(odd)?)
        }
        _ => return Err(odd()),
    };
    Ok(Change {
        post: keys::post(post)?,
        what,
        revision: Revision(u64::from_be_bytes(*revision)),
        occurred_at: Micros(u64::from_be_bytes(*occurred_at)),
        actor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Add;

    fn change(what: What, actor: Option<&str>) -> Change {
        let post = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
        let actor = actor.map(|id| id.parse().expect("a user id"));
        Change { post, what, revision: Revision(5), occurred_at: Micros(3), actor }
    }

    fn flag(cause: Cause, active: bool) -> What {
        flag_of("7", cause, active)
    }

    fn flag_of(user: &str, cause: Cause, active: bool) -> What {
        let user = user.parse().expect("a user id");
        What::Reaction { user, reaction: "like".parse().expect("a reaction"), active, cause }
    }

    /// What the previous release wrote for a tap.
    #[test]
    fn the_bytes_of_a_tap_never_change() {
        let mut old = b"t\x01".to_vec();
        old.extend(0x0192_f0c1_2345_7890_abcd_ef01_2345_6789_u128.to_be_bytes());
        for number in [7_u64, 5, 3] {
            old.extend(number.to_be_bytes());
        }
        old.extend(b"like");
        let tap = change(flag(Cause::Tap, true), None);
        assert_eq!(decode(&old).expect("a change"), tap);
        assert_eq!(encode(&tap), old);
        assert_eq!(occurred_at(&old), Some(Micros(3)));
    }

    #[test]
    fn every_change_comes_back_as_it_was() {
        let love = "❤️".parse().expect("a reaction");
        let changes = [
            flag(Cause::Tap, false),
            flag(Cause::Replace, false),
            flag(Cause::Moderate, true),
            flag_of("a", Cause::Tap, true),
            flag_of("auth0|5f7c8ec7", Cause::Moderate, false),
            flag_of(&"x".repeat(64), Cause::Replace, false),
            What::Forgotten(None),
            What::Forgotten(Some(love)),
            What::Locked(true),
            What::Locked(false),
            What::Rules(None, Add::All),
            What::Rules(Some("qa".parse().expect("a name")), Add::Existing),
            What::Rules(None, Add::None),
        ];
        for what in changes {
            for actor in [None, Some("9"), Some("="), Some("@mod:example.org")] {
                let change = change(what.clone(), actor);
                let bytes = encode(&change);
                assert_eq!(decode(&bytes).expect("a change"), change);
                assert_eq!(occurred_at(&bytes), Some(Micros(3)));
            }
        }
    }

    #[test]
    fn bytes_of_another_form_are_damage() {
        let good = encode(&change(flag(Cause::Tap, true), Some("9")));
        for length in [0, 1, 20, 41, 45, 49] {
            assert!(decode(&good[..length]).is_err(), "{length}");
        }
        let mut odd = good;
        odd[0] = b'?';
        assert!(decode(&odd).is_err());
    }
}
