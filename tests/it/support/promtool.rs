//! Prometheus' own checker, as a process.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Prometheus' own checker of metrics.
pub(crate) fn promtool() -> Command {
    let named = std::env::var_os("ONETAP_TEST_PROMTOOL").map(PathBuf::from);
    let fetched = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/promtool");
    let program = named.unwrap_or_else(fetched);
    assert!(
        program.exists(),
        "promtool is not here: `make tools` fetches it, or name it in ONETAP_TEST_PROMTOOL"
    );
    Command::new(program)
}

/// All of its output, and whether it accepts the input.
pub(crate) fn checked(command: &mut Command, given: &str) -> (bool, String) {
    let piped = || Stdio::piped();
    let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
