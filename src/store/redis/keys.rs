//! Every key name of onetap, and why it has this form. No other Rust file builds a key. From the
//! key of a post, the scripts derive those of its members, of hints, of `floor` and of `full`.
//!
//! | key | type | holds |
//! | --- | --- | --- |
//! | `ot:layout` | string | the version of this layout, and which ids users have |
//! | `ot:{TAG}:p:POST` | hash | count of each reaction; `_rev`: revision; other `_…` names: rules |
//! | `ot:{TAG}:p:POST:REACTION` | sorted set | users; score: µs of the reaction |
//! | `ot:{TAG}:log` | stream | the change log of the partition |
//! | `ot:{TAG}:k:KEY` | string | the record of an idempotency key; expires |
//! | `ot:{TAG}:s:STEP` | string | what a step of a job answered; expires |
//! | `ot:{TAG}:u:BUCKET` | sorted set | hints: what users of this bucket gave |
//! | `ot:{TAG}:i:BUCKET` | hash | marks of imports, of posts of this bucket; expires |
//! | `ot:{TAG}:d:NAME` | string | a document of a job: version and content; may expire |
//! | `ot:{TAG}:floor` | string | the revision of the partition's posts without state |
//! | `ot:{TAG}:full` | string | how many records were written while memory was full; expires |
//! | `ot:{TAG}:probe:…` | | exists only while a readiness probe runs |
//!
//! `ot` is the prefix (`--key-prefix`). KEY is the hash of the idempotency key, in base64url, and
//! STEP that of the step. BUCKET is a number: a hash of the user or of the post.
//!
//! A cluster hashes only the part in braces. This tag names the partition and not the post. So a
//! post's keys *and* its partition's log share a slot, and one script may write both. The tag of
//! partition `i` hashes to slot `64 · i`. So the more of the 16,384 slots a node of a cluster has,
//! the more partitions it has.
//!
//! Ids are parsed before they come here. No post or reaction contains a brace, a colon or white
//! space, and no reaction begins with `_`. No key contains a user. The only glob character that may
//! occur is the `*` of the keycap emoji, and onetap never makes a pattern from a reaction.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::domain::{
    IdempotencyKey, PARTITIONS, Partition, PostId, Reaction, StepToken, UserId, UserIds,
};

/// The version of the layout described above, as stored at the layout key.
pub(super) const LAYOUT_VERSION: &str = "1";

/// The value of the layout key if users have ids of this kind.
pub(super) fn layout_of(ids: UserIds) -> &'static str {
    match ids {
        UserIds::Integer => LAYOUT_VERSION,
        UserIds::Text => "1 text",
    }
}

/// How many buckets of users a partition has. With 5 million reactions a bucket has about 19 hints,
/// and Redis keeps a bucket of up to 128 in one block of bytes. Part of the layout.
const USER_BUCKETS: u64 = 1024;

/// How many buckets of marks a partition has. Part of the layout.
const MARK_BUCKETS: u64 = 256;

/// FNV-1a, and then a product by 2^64 / φ: without it, short texts differ in few of the upper
/// bits. Part of the layout.
fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A number below `buckets`, from the better bits of a hash.
fn bucket(bytes: &[u8], buckets: u64) -> u64 {
    (hash(bytes) >> 32) % buckets
}

