//! From the file to [`Palettes`].

use std::collections::BTreeSet;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::ConfigError;
use super::super::document::{Document, did_you_mean, kind_of};
use super::super::error::plain;
use super::{KEYS, MAX_PALETTES, PaletteSettings, SECTION};
use crate::domain::{
    Exclusive, InvalidReaction, Palette, PaletteName, PaletteSpec, Palettes, Reaction,
};

type Value<'a> = Spanned<DeValue<'a>>;

/// What is wrong at an offset of the text, and what to do.
type Wrong = (usize, String, String);

const LIST: &str = "write a list of texts, such as [\"like\", \"👍\"], or \"*\"";
const GROUPS: &str = "write a list of lists, such as [[\"up\", \"down\"]], or \"*\"";
const ALIASES: &str = "write names and reactions in a section, such as \"+1\" = \"👍\"";

/// Reads the section `palettes`, whose name is at an offset of the text.
pub(in crate::config) fn read(
    document: Document<'_>,
    at: usize,
    value: &Value<'_>,
) -> Result<PaletteSettings, ConfigError> {
    let wrong = |at, key: String, problem: String, hint: String| {
        ConfigError::new(format!("{}: {key}", document.place(at)), problem, hint)
    };
    let DeValue::Table(section) = value.get_ref() else {
        let hint = "write [palettes.default], or another name, on a line of its own";
        let problem = "it is not written as sections".to_owned();
        return Err(wrong(at, SECTION.to_owned(), problem, hint.to_owned()));
    };
    if section.len() > MAX_PALETTES {
        let problem = format!("there are {}; at most {MAX_PALETTES} are possible", section.len());
        return Err(wrong(at, SECTION.to_owned(), problem, "leave some out".to_owned()));
    }
    let (mut palettes, mut given) = (Vec::new(), BTreeSet::new());
    for (name, value) in section {
        let at = name.span().start;
        let text = name.get_ref().as_ref();
        let shown = plain(text).unwrap_or_else(|| "…".to_owned());
        let DeValue::Table(table) = value.get_ref() else {
            let hint = match KEYS.iter().any(|key| key.name == text) {
                true => "write it in [palettes.default], or in another palette".to_owned(),
                false => format!("write [palettes.{shown}] on a line of its own"),
            };
            let problem = "it is not the section of a palette".to_owned();
            return Err(wrong(at, format!("{SECTION}.{shown}"), problem, hint));
        };
        let palette: PaletteName = text.parse().map_err(|why| {
            wrong(at, format!("[{SECTION}.{shown}]"), format!("{why}"), "rename it".to_owned())
        })?;
        let spec = spec(table, |at, key, problem, hint| {
            wrong(at, format!("{SECTION}.{shown}.{key}"), problem, hint)
        })?;
        let made = Palette::new(palette, spec).map_err(|why| {
            let mut keys = table.iter().map(|(key, _)| key);
            let at = keys.find(|key| key.get_ref() == why.key).map_or(at, |key| key.span().start);
            wrong(at, format!("{SECTION}.{shown}.{}", why.key), why.problem, why.hint.to_owned())
        })?;
        let own = KEYS.iter().filter(|key| table.contains_key(key.name));
        given.extend(own.map(|key| (text.to_owned(), key.name)));
        palettes.push(made);
    }
    Ok(PaletteSettings { palettes: Arc::new(Palettes::new(palettes)), given })
}

