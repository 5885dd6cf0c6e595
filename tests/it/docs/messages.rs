//! The script that shows every error message. A person reads its output; this keeps it complete.

use std::path::Path;
use std::process::Command;

use onetap::http::Code;

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages")
}

#[test]
fn the_script_of_messages_names_every_code() {
    let text = std::fs::read_to_string(script()).unwrap();
    for code in Code::ALL {
        let quoted = format!("\"{}\"", code.as_str());
        assert!(text.contains(&quoted), "tests/messages provokes no {quoted}: add a request");
    }
}

#[test]
fn the_script_of_messages_gets_every_code_that_it_means() {
    let output = Command::new(script()).arg(env!("CARGO_BIN_EXE_onetap")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("exit ")) {
        assert!(line.contains("onetap: "), "it ends with a message: {line}");
    }
}
