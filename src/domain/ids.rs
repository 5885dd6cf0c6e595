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
