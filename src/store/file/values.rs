//! The values of a post's own entry and of its counts. Both have the form of a file without rules
//! and without forgotten sets, unless there is something more to say.

use super::file_error::FileResult;
use super::keys;
use crate::domain::{Add, Revision, Rules};

/// What is kept of a post, besides its counts and members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) revision: Revision,
    /// The generation of the sets that begin now. It lies above that of every forgotten set of the
    /// post.
    pub(super) generation: u64,
    pub(super) rules: Rules,
}

impl Head {
    /// The revision. If generation or rules are not those of a new post, they follow: the
    /// generation, 1 for locked, the first letter of `add`, and the palette's name.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = self.revision.0.to_be_bytes().to_vec();
        if self.generation > 0 || !self.rules.is_default() {
            let Rules { palette, add, locked } = &self.rules;
            value.extend_from_slice(&self.generation.to_be_bytes());
            value.extend_from_slice(&[u8::from(*locked), letter(*add)]);
            value.extend(palette.iter().flat_map(|name| name.as_str().bytes()));
        }
        value
    }

    pub(super) fn decode(value: &[u8]) -> FileResult<Self> {
        let odd = || keys::odd("revision");
        let (revision, rest) = value.split_first_chunk().ok_or_else(odd)?;
        let revision = Revision(u64::from_be_bytes(*revision));
        if rest.is_empty() {
            return Ok(Self { revision, ..Self::default() });
        }
        let (generation, rest) = rest.split_first_chunk().ok_or_else(odd)?;
        let ([locked, add], name) = rest.split_first_chunk().ok_or_else(odd)?;
        let add = add_of_letter(*add).ok_or_else(odd)?;
        let name = str::from_utf8(name).map_err(|_| odd())?;
        let palette = match name {
            "" => None,
            name => Some(name.parse().map_err(|_| odd())?),
        };
        let rules = Rules { palette, add, locked: *locked == 1 };
        Ok(Self { revision, generation: u64::from_be_bytes(*generation), rules })
    }
}

/// The letter of a value in the file. Part of the layout, so it must never change.
pub(super) fn letter(add: Add) -> u8 {
    add.word().as_bytes()[0]
}

/// The value that has this letter.
pub(super) fn add_of_letter(found: u8) -> Option<Add> {
    Add::EACH.into_iter().find(|add| letter(*add) == found)
}

/// A count, and the generation of the set that it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) count: u64,
    pub(super) generation: u64,
}

impl Counted {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut value = self.count.to_be_bytes().to_vec();
        if self.generation > 0 {
            value.extend_from_slice(&self.generation.to_be_bytes());
        }
        value
    }

    pub(super) fn decode(value: &[u8]) -> FileResult<Self> {
        let (count, generation) = value.split_at_checked(8).ok_or_else(|| keys::odd("count"))?;
        let generation = match generation {
            [] => 0,
            later => keys::number(later, "count")?,
        };
        Ok(Self { count: keys::number(count, "count")?, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_without_rules_has_the_form_of_the_first_release() {
        let plain = Head { revision: Revision(0x0102), ..Head::default() };
        let bytes = [0, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(plain.encode(), bytes);
        assert_eq!(Head::decode(&bytes).expect("a head"), plain);
        assert_eq!(Counted { count: 0x0102, generation: 0 }.encode(), bytes);
        assert_eq!(Counted::decode(&bytes).expect("a count").generation, 0);
    }

    #[test]
    fn rules_and_generations_come_back_as_they_were() {
        let palette = Some("qa".parse().expect("a name"));
        for (generation, palette, add, locked) in [
            (0, None, Add::Existing, false),
            (7, palette, Add::None, true),
            (0, None, Add::All, true),
            (u64::MAX, None, Add::All, false),
        ] {
            let rules = Rules { palette, add, locked };
            let head = Head { revision: Revision(9), generation, rules };
            assert_eq!(Head::decode(&head.encode()).expect("a head"), head);
            let counted = Counted { count: 3, generation };
            assert_eq!(Counted::decode(&counted.encode()).expect("a count"), counted);
        }
    }

    #[test]
    fn bytes_of_another_form_are_damage() {
        let mut long = [0; 18];
        long[17] = b'?';
        for odd in [&[0; 7][..], &[0; 9], &[0; 17], &long] {
            assert!(Head::decode(odd).is_err(), "{odd:?}");
        }
        for odd in [&[0; 7][..], &[0; 9], &[0; 17]] {
            assert!(Counted::decode(odd).is_err(), "{odd:?}");
        }
    }
}