/// The palette of a section. `wrong` makes the error for a key.
fn spec(
    table: &DeTable<'_>,
    wrong: impl Fn(usize, &str, String, String) -> ConfigError,
) -> Result<PaletteSpec, ConfigError> {
    let mut spec = PaletteSpec::default();
    for (name, value) in table {
        let key = name.get_ref().as_ref();
        let read = match key {
            "reactions" => every_or(value, LIST, reactions).map(|read| spec.reactions = read),
            "exclusive" => every_or(value, GROUPS, groups).map(|read| {
                spec.exclusive = read.map_or(Exclusive::Everything, Exclusive::Groups);
            }),
            "aliases" => aliases(value).map(|read| spec.aliases = read),
            "max_kinds_per_post" => number(value).map(|n| spec.max_kinds_per_post = Some(n)),
            "max_per_user_and_post" => number(value).map(|n| spec.max_per_user_and_post = Some(n)),
            _ => {
                let hint =
                    did_you_mean(key, KEYS.iter().map(|key| key.name), |it| format!("`{it}`"));
                let shown = plain(key).unwrap_or_else(|| "a key".to_owned());
                let problem = "a palette has no such setting".to_owned();
                return Err(wrong(name.span().start, &shown, problem, hint));
            }
        };
        read.map_err(|(at, problem, hint)| wrong(at, key, problem, hint))?;
    }
    Ok(spec)
}

/// None for `"*"`.
fn every_or<T>(
    value: &Value<'_>,
    hint: &str,
    read: impl FnOnce(&Value<'_>) -> Result<T, Wrong>,
) -> Result<Option<T>, Wrong> {
    match value.get_ref().as_str() {
        Some("*") => Ok(None),
        Some(_) => Err(mistyped(value, hint)),
        None => read(value).map(Some),
    }
}

fn reactions(value: &Value<'_>) -> Result<Vec<Reaction>, Wrong> {
    let DeValue::Array(items) = value.get_ref() else { return Err(mistyped(value, LIST)) };
    items.iter().map(|item| reaction(item, LIST)).collect()
}

fn groups(value: &Value<'_>) -> Result<Vec<Vec<Reaction>>, Wrong> {
    let DeValue::Array(groups) = value.get_ref() else { return Err(mistyped(value, GROUPS)) };
    let group = |group: &Value<'_>| match group.get_ref() {
        DeValue::Array(items) => items.iter().map(|item| reaction(item, GROUPS)).collect(),
        _ => {
            let problem = format!("a group is {}", kind_of(group.get_ref()));
            Err((group.span().start, problem, GROUPS.to_owned()))
        }
    };
    groups.iter().map(group).collect()
}

fn aliases(value: &Value<'_>) -> Result<Vec<(Reaction, Reaction)>, Wrong> {
    let DeValue::Table(table) = value.get_ref() else { return Err(mistyped(value, ALIASES)) };
    let mut aliases = Vec::with_capacity(table.len());
    for (alias, meant) in table {
        let alias = parsed(alias.span().start, alias.get_ref())?;
        aliases.push((alias, reaction(meant, ALIASES)?));
    }
    Ok(aliases)
}

fn reaction(item: &Value<'_>, hint: &str) -> Result<Reaction, Wrong> {
    match item.get_ref().as_str() {
        Some(text) => parsed(item.span().start, text),
        None => {
            let problem = format!("a reaction is {}", kind_of(item.get_ref()));
            Err((item.span().start, problem, hint.to_owned()))
        }
    }
}

fn parsed(at: usize, text: &str) -> Result<Reaction, Wrong> {
    text.parse().map_err(|why: InvalidReaction| {
        let mut shown: String = text.chars().take(MAX_SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        (at, format!("`{shown}` is not a reaction"), why.to_string())
    })
}

/// How much of a wrong text an error shows.
const MAX_SHOWN: usize = 40;

/// Reads a number. Returns 0, which is invalid for every limit, if the number does not fit a `u32`.
fn number(value: &Value<'_>) -> Result<u32, Wrong> {
    let DeValue::Integer(number) = value.get_ref() else {
        return Err(mistyped(value, "write a whole number, without quotes"));
    };
    Ok(u32::from_str_radix(number.as_str(), number.radix()).unwrap_or(0))
}

fn mistyped(value: &Value<'_>, hint: &str) -> Wrong {
    let problem = format!("it is {}, which this setting does not take", kind_of(value.get_ref()));
    (value.span().start, problem, hint.to_owned())
}
