//! Palettes: what may be added to a post, what excludes each other, and how much of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use super::palette_spec::{MAX_KINDS_PER_POST, MAX_PER_USER_AND_POST};
use super::{
    DEFAULT_PALETTE, Exclusive, InvalidPalette, PaletteName, PaletteSpec, Reaction, Rules,
};

/// What may be added to the posts that use it.
#[derive(Clone, Debug)]
pub struct Palette {
    name: PaletteName,
    /// The reactions in their order, or None for every valid one.
    reactions: Option<Vec<Reaction>>,
    offered: Option<BTreeSet<Reaction>>,
    exclusive: Exclusive,
    aliases: HashMap<Reaction, Reaction>,
    max_kinds_per_post: u32,
    max_per_user_and_post: u32,
    /// Name and limits as one text, so that no tap has to format them.
    limits: String,
}

/// What a palette says of one reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The reaction that is counted.
    pub counted: &'a Reaction,
    /// Whether the name is an alias. Then users may have it under its own name, from a time before
    /// it became one.
    pub is_alias: bool,
    /// Whether it may be added.
    pub allowed: bool,
    /// What it excludes.
    pub group: Group<'a>,
}

/// The reactions that exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group<'a> {
    /// It excludes nothing.
    None,
    /// Every other reaction.
    All,
    /// These, among which it is itself.
    Of(&'a [Reaction]),
}

impl Group<'_> {
    /// Whether it has this reaction.
    pub fn has(&self, reaction: &Reaction) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(members) => members.contains(reaction),
        }
    }
}

impl Palette {
    /// Checks a palette.
    ///
    /// # Errors
    ///
    /// If something in it contradicts something else, or it is too large.
    pub fn new(name: PaletteName, spec: PaletteSpec) -> Result<Self, InvalidPalette> {
        spec.check()?;
        let PaletteSpec { reactions, exclusive, aliases, .. } = spec;
        let kinds = spec.max_kinds_per_post.unwrap_or(MAX_KINDS_PER_POST);
        let each = spec.max_per_user_and_post.unwrap_or(MAX_PER_USER_AND_POST);
        Ok(Self {
            limits: format!("{name} {kinds} {each}"),
            name,
            offered: reactions.as_ref().map(|reactions| reactions.iter().cloned().collect()),
            reactions,
            exclusive,
            aliases: aliases.into_iter().collect(),
            max_kinds_per_post: kinds,
            max_per_user_and_post: each,
        })
    }

    /// The palette of a name that the configuration does not have any more: it offers nothing.
    fn missing(name: PaletteName) -> Self {
        Self {
            limits: format!("{name} {MAX_KINDS_PER_POST} {MAX_PER_USER_AND_POST}"),
            name,
            reactions: Some(Vec::new()),
            offered: Some(BTreeSet::new()),
            exclusive: Exclusive::Nothing,
            aliases: HashMap::new(),
            max_kinds_per_post: MAX_KINDS_PER_POST,
            max_per_user_and_post: MAX_PER_USER_AND_POST,
        }
    }

    /// What it says of a reaction.
    pub fn verdict<'a>(&'a self, reaction: &'a Reaction) -> Verdict<'a> {
        let meant = self.aliases.get(reaction);
        let counted = meant.unwrap_or(reaction);
        Verdict {
            counted,
            is_alias: meant.is_some(),
            allowed: self.offered.as_ref().is_none_or(|offered| offered.contains(counted)),
            group: self.group(counted),
        }
    }

    fn group(&self, reaction: &Reaction) -> Group<'_> {
        match &self.exclusive {
            Exclusive::Nothing => Group::None,
            Exclusive::Everything => Group::All,
            Exclusive::Groups(groups) => {
                let own = groups.iter().find(|group| group.contains(reaction));
                own.map_or(Group::None, |group| Group::Of(group))
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &PaletteName {
        &self.name
    }

    /// Its reactions in their order; None if it offers every valid one.
    pub fn reactions(&self) -> Option<&[Reaction]> {
        self.reactions.as_deref()
    }

    /// What excludes each other in it.
    pub fn exclusive(&self) -> &Exclusive {
        &self.exclusive
    }

    /// Its aliases, sorted, each with the reaction that it names.
    pub fn aliases(&self) -> BTreeMap<&Reaction, &Reaction> {
        self.aliases.iter().collect()
    }

    /// Its name and its two limits, with a space between each.
    pub fn limits(&self) -> &str {
        &self.limits
    }

    /// The most different reactions of a post.
    pub fn max_kinds_per_post(&self) -> u32 {
        self.max_kinds_per_post
    }

    /// The most reactions of a user on a post.
    pub fn max_per_user_and_post(&self) -> u32 {
        self.max_per_user_and_post
    }
}

/// All palettes of a service.
#[derive(Clone, Debug)]
pub struct Palettes {
    default: Arc<Palette>,
    others: BTreeMap<PaletteName, Arc<Palette>>,
}

static UNCONFIGURED: LazyLock<Arc<Palettes>> = LazyLock::new(|| Arc::new(Palettes::new([])));

impl Palettes {
    /// These palettes. If `default` is not among them, it offers every valid reaction.
    ///
    /// # Panics
    ///
    /// Never: the name of the default palette is valid.
    pub fn new(palettes: impl IntoIterator<Item = Palette>) -> Self {
        let named = palettes.into_iter().map(|it| (it.name.clone(), Arc::new(it)));
        let mut others: BTreeMap<_, _> = named.collect();
        let name: PaletteName = DEFAULT_PALETTE.parse().expect("a valid name");
        let any = || Palette { offered: None, reactions: None, ..Palette::missing(name.clone()) };
        let default = others.remove(&name).unwrap_or_else(|| Arc::new(any()));
        Self { default, others }
    }

    /// The palettes of a service without configuration.
    pub fn unconfigured() -> Arc<Self> {
        Arc::clone(&UNCONFIGURED)
    }

    /// The palette of posts without rules.
    pub fn default_palette(&self) -> &Arc<Palette> {
        &self.default
    }

    /// The palette that a post's rules name. If the configuration has no such palette any more, one
    /// that offers nothing.
    pub fn of(&self, rules: &Rules) -> Arc<Palette> {
        match &rules.palette {
            None => Arc::clone(&self.default),
            Some(name) => self.of_name(name),
        }
    }

    /// The palette of this name; if the configuration has none, one that offers nothing.
    pub fn of_name(&self, name: &PaletteName) -> Arc<Palette> {
        self.named(name).unwrap_or_else(|| Arc::new(Palette::missing(name.clone())))
    }

    /// The palette of this name, if there is one.
    pub fn named(&self, name: &PaletteName) -> Option<Arc<Palette>> {
        let all = |name| self.others.get(name).cloned();
        if *name == self.default.name { Some(Arc::clone(&self.default)) } else { all(name) }
    }

    /// All of them; `default` comes first.
    pub fn iter(&self) -> impl Iterator<Item = &Palette> {
        std::iter::once(&*self.default).chain(self.others.values().map(|palette| &**palette))
    }
}

#[cfg(test)]
#[path = "palette_tests.rs"]
mod tests;
