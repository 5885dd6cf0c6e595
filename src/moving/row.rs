//! A row of an import, and its form while rows are sorted outside memory.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use extsort::Sortable;

use super::changes::LastChange;
use crate::domain::{Add, Micros, PaletteName, PostId, Reaction, Revision, Rules, UserId};

/// One line of an input: whether a user has a reaction on a post, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) post: PostId,
    pub(crate) user: UserId,
    pub(crate) reaction: Reaction,
    /// The time of the reaction, or of its removal.
    pub(crate) at: Micros,
    pub(crate) active: bool,
}

/// What a line of an input can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Of one member.
    Member(Row),
    /// Of a post with rules.
    Rules(PostId, Rules),
}

/// In which order rows are sorted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// By post: for a store whose posts lie in this order, and for comparing.
    Posts,
    /// By pairs of partitions, then by post: Redis gets the steps of one partition together, and
    /// two partitions at a time, which travel on different lanes.
    Partitions,
}

/// A line as bytes, which sort as the line should: (partition,) post, user, reaction, time, number
/// of the line. The rules of a post come behind its members, with the number before their text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Box<[u8]>);

/// How many bytes stand before the user: the group and the post.
const HEAD: usize = 17;

/// How many bytes stand behind the reaction: time, line and flag.
const TAIL: usize = 17;

/// Stands where a user would. No user begins with such a byte.
const RULES: u8 = 0xFF;
const FORGOTTEN: u8 = 1;

