//! `[file]`: what only `--store file:PATH` needs.

use bytesize::ByteSize;
use clap::Args;

use super::{limits, units};
use crate::store::file::FileOptions;
use crate::store::{Retention, UserIds};

/// What only `--store file:PATH` needs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "file")]
pub struct FileConfig {
    /// The most taps that wait for the store file; more get 503 `overloaded`
    #[arg(long, default_value = "10000", value_parser = units::count(1..=u32::MAX))]
    pub file_queue_taps: u32,

    /// How much of the store file onetap keeps in memory
    #[arg(long, alias = "file-cache-mib", default_value = "128MiB",
          value_name = "SIZE", value_parser = units::mebibytes)]
    pub file_cache: ByteSize,
}

impl FileConfig {
    pub(super) fn options(&self, user_ids: UserIds, retention: Retention) -> FileOptions {
        FileOptions {
            queue_bound: self.file_queue_taps as usize,
            cache_bytes: limits::bytes(self.file_cache),
            user_ids,
            retention,
        }
    }
}
