//! `onetap man` and `onetap completions`: both have all that the command line takes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::cli::{assert_usage, run};

fn said(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names of all commands, and all flags of the service, as the help has them.
fn help() -> (Vec<String>, Vec<String>) {
    let help = said(&["--help"]);
    let first_words = |lines: &str| {
        let words = lines.lines().filter_map(|line| line.split_whitespace().next());
        words.map(|word| word.trim_end_matches(',').to_owned()).collect::<Vec<_>>()
    };
    let commands = help.split_once("Commands:\n").unwrap().1.split("\n\n").next().unwrap();
    let mut flags = first_words(&help);
    flags.retain(|word| word.starts_with("--"));
    for flag in &mut flags {
        *flag = flag.split(['=', '[']).next().unwrap().to_owned();
    }
    (first_words(commands), flags)
}

/// Roff writes a hyphen as `\-`.
#[test]
fn the_manual_page_has_every_command_and_every_flag() {
    let page = said(&["man"]).replace("\\-", "-");
    let (commands, flags) = help();
    assert!(commands.len() > 6 && flags.len() > 30, "{commands:?} {flags:?}");
    for command in commands.iter().filter(|name| *name != "help") {
        assert!(page.contains(&format!("\\fB{command}\\fR")), "no {command}");
    }
    for flag in
        flags.iter().map(String::as_str).chain(["--connect", "--markdown", "--from", "--url"])
    {
        assert!(page.contains(&format!("\\fB{flag}\\fR")), "no {flag}");
    }
    for section in ["NAME", "SYNOPSIS", "COMMANDS", "OPTIONS", "EXIT STATUS"] {
        assert!(
            page.lines()
                .any(|line| line.trim_matches('"').replace('"', "") == format!(".SH {section}")),
            "no {section}"
        );
    }
    assert!(!page.contains('`'), "a manual page has no Markdown");
}

#[test]
fn every_shell_completes_every_command_and_every_flag() {
    let (commands, flags) = help();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&["completions", shell]);
        for flag in &flags {
            // fish names a flag without its hyphens.
            let named = script.contains(flag) || script.contains(&format!("-l {}", &flag[2..]));
            assert!(named, "{shell}: no {flag}");
        }
        for command in &commands {
            assert!(script.contains(command), "{shell}: no {command}");
        }
    }
    assert_usage(&run(&["completions"]), 64, &["SHELL"]);
    assert_usage(&run(&["completions", "tcsh"]), 64, &["bash, elvish, fish, powershell, zsh"]);
}

/// bash is on every machine that runs these tests.
#[test]
fn bash_completes() {
    let mut bash =
        Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut script = said(&["completions", "bash"]);
    for (line, words) in
        [("onetap check-c", "check-c"), ("onetap --red", "--red"), ("onetap backup --f", "--f")]
    {
        let list: Vec<&str> = line.split(' ').collect();
        let (last, before) = (list.len() - 1, list[list.len() - 2]);
        script += &format!(
            "\nCOMP_WORDS=({line}); COMP_CWORD={last}; _onetap onetap {words} {before}\n\
             echo \"${{COMPREPLY[@]}}\"\n"
        );
    }
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = String::from_utf8(bash.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "check-config");
    assert!(
        lines[1].contains("--redis-password-file") && !lines[1].contains("--store"),
        "{lines:?}"
    );
    assert!(lines[2].split(' ').any(|word| word == "--from"), "{lines:?}");
}
