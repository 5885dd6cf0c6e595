//! `[memory]`: what only `--store memory:` needs.

use bytesize::ByteSize;
use clap::Args;

use super::units;

/// What only `--store memory:` needs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "memory")]
pub struct MemoryConfig {
    /// With `--store memory:`: how much memory reactions may take
    ///
    /// When it is full, reading and removing go on; every other write gets 503 `overloaded`.
    #[arg(long, default_value = "1GiB",
          value_name = "SIZE", value_parser = units::bytes(0..=u64::MAX))]
    pub memory_max: ByteSize,
}
