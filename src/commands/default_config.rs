//! `onetap default-config`: every setting, generated from its definition.

use crate::app::say;
use crate::config::{self, DefaultConfigArgs};

pub(super) fn run(args: &DefaultConfigArgs) {
    say(&if args.markdown { config::markdown() } else { config::default_config() });
}
