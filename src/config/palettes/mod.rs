//! `[palettes.NAME]`: what may be tapped. Only the file has palettes, since a flag could not spell
//! them well.

mod read;
mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use read::read;

use crate::domain::Palettes;

/// The section of the file that has the palettes, each in a section of its own.
pub(super) const SECTION: &str = "palettes";

/// The greatest number of palettes. Together with the limits of each palette, it limits the size of
/// the answer to `GET /v1/palettes`.
const MAX_PALETTES: usize = 32;

/// What a palette is, for the file.
pub(super) const MEANING: &str = "A palette says what may be added to a post, and how much. Posts \
     use the palette `default`; a moderator may give a post another one. Its name has 1 to 32 \
     characters a-z 0-9 _ -. A change holds after a reload (SIGHUP). For example:";

/// An example of a palette with all keys. `default-config` prints it as a comment.
pub(super) const EXAMPLE: &str = r##"#     [palettes.default]
#     reactions = ["like", "love", "up", "down", "👍"]
#     exclusive = [["up", "down"]]
#     aliases = { "+1" = "👍" }
#     max_kinds_per_post = 20
#     max_per_user_and_post = 3
"##;

/// A key of a palette. The default configuration file and the table in docs/operations.md show its
/// meaning and default.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// In TOML.
    pub(super) default: &'static str,
    pub(super) meaning: &'static str,
}

pub(super) const KEYS: [Key; 5] = [
    Key {
        name: "reactions",
        default: r#""*""#,
        meaning: "What may be added to a post, in the order in which front ends offer it: a list of \
                  1 to 100 reactions, or \"*\" for every valid name and every emoji.",
    },
    Key {
        name: "exclusive",
        default: "[]",
        meaning: "Groups of reactions of which a user has at most one on a post; adding one \
                  removes the others. A list of lists with at most 100 reactions together, or \
                  \"*\" if all reactions exclude each other.",
    },
    Key {
        name: "aliases",
        default: "{}",
        meaning: "Other names of reactions, at most 100: `{ \"+1\" = \"👍\" }` counts a tap on +1 \
                  as one on 👍.",
    },
    Key {
        name: "max_kinds_per_post",
        default: "20",
        meaning: "The most different reactions that a post may have, 1 to 100.",
    },
    Key {
        name: "max_per_user_and_post",
        default: "20",
        meaning: "The most reactions that a user may have on a post, 1 to 100.",
    },
];

/// The palettes of the file, and which of their keys it gives.
#[derive(Clone, Debug)]
pub(super) struct PaletteSettings {
    pub(super) palettes: Arc<Palettes>,
    /// Each palette and key.
    given: BTreeSet<(String, &'static str)>,
}

impl Default for PaletteSettings {
    fn default() -> Self {
        Self { palettes: Palettes::unconfigured(), given: BTreeSet::new() }
    }
}
