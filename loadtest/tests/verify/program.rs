//! `onetap-loadtest verify` on files that are right, wrong and damaged.

use std::path::PathBuf;
use std::process::{Command, Output};

struct File(PathBuf);

impl File {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let name = format!("onetap-verify-{}-{name}.ndjson", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A file that stays harms nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn verify(files: &[&File], flags: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_onetap-loadtest"));
    program.arg("verify").args(files.iter().map(|file| &file.0)).args(flags);
    program.output().unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The example of the format's description.
fn example() -> Vec<String> {
    let text = include_str!("../../HISTORY.md");
    let block = text.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    block.lines().map(str::to_owned).collect()
}

#[test]
fn the_example_in_the_description_is_right() {
    let file = File::new("right", example().join("\n") + "\n");
    let json = File::new("report", "");
    let output = verify(&[&file], &["--json", json.0.to_str().unwrap()]);
    assert_eq!(code(&output), Some(0), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("answered              5, 1 of them replays"), "{table}");
    assert!(table.contains("refused               1, and 1 by a rule\n"), "{table}");
    let proved = "proved                5 answered taps and 2 reads on 2 posts: each tap was \
                  counted exactly once; the limits of its palette held; not checked: the final \
                  state of 1 posts; 1 taps of unknown outcome were at most once\n";
    assert!(table.ends_with(proved), "{table}");
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&json.0).unwrap()).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["files"][0]["verdict"]["unknown"], 1);
}

#[test]
fn what_is_wrong_is_said_with_its_lines() {
    let mut lines = example();
    lines[3] = lines[3].replace(r#""count":2"#, r#""count":3"#);
    let file = File::new("wrong", lines.join("\n") + "\n");
    let right = File::new("beside", example().join("\n") + "\n");
    let output = verify(&[&right, &file], &[]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    let said = said(&output);
    let first = "onetap-loadtest: post p1, lines 4 and 2: it shows a count of 3 for \"like\", but 2 \
                 have it";
    assert!(said.starts_with(first), "{said}");
    assert!(said.contains(&format!("  line 4: {}\n", lines[3])), "{said}");
}

#[test]
fn what_is_damaged_is_said_with_its_line() {
    let example = example();
    let with = |at: usize, old: &str, new: &str| {
        let mut lines = example.clone();
        assert!(lines[at].contains(old), "{old}");
        lines[at] = lines[at].replace(old, new);
        lines.join("\n")
    };
    let end = example.last().unwrap();
    let cases = [
        (String::new(), "line 1: the file ends without its end line"),
        (example[1..].join("\n"), "line 1: a history begins with a line of the kind"),
        (example[..7].join("\n"), "line 8: the file ends without its end line"),
        (
            example[..2].join("\n") + "\n" + &example[2][..23],
            "line 3: EOF while parsing an object, column 23",
        ),
        ([example[..3].join("\n"), end.clone()].join("\n"), "line 4: the end line says 12"),
        (example.join("\n") + "\n{}", "line 13: something follows the end line"),
        (with(0, "\"version\":1", "\"version\":2"), "line 1: version 2 of the format"),
        (with(0, "empty", "full"), "line 1: `initial` may only be \"empty\""),
        (with(0, "\"aliases\"", "\"alias\""), "line 1: unknown field `alias`"),
        (with(0, "\"reactions\":\"*\"", "\"reactions\":\"x\""), "line 1: "),
        (with(8, "{\"reaction\":\"up\",\"count\":0}", "7"), "line 9: "),
        (with(10, "too_many", "two_many"), "line 11: unknown variant `two_many_reactions`"),
        (with(10, "\"answered_micros\":695,", ""), "line 11: `answered_micros` is missing"),
        (with(1, "\"tap\"", "\"top\""), "line 2: a line of the unknown kind \"top\""),
        (with(1, "toggle", "flip"), "line 2: unknown variant `flip`"),
        (with(1, "\"42\"", "\"-1\""), "line 2: a user id is an integer"),
        (with(1, "\"42\"", "1.5"), "line 2: "),
        (with(1, ",\"count\":1", ""), "line 2: `count` is missing"),
        (with(1, "\"count\":1", "\"count\":-1"), "line 2: invalid value"),
        (with(1, ":250", ":9"), "line 2: `answered_micros` is 9, before it was sent at 10"),
        (with(2, "not_after", "not_afer"), "line 3: unknown field `not_afer_micros`"),
        (with(2, "\"unknown\"", "\"lost\""), "line 3: the unknown outcome \"lost\""),
        (with(5, "{\"reaction\":\"like\",\"count\":2}", "7"), "line 6: "),
        (with(6, ",\"reactors\":{\"like\":[\"7\",\"42\"]}", ""), "line 7: `reactors` is missing"),
    ];
    for (text, expected) in cases {
        let file = File::new("damaged", &text);
        let output = verify(&[&file], &[]);
        assert_eq!(code(&output), Some(65), "{expected}: {output:?}");
        let said = said(&output);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(&format!(": {expected}")), "{expected}: {said}");
    }
    let mut bytes = example.join("\n").into_bytes();
    bytes[400] = 0xff;
    let output = verify(&[&File::new("bytes", bytes)], &[]);
    assert_eq!(code(&output), Some(65));
    assert!(said(&output).contains("not UTF-8"), "{output:?}");
}

#[test]
fn a_history_without_a_tap_is_nothing_to_verify() {
    let example = example();
    let end = |lines: usize| format!(r#"{{"kind":"end","lines":{lines}}}"#);
    let empty_read = r#"{"kind":"read","post_id":"p","sent_micros":1,"answered_micros":2,"revision":5,"reactions":[]}"#;
    for lines in
        [vec![example[0].clone(), end(2)], vec![example[0].clone(), empty_read.to_owned(), end(3)]]
    {
        let file = File::new("tapless", lines.join("\n"));
        let right = File::new("beside-tapless", example.join("\n"));
        for files in [&[&file][..], &[&file, &right], &[&right, &file]] {
            let output = verify(files, &[]);
            assert_eq!(code(&output), Some(65), "{output:?}");
            let said = said(&output);
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains("nothing to verify: the history has no tap; record"), "{said}");
        }
    }
}

#[test]
fn a_history_without_an_answered_tap_proves_nothing() {
    let example = example();
    let end = r#"{"kind":"end","lines":3}"#;
    let lines = [example[0].as_str(), example[4].as_str(), end];
    let output = verify(&[&File::new("unanswered", lines.join("\n"))], &[]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    let proved = "nothing: no tap was answered 2xx; not checked: the final state of 1 posts\n";
    assert!(table.ends_with(proved), "{table}");
}

#[test]
fn bad_usage_is_64() {
    for arguments in [
        &["verify"][..],
        &["verify", "--no-such-flag", "x"],
        &["verify", "/no/such/file"],
        &["verify", "/"],
        &["soak", "--url", "x"],
        &["soak", "--users", "0"],
        &["soak", "--seconds", "0"],
        &["soak", "--connections", "5000"],
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_onetap-loadtest"));
        let output = program.args(arguments).output().unwrap();
        assert_eq!(code(&output), Some(64), "{arguments:?}: {output:?}");
    }
}
