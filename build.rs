//! Assembles the scripts, and says which commit is built.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where commands are: those that ship, and one that only tests run.
const COMMANDS: [&str; 2] = ["lua/commands", "tests/lua"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    assemble_scripts();
    name_commit();
}

/// Writes each command behind the files of `lua/lib/` that it includes, each of them once: Redis has
/// no modules, and gets one text a script.
fn assemble_scripts() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("lua");
    fs::create_dir_all(&out).expect("OUT_DIR can be written to");
    println!("cargo::rerun-if-changed=lua/lib");
    for folder in COMMANDS {
        println!("cargo::rerun-if-changed={folder}");
        for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            let path = entry.expect("an entry of a folder").path();
            let name = path.file_name().expect("a file has a name");
            fs::write(out.join(name), assemble(&path)).expect("OUT_DIR can be written to");
        }
    }
}

/// The whole script, as EVAL takes it.
fn assemble(command: &Path) -> String {
    let text = read(command);
    let mut script = match flags(&text, command) {
        "none" => "#!lua\n".to_owned(),
        flags => format!("#!lua flags={flags}\n"),
    };
    include(&text, &mut HashSet::new(), &mut script);
    script
}

/// Appends the files that a text includes, and then its own lines.
fn include(text: &str, seen: &mut HashSet<String>, script: &mut String) {
    for name in text.lines().filter_map(included) {
        if seen.insert(name.to_owned()) {
            include(&read(&Path::new("lua/lib").join(name).with_extension("lua")), seen, script);
        }
    }
    for line in text.lines().filter(|line| included(line).is_none()) {
        script.push_str(line);
        script.push('\n');
    }
}

/// The name in a line such as `--- @include "clock"`.
fn included(line: &str) -> Option<&str> {
    line.strip_prefix("--- @include \"")?.strip_suffix('"')
}

/// The flags that the header states: `Flags: allow-oom.`
fn flags<'a>(text: &'a str, command: &Path) -> &'a str {
    let stated = text.split_once("Flags: ").and_then(|(_, rest)| rest.split_once('.'));
    stated.unwrap_or_else(|| panic!("{}: the header states no flags", command.display())).0
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names the commit for `onetap_build_info`.
fn name_commit() {
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    let named = env::var("BUILD_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = named.or_else(of_checkout).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
}

/// The commit of the checkout that this is. Only for an optimized build: any other would be built
/// anew after each commit.
fn of_checkout() -> Option<String> {
    if env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    // Sources that were unpacked within another project's checkout are not of its commit.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(".").canonicalize().ok()? {
        return None;
    }
    // A commit or a checkout writes a line there.
    println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}
