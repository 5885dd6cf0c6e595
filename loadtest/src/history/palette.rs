//! What a service lets users add to a post, as `GET /v1/palettes` and a history's header say it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Either these, or `"*"` for all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum AllOr<T> {
    /// All.
    All(Star),
    /// These.
    These(Vec<T>),
}

/// The text `"*"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Star {
    /// The text `"*"`.
    #[serde(rename = "*")]
    Star,
}

/// The palette of every post of a history. It stays the same from the first line to the last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Palette {
    /// The reactions that may be added.
    pub reactions: AllOr<String>,
    /// The groups of which a user has at most one reaction on a post.
    #[serde(default = "no_groups")]
    pub exclusive: AllOr<Vec<String>>,
    /// Other names of reactions.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    /// The most different reactions of a post.
    pub max_kinds_per_post: u64,
    /// The most reactions of a user on a post.
    pub max_per_user_and_post: u64,
}

/// The fields of a palette that a history keeps; a service may tell more.
pub(crate) const FIELDS: [&str; 5] =
    ["reactions", "exclusive", "aliases", "max_kinds_per_post", "max_per_user_and_post"];

fn no_groups() -> AllOr<Vec<String>> {
    AllOr::These(Vec::new())
}

impl Palette {
    /// The reaction that is counted for this name.
    pub fn counted<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    /// Whether this counted reaction may be added.
    pub fn offers(&self, reaction: &str) -> bool {
        match &self.reactions {
            AllOr::All(_) => true,
            AllOr::These(listed) => listed.iter().any(|one| one == reaction),
        }
    }

    /// Whether a user may not have both.
    pub fn excludes(&self, reaction: &str, other: &str) -> bool {
        let has = |group: &Vec<String>, reaction| group.iter().any(|one| one == reaction);
        reaction != other
            && match &self.exclusive {
                AllOr::All(_) => true,
                AllOr::These(groups) => {
                    groups.iter().any(|group| has(group, reaction) && has(group, other))
                }
            }
    }

    /// Two reactions that exclude each other, if there are any.
    pub fn pair(&self) -> Option<[String; 2]> {
        let first_two = |list: &[String]| match list {
            [one, other, ..] => Some([one.clone(), other.clone()]),
            _ => None,
        };
        match (&self.exclusive, &self.reactions) {
            (AllOr::These(groups), _) => groups.iter().find_map(|group| first_two(group)),
            (AllOr::All(_), AllOr::These(listed)) => first_two(listed),
            (AllOr::All(_), AllOr::All(_)) => Some(["r0".to_owned(), "r1".to_owned()]),
        }
    }
}
