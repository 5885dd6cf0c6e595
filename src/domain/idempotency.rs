//! Idempotency keys.

use uuid::Uuid;

use super::{Act, PostId, Reaction, UserId, Verb};

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// An idempotency key of one user on one post, as 16 bytes: the first 122 bits of the SHA-1 of
/// post, user and text, in the form of a UUID of version 5. The same text from another user, or on
/// another post, gives another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey([u8; 16]);

/// Text that is not a key.
#[derive(Debug, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters, bare or in double quotes")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The key for this text, post and user.
    ///
    /// # Errors
    ///
    /// If the text is empty, too long, or not visible ASCII.
    pub fn new(text: &str, post: PostId, user: UserId) -> Result<Self, InvalidIdempotencyKey> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > MAX_KEY_BYTES || !visible {
            return Err(InvalidIdempotencyKey);
        }
        let mut name = Vec::with_capacity(80);
        user.append_to(&mut name);
        name.extend_from_slice(text.as_bytes());
        Ok(Self(Uuid::new_v5(post.as_uuid(), &name).into_bytes()))
    }

    /// The bytes under which a store keeps the record.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A key and the form of its request. The same key with another form is a mistake of the caller,
/// and the store refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The key.
    pub key: IdempotencyKey,
    /// The form of the request.
    pub form: Form,
}

/// The verb of a request, with what its body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A toggle without `from`.
    Toggle,
    /// A toggle that says which state the user saw.
    ToggleFrom(bool),
    /// The request that turns the flag on.
    Set,
    /// The request that turns the flag off.
    Unset,
    /// The request that makes the user's reactions on the post exactly these.
    Exactly,
}

impl Form {
    /// All forms.
    pub const EACH: [Self; 6] = [
        Self::Toggle,
        Self::ToggleFrom(false),
        Self::ToggleFrom(true),
        Self::Set,
        Self::Unset,
        Self::Exactly,
    ];

    /// What the request does, if it names one reaction.
    pub fn act(self, reaction: Reaction) -> Act {
        match self {
            Self::Toggle => Act::One(Verb::Toggle, reaction),
            Self::Set | Self::ToggleFrom(false) => Act::One(Verb::Set, reaction),
            Self::Unset | Self::ToggleFrom(true) => Act::One(Verb::Unset, reaction),
            Self::Exactly => Act::Exactly(vec![reaction]),
        }
    }

    /// The form that has this letter in a record.
    pub fn from_letter(letter: &[u8]) -> Option<Self> {
        Self::EACH.into_iter().find(|form| form.letter().as_bytes() == letter)
    }

    /// The letter in a record. Part of the layout, so it must never change.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Toggle => "t",
            Self::ToggleFrom(false) => "n",
            Self::ToggleFrom(true) => "f",
            Self::Set => "s",
            Self::Unset => "u",
            Self::Exactly => "x",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(last: char) -> PostId {
        format!("0192f0c1-2345-7890-abcd-ef012345678{last}").parse().expect("a post id")
    }

    fn user(id: u64) -> UserId {
        id.try_into().expect("a user id")
    }

    #[test]
    fn a_key_belongs_to_one_user_on_one_post() {
        let key = |text, p, u| IdempotencyKey::new(text, post(p), user(u)).expect("a key");
        assert_eq!(key("a", '1', 7), key("a", '1', 7));
        assert_ne!(key("a", '1', 7), key("b", '1', 7));
        assert_ne!(key("a", '1', 7), key("a", '2', 7));
        assert_ne!(key("a", '1', 7), key("a", '1', 8));
    }

    #[test]
    fn the_bytes_of_a_key_never_change() {
        // Two releases that run side by side must find each other's records.
        let key = IdempotencyKey::new("a", post('1'), user(7)).expect("a key");
        let expected = Uuid::from_u128(0xbadf_70e1_ecd3_5b44_8829_f1ec_d09b_115f);
        assert_eq!(key.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn the_end_of_a_user_id_is_not_the_begin_of_the_key() {
        let key = |user: &str, text| {
            let user: UserId = user.parse().expect("a user id");
            *IdempotencyKey::new(text, post('1'), user).expect("a key").as_bytes()
        };
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(key("a1", "1"), key("a", "11"));
        // The eight bytes of an integer are the text that another user could have.
        assert_ne!(key("7", "c"), key("7c", "c"));
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        let parse = |text: &str| IdempotencyKey::new(text, post('1'), user(7));
        assert!(parse("!").is_ok() && parse("~").is_ok() && parse(&"k".repeat(255)).is_ok());
        for bad in ["", " ", "a b", "a\tb", "a\u{7f}", "é", &"k".repeat(256)] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
