//! The `onetap-loadtest` program. The library does the work.

use std::process::ExitCode;

fn main() -> ExitCode {
    onetap_loadtest::cli::main()
}
