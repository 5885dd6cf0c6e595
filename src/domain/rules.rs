//! What moderators set for a post: its palette, what may be added, and whether it is locked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{PostId, Revision, UserId};

/// The name of the palette of a post without rules.
pub const DEFAULT_PALETTE: &str = "default";

/// The longest name of a palette.
const MAX_NAME_BYTES: usize = 32;

/// The name of a palette: 1 to 32 characters `a-z 0-9 _ -` that begin with a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaletteName(Arc<str>);

/// Text that is not a [`PaletteName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a palette is 1 to 32 characters a-z 0-9 _ - that begin with a letter or digit"
)]
pub struct InvalidPaletteName;

impl PaletteName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PaletteName {
    type Err = InvalidPaletteName;

    fn from_str(text: &str) -> Result<Self, InvalidPaletteName> {
        let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let rest = |b: u8| first(b) || b == b'_' || b == b'-';
        let bytes = text.as_bytes();
        let is_name = bytes.len() <= MAX_NAME_BYTES
            && bytes
                .split_first()
                .is_some_and(|(b, tail)| first(*b) && tail.iter().all(|b| rest(*b)));
        if is_name { Ok(Self(text.into())) } else { Err(InvalidPaletteName) }
    }
}

impl fmt::Display for PaletteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What users may add to a post. Removing always goes on. A greater value allows less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Add {
    /// Every reaction of the post's palette.
    #[default]
    All,
    /// Only reactions that somebody has on the post.
    Existing,
    /// Nothing.
    None,
}

impl Add {
    /// All values.
    pub const EACH: [Self; 3] = [Self::All, Self::Existing, Self::None];

    /// The word in requests, answers and stores. Part of the layout, so it must never change.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Existing => "existing",
            Self::None => "none",
        }
    }

    /// The value that has this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|add| add.word() == word)
    }
}

/// The rules of a post. A post that no moderator touched has the default ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The palette that its taps are judged by; the palette `default` if none.
    pub palette: Option<PaletteName>,
    /// What may be added.
    pub add: Add,
    /// Whether nothing may be added, whatever `add` says. Unlocking restores `add`.
    pub locked: bool,
}

impl Rules {
    /// Whether these are the rules of a post that no moderator touched.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A change that a moderator makes to the rules of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesEdit {
    /// The post.
    pub post: PostId,
    /// What to change.
    pub edit: Edit,
    /// The moderator, if the caller named one.
    pub actor: Option<UserId>,
}

/// What to change in the rules of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The palette and what may be added.
    Rules(Option<PaletteName>, Add),
    /// The lock.
    Lock(bool),
}

impl Edit {
    /// The rules after this change.
    #[must_use]
    pub fn applied_to(&self, rules: &Rules) -> Rules {
        match self {
            Self::Rules(palette, add) => Rules {
                // A post without a name uses the default one.
                palette: palette.clone().filter(|name| name.as_str() != DEFAULT_PALETTE),
                add: *add,
                locked: rules.locked,
            },
            Self::Lock(locked) => Rules { locked: *locked, ..rules.clone() },
        }
    }
}

/// The rules of a post after a change to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// The rules now.
    pub rules: Rules,
    /// Whether the step changed them.
    pub changed: bool,
    /// The revision of the change; if nothing changed, the present revision of the post.
    pub revision: Revision,
}

/// A request to remove every member of a post, or of one reaction of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forget {
    /// The post.
    pub post: PostId,
    /// The reaction; all reactions if none.
    pub reaction: Option<super::Reaction>,
    /// The moderator, if the caller named one.
    pub actor: Option<UserId>,
}

/// What a [`Forget`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// How many members it removed.
    pub removed: u64,
    /// The revision of the change; if it removed nothing, the present revision of the post.
    pub revision: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_a_flag_of_its_own() {
        let name: PaletteName = "qa".parse().expect("a name");
        let rules = Edit::Rules(Some(name.clone()), Add::Existing).applied_to(&Rules::default());
        let locked = Edit::Lock(true).applied_to(&rules);
        assert_eq!((locked.add, locked.locked), (Add::Existing, true));
        assert_eq!(Edit::Lock(false).applied_to(&locked), rules);
        let reset = Edit::Rules(None, Add::All).applied_to(&locked);
        assert_eq!(reset, Rules { locked: true, ..Rules::default() });
        assert!(!reset.is_default() && Rules::default().is_default());
    }

    #[test]
    fn a_palette_has_a_short_plain_name() {
        for good in ["a", "0", "default", "q_a-2", &"x".repeat(32)] {
            assert!(good.parse::<PaletteName>().is_ok(), "{good}");
        }
        for bad in ["", "_a", "-a", "A", "a b", "é", "*", &"x".repeat(33)] {
            assert!(bad.parse::<PaletteName>().is_err(), "{bad}");
        }
    }
}
