//! The file that `--config` names.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::document::{Document, did_you_mean, kind_of};
use super::error::{nearest, plain};
use super::palettes::{self, PaletteSettings};
use super::setting::{Kind, Setting};

/// A longer file is a mistake, and reading a device might never end.
const MOST_BYTES: u64 = 1 << 20;

/// A setting in the file.
pub(super) struct Entry<'a> {
    pub(super) setting: Setting<'a>,
    pub(super) values: Vec<OsString>,
    /// `FILE:LINE`.
    pub(super) place: String,
}

/// What the file has.
pub(super) struct Contents<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) palettes: PaletteSettings,
}

/// Reads the file. `key` is the name of the flag or variable that gave its path.
pub(super) fn read<'a>(
    key: &str,
    path: &Path,
    settings: &[Setting<'a>],
) -> Result<Contents<'a>, ConfigError> {
    let key = format!("{key} {}", path.display());
    let text = text(path).map_err(|(problem, hint)| ConfigError::new(key, problem, hint))?;
    let document = DeTable::parse(&text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let place = Document { path, text: &text }.place(span.start);
        if error.message().contains("duplicate key") {
            let name = text.get(span).and_then(plain).unwrap_or_else(|| "a name".into());
            let key = format!("{place}: {name}");
            return ConfigError::new(key, "it is there twice", "write each section and key once");
        }
        let hint = "write TOML, as `onetap default-config` prints it";
        ConfigError::new(place, error.message().replace('\n', " "), hint)
    })?;
    contents(Document { path, text: &text }, document.get_ref(), settings)
}

fn text(path: &Path) -> Result<String, (String, &'static str)> {
    // To open a pipe would wait for somebody who writes into it.
    if fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo()) {
        return Err(("it is a pipe".into(), "name a file; a pipe can be read only once"));
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(match error.kind() {
            ErrorKind::NotFound => {
                ("there is no such file".into(), "`onetap default-config` prints one to begin with")
            }
            ErrorKind::IsADirectory => ("it is a directory".into(), "name a file in it"),
            ErrorKind::PermissionDenied => {
                ("this user may not read it".into(), "give the user the right, or choose another")
            }
            _ => (error.to_string(), "name a text file that can be read"),
        });
    }
    if bytes.len() as u64 > MOST_BYTES {
        return Err(("it is larger than 1 MiB".into(), "name a configuration file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        (format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

fn contents<'a>(
    document: Document<'_>,
    sections: &DeTable<'_>,
    settings: &[Setting<'a>],
) -> Result<Contents<'a>, ConfigError> {
    let (mut entries, mut own_palettes) = (Vec::new(), PaletteSettings::default());
    for (section, value) in sections {
        let (at, section) = (section.span().start, section.get_ref().as_ref());
        if section == palettes::SECTION {
            own_palettes = palettes::read(document, at, value)?;
            continue;
        }
        let place = document.place(at);
        let known = || settings.iter().filter_map(|setting| setting.section());
        let every = || known().chain([palettes::SECTION]);
        let table = match value.get_ref() {
            DeValue::Table(table) if known().any(|known| known == section) => table,
            DeValue::Table(_) => {
                let hint = did_you_mean(section, every(), |meant| format!("[{meant}]"));
                let name = plain(section).unwrap_or_else(|| "…".into());
                let key = format!("{place}: [{name}]");
                return Err(ConfigError::new(key, "onetap has no such section", hint));
            }
            _ if known().any(|known| known == section) => {
                let mut hint = format!("write [{section}] on a line of its own");
                if settings.iter().any(|setting| setting.key() == section) {
                    hint += &format!(", and the setting `{section}` below it");
                }
                let key = format!("{place}: {section}");
                return Err(ConfigError::new(key, "it is not written as a section", hint));
            }
            _ => return Err(unknown(&place, "", section, settings)),
        };
        for (name, value) in table {
            let place = document.place(name.span().start);
            let name = name.get_ref().as_ref();
            let own =
                |known: &&Setting<'_>| known.section() == Some(section) && known.key() == name;
            let Some(setting) = settings.iter().find(own).copied() else {
                return Err(unknown(&place, section, name, settings));
            };
            let values = values(setting.kind(), value).map_err(|(problem, hint)| {
                ConfigError::new(format!("{place}: {section}.{name}"), problem, hint)
            })?;
            entries.push(Entry { setting, values, place });
        }
    }
    Ok(Contents { entries, palettes: own_palettes })
}

/// The error for an unknown key, or for a key in the wrong section.
fn unknown(place: &str, section: &str, name: &str, settings: &[Setting<'_>]) -> ConfigError {
    let elsewhere = settings.iter().find(|known| known.key() == name);
    let (problem, hint) = match elsewhere.and_then(|known| known.section()) {
        Some(right) => ("it is not in its section", format!("write it in [{right}]")),
        None => {
            // Look for a similar name in the same section first, and then in the others.
            let of = |own: bool| {
                let of = move |known: &&Setting<'_>| (known.section() == Some(section)) == own;
                settings.iter().filter(of).filter(|known| known.section().is_some())
            };
            let own = nearest(name, of(true).map(|known| known.key()));
            let keys = of(own.is_some()).map(|known| known.key());
            let hint = did_you_mean(name, keys, |meant| {
                let found = settings.iter().find(|known| known.key() == meant);
                let right = found.and_then(|known| known.section()).unwrap_or_default();
                if right == section {
                    format!("`{meant}`")
                } else {
                    format!("`{meant}` in [{right}]")
                }
            });
            ("onetap has no such setting", hint)
        }
    };
    // Do not repeat what may be a password written into the wrong place.
    let name = plain(name).unwrap_or_else(|| "a key".into());
    let key = if section.is_empty() { name } else { format!("{section}.{name}") };
    ConfigError::new(format!("{place}: {key}"), problem, hint)
}

/// The values as on a command line. An error does not repeat what the file contains, which may be a
/// password.
fn values(
    kind: Kind,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<OsString>, (String, &'static str)> {
    let integer = |number: &toml::de::DeInteger<'_>| {
        i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
    };
    let one = match (kind, value.get_ref()) {
        (Kind::Switch, DeValue::Boolean(on)) => Some(on.to_string()),
        (Kind::Number | Kind::Decimal | Kind::Quantity, DeValue::Integer(number)) => {
            integer(number)
        }
        (Kind::Decimal, DeValue::Float(number)) => Some(number.as_str().to_owned()),
        (Kind::Quantity | Kind::Text, DeValue::String(text)) => Some(text.to_string()),
        (Kind::List, DeValue::Array(items)) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(OsString::from));
            return texts.collect::<Option<Vec<_>>>().ok_or_else(|| wrong(kind, value));
        }
        _ => None,
    };
    one.map(|text| vec![text.into()]).ok_or_else(|| wrong(kind, value))
}

fn wrong(kind: Kind, value: &Spanned<DeValue<'_>>) -> (String, &'static str) {
    let hint = match kind {
        Kind::Switch => "write true or false, without quotes",
        Kind::Number => "write a whole number, without quotes",
        Kind::Decimal => "write a number such as 0.5, without quotes",
        Kind::Quantity => "write a number with its unit in quotes, such as \"2s\" or \"64KiB\"",
        Kind::Text => "write a text in quotes",
        Kind::List => "write a list of texts, such as [\"a\", \"b\"]",
    };
    let found = match value.get_ref() {
        DeValue::Array(_) if kind == Kind::List => "a list of something else than texts",
        other => kind_of(other),
    };
    (format!("it is {found}, which this setting does not take"), hint)
}