impl Key {
    /// The key of a line. A later one of two equal ones wins.
    pub(crate) fn new(line: &Line, number: u64, grouping: Grouping) -> Self {
        let post = match line {
            Line::Member(row) => row.post,
            Line::Rules(post, _) => *post,
        };
        let mut bytes = Vec::with_capacity(64);
        bytes.push(match grouping {
            Grouping::Posts => 0,
            Grouping::Partitions => (post.partition().index() / 2).to_le_bytes()[0],
        });
        bytes.extend_from_slice(&post.as_number().to_be_bytes());
        let (at, active) = match line {
            Line::Member(row) => {
                bytes.extend_from_slice(row.user.spelled().as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(row.reaction.as_str().as_bytes());
                (row.at, row.active)
            }
            Line::Rules(_, rules) => {
                let palette = rules.palette.as_ref().map_or("", PaletteName::as_str);
                let locked = if rules.locked { '1' } else { '0' };
                let text = format!("{} {locked} {palette}", rules.add.word());
                bytes.push(RULES);
                bytes.extend_from_slice(&number.to_be_bytes());
                bytes.extend_from_slice(text.as_bytes());
                (Micros(0), true)
            }
        };
        bytes.extend_from_slice(&at.0.to_be_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.push(u8::from(active));
        Self(bytes.into())
    }

    /// The key of a post alone.
    pub(crate) fn of_post(post: PostId) -> Self {
        Self::of_bytes(&post.as_number().to_be_bytes())
    }

    /// The key of a change of a member. Later changes sort behind earlier ones.
    pub(super) fn of_change(
        post: PostId,
        user: UserId,
        reaction: &Reaction,
        revision: Revision,
        last: LastChange,
    ) -> Self {
        let (at, active) = (Micros(revision.0), last.active);
        let row = Row { post, user, reaction: reaction.clone(), at, active };
        let number = last.at.0 << 1 | u64::from(last.is_time);
        Self::new(&Line::Member(row), number, Grouping::Posts)
    }

    /// User, reaction and what [`Key::of_change`] kept.
    pub(super) fn change(&self, names: &mut Names) -> Option<(UserId, Reaction, LastChange)> {
        let Line::Member(row) = self.line(names)? else { return None };
        let (_, tail) = self.0.split_last_chunk::<TAIL>()?;
        let number = u64::from_be_bytes(tail[8..16].try_into().ok()?);
        let (at, is_time) = (Micros(number >> 1), number & 1 == 1);
        Some((row.user, row.reaction, LastChange { at, active: row.active, is_time }))
    }

    /// The key of a post, or a reaction of it, that was forgotten. It sorts before all members.
    pub(super) fn of_forgotten(post: PostId, reaction: Option<&Reaction>) -> Self {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&post.as_number().to_be_bytes());
        bytes.push(FORGOTTEN);
        bytes.extend_from_slice(reaction.map_or("", Reaction::as_str).as_bytes());
        // As long as the end of other keys, so that no comparison leaves the key.
        bytes.extend_from_slice(&[0; TAIL]);
        Self(bytes.into())
    }

    /// What was forgotten, if this is such a key: a reaction, or all of them.
    pub(super) fn forgotten(&self, names: &mut Names) -> Option<Option<Reaction>> {
        let (middle, _) = self.0.get(HEAD..)?.split_last_chunk::<TAIL>()?;
        let (kind, name) = middle.split_first()?;
        let name = std::str::from_utf8(name).ok().filter(|_| *kind == FORGOTTEN)?;
        Some(if name.is_empty() { None } else { Some(names.of(name)?) })
    }

    /// The key of a post whose rules have changed.
    pub(super) fn of_rules(post: PostId) -> Self {
        Self::new(&Line::Rules(post, Rules::default()), 0, Grouping::Posts)
    }

    pub(super) fn is_rules(&self) -> bool {
        self.0.get(HEAD) == Some(&RULES)
    }

    /// The post of the key of a change.
    pub(super) fn post_of_change(&self) -> Option<PostId> {
        let number = u128::from_be_bytes(self.0.get(1..HEAD)?.try_into().ok()?);
        PostId::try_from(uuid::Uuid::from_u128(number)).ok()
    }

    /// The post of a key that has nothing else.
    pub(crate) fn post(&self) -> Option<PostId> {
        let number = u128::from_be_bytes(self.0[..].try_into().ok()?);
        PostId::try_from(uuid::Uuid::from_u128(number)).ok()
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// A key that stands for nothing.
    pub(super) fn nothing() -> Self {
        Self(Box::default())
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are of the same post.
    pub(crate) fn same_post(&self, other: &Self) -> bool {
        self.0[..HEAD] == other.0[..HEAD]
    }

    /// Whether both are of the same post, user and reaction, or both are rules of the same post.
    pub(crate) fn same_member(&self, other: &Self) -> bool {
        let member = |key: &Self| key.0.len() - TAIL;
        let both_rules = self.0[HEAD] == RULES && other.0[HEAD] == RULES;
        self.same_post(other) && (both_rules || self.0[..member(self)] == other.0[..member(other)])
    }

    /// The line. `names` keeps reactions that it has seen, since most rows have one of a few.
    pub(crate) fn line(&self, names: &mut Names) -> Option<Line> {
        let post = u128::from_be_bytes(self.0.get(1..HEAD)?.try_into().ok()?);
        let post = PostId::try_from(uuid::Uuid::from_u128(post)).ok()?;
        let (middle, tail) = self.0.get(HEAD..)?.split_last_chunk::<TAIL>()?;
        if let Some((&RULES, rest)) = middle.split_first() {
            let text = std::str::from_utf8(rest.get(size_of::<u64>()..)?).ok()?;
            return Some(Line::Rules(post, rules(text)?));
        }
        let split = middle.iter().position(|byte| *byte == 0)?;
        let text = std::str::from_utf8(&middle[split + 1..]).ok()?;
        let user = std::str::from_utf8(&middle[..split]).ok()?.parse().ok()?;
        let at = Micros(u64::from_be_bytes(tail[..8].try_into().ok()?));
        let active = tail[TAIL - 1] == 1;
        Some(Line::Member(Row { post, user, reaction: names.of(text)?, at, active }))
    }
}

fn rules(text: &str) -> Option<Rules> {
    let mut parts = text.splitn(3, ' ');
    let add = Add::from_word(parts.next()?)?;
    let locked = parts.next()? == "1";
    let palette = parts.next().filter(|name| !name.is_empty());
    Some(Rules { add, locked, palette: palette.map(str::parse).transpose().ok()? })
}

impl Sortable for Key {
    fn encode<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        let length = u16::try_from(self.0.len()).map_err(io::Error::other)?;
        writer.write_all(&length.to_be_bytes())?;
        writer.write_all(&self.0)
    }

    fn decode<R: Read>(reader: &mut R) -> io::Result<Self> {
        let mut length = [0; 2];
        reader.read_exact(&mut length)?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        reader.read_exact(&mut bytes)?;
        Ok(Self(bytes.into()))
    }
}

/// The most different reactions that are kept.
const MOST_NAMES: usize = 10_000;

/// Reactions by their text.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<Box<str>, Reaction>);

impl Names {
    /// The reaction with this canonical text.
    pub(crate) fn of(&mut self, text: &str) -> Option<Reaction> {
        if let Some(known) = self.0.get(text) {
            return Some(known.clone());
        }
        let reaction: Reaction = text.parse().ok()?;
        if self.0.len() < MOST_NAMES {
            self.0.insert(text.into(), reaction.clone());
        }
        Some(reaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";

    fn member(user: &str, reaction: &str, at: u64, active: bool) -> Line {
        Line::Member(Row {
            post: POST.parse().expect("a post"),
            user: user.parse().expect("a user"),
            reaction: reaction.parse().expect("a reaction"),
            at: Micros(at),
            active,
        })
    }

    #[test]
    fn a_key_has_all_of_its_line() {
        let rules = Rules { add: Add::None, locked: true, palette: "qa".parse().ok() };
        let post = POST.parse().expect("a post");
        for line in [
            member("1", "like", 7, true),
            member("9223372036854775807", "👍🏽", u64::MAX, false),
            member("@anna:example.org", "+1", 0, true),
            Line::Rules(post, rules),
            Line::Rules(post, Rules::default()),
        ] {
            for grouping in [Grouping::Posts, Grouping::Partitions] {
                let key = Key::new(&line, 3, grouping);
                let mut bytes = Vec::new();
                key.encode(&mut bytes).expect("bytes");
                assert_eq!(Key::decode(&mut &bytes[..]).expect("a key"), key);
                assert_eq!(key.line(&mut Names::default()), Some(line.clone()));
            }
        }
    }

    #[test]
    fn keys_sort_by_user_reaction_time_and_line_and_rules_come_last() {
        let key = |line: &Line, number| Key::new(line, number, Grouping::Posts);
        let sorted = [
            key(&member("10", "like", 5, true), 9),
            key(&member("10", "like", 6, true), 1),
            key(&member("10", "like", 6, false), 2),
            key(&member("10", "liked", 0, true), 1),
            key(&member("9", "like", 5, true), 1),
            key(&Line::Rules(POST.parse().expect("a post"), Rules::default()), 1),
        ];
        assert!(sorted.is_sorted());
        assert!(sorted[0].same_member(&sorted[2]) && !sorted[2].same_member(&sorted[3]));
        assert!(sorted[4].same_post(&sorted[5]) && !sorted[4].same_member(&sorted[5]));
        // Of two lines of rules the later one counts, whatever is in them.
        let strict = Rules { add: Add::None, locked: true, palette: "qa".parse().ok() };
        let post = POST.parse().expect("a post");
        let earlier = key(&Line::Rules(post, strict), 300);
        let later = key(&Line::Rules(post, Rules::default()), 1000);
        assert!(earlier < later && earlier.same_member(&later));
    }
}
