//! `onetap default-config`: every setting, generated from its definition.

use crate::app::{Failure, say};
use crate::config::{self, DefaultConfigArgs};

pub(super) fn run(args: &DefaultConfigArgs) -> Result<(), Failure> {
    say(&if args.markdown { config::markdown() } else { config::default_config() })
}
