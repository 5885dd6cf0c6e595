//! All settings except the palettes, section by section.

use std::path::PathBuf;

use clap::Args;

use super::auth::AuthConfig;
use super::cors::CorsConfig;
use super::file::FileConfig;
use super::jobs::JobsConfig;
use super::limits::LimitsConfig;
use super::log::LogConfig;
use super::memory::MemoryConfig;
use super::rates::RatesConfig;
use super::redis::RedisConfig;
use super::retention::RetentionConfig;
use super::server::ServerConfig;
use super::store::StoreSection;
use super::traces::TracesConfig;

/// All settings except the palettes. A field defines a setting once, by its name, doc comment and
/// clap attributes. The flag, the variable, the key in the file, the default, the help and the
/// table in docs/operations.md come from it.
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
    pub(super) auth: AuthConfig,
    #[command(flatten)]
    pub(super) rates: RatesConfig,
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
    pub(super) jobs: JobsConfig,
    #[command(flatten)]
    pub(super) log: LogConfig,
    #[command(flatten)]
    pub(super) traces: TracesConfig,
}
