//! The `onetap-loadtest` program. All it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    onetap_loadtest::cli::main()
}
