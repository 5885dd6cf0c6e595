//! The settings as text: `check-config`, `default-config`, and the tables of the guide.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use bytesize::ByteSize;
use clap::ArgMatches;

use super::cli::definitions;
use super::redis::PASSWORD_VARIABLE;
use super::setting::{Kind, Setting};
use super::store::StoreUrl;
use super::{CollectorUrl, Listen, OrNone, Settings, Source, palettes, units};
use crate::http::{BasePath, HostName, Network, Origin};

/// The width of comments in the file.
const COMMENT_COLUMNS: usize = 100;

/// What a reload takes over.
const RELOADED: [&str; 1] = ["log"];

impl Settings {
    /// The settings that differ from others, and that a reload does not take over.
    pub fn need_restart(&self, others: &Self) -> Vec<String> {
        let command = definitions();
        // `shown` leaves out the password of a store, so the stores themselves are compared.
        let store = |of: &Self| of.sections.store.store.clone();
        let other_store = store(self) != store(others);
        let differs = |key: &str| {
            key == "store" && other_store
                || shown(&self.matches, key) != shown(&others.matches, key)
        };
        let all = Setting::all(&command).into_iter();
        let all = all.filter(|setting| !RELOADED.contains(&setting.key()));
        all.filter(|setting| differs(setting.key())).map(Setting::flag).collect()
    }

    /// Each setting with the source of its value, and the value unless it is secret.
    pub fn describe(&self) -> String {
        let command = definitions();
        let kind = self.sections.store.store.section();
        let mut table = String::new();
        let mut last = None;
        for setting in Setting::all(&command) {
            let section = setting.section();
            if section != last {
                let section = section.unwrap_or_default();
                let other = ["memory", "file", "redis"].contains(&section) && section != kind;
                let unused = if other { " (another kind of store, not used)" } else { "" };
                let _ = writeln!(table, "\n[{section}]{unused}");
                last = setting.section();
            }
            let value = shown(&self.matches, setting.key()).unwrap_or_else(|| {
                let words = setting.default_in_words();
                match setting.key() {
                    "threads" => format!("{} ({words})", super::cores()),
                    _ => words,
                }
            });
            row(&mut table, &setting.flag(), self.given.source(setting.key()), &value);
            if setting.key() == "redis_password_file" {
                let set = std::env::var_os(PASSWORD_VARIABLE).is_some_and(|it| !it.is_empty());
                let (source, value) =
                    if set { (Source::Variable, "***") } else { (Source::Default, "none") };
                row(&mut table, PASSWORD_VARIABLE, source, value);
            }
        }
        for (name, rows) in self.given.palettes.rows() {
            let _ = writeln!(table, "\n[{}.{name}]", palettes::SECTION);
            rows.iter().for_each(|(key, source, value)| row(&mut table, key, *source, value));
        }
        table
    }
}

fn row(table: &mut String, name: &str, source: Source, value: &str) {
    let _ = writeln!(table, "{name:<32}{source:<10}{value}");
}

/// A value in the usual spelling of its type, or as the caller gave it.
fn shown(matches: &ArgMatches, key: &str) -> Option<String> {
    fn all<T: Clone + Send + Sync + 'static>(
        matches: &ArgMatches,
        key: &str,
        show: impl Fn(&T) -> String,
    ) -> Option<String> {
        let values = matches.try_get_many::<T>(key).ok()??;
        Some(values.map(show).collect::<Vec<_>>().join(", "))
    }
    fn plain<T: Display + Clone + Send + Sync + 'static>(
        matches: &ArgMatches,
        key: &str,
    ) -> Option<String> {
        all::<T>(matches, key, ToString::to_string)
    }
    fn as_given(matches: &ArgMatches, key: &str) -> Option<String> {
        let values = matches.try_get_raw(key).ok()??;
        Some(values.map(|value| value.display().to_string()).collect::<Vec<_>>().join(", "))
    }
    plain::<bool>(matches, key)
        .or_else(|| plain::<u32>(matches, key))
        .or_else(|| plain::<f64>(matches, key))
        .or_else(|| plain::<Listen>(matches, key))
        .or_else(|| plain::<OrNone<Listen>>(matches, key))
        .or_else(|| plain::<OrNone<CollectorUrl>>(matches, key))
        .or_else(|| plain::<StoreUrl>(matches, key))
        .or_else(|| plain::<HostName>(matches, key))
        .or_else(|| plain::<Network>(matches, key))
        .or_else(|| plain::<BasePath>(matches, key))
        .or_else(|| plain::<Origin>(matches, key))
        .or_else(|| all(matches, key, |time: &Duration| units::show_duration(*time)))
        .or_else(|| all(matches, key, |size: &ByteSize| units::show_size(*size)))
        .or_else(|| as_given(matches, key))
}

