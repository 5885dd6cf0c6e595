//! A configuration error: which setting, what is wrong, what to do.

use std::error::Error as _;
use std::fmt;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::units;

/// A configuration error, as one line that says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting as the operator spelled it. Empty if no single setting is at fault.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do. Empty if the problem already says it.
    pub hint: String,
}

impl ConfigError {
    /// An error of a setting.
    pub fn new(
        key: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { key: key.into(), problem: problem.into(), hint: hint.into() }
    }

    /// An error from a text of another room: `PROBLEM; HINT`.
    pub fn told(key: impl Into<String>, text: &str) -> Self {
        let (problem, hint) = text.split_once("; ").unwrap_or((text, ""));
        Self::new(key, problem, hint)
    }

    /// An error from one of clap. It repeats no values: one may be a password.
    pub(super) fn from_clap(error: &clap::Error) -> Self {
        let context = |kind| error.get(kind).map(text).unwrap_or_default();
        let flag = context(ContextKind::InvalidArg);
        let key = plain(flag.split([' ', '=', '[']).next().unwrap_or_default());
        let key = key.unwrap_or_default();
        let meant = |kind, or: &str| match context(kind) {
            meant if meant.is_empty() => or.to_owned(),
            meant => format!("did you mean `{meant}`?"),
        };
        let help = "see onetap --help";
        let line = || "the command line".to_owned();
        match error.kind() {
            ErrorKind::ValueValidation => {
                let why = error.source().map(ToString::to_string).unwrap_or_default();
                Self::told(key, &why)
            }
            ErrorKind::InvalidValue => match context(ContextKind::ValidValue) {
                known if known.is_empty() => Self::new(key, "it has no value", "give one"),
                known => Self::new(key, "it has no such value", format!("give one of: {known}")),
            },
            ErrorKind::ArgumentConflict => Self::new(key, "it is given twice", "give it once"),
            ErrorKind::UnknownArgument if key.is_empty() => {
                Self::new(line(), "onetap does not know one of the arguments", help)
            }
            ErrorKind::UnknownArgument if !key.starts_with('-') => {
                Self::new(key, "onetap takes no such argument here", help)
            }
            ErrorKind::UnknownArgument => {
                Self::new(key, "onetap has no such flag", meant(ContextKind::SuggestedArg, help))
            }
            ErrorKind::InvalidSubcommand => match plain(&context(ContextKind::InvalidSubcommand)) {
                None => Self::new(line(), "onetap does not know one of the arguments", help),
                Some(word) if units::switch(&word).is_ok() => Self::new(
                    word,
                    "onetap has no such command",
                    "write switches as --strict=false",
                ),
                Some(word) => {
                    let meant = meant(ContextKind::SuggestedSubcommand, help);
                    Self::new(word, "onetap has no such command", meant)
                }
            },
            ErrorKind::MissingRequiredArgument => Self::new(flag, "required and not given", help),
            _ => Self::new(key, first_paragraph(&error.render().to_string()), help),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(&self.key, ": "), (&self.problem, "; "), (&self.hint, "")];
        let said: Vec<_> = parts.iter().filter(|(part, _)| !part.is_empty()).collect();
        for (i, (part, joint)) in said.iter().enumerate() {
            f.write_str(&in_one_line(&without_passwords(part)))?;
            if i + 1 < said.len() {
                f.write_str(joint)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A value may contain line breaks and other control characters.
fn in_one_line(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// An address in the wrong place may contain a password.
fn without_passwords(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(|c: char| c.is_whitespace() || c == '`').unwrap_or(after.len());
        shown = shown + before + "://";
        rest = match after[..end].rfind('@') {
            Some(host) => {
                shown += "***";
                &after[host..]
            }
            None => after,
        };
    }
    shown + rest
}

/// The known name that is most similar to a misspelt one, if one is similar enough.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    let near = known.into_iter().filter(|known| likeness(known) > 0.8);
    near.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(all) => {
            let names = all.iter().map(|one| one.split(' ').next().unwrap_or_default());
            names.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// The word, if it cannot contain a password. Callers do not repeat anything else.
pub(super) fn plain(word: &str) -> Option<String> {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    (is_plain && !word.is_empty()).then(|| word.to_owned())
}

fn first_paragraph(rendered: &str) -> String {
    let first = rendered.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}
