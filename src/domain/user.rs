//! Users: integers or texts.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The longest text id, in bytes.
const MAX_TEXT_BYTES: usize = 64;

/// The bit that marks a text id in the bytes that [`UserId::append_to`] writes. The first byte of a
/// text id has it; the other bits of that byte hold the length of the text. The first byte of an
/// integer never has it.
const TEXT: u8 = 0x80;

/// Which ids users have. A store holds ids of one kind, and its layout says which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserIds {
    /// Integers from 1 to 2^63 − 1.
    #[default]
    Integer,
    /// Opaque texts, such as UUIDs.
    Text,
}

/// A user: an integer from 1 to 2^63 − 1 in canonical decimal, or a text of 1 to 64 bytes
/// `A-Z a-z 0-9 . _ @ | : ~ = + -`. The text is not `me`, `.` or `..`, and does not begin with `_`.
/// In a path, browsers and proxies read `.` and `..` as "this folder" and "the folder above", even
/// when they are percent-encoded.
///
/// The bytes of the text give the order, also for integers (`10` sorts before `9`). A Redis sorted
/// set orders members with equal scores in this way, and every store must give the same order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserId(Id);

/// A text that is spelled like an integer is always kept as one. So equal ids are equal bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Id {
    Integer(Integer),
    Text(SpelledId),
}

/// An integer id, in the order of its decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Integer(u64);

/// The spelling of an id.
#[derive(Clone, Copy)]
pub struct SpelledId {
    length: u8,
    bytes: [u8; MAX_TEXT_BYTES],
}

/// Text that is no id of this kind.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.rule())]
pub struct InvalidUserId(UserIds);

impl UserIds {
    /// Reads an id of this kind.
    ///
    /// # Errors
    ///
    /// If the text is no such id.
    pub fn parse(self, text: &str) -> Result<UserId, InvalidUserId> {
        let integer = Integer::from_text(text).map(|id| UserId(Id::Integer(id)));
        match self {
            Self::Integer => integer.ok_or(InvalidUserId(self)),
            Self::Text if is_text_id(text) => {
                Ok(integer.unwrap_or(UserId(Id::Text(SpelledId::new(text.as_bytes())))))
            }
            Self::Text => Err(InvalidUserId(self)),
        }
    }

    /// The word for it: `integer` or `text`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Text => "text",
        }
    }

    /// What an id of this kind is.
    fn rule(self) -> &'static str {
        match self {
            Self::Integer => {
                "a user id is an integer from 1 to 9223372036854775807 in plain decimal digits"
            }
            Self::Text => {
                "a user id is a text of 1 to 64 characters A-Z a-z 0-9 . _ @ | : ~ = + -, that is \
                 not `me`, `.` or `..`, and does not begin with _"
            }
        }
    }
}

impl fmt::Display for UserIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

fn is_text_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._@|:~=+-".contains(&b);
    (1..=MAX_TEXT_BYTES).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('_')
        && !["me", ".", ".."].contains(&text)
}

impl Integer {
    /// The first in the order.
    pub(super) const FIRST: Self = Self(1);

    fn from_text(text: &str) -> Option<Self> {
        // `u64::from_str` accepts a sign and leading zeros, which would give one user two
        // spellings.
        let canonical = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        if canonical { Self::new(text.parse().ok()?) } else { None }
    }

    fn new(id: u64) -> Option<Self> {
        (1..=i64::MAX.unsigned_abs()).contains(&id).then_some(Self(id))
    }

    /// The digits, padded on the right with zeros to nineteen digits; then how many digits the id
    /// has. Such pairs compare like the texts of the ids.
    fn text_order(self) -> (u64, u32) {
        let digits = self.0.ilog10() + 1;
        (self.0 * 10_u64.pow(19 - digits), digits)
    }
}

impl Ord for Integer {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text_order().cmp(&other.text_order())
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Integer> for UserId {
    fn from(id: Integer) -> Self {
        Self(Id::Integer(id))
    }
}

impl UserId {
    /// The id as an integer, if it is spelled like one.
    pub fn integer(self) -> Option<u64> {
        match self.0 {
            Id::Integer(id) => Some(id.0),
            Id::Text(_) => None,
        }
    }

    /// The integer; or the text.
    pub(super) fn kind(&self) -> Result<Integer, &str> {
        match &self.0 {
            Id::Integer(id) => Ok(*id),
            Id::Text(text) => Err(text.as_str()),
        }
    }

    /// The id as text.
    pub fn spelled(self) -> SpelledId {
        match self.0 {
            Id::Integer(id) => SpelledId::of_number(id.0),
            Id::Text(text) => text,
        }
    }

    /// Appends the id to bytes, so that more may follow: an integer as eight bytes; a text as its
    /// length, then the text. Cursors and the layout contain these bytes, so this form must never
    /// change.
    pub fn append_to(self, bytes: &mut Vec<u8>) {
        match self.0 {
            Id::Integer(id) => bytes.extend_from_slice(&id.0.to_be_bytes()),
            Id::Text(text) => {
                bytes.push(TEXT | text.length);
                bytes.extend_from_slice(text.as_str().as_bytes());
            }
        }
    }

    /// The id that [`UserId::append_to`] wrote, and what follows it.
    pub fn split_from(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let first = *bytes.first()?;
        if first & TEXT == 0 {
            let (id, rest) = bytes.split_first_chunk()?;
            return Some((Integer::new(u64::from_be_bytes(*id))?.into(), rest));
        }
        let (text, rest) = bytes[1..].split_at_checked(usize::from(first & !TEXT))?;
        let id: Self = std::str::from_utf8(text).ok()?.parse().ok()?;
        matches!(id.0, Id::Text(_)).then_some((id, rest))
    }
}

/// Reads an id of either kind, as stores keep it. [`UserIds::parse`] reads what a caller sends.
impl FromStr for UserId {
    type Err = InvalidUserId;

    fn from_str(text: &str) -> Result<Self, InvalidUserId> {
        UserIds::Text.parse(text)
    }
}

impl TryFrom<u64> for UserId {
    type Error = InvalidUserId;

    fn try_from(id: u64) -> Result<Self, InvalidUserId> {
        Integer::new(id).map(Self::from).ok_or(InvalidUserId(UserIds::Integer))
    }
}

impl Ord for UserId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Id::Integer(a), Id::Integer(b)) => a.cmp(b),
            _ => self.spelled().as_str().cmp(other.spelled().as_str()),
        }
    }
}

impl PartialOrd for UserId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Id::Integer(id) => fmt::Display::fmt(&id.0, f),
            Id::Text(text) => f.pad(text.as_str()),
        }
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({self})")
    }
}

impl SpelledId {
    /// `text` has at most 64 bytes of ASCII.
    fn new(text: &[u8]) -> Self {
        let mut bytes = [0; MAX_TEXT_BYTES];
        bytes[..text.len()].copy_from_slice(text);
        Self { length: text.len().to_le_bytes()[0], bytes }
    }

    fn of_number(number: u64) -> Self {
        let (mut digits, mut first, mut rest) = ([0; 20], 20, number);
        while rest > 0 {
            first -= 1;
            digits[first] = b'0' + (rest % 10).to_le_bytes()[0];
            rest /= 10;
        }
        Self::new(&digits[first..])
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // It is ASCII.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl PartialEq for SpelledId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SpelledId {}

impl Hash for SpelledId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for SpelledId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;
