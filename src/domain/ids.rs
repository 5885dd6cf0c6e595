//! Posts, users, and the partition of a post.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The number of partitions. A constant of the key layout: a change means a new layout version.
pub const PARTITIONS: usize = 256;

/// A post: a UUID in its hyphenated form, never the nil UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostId(Uuid);

/// Text that is not a [`PostId`].
#[derive(Debug, thiserror::Error)]
#[error(
    "a post id is a UUID of 36 characters with hyphens, and not the nil UUID; \
     integer ids are mapped to UUIDs, such as 123 to 6f6e6574-6170-8000-8000-00000000007b"
)]
pub struct InvalidPostId;

impl PostId {
    /// Replaces the content of `text` by the id; the hot path reuses the buffer.
    pub(crate) fn write_to(self, text: &mut String) {
        text.clear();
        text.push_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }

    /// The id as a UUID.
    pub fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The partition of this post. Part of the key layout, so it must never change. It XORs the two
    /// halves of the id, multiplies by 2^64 / φ and takes the top eight bits. That spreads random
    /// ids and ids made from consecutive integers alike.
    pub fn partition(&self) -> Partition {
        let (high, low) = self.0.as_u64_pair();
        let mixed = (high ^ low).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Partition(mixed.to_be_bytes()[0])
    }
}

impl FromStr for PostId {
    type Err = InvalidPostId;

    fn from_str(text: &str) -> Result<Self, InvalidPostId> {
        // At 36 characters the parser of `uuid` accepts only the hyphenated form. Braces, URNs and
        // the bare 32 digits have other lengths.
        if text.len() != 36 {
            return Err(InvalidPostId);
        }
        Uuid::try_parse(text).map_err(|_| InvalidPostId)?.try_into()
    }
}

impl TryFrom<Uuid> for PostId {
    type Error = InvalidPostId;

    fn try_from(uuid: Uuid) -> Result<Self, InvalidPostId> {
        if uuid.is_nil() { Err(InvalidPostId) } else { Ok(Self(uuid)) }
    }
}

impl fmt::Display for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

/// One of the [`PARTITIONS`] groups of posts that share a change log (and, in a cluster, a slot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u8);

impl Partition {
    /// The first partition.
    pub const FIRST: Self = Self(0);

    /// Every partition, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// Partition number `n`, round robin.
    pub fn turn(n: u64) -> Self {
        Self(n.to_le_bytes()[0])
    }

    /// The number of the partition, below [`PARTITIONS`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A user: an integer from 1 to 2^63 − 1, written in canonical decimal.
///
/// The order is that of the decimal *text* (`10` sorts before `9`). A Redis sorted set breaks ties
/// in that order, and every store must list ties alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserId(u64);

/// Text that is not a [`UserId`].
#[derive(Debug, thiserror::Error)]
#[error("a user id is an integer from 1 to 9223372036854775807 in plain decimal digits")]
pub struct InvalidUserId;

impl UserId {
    /// The id as an integer.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The digits, padded with zeros on the right to nineteen, then their number: this compares
    /// like the text.
    fn text_order(self) -> (u64, u32) {
        let digits = self.0.ilog10() + 1;
        (self.0 * 10_u64.pow(19 - digits), digits)
    }
}

impl TryFrom<u64> for UserId {
    type Error = InvalidUserId;

    fn try_from(id: u64) -> Result<Self, InvalidUserId> {
        if id == 0 || id > i64::MAX.unsigned_abs() { Err(InvalidUserId) } else { Ok(Self(id)) }
    }
}

impl FromStr for UserId {
    type Err = InvalidUserId;

    fn from_str(text: &str) -> Result<Self, InvalidUserId> {
        // `u64::from_str` accepts a sign and leading zeros, which would give one user two
        // spellings.
        let canonical = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        if !canonical {
            return Err(InvalidUserId);
        }
        text.parse::<u64>().map_err(|_| InvalidUserId)?.try_into()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Ord for UserId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text_order().cmp(&other.text_order())
    }
}

impl PartialOrd for UserId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";

    #[test]
    fn a_post_id_has_one_spelling() {
        let post: PostId = POST.to_uppercase().parse().expect("any case is accepted");
        assert_eq!(post.to_string(), POST);
        let mut text = "what was there before".to_owned();
        post.write_to(&mut text);
        assert_eq!(text, POST);
        for other in [
            "",
            "0192f0c123457890abcdef0123456789",
            "{0192f0c1-2345-7890-abcd-ef0123456789}",
            "urn:uuid:0192f0c1-2345-7890-abcd-ef0123456789",
            "0192f0c1-2345-7890-abcd-ef012345678g",
            "0192f0c12-345-7890-abcd-ef0123456789",
            " 192f0c1-2345-7890-abcd-ef0123456789",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(other.parse::<PostId>().is_err(), "{other} was accepted");
        }
    }

    #[test]
    fn a_user_id_has_one_spelling() {
        for good in ["1", "42", "9007199254740993", "9223372036854775807"] {
            assert_eq!(good.parse::<UserId>().expect(good).to_string(), good);
        }
        for bad in [
            "",
            "0",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "١",
            "1_000",
            "me",
            "9223372036854775808",
            "18446744073709551615",
            "99999999999999999999999",
        ] {
            assert!(bad.parse::<UserId>().is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn users_are_ordered_as_their_decimal_text() {
        let texts = ["1", "10", "100", "11", "2", "9", "99", "9223372036854775807"];
        for a in texts {
            for b in texts {
                let parsed = |t: &str| t.parse::<UserId>().expect("a user id");
                assert_eq!(parsed(a).cmp(&parsed(b)), a.cmp(b), "{a} against {b}");
            }
        }
    }

    #[test]
    fn the_partitions_are_all_there_in_order() {
        let all: Vec<usize> = Partition::all().map(Partition::index).collect();
        assert_eq!(all, (0..PARTITIONS).collect::<Vec<_>>());
    }

    #[test]
    fn the_partition_of_an_id_never_changes() {
        // Stored keys depend on these values. If this fails, raise the layout version.
        let partition = |t: &str| t.parse::<PostId>().expect("a post id").partition().index();
        assert_eq!(partition(POST), 165);
        assert_eq!(partition("00000000-0000-4000-8000-000000000001"), 252);
    }

    #[test]
    fn consecutive_integer_ids_spread_over_all_partitions() {
        let mut seen = [0_u32; PARTITIONS];
        for i in 0..25_600_u64 {
            let post = PostId(Uuid::from_u64_pair(0x8000, 0x8000_0000_0000_0000 | i));
            seen[post.partition().index()] += 1;
        }
        assert!(seen.iter().all(|n| (50..200).contains(n)), "{seen:?}");
    }
}
