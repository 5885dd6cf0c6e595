//! `onetap man`: the manual page, generated from the command line.

use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::app::{Failure, say};
use crate::config::command_line;

/// The exit codes, as docs/operations.md has them.
const CODES: [(&str, &str); 7] = [
    ("0", "all went well"),
    (
        "1",
        "health: the service cannot count taps, or does not answer; check-token: the token is not \
         accepted; import: rows were left out; export: it is not complete; diff: something \
         differs; jobs and erase: a job that was waited for did not go well",
    ),
    ("64", "onetap cannot run with this configuration or this store"),
    (
        "65",
        "the store file is damaged, or belongs to another program; import, diff and erase --from: \
         the input is damaged, or is something else; jobs and erase: the service refused the \
         request",
    ),
    (
        "69",
        "something else has the port or the store file; nobody answers at --url; or the system \
         refused something, such as room for the output",
    ),
    ("128 + N", "signal N stopped backup"),
    ("130", "a signal stopped import"),
];

pub(super) fn run() -> Result<(), Failure> {
    say(&page())
}

fn page() -> String {
    let command = command_line();
    // clap would print the commands as pages of their own, and there is only this one.
    let man = Man::new(command.clone()).section("1").manual("onetap");
    let mut page = Vec::new();
    // A write to a Vec cannot fail.
    let _ = man.render_title(&mut page);
    let _ = man.render_name_section(&mut page);
    let _ = synopsis().to_writer(&mut page);
    let _ = commands(&command).to_writer(&mut page);
    let _ = man.render_options_section(&mut page);
    let _ = man.render_extra_section(&mut page);
    let _ = codes().to_writer(&mut page);
    let mut page = String::from_utf8_lossy(&page).into_owned();
    // Backquotes mark code in the help; a manual page prints them as they are.
    page.retain(|c| c != '`');
    page
}

fn synopsis() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("onetap"), roman(" ["), italic("COMMAND"), roman("] [flags]")]);
    roff
}

/// Each command, with the flags that it alone has.
fn commands(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for command in command.get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        entry(&mut roff, vec![bold(command.get_name())], &about);
        roff.control("RS", []);
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let names = arg.get_value_names().unwrap_or_default().iter();
            let value = arg.get_action().takes_values().then(|| names.map(|name| name.as_str()));
            let value = value.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let tag = match arg.get_long() {
                Some(flag) if value.is_empty() => vec![bold(format!("--{flag}"))],
                Some(flag) => vec![bold(format!("--{flag}")), roman(" "), italic(value)],
                None => vec![italic(value)],
            };
            entry(&mut roff, tag, &help);
        }
        roff.control("RE", []);
    }
    roff
}

fn codes() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in CODES {
        entry(&mut roff, vec![bold(code)], meaning);
    }
    roff
}

fn entry(roff: &mut Roff, tag: Vec<Inline>, text: &str) {
    roff.control("TP", []);
    roff.text(tag);
    roff.text([roman(text)]);
}
