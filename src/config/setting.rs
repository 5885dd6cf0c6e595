//! A setting, derived from the definition of its flag. The name of the flag gives the variable and
//! the key in the file. The heading in the help is the section.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Arg, ArgAction};

/// What kind of value a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// True or false.
    Switch,
    /// A whole number.
    Number,
    /// A number, perhaps with a point.
    Decimal,
    /// A duration or a size: a number with a unit, or a bare one.
    Quantity,
    /// Anything else.
    Text,
    /// Several texts.
    List,
}

impl Kind {
    pub(super) fn of(arg: &Arg) -> Self {
        let is = |id: TypeId| arg.get_value_parser().type_id() == id;
        if matches!(arg.get_action(), ArgAction::Append) {
            Self::List
        } else if is(TypeId::of::<bool>()) {
            Self::Switch
        } else if is(TypeId::of::<u32>()) {
            Self::Number
        } else if is(TypeId::of::<f64>()) {
            Self::Decimal
        } else if is(TypeId::of::<Duration>()) || is(TypeId::of::<ByteSize>()) {
            Self::Quantity
        } else {
            Self::Text
        }
    }
}

/// One setting.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a>(&'a Arg);

impl<'a> Setting<'a> {
    /// All settings of a command, in the order of their definition.
    pub(super) fn all(command: &'a clap::Command) -> Vec<Self> {
        command.get_arguments().map(Self).collect()
    }

    /// The key in the file: the flag's name with `_`.
    pub(super) fn key(self) -> &'a str {
        self.0.get_id().as_str()
    }

    pub(super) fn flag(self) -> String {
        format!("--{}", self.long())
    }

    pub(super) fn variable(self) -> String {
        variable(self.long())
    }

    /// The flag and its old names.
    pub(super) fn flags(self) -> impl Iterator<Item = String> {
        std::iter::once(self.long()).chain(self.old_names()).map(|name| format!("--{name}"))
    }

    /// The variable and its old names.
    pub(super) fn variables(self) -> impl Iterator<Item = String> {
        std::iter::once(self.long()).chain(self.old_names()).map(variable)
    }

    pub(super) fn old_names(self) -> impl Iterator<Item = &'a str> {
        self.0.get_all_aliases().unwrap_or_default().into_iter()
    }

    /// The section of the file. `--config` has none: the file does not name itself.
    pub(super) fn section(self) -> Option<&'a str> {
        self.0.get_help_heading()
    }

    pub(super) fn kind(self) -> Kind {
        Kind::of(self.0)
    }

    /// Whether it is a path, which need not be UTF-8.
    pub(super) fn is_path(self) -> bool {
        self.0.get_value_parser().type_id() == TypeId::of::<PathBuf>()
    }

    /// The flag as it stands on this command line, perhaps by an old name.
    pub(super) fn spelled(self, args: &[OsString]) -> String {
        let stands = |flag: &String| {
            let mut rests = args.iter().filter_map(|arg| arg.to_str()?.strip_prefix(&**flag));
            rests.any(|rest| rest.is_empty() || rest.starts_with('='))
        };
        self.flags().find(stands).unwrap_or_else(|| self.flag())
    }

    /// The default in the spelling of a value, if a value can spell it.
    pub(super) fn default(self) -> Option<&'a str> {
        self.0.get_default_values().first().and_then(|value| value.to_str())
    }

    /// What applies without a value, for people.
    pub(super) fn default_in_words(self) -> String {
        match (self.default(), self.text().rsplit_once(" [default: ")) {
            (Some(value), _) => format!("`{value}`"),
            (None, Some((_, rest))) => rest.split(']').next().unwrap_or_default().to_owned(),
            (None, None) => "none".to_owned(),
        }
    }

    /// The help text as one paragraph, without the default.
    pub(super) fn meaning(self) -> String {
        let text = self.text();
        let (summary, details) = text.split_once("\n\n").unwrap_or((&text, ""));
        let summary = summary.split(" [default: ").next().unwrap_or_default();
        format!("{summary}. {details}").trim_end().to_owned()
    }

    fn text(self) -> String {
        let help = self.0.get_long_help().or_else(|| self.0.get_help());
        help.map(ToString::to_string).unwrap_or_default()
    }

    fn long(self) -> &'a str {
        self.0.get_long().unwrap_or_default()
    }
}

fn variable(name: &str) -> String {
    format!("ONETAP_{}", name.replace('-', "_").to_uppercase())
}
