//! All settings, section by section, as flags, variables and the file give them.

use std::path::PathBuf;

use clap::{ArgMatches, Args, FromArgMatches as _};

use super::cli::{Flags, definitions};
use super::cors::CorsConfig;
use super::file::FileConfig;
use super::given::Given;
use super::limits::LimitsConfig;
use super::log::LogConfig;
use super::memory::MemoryConfig;
use super::redis::RedisConfig;
use super::retention::RetentionConfig;
use super::server::ServerConfig;
use super::setting::Setting;
use super::store::StoreSection;
use super::{ConfigError, Parsed};

/// All settings. The fields' clap attributes are their only definition: from them come the flag,
/// the variable, the key in the file, the default, the help, and the table in the guide.
#[derive(Clone, Debug, Args)]
pub struct Sections {
    /// A configuration file, in TOML; `onetap default-config` prints one
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) server: ServerConfig,
    #[command(flatten)]
    pub(super) limits: LimitsConfig,
    #[command(flatten)]
    pub(super) cors: CorsConfig,
    #[command(flatten)]
    pub(super) store: StoreSection,
    #[command(flatten)]
    pub(super) redis: RedisConfig,
    #[command(flatten)]
    pub(super) file: FileConfig,
    #[command(flatten)]
    pub(super) memory: MemoryConfig,
    #[command(flatten)]
    pub(super) retention: RetentionConfig,
    #[command(flatten)]
    pub(super) log: LogConfig,
}

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

    /// The settings of a whole command line. The program's name is its first word.
    ///
    /// # Errors
    ///
    /// As [`Settings::merge`], or if the command line asks for the help and the like.
    pub fn read<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        match super::parse(args)? {
            Parsed::Run(_, flags) => Self::merge(&flags),
            Parsed::Print(_) => Err(ConfigError::new("", "it asks for help alone", "")),
        }
    }
}
