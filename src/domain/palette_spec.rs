//! A palette as the configuration writes it. It may not contradict itself, nor be so large that a
//! tap or an answer becomes large.

use std::collections::{BTreeMap, BTreeSet};

use super::Reaction;

/// How many different reactions a post may have, unless its palette says otherwise.
pub const MAX_KINDS_PER_POST: u32 = 20;
/// How many reactions a user may have on a post, unless its palette says otherwise.
pub const MAX_PER_USER_AND_POST: u32 = 20;

/// The most reactions, the most reactions in exclusive groups, and the most aliases of a palette.
/// A tap carries the exclusive group of its reaction, so this bounds what goes to the store.
pub const MAX_PALETTE_REACTIONS: usize = 100;

/// The greatest limit that a palette may set: what a tap looks at grows with it.
pub const MAX_PALETTE_LIMIT: u32 = 100;

/// A palette as the configuration writes it, not checked yet.
#[derive(Clone, Debug, Default)]
pub struct PaletteSpec {
    /// The reactions in their order; every valid one if none are listed.
    pub reactions: Option<Vec<Reaction>>,
    /// What excludes each other.
    pub exclusive: Exclusive,
    /// Other names of reactions.
    pub aliases: Vec<(Reaction, Reaction)>,
    /// The most different reactions of a post; [`MAX_KINDS_PER_POST`] if not said.
    pub max_kinds_per_post: Option<u32>,
    /// The most reactions of a user on a post; [`MAX_PER_USER_AND_POST`] if not said.
    pub max_per_user_and_post: Option<u32>,
}

/// Which reactions exclude each other: a user has at most one of a group on a post.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Exclusive {
    /// None.
    #[default]
    Nothing,
    /// All of them.
    Everything,
    /// Those of each group.
    Groups(Vec<Vec<Reaction>>),
}

/// Why a palette is refused: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {hint}")]
pub struct InvalidPalette {
    /// The key of the palette that is wrong.
    pub key: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub hint: &'static str,
}

type Checked = Result<(), InvalidPalette>;

fn wrong(key: &'static str, problem: impl Into<String>, hint: &'static str) -> Checked {
    Err(InvalidPalette { key, problem: problem.into(), hint })
}

impl PaletteSpec {
    pub(super) fn check(&self) -> Checked {
        reactions(self)?;
        exclusive(self)?;
        aliases(self)?;
        limit("max_kinds_per_post", self.max_kinds_per_post)?;
        limit("max_per_user_and_post", self.max_per_user_and_post)
    }

    /// Whether the palette has a reaction.
    fn has(&self, reaction: &Reaction) -> bool {
        self.reactions.as_ref().is_none_or(|reactions| reactions.contains(reaction))
    }
}

fn reactions(spec: &PaletteSpec) -> Checked {
    const KEY: &str = "reactions";
    let Some(reactions) = &spec.reactions else { return Ok(()) };
    if reactions.is_empty() {
        return wrong(KEY, "it is empty", "list a reaction, or write \"*\" for every one");
    }
    size(KEY, "reactions", reactions.len())?;
    match first_double(reactions) {
        Some(twice) => wrong(KEY, format!("{twice} is listed twice"), "list it once"),
        None => Ok(()),
    }
}

fn exclusive(spec: &PaletteSpec) -> Checked {
    const KEY: &str = "exclusive";
    let Exclusive::Groups(groups) = &spec.exclusive else { return Ok(()) };
    let all = groups.concat();
    size(KEY, "reactions", all.len())?;
    if let Some(twice) = first_double(&all) {
        let problem = format!("{twice} is in two groups, or twice in one");
        return wrong(KEY, problem, "put it into one group");
    }
    if let Some(unknown) = all.iter().find(|reaction| !spec.has(reaction)) {
        let problem = format!("{unknown} is not one of the palette's reactions");
        return wrong(KEY, problem, "add it to reactions, or leave it out here");
    }
    if let Some((alias, meant)) = spec.aliases.iter().find(|(alias, _)| all.contains(alias)) {
        let problem = format!("{alias} is an alias, and counts as {meant}");
        return wrong(KEY, problem, "name the reaction that is counted");
    }
    if groups.iter().any(|group| group.len() < 2) {
        let problem = "a group has fewer than two reactions";
        return wrong(KEY, problem, "list at least two, or leave the group out");
    }
    Ok(())
}

fn aliases(spec: &PaletteSpec) -> Checked {
    const KEY: &str = "aliases";
    size(KEY, "aliases", spec.aliases.len())?;
    let mut counted: BTreeMap<&Reaction, &Reaction> = BTreeMap::new();
    for (alias, meant) in &spec.aliases {
        if counted.insert(alias, meant).is_some() {
            return wrong(KEY, format!("two aliases are {alias}"), "write each alias once");
        }
    }
    for (alias, meant) in &spec.aliases {
        if alias == meant {
            return wrong(KEY, format!("{alias} names itself"), "leave it out");
        }
        if counted.contains_key(meant) {
            let problem = format!("{alias} names {meant}, which is an alias itself");
            return wrong(KEY, problem, "name the reaction that is counted");
        }
        if spec.reactions.is_some() && spec.has(alias) {
            let problem = format!("{alias} is one of the palette's reactions");
            return wrong(KEY, problem, "list it in reactions or in aliases, not in both");
        }
        if !spec.has(meant) {
            let problem = format!("{alias} names {meant}, which the palette does not have");
            return wrong(KEY, problem, "name one of its reactions");
        }
    }
    Ok(())
}

fn size(key: &'static str, what: &str, size: usize) -> Checked {
    if size <= MAX_PALETTE_REACTIONS {
        return Ok(());
    }
    let problem = format!("it has {size} {what}; at most {MAX_PALETTE_REACTIONS} are possible");
    let hint = match key {
        "aliases" => "leave some out",
        _ => "leave some out, or write \"*\" for every one",
    };
    wrong(key, problem, hint)
}

fn limit(key: &'static str, limit: Option<u32>) -> Checked {
    match limit {
        Some(limit) if !(1..=MAX_PALETTE_LIMIT).contains(&limit) => {
            let problem = format!("it is not a whole number from 1 to {MAX_PALETTE_LIMIT}");
            wrong(key, problem, "write another number")
        }
        _ => Ok(()),
    }
}

fn first_double(reactions: &[Reaction]) -> Option<&Reaction> {
    let mut seen = BTreeSet::new();
    reactions.iter().find(|reaction| !seen.insert(*reaction))
}