/// A short hash of some texts, in their order.
pub(super) fn fingerprint(texts: impl IntoIterator<Item = String>) -> u32 {
    let all: String = texts.into_iter().flat_map(|text| [text, " ".into()]).collect();
    let bytes = (hash(all.as_bytes()) >> 32).to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The bucket of a user, in each partition.
pub(super) fn user_bucket(user: UserId) -> u64 {
    bucket(user.spelled().as_str().as_bytes(), USER_BUCKETS)
}

/// The keys of the probe: its post, members, log, hints and record. The scripts derive a
/// partition's keys from the key of a post, so the probe's post has that form: the nil UUID, which
/// no post has.
pub(super) const PROBE: [&str; 5] =
    ["p:00000000-0000-0000-0000-000000000000", "members", "log", "hints", "record"];

/// Builds key names under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    /// The configuration has checked `prefix`: letters, digits, `_`, `-`, `.`.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn layout(&self) -> String {
        format!("{}:layout", self.prefix)
    }

    /// All keys of the probe of the first partition.
    pub(super) fn probe(&self) -> [String; 5] {
        PROBE.map(|part| {
            let mut key = String::new();
            self.write_probe(&mut key, Partition::FIRST, part);
            key
        })
    }

    /// A key of the [probe](PROBE).
    pub(super) fn write_probe(&self, key: &mut String, partition: Partition, part: &str) {
        self.write(key, partition, format_args!("probe:{part}"));
    }

    pub(super) fn log(&self, partition: Partition) -> String {
        let mut key = String::new();
        self.write_log(&mut key, partition);
        key
    }

    /// Replaces the content of `key` by the key of the log. The hot path reuses the buffer.
    pub(super) fn write_log(&self, key: &mut String, partition: Partition) {
        self.write(key, partition, format_args!("log"));
    }

    /// Replaces the content of `key` by the key of the post.
    pub(super) fn write_post(&self, key: &mut String, post: &PostId) {
        self.write(key, post.partition(), format_args!("p:{post}"));
    }

    /// Replaces the content of `key` by the key of a reaction's members.
    pub(super) fn write_members(&self, key: &mut String, post: &PostId, reaction: &Reaction) {
        self.write(key, post.partition(), format_args!("p:{post}:{reaction}"));
    }

    /// Replaces the content of `key` by the key of an idempotency record. The partition is that of
    /// the post, which is part of what [`IdempotencyKey`] hashes.
    pub(super) fn write_record(
        &self,
        key: &mut String,
        partition: Partition,
        idempotency: &IdempotencyKey,
    ) {
        self.write(key, partition, format_args!("k:"));
        BASE64_URL_SAFE_NO_PAD.encode_string(idempotency.as_bytes(), key);
    }

    /// Replaces the content of `key` by the key of the hints of a user in a partition.
    pub(super) fn write_hints(&self, key: &mut String, partition: Partition, user: UserId) {
        self.write(key, partition, format_args!("u:{}", user_bucket(user)));
    }

    /// Replaces the content of `key` by the key of the mark that imports keep of a post.
    pub(super) fn write_marks(&self, key: &mut String, post: &PostId) {
        let bucket = bucket(post.as_uuid().as_bytes(), MARK_BUCKETS);
        self.write(key, post.partition(), format_args!("i:{bucket}"));
    }

    /// Replaces the content of `key` by the key of what a step of a job answered.
    pub(super) fn write_step(&self, key: &mut String, partition: Partition, step: &StepToken) {
        self.write(key, partition, format_args!("s:"));
        BASE64_URL_SAFE_NO_PAD.encode_string(step.0, key);
    }

    /// Replaces the content of `key` by the key of a document.
    pub(super) fn write_document(&self, key: &mut String, name: &str) {
        self.write(key, document_partition(name), format_args!("d:{name}"));
    }

    pub(super) fn document(&self, name: &str) -> String {
        let mut key = String::new();
        self.write_document(&mut key, name);
        key
    }

    /// The pattern, for SCAN, of the keys of posts and of members.
    pub(super) fn of_posts(&self) -> String {
        format!("{}:{{*}}:p:*", self.prefix)
    }

    /// The post of a key that [`Keys::of_posts`] matches; with the reaction, if it is a key of
    /// members.
    pub(super) fn read_post(&self, key: &str) -> Option<(PostId, Option<Reaction>)> {
        let rest = key.strip_prefix(self.prefix.as_str())?.strip_prefix(":{")?;
        let (tag, rest) = rest.split_once("}:p:")?;
        let (post, reaction) = match rest.split_once(':') {
            Some((post, reaction)) => (post, Some(reaction.parse().ok()?)),
            None => (rest, None),
        };
        let post: PostId = post.parse().ok()?;
        (TAGS[post.partition().index()] == tag).then_some((post, reaction))
    }

    fn write(&self, key: &mut String, partition: Partition, rest: std::fmt::Arguments<'_>) {
        key.clear();
        let tag = TAGS[partition.index()];
        // Writing to a String cannot fail.
        let _ = write!(key, "{}:{{{tag}}}:{rest}", self.prefix);
    }
}

/// The partition of a document.
pub(super) fn document_partition(name: &str) -> Partition {
    Partition::turn(hash(name.as_bytes()) >> 32)
}

/// The cluster slot that all keys of a partition are in.
pub(super) fn slot(partition: Partition) -> u16 {
    64 * u16::try_from(partition.index()).unwrap_or(u16::MAX)
}

