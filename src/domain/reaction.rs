//! What a user can feel about a post: a name, or one emoji.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// U+FE0F asks for the coloured form of the character before it. Clients disagree on when to send
/// it, so it never distinguishes two reactions.
const VARIATION_SELECTOR: char = '\u{FE0F}';

/// The longest name. Every emoji of Unicode is shorter than twice this many bytes.
const MAX_NAME_BYTES: usize = 32;
const MAX_INPUT_BYTES: usize = 64;

/// A reaction: a name of 1 to 32 characters `a-z 0-9 + - _` that does not begin with `_`, or
/// exactly one emoji, stored in its fully qualified spelling.
///
/// Two spellings of an emoji that differ only in U+FE0F are one reaction; skin tones are different
/// reactions. Reactions sort by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reaction(Arc<str>);

/// Text that is not a [`Reaction`].
#[derive(Debug, thiserror::Error)]
#[error(
    "a reaction is a name of 1 to 32 characters a-z 0-9 + - _ (not beginning with _), or one emoji"
)]
pub struct InvalidReaction;

impl Reaction {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str) -> bool {
    let first = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-');
    let rest = |b: u8| first(b) || b == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME_BYTES
        && bytes.split_first().is_some_and(|(b, tail)| first(*b) && tail.iter().all(|b| rest(*b)))
}

/// Every emoji, skin tones included, by its spelling without U+FE0F.
static EMOJI: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let toned = |emoji: &'static emojis::Emoji| emoji.skin_tones().into_iter().flatten();
    emojis::iter()
        .flat_map(|emoji| std::iter::once(emoji).chain(toned(emoji)))
        .map(|emoji| (bare(emoji.as_str()), emoji.as_str()))
        .collect()
});

fn bare(text: &str) -> String {
    text.chars().filter(|c| *c != VARIATION_SELECTOR).collect()
}

impl FromStr for Reaction {
    type Err = InvalidReaction;

    fn from_str(text: &str) -> Result<Self, InvalidReaction> {
        if is_name(text) {
            return Ok(Self(text.into()));
        }
        if text.len() > MAX_INPUT_BYTES {
            return Err(InvalidReaction);
        }
        EMOJI.get(&bare(text)).map(|canonical| Self((*canonical).into())).ok_or(InvalidReaction)
    }
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        text.parse::<Reaction>().ok().map(|r| r.to_string())
    }

    #[test]
    fn names_are_kept_as_they_are() {
        for name in ["like", "+1", "-1", "a_b", "7", &"x".repeat(32)] {
            assert_eq!(parse(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            " ",
            "Like",
            "_rev",
            "_",
            "a b",
            "café",
            "cafe\u{301}",
            "a:b",
            "{a}",
            "a}b{c",
            "*",
            "?",
            "[",
            "a\r\nb",
            "a\0",
            "like\u{FE0F}",
            "\u{FE0F}",
            "1\u{FE0F}",
            "👍👍",
            "👍x",
            "\u{2764}\u{FE0E}",
            "%6Cike",
            &"x".repeat(33),
            &"x".repeat(1 << 20),
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn spellings_that_differ_in_the_variation_selector_are_one_reaction() {
        assert_eq!(parse("\u{2764}"), parse("\u{2764}\u{FE0F}"));
        assert_eq!(parse("\u{2764}").as_deref(), Some("\u{2764}\u{FE0F}"));
        assert_eq!(parse("\u{1F44D}\u{FE0F}").as_deref(), Some("\u{1F44D}"));
        assert_eq!(parse("*\u{20E3}").as_deref(), Some("*\u{FE0F}\u{20E3}"));
    }

    #[test]
    fn a_text_beyond_64_bytes_is_no_emoji_whatever_it_consists_of() {
        let selected = |times| format!("\u{1F44D}{}", "\u{FE0F}".repeat(times));
        assert_eq!(selected(20).len(), MAX_INPUT_BYTES);
        assert_eq!(parse(&selected(20)).as_deref(), Some("\u{1F44D}"));
        assert_eq!(parse(&selected(21)), None);
    }

    #[test]
    fn skin_tones_are_different_reactions() {
        assert_eq!(parse("👍🏽").as_deref(), Some("👍🏽"));
        assert_ne!(parse("👍🏽"), parse("👍"));
    }

    #[test]
    fn every_emoji_is_its_own_reaction_and_fits() {
        assert!(EMOJI.len() > 3000, "skin tones are missing: {}", EMOJI.len());
        for emoji in EMOJI.values() {
            assert_eq!(parse(emoji).as_deref(), Some(*emoji));
        }
        let longest = EMOJI.keys().map(String::len).max();
        assert!(longest < Some(MAX_INPUT_BYTES), "{longest:?}");
        // No two emoji became equal without U+FE0F.
        let canonical: std::collections::HashSet<_> = EMOJI.values().collect();
        assert_eq!(canonical.len(), EMOJI.len());
    }
}