/// A configuration file with every setting, commented out.
pub fn default_config() -> String {
    let mut file = String::new();
    comment(
        &mut file,
        "Settings of onetap. A flag goes before a variable, a variable before this file. To change \
         a setting, remove the # before its name. Durations and sizes have units, such as \"2s\" \
         or \"64KiB\". Relative paths begin in the directory in which onetap is started.",
    );
    let command = definitions();
    let mut last = "";
    for setting in Setting::all(&command) {
        let Some(section) = setting.section() else { continue };
        if section != last {
            let _ = write!(file, "\n\n[{section}]\n");
            last = section;
        }
        file.push('\n');
        comment(&mut file, &setting.meaning());
        let value = match (setting.kind(), setting.default()) {
            (Kind::Switch | Kind::Number | Kind::Decimal, Some(value)) => value.to_owned(),
            (_, Some(value)) => format!("{value:?}"),
            (kind, None) => {
                comment(&mut file, &format!("Default: {}.", setting.default_in_words()));
                match kind {
                    Kind::Switch => "false".to_owned(),
                    Kind::Number | Kind::Decimal => "1".to_owned(),
                    Kind::Quantity | Kind::Text => "\"\"".to_owned(),
                    Kind::List => "[]".to_owned(),
                }
            }
        };
        let _ = writeln!(file, "#{} = {value}", setting.key());
    }
    let _ = write!(file, "\n\n");
    comment(&mut file, palettes::MEANING);
    file.push_str(palettes::EXAMPLE);
    let _ = write!(file, "\n[{}.default]\n", palettes::SECTION);
    for key in &palettes::KEYS {
        file.push('\n');
        comment(&mut file, key.meaning);
        let _ = writeln!(file, "#{} = {}", key.name, key.default);
    }
    file
}

fn comment(file: &mut String, text: &str) {
    let mut width = COMMENT_COLUMNS;
    for word in text.split_whitespace() {
        if width + 1 + word.chars().count() > COMMENT_COLUMNS {
            file.push_str(if file.is_empty() || file.ends_with('\n') { "#" } else { "\n#" });
            width = 1;
        }
        let _ = write!(file, " {word}");
        width += 1 + word.chars().count();
    }
    file.push('\n');
}

/// The tables of docs/operations.md, one a section.
pub fn markdown() -> String {
    let command = definitions();
    let mut text = String::new();
    let mut last = None;
    for setting in Setting::all(&command) {
        if setting.section() != last || text.is_empty() {
            if let Some(section) = setting.section() {
                let _ = write!(text, "\n`[{section}]`\n\n");
            }
            text.push_str("| flag | variable | default | meaning |\n| --- | --- | --- | --- |\n");
            last = setting.section();
        }
        let meaning = setting.meaning().split_whitespace().collect::<Vec<_>>().join(" ");
        let old: Vec<_> = setting.flags().skip(1).map(|old| format!("`{old}`")).collect();
        let old =
            if old.is_empty() { old.concat() } else { format!(" Old name: {}.", old.concat()) };
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {}{old} |",
            setting.flag(),
            setting.variable(),
            setting.default_in_words(),
            meaning.replace('|', "\\|"),
        );
    }
    let _ = write!(text, "\n`[{}.NAME]`, in the file only\n\n", palettes::SECTION);
    text.push_str("| key | default | meaning |\n| --- | --- | --- |\n");
    for key in &palettes::KEYS {
        let _ = writeln!(text, "| `{}` | `{}` | {} |", key.name, key.default, key.meaning);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One value for each type of setting, as it is shown.
    const VALUES: [&str; 20] = [
        "7",
        "7777",
        "0.5",
        "true",
        "false",
        "7s",
        "7days",
        "7KiB",
        "7MiB",
        "127.0.0.1:7",
        "7.0.0.0/8",
        "http://127.0.0.1:7/v1/traces",
        "https://seven.example",
        "/seven",
        "seven.example",
        "memory:",
        "members",
        "text",
        "json",
        "debug",
    ];

    #[test]
    fn each_setting_is_shown_as_it_was_given() {
        let command = definitions();
        for setting in Setting::all(&command) {
            let default = setting.default();
            let other = VALUES.into_iter().filter(|value| Some(*value) != default);
            let shown = other.filter_map(|value| {
                let words = ["onetap".to_owned(), format!("{}={value}", setting.flag())];
                let matches = definitions().try_get_matches_from(words).ok()?;
                Some((value, shown(&matches, setting.key())))
            });
            let shown: Vec<_> = shown.collect();
            let as_given =
                |(value, shown): &(&str, Option<String>)| shown.as_deref() == Some(*value);
            assert!(shown.iter().any(as_given), "{}: {shown:?}", setting.flag());
        }
    }
    #[test]
    fn values_are_shown_in_their_usual_spelling_and_without_passwords() {
        for (setting, given, usual) in [
            ("trace-ratio", "1.0", "1"),
            ("threads", "007", "7"),
            ("request-timeout", "7000ms", "7s"),
            ("max-body", "7168B", "7KiB"),
            ("listen", "localhost:7", "127.0.0.1:7"),
            ("admin-listen", "localhost:7", "127.0.0.1:7"),
            ("otlp-url", "http://127.0.0.1:7", "http://127.0.0.1:7/v1/traces"),
            ("trusted-proxies", "10.0.0.7", "10.0.0.7/32"),
            ("store", "redis://user:hunter2@127.0.0.1:7/0", "redis://***@127.0.0.1:7/0"),
        ] {
            let words = ["onetap".to_owned(), format!("--{setting}={given}")];
            let matches = definitions().try_get_matches_from(words).expect(setting);
            let shown = shown(&matches, &setting.replace('-', "_"));
            assert_eq!(shown.as_deref(), Some(usual), "--{setting}");
        }
    }
}
