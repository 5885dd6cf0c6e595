//! The settings, merged.

use clap::{ArgMatches, FromArgMatches as _};

use super::cli::{Parsed, definitions, parse};
use super::flags::Flags;
use super::given::Given;
use super::sections::Sections;
use super::setting::Setting;
use super::{ConfigError, Listen};
use crate::http::BasePath;

/// The merged settings, and the source of each.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) sections: Sections,
    /// The values as clap parsed them.
    pub(super) matches: ArgMatches,
    /// The values that are not defaults.
    pub given: Given,
}

impl Settings {
    /// Merges the flags, the variables of this process and the file that they name.
    ///
    /// # Errors
    ///
    /// If a name or value is unknown to onetap, or the file cannot be read.
    pub fn merge(flags: &Flags) -> Result<Self, ConfigError> {
        let command = definitions();
        let given = Given::merge(flags, &Setting::all(&command))?;
        let line = std::iter::once("onetap".into()).chain(given.arguments());
        let matches = command.clone().try_get_matches_from(line);
        let read = matches.and_then(|matches| Ok((Sections::from_arg_matches(&matches)?, matches)));
        match read {
            Ok((sections, matches)) => Ok(Self { sections, matches, given }),
            Err(error) => Err(given.name(ConfigError::from_clap(&error))),
        }
    }

    /// Where the service listens, and below which path it answers.
    pub fn place(&self) -> (&Listen, &BasePath) {
        (&self.sections.server.listen, &self.sections.server.base_path)
    }

    /// Whether there is a configuration file.
    pub fn has_file(&self) -> bool {
        self.sections.config.is_some()
    }

    /// The settings of a whole command line. The program's name is its first word.
    ///
    /// # Errors
    ///
    /// As [`Settings::merge`], or if the command line asks for help or the version.
    pub fn read<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        match parse(args)? {
            Parsed::Run(_, flags) => Self::merge(&flags),
            Parsed::Print(_) => Err(ConfigError::new("", "it asks for help alone", "")),
        }
    }
}
