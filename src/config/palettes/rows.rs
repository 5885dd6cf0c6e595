//! The palettes as `check-config` prints them. Values have the form of the file.

use super::super::Source;
use super::{KEYS, PaletteSettings};
use crate::domain::{Exclusive, Palette, Reaction};

impl PaletteSettings {
    /// Each palette by name, with the name, source and value of each key.
    pub(in crate::config) fn rows(
        &self,
    ) -> impl Iterator<Item = (&str, [(&'static str, Source, String); KEYS.len()])> {
        self.palettes.iter().map(|palette| {
            let name = palette.name().as_str();
            let row = |key: &'static str| {
                let given = self.given.contains(&(name.to_owned(), key));
                (key, if given { Source::File } else { Source::Default }, value(palette, key))
            };
            (name, KEYS.map(|key| row(key.name)))
        })
    }
}

fn value(palette: &Palette, key: &str) -> String {
    match key {
        "reactions" => palette.reactions().map_or_else(every, list),
        "exclusive" => match palette.exclusive() {
            Exclusive::Nothing => list(&[]),
            Exclusive::Everything => every(),
            Exclusive::Groups(groups) => {
                let groups: Vec<_> = groups.iter().map(|group| list(group)).collect();
                format!("[{}]", groups.join(", "))
            }
        },
        "aliases" => {
            let one = |(alias, meant)| format!("{} = {}", quoted(alias), quoted(meant));
            let all: Vec<_> = palette.aliases().into_iter().map(one).collect();
            if all.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", all.join(", ")) }
        }
        "max_kinds_per_post" => palette.max_kinds_per_post().to_string(),
        _ => palette.max_per_user_and_post().to_string(),
    }
}

fn every() -> String {
    "\"*\"".to_owned()
}

fn list(reactions: &[Reaction]) -> String {
    format!("[{}]", reactions.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// No reaction contains a quote or a backslash.
fn quoted(reaction: &Reaction) -> String {
    format!("\"{reaction}\"")
}
