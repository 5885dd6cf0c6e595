//! What the command line gives.

use std::ffi::OsString;

use clap::ArgMatches;

/// The settings from the command line.
#[derive(Clone, Debug)]
pub struct Flags {
    pub(super) matches: ArgMatches,
    pub(super) args: Vec<OsString>,
}