/// `TAGS[i]` is the shortest string of `0-9a-z` whose cluster slot is `64 · i`.
#[rustfmt::skip]
const TAGS: [&str; PARTITIONS] = [
    "1bz", "5n3", "53t", "d5m", "nbd", "7me", "j3j", "3xc", "04s", "a2j", "if5", "0i4",
    "o4m", "cu4", "kec", "2jb", "dlj", "5js", "574", "92e", "3el", "bcu", "74b", "fvs",
    "003", "4xr", "akm", "0mt", "23e", "cqt", "6bk", "x3", "5nw", "dhn", "96a", "530",
    "bgq", "3ah", "frw", "70f", "pt6", "047", "0ip", "4e9", "c1x", "ex", "oin", "6fo",
    "5j7", "9of", "d1i", "57p", "7ia", "fox", "38o", "j7n", "4x6", "00w", "0m0", "4ay",
    "c58", "a8", "xw", "kag", "17p", "h8q", "he6", "1j7", "n7n", "78o", "box", "3ia",
    "0ay", "4m0", "40w", "0x6", "06", "6nf", "c9q", "mq", "130", "hx9", "hav", "1nw",
    "30f", "brw", "7ah", "fgq", "0e9", "4ip", "447", "81f", "4v", "kin", "67a", "i1",
    "h85", "174", "1js", "her", "bvs", "34b", "fcu", "7el", "4mt", "ekm", "0xr", "403",
    "cdr", "0r", "m5", "63e", "qsu", "13t", "1n3", "5bz", "7xc", "n3j", "3me", "jbd",
    "4i4", "8le", "e2j", "44s", "6jb", "42", "iu", "k4m", "fjl", "7lu", "712", "3ys",
    "1cj", "hlk", "52d", "975", "265", "k94", "cmk", "9k", "05c", "a3z", "4dm", "ebt",
    "ng4", "7h5", "75r", "f3k", "9n2", "5kc", "h5l", "93u", "22u", "6z4", "02bb", "2o2",
    "m2k", "4yb", "ice", "0ld", "7l1", "nc0", "3y7", "71v", "5og", "9j6", "1za", "h1h",
    "c0h", "dh", "2k6", "kd7", "49n", "8x7", "8ax", "any", "7hq", "3d8", "wu7", "756",
    "hho", "1gn", "931", "5rh", "6zp", "221", "yg", "cio", "asv", "01g", "8e8", "aj9",
    "356", "su7", "7d8", "3hq", "1rh", "h9a", "5gn", "daw", "gio", "6ov", "621", "la",
    "8iq", "afp", "41g", "846", "31v", "7y7", "jc0", "3l1", "d8p", "5za", "qkn", "1og",
    "5f", "6k6", "66q", "g0h", "8m1", "ab0", "i6o", "09n", "b3k", "35r", "3h5", "jg4",
    "092l", "l5l", "1kc", "hdb", "6o2", "1b", "2z4", "62u", "4ld", "8i5", "0yb", "i2k",
    "7ys", "312", "3lu", "bjl", "hym", "12d", "des", "5cj", "6kr", "gmk", "he", "665",
    "abt", "0dm", "802", "45c",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-16/XMODEM, as the Redis Cluster specification defines slots.
    fn slot_of_tag(tag: &str) -> u16 {
        let crc = tag.bytes().fold(0_u16, |crc, byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            })
        });
        crc % 16_384
    }

    #[test]
    fn partition_i_is_in_slot_64_i() {
        assert_eq!(slot_of_tag("123456789"), 0x31C3, "the check value of CRC-16/XMODEM");
        for (partition, tag) in Partition::all().zip(TAGS) {
            assert_eq!(slot_of_tag(tag), slot(partition), "{tag}");
        }
    }

    #[test]
    fn users_and_posts_spread_over_their_buckets() {
        let mut users = vec![0; usize::try_from(USER_BUCKETS).expect("few")];
        let mut marks = vec![0; usize::try_from(MARK_BUCKETS).expect("few")];
        for n in 1..=20_480_u64 {
            let user = user_bucket(n.try_into().expect("a user id"));
            users[usize::try_from(user).expect("few")] += 1;
            let post = format!("6f6e6574-6170-8000-8000-{n:012x}");
            let post: PostId = post.parse().expect("a post id");
            let mark = bucket(post.as_uuid().as_bytes(), MARK_BUCKETS);
            marks[usize::try_from(mark).expect("few")] += 1;
        }
        // 20 and 80 on average.
        assert!(users.iter().all(|n| (3..60).contains(n)), "{users:?}");
        assert!(marks.iter().all(|n| (30..160).contains(n)), "{marks:?}");
    }

    #[test]
    fn a_key_of_a_walk_names_its_post() {
        let keys = Keys::new("ot");
        let post: PostId = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
        let (mut key, like) = (String::new(), "like".parse().expect("a reaction"));
        keys.write_post(&mut key, &post);
        assert_eq!(keys.read_post(&key), Some((post, None)));
        keys.write_members(&mut key, &post, &like);
        assert_eq!(keys.read_post(&key), Some((post, Some(like))));
        for other in [
            key.replace("ot:", "other:"),
            key.replace(":p:", ":q:"),
            key.replace("like", "Like"),
            key.replace("0192", "0193"),
            key.replace('{', "{0"),
        ] {
            assert_eq!(keys.read_post(&other), None, "{other}");
        }
    }

    #[test]
    fn all_keys_of_a_post_carry_the_tag_of_its_partition() {
        let keys = Keys::new("ot");
        let post: PostId = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
        let tag = TAGS[post.partition().index()];
        let (mut a, mut b) = (String::from("left over"), String::new());
        keys.write_post(&mut a, &post);
        keys.write_members(&mut b, &post, &"like".parse().expect("a reaction"));
        assert_eq!(a, format!("ot:{{{tag}}}:p:{post}"));
        assert_eq!(b, format!("{a}:like"));
        assert_eq!(keys.log(post.partition()), format!("ot:{{{tag}}}:log"));
        let user = 7.try_into().expect("a user id");
        let key = IdempotencyKey::new("once", post, user).expect("a key");
        keys.write_record(&mut b, post.partition(), &key);
        let hash = b.strip_prefix(&format!("ot:{{{tag}}}:k:")).expect("the tag of the partition");
        assert_eq!(hash.len(), 22);
    }
}
