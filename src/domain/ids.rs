//! Posts, and the partition of a post.

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

/// The upper half of the ids of posts that a forum knows by an integer: `onetap` in ASCII, and the
/// version.
const INTEGER_POSTS: u64 = 0x6F6E_6574_6170_8000;

/// The greatest kind of post.
pub const MAX_POST_KIND: u16 = (1 << 14) - 1;

/// An integer that has no [`PostId`].
#[derive(Debug, thiserror::Error)]
#[error("an integer id of a post is at most 2^{bits} − 1")]
pub struct InvalidPostInteger {
    /// How many bits the integer may have.
    bits: u32,
}

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

    /// The id of the post that a forum knows by this integer (docs/ids.md). A kind tells apart what
    /// the forum numbers separately: N = kind · 2^48 + integer.
    ///
    /// # Errors
    ///
    /// If the kind is above [`MAX_POST_KIND`], or the integer above 2^48 − 1; with kind 0, above
    /// 2^62 − 1.
    pub fn from_integer(integer: u64, kind: u16) -> Result<Self, InvalidPostInteger> {
        let bits = if kind == 0 { 62 } else { 48 };
        if kind > MAX_POST_KIND || integer >> bits != 0 {
            return Err(InvalidPostInteger { bits });
        }
        let low = 1 << 63 | u64::from(kind) << 48 | integer;
        Ok(Self(Uuid::from_u64_pair(INTEGER_POSTS, low)))
    }

    /// The integer of this kind that the post stands for, if it does.
    pub fn to_integer(&self, kind: u16) -> Option<u64> {
        let (high, low) = self.0.as_u64_pair();
        let whole = low & ((1 << 62) - 1);
        let integer = if kind == 0 { whole } else { whole & ((1 << 48) - 1) };
        (Self::from_integer(integer, kind).ok()? == *self && high == INTEGER_POSTS)
            .then_some(integer)
    }

    /// The id as a number; ids sort in the order of these numbers.
    pub fn as_number(&self) -> u128 {
        self.0.as_u128()
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
    fn an_integer_has_the_id_that_the_guide_computes() {
        let id = |n, kind| PostId::from_integer(n, kind).expect("an id").to_string();
        assert_eq!(id(123, 0), "6f6e6574-6170-8000-8000-00000000007b");
        assert_eq!(id(7, 1), "6f6e6574-6170-8000-8001-000000000007");
        assert_eq!(id((1 << 62) - 1, 0), "6f6e6574-6170-8000-bfff-ffffffffffff");
        assert_eq!(id((1 << 48) - 1, MAX_POST_KIND), id((1 << 62) - 1, 0));
        for (n, kind) in [(7, 0), (7, 1), ((1 << 48) - 1, MAX_POST_KIND), ((1 << 62) - 1, 0)] {
            let post = PostId::from_integer(n, kind).expect("an id");
            assert_eq!(post.to_integer(kind), Some(n));
            assert_eq!(post.to_integer(2), None);
        }
        assert_eq!(POST.parse::<PostId>().expect("a post id").to_integer(0), None);
        for (n, kind) in [(1 << 62, 0), (1 << 48, 1), (0, MAX_POST_KIND + 1)] {
            assert!(PostId::from_integer(n, kind).is_err(), "{n} of kind {kind}");
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
