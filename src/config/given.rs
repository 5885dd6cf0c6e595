//! Where each setting comes from: flag > variable > file > default, merged once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::config_file;
use super::error::nearest;
use super::palettes::PaletteSettings;
use super::redis::PASSWORD_VARIABLE;
use super::setting::Setting;
use super::{ConfigError, Flags};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// The environment.
    Variable,
    /// The file that `--config` names.
    File,
    /// None of them gave one.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flag => "flag",
            Self::Variable => "variable",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// The value that won, and what gave it.
#[derive(Clone, Debug)]
struct Winner {
    source: Source,
    /// The name of the setting there.
    name: String,
    /// The file and the line, for a value of the file.
    place: Option<String>,
    values: Vec<OsString>,
}

/// The values that flags, variables or the file gave, by key. All others have their default.
#[derive(Clone, Debug, Default)]
pub struct Given {
    winners: BTreeMap<String, Winner>,
    /// The palettes, which only the file can give.
    pub(super) palettes: PaletteSettings,
}

impl Given {
    /// Merges the flags, the variables of this process and the file.
    pub(super) fn merge(flags: &Flags, settings: &[Setting<'_>]) -> Result<Self, ConfigError> {
        let mut given = Self::default();
        for setting in settings {
            if let Some(values) = by_flag(&flags.matches, setting.key()) {
                let name = setting.spelled(&flags.args);
                given.add(*setting, Winner { source: Source::Flag, name, place: None, values });
            }
        }
        for (setting, name, value) in by_variable(settings)? {
            let values = vec![value];
            given.add(setting, Winner { source: Source::Variable, name, place: None, values });
        }
        if let Some(Winner { name, values, .. }) = given.winners.get("config") {
            let path = values.first().map(OsString::as_os_str).unwrap_or_default();
            let file = config_file::read(name, Path::new(path), settings)?;
            given.palettes = file.palettes;
            for entry in file.entries {
                let section = entry.setting.section().unwrap_or_default();
                let name = format!("{section}.{}", entry.setting.key());
                let (place, values) = (Some(entry.place), entry.values);
                given.add(entry.setting, Winner { source: Source::File, name, place, values });
            }
        }
        Ok(given)
    }

    /// The first source with a value wins. Lists replace each other; they are not joined.
    fn add(&mut self, setting: Setting<'_>, winner: Winner) {
        self.winners.entry(setting.key().to_owned()).or_insert(winner);
    }

    /// Where the value of a setting comes from.
    pub fn source(&self, key: &str) -> Source {
        self.winners.get(key).map_or(Source::Default, |winner| winner.source)
    }

    /// The given values as a command line.
    pub(super) fn arguments(&self) -> impl Iterator<Item = OsString> {
        let one = |key: &str, value: &OsStr| {
            let mut argument = OsString::from(flag(key) + "=");
            argument.push(value);
            argument
        };
        let all = self.winners.iter();
        all.flat_map(move |(key, winner)| winner.values.iter().map(move |value| one(key, value)))
    }

    /// An error of another room names a flag. If a variable or the file gave the value, this puts
    /// the name of the variable or the key there.
    pub fn name(&self, error: ConfigError) -> ConfigError {
        ConfigError {
            key: self.name_in(&error.key),
            problem: self.rename(&error.problem),
            hint: self.rename(&error.hint),
        }
    }

    /// The same for a line that begins with a flag.
    pub fn name_in(&self, line: &str) -> String {
        let begins = |(setting, _): &(&String, &Winner)| {
            let flag = flag(setting);
            let rest = line.strip_prefix(&*flag);
            rest.is_some_and(|rest| !rest.starts_with(is_in_a_name))
        };
        let place = self.winners.iter().find(begins).and_then(|(_, winner)| winner.place.as_ref());
        let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
        place + &self.rename(line)
    }

    fn rename(&self, text: &str) -> String {
        let one = |text: String, (setting, winner): (&String, &Winner)| {
            replace_flag(&text, &flag(setting), &winner.name)
        };
        self.winners.iter().fold(text.to_owned(), one)
    }
}

/// The values that the command line gives.
fn by_flag(matches: &ArgMatches, key: &str) -> Option<Vec<OsString>> {
    let given = matches.value_source(key) == Some(ValueSource::CommandLine);
    given.then(|| matches.get_raw(key).into_iter().flatten().map(OsString::from).collect())
}

/// The values of variables. An empty variable counts as unset: compose files and unit files set a
/// variable to nothing when they mean to set none.
fn by_variable<'a>(
    settings: &[Setting<'a>],
) -> Result<Vec<(Setting<'a>, String, OsString)>, ConfigError> {
    let mut given: Vec<(Setting<'a>, String, OsString)> = Vec::new();
    let mut ours: Vec<_> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(name, value)| name.starts_with("ONETAP_") && !value.is_empty())
        .collect();
    ours.sort();
    for (name, value) in ours {
        let is_it = |setting: &&Setting<'_>| setting.variables().any(|known| known == name);
        match settings.iter().find(is_it) {
            Some(setting) => {
                let same = |(other, ..): &&(Setting<'_>, _, _)| other.key() == setting.key();
                if let Some((_, other, _)) = given.iter().find(same) {
                    let problem = format!("it is another name of {other}, and both are set");
                    return Err(ConfigError::new(name, problem, "unset one of them"));
                }
                if value.to_str().is_none() && !setting.is_path() {
                    return Err(ConfigError::new(name, "it is not UTF-8", "write it in UTF-8"));
                }
                given.push((*setting, name, value));
            }
            None if name == PASSWORD_VARIABLE || is_foreign(&name, &value) => {}
            None => return Err(unknown_variable(&name, settings)),
        }
    }
    Ok(given)
}

/// Variables that others set: Kubernetes for services named `onetap` or `onetap-…`, our tests and
/// benches, and the back end in the documentation.
fn is_foreign(name: &str, value: &OsStr) -> bool {
    let whole = ["ONETAP_PORT", "ONETAP_BIN", "ONETAP_URL"];
    let begin = ["ONETAP_PORT_", "ONETAP_TEST_", "ONETAP_FAULT_"];
    let own = whole.contains(&name) || begin.iter().any(|begin| name.starts_with(begin));
    // A port may also be a mistaken setting. Kubernetes gives it the form of an address.
    let is_address = value.to_str().is_some_and(|value| value.contains("://"));
    own || name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT") && is_address
        || ["_TCP", "_UDP", "_SCTP"]
            .iter()
            .any(|kind| name.contains(kind) && name.contains("_PORT_"))
}

fn unknown_variable(name: &str, settings: &[Setting<'_>]) -> ConfigError {
    let known: Vec<_> = settings.iter().map(|setting| setting.variable()).collect();
    // All begin with `ONETAP_`, which would make all of them similar.
    let short = |name| str::strip_prefix(name, "ONETAP_").unwrap_or(name);
    let known = known.iter().map(|known| short(known)).chain([short(PASSWORD_VARIABLE)]);
    let hint = match nearest(short(name), known) {
        Some(meant) => format!("did you mean ONETAP_{meant}?"),
        None => "unset it; onetap --help names the flags, and each flag is a variable".into(),
    };
    ConfigError::new(name, "onetap has no such variable", hint)
}

/// Replaces a flag by another name, but not inside a longer flag that begins with it.
fn replace_flag(line: &str, flag: &str, name: &str) -> String {
    let mut parts = line.split(flag);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, rest| {
        line + if rest.starts_with(is_in_a_name) { flag } else { name } + rest
    })
}

fn is_in_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}
