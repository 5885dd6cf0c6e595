//! The JSON of the palettes.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Exclusive, Palette, Palettes, Reaction};

/// All palettes of the service.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct PalettesAnswer<'a> {
    /// By name. Posts use `default`, unless a moderator gave them another one.
    palettes: BTreeMap<&'a str, PaletteAnswer<'a>>,
}

/// What may be added to a post.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct PaletteAnswer<'a> {
    reactions: OfferedAnswer<'a>,
    exclusive: ExclusiveAnswer<'a>,
    /// Other names, each with the reaction that a tap on it counts as.
    #[schema(example = json!({"+1": "👍"}))]
    aliases: BTreeMap<&'a str, &'a str>,
    /// The most different reactions that a post may have.
    #[schema(example = 20, minimum = 1, maximum = 100)]
    max_kinds_per_post: u32,
    /// The most reactions that a user may have on a post.
    #[schema(example = 20, minimum = 1, maximum = 100)]
    max_per_user_and_post: u32,
}

/// The reactions in the order in which to offer them; `*` for every valid name and every emoji.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!(["like", "up", "down", "👍"]))]
pub(in crate::http) enum OfferedAnswer<'a> {
    /// `*`.
    All(&'static str),
    /// These.
    #[schema(value_type = Vec<String>)]
    Listed(Vec<&'a str>),
}

/// Groups of reactions of which a user has at most one on a post; `*` if all reactions exclude each
/// other.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!([["up", "down"]]))]
pub(in crate::http) enum ExclusiveAnswer<'a> {
    /// `*`.
    All(&'static str),
    /// These.
    #[schema(value_type = Vec<Vec<String>>)]
    Groups(Vec<Vec<&'a str>>),
}

impl<'a> PalettesAnswer<'a> {
    pub(in crate::http) fn new(palettes: &'a Palettes) -> Self {
        let named = |palette: &'a Palette| (palette.name().as_str(), PaletteAnswer::new(palette));
        Self { palettes: palettes.iter().map(named).collect() }
    }
}

impl<'a> PaletteAnswer<'a> {
    fn new(palette: &'a Palette) -> Self {
        let reactions = palette.reactions().map(texts);
        let exclusive = match palette.exclusive() {
            Exclusive::Nothing => ExclusiveAnswer::Groups(Vec::new()),
            Exclusive::Everything => ExclusiveAnswer::All("*"),
            Exclusive::Groups(groups) => {
                ExclusiveAnswer::Groups(groups.iter().map(|group| texts(group)).collect())
            }
        };
        let aliases = palette.aliases().into_iter();
        Self {
            reactions: reactions.map_or(OfferedAnswer::All("*"), OfferedAnswer::Listed),
            exclusive,
            aliases: aliases.map(|(alias, meant)| (alias.as_str(), meant.as_str())).collect(),
            max_kinds_per_post: palette.max_kinds_per_post(),
            max_per_user_and_post: palette.max_per_user_and_post(),
        }
    }
}

fn texts(reactions: &[Reaction]) -> Vec<&str> {
    reactions.iter().map(Reaction::as_str).collect()
}
