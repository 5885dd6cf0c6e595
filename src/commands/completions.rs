//! `onetap completions`: a script that completes commands and flags in a shell.

use crate::app::{Failure, say};
use crate::config::{CompletionsArgs, command_line};

pub(super) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command_line(), "onetap", &mut script);
    say(&String::from_utf8_lossy(&script))
}
