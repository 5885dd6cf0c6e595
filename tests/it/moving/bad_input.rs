//! Inputs that are not as they should be. None is guessed at, and none stops the good rows.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{HEADER, OTHER, POST, Place, assert_code, assert_said, assert_summary, line, row};

const NOON: &str = "2024-03-01T12:00:00.000000Z";

/// Imports these bytes, and returns the place with the output.
fn import(bytes: impl AsRef<[u8]>) -> (Place, std::process::Output) {
    let place = Place::file();
    place.write("rows.csv", bytes);
    let output = place.run(&["import", "rows.csv"]);
    (place, output)
}

/// The lines and reasons of the rejected rows.
fn rejected(place: &Place) -> Vec<(u64, String)> {
    let text = place.read("rows.csv.rejects.ndjson");
    let lines = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap());
    let reason = |line: serde_json::Value| {
        (line["line"].as_u64().unwrap(), line["reason"].as_str().unwrap().to_owned())
    };
    lines.map(reason).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[tokio::test]
async fn a_bom_crlf_quotes_and_line_breaks_are_csv() {
    let text = format!(
        "\u{feff}note,{}\"a, \"\"b\"\"\r\nc\",\"{POST}\",7,like,t,2024-03-01,2024-03-01 12:00\r\n\
         \r\n,{POST},8,like,1,,2024-03-01 12:00:00\r\n",
        HEADER.replace('\n', "\r\n")
    );
    let (place, output) = import(text);
    assert_code(&output, 0);
    assert_eq!(place.exported(), line(POST, 7, "like", NOON) + &line(POST, 8, "like", NOON));
}

#[tokio::test]
async fn each_bad_row_is_rejected_with_its_line_and_reason_and_the_rest_comes_in() {
    let good = row(POST, 7, "like", true, "2024-03-01 12:00:00");
    let at = "2024-03-01 12:00:00";
    let rows = [
        (row("", 7, "like", true, at), "post_id"),
        (row("0192f0c123457890abcdef0123456789", 7, "like", true, at), "post_id"),
        (row("00000000-0000-0000-0000-000000000000", 7, "like", true, at), "post_id"),
        (row("17", 7, "like", true, at), "--post-ids integer"),
        (row(POST, 0, "like", true, at), "user_id"),
        (format!("{POST},-1,like,t,{at},{at}\n"), "user_id"),
        (format!("{POST},007,like,t,{at},{at}\n"), "user_id"),
        (format!("{POST},9223372036854775808,like,t,{at},{at}\n"), "user_id"),
        (row(POST, 7, "LIKE", true, at), "--map"),
        (row(POST, 7, "", true, at), "reaction_type"),
        (row(POST, 7, "li\0ke", true, at), "reaction_type"),
        (format!("{POST},7,like,maybe,{at},{at}\n"), "is_active"),
        (format!("{POST},7,like,,{at},{at}\n"), "is_active"),
        (row(POST, 7, "like", true, ""), "the time"),
        (row(POST, 7, "like", true, "03/01/2024"), "the time"),
        (row(POST, 7, "like", true, "1709294400"), "the time"),
        (row(POST, 7, "like", true, "2999-01-01"), "future"),
        (row(POST, 7, "like", true, "1969-12-31 23:59:59"), "before 1970"),
        (format!("{POST},7,like\n"), "3 columns, not 6"),
        (format!("{POST},7,like,t,{at},{at},x\n"), "7 columns, not 6"),
        (format!("{POST},7,{},t,{at},{at}\n", "x".repeat(100_000)), "longer than 65536 bytes"),
    ];
    let text: String = rows.iter().map(|(row, _)| row.as_str()).collect();
    let (place, output) =
        import(format!("{HEADER}{good}{text}{}", row(OTHER, 7, "like", true, at)));
    assert_code(&output, 1);
    assert_said(&output, &["rejected: 21 rows (line 3:", "rows.csv.rejects.ndjson"]);
    assert_summary(&output, &["2 added", "21 rejected"]);
    assert_eq!(place.exported(), line(POST, 7, "like", NOON) + &line(OTHER, 7, "like", NOON));
    let found = rejected(&place);
    for (i, (_, word)) in rows.iter().enumerate() {
        let (number, reason) = &found[i];
        assert_eq!(*number, i as u64 + 3);
        assert!(reason.contains(word), "line {number}: {reason}");
    }
    assert_eq!(found.len(), rows.len());
}

#[tokio::test]
async fn true_has_many_spellings_and_a_time_without_zone_is_utc() {
    let flags = ["t", "true", "TRUE", "1", "yes"];
    let times = [
        "2024-03-01T12:00:00Z",
        "2024-03-01 12:00:00+00",
        "2024-03-01 14:00:00+02:00",
        "2024-03-01 12:00:00",
        "2024-03-01T12:00:00.000000",
    ];
    let rows = flags
        .iter()
        .zip(times)
        .zip(1..)
        .map(|((flag, at), user)| format!("{POST},{user},like,{flag},,{at}\n"));
    let off = ["f", "false", "0", "no", "F"].iter().zip(10..);
    let off = off.map(|(flag, user)| format!("{POST},{user},like,{flag},,1970-01-01\n"));
    let (place, output) = import(HEADER.to_owned() + &rows.chain(off).collect::<String>());
    assert_code(&output, 0);
    let all: String = (1..=5).map(|user| line(POST, user, "like", NOON)).collect();
    assert_eq!(place.exported(), all);
}

#[tokio::test]
async fn columns_and_integer_ids_have_other_names() {
    let place = Place::file();
    place
        .write("rows.csv", "changed,who,what,thread\n1970-01-01,7,LIKE,12\n1970-01-01,7,LIKE,-1\n");
    let columns = "--columns=post_id=thread,user_id=who,reaction_type=what,updated_at=changed";
    let meaning = [columns, "--map=LIKE=like", "--post-ids=integer:1"];
    let output = place.run(&[&["import", "rows.csv"], &meaning[..]].concat());
    assert_code(&output, 1);
    let post = "6f6e6574-6170-8000-8001-00000000000c";
    assert_eq!(place.exported(), line(post, 7, "like", "1970-01-01T00:00:00.000000Z"));
    // Back as a table of the forum.
    let table = place.run(&[&["export", "--format=csv"], &meaning[..]].concat());
    assert_eq!(
        String::from_utf8(table.stdout).unwrap(),
        "thread,who,what,is_active,created_at,changed\n\
         12,7,LIKE,t,1970-01-01 00:00:00+00,1970-01-01 00:00:00+00\n"
    );
}

#[tokio::test]
async fn what_is_no_table_is_refused_and_leaves_no_store() {
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"a letter to my aunt\n", "names no column post_id"),
        (b"post_id,user_id,reaction_type\n", "names no column updated_at"),
        (
            b"post_id,post_id,user_id,reaction_type,updated_at\n",
            "two columns have the name post_id",
        ),
        (&[0xFF, 0xD8, 0, 0, 7], "names no column"),
        // Without its column every row would be on.
        (
            b"post_id,user_id,reaction_type,IS_ACTIVE,updated_at\n",
            "names no column is_active, but IS_ACTIVE; give --columns is_active=IS_ACTIVE",
        ),
    ] {
        let (place, output) = import(bytes);
        assert_code(&output, 65);
        assert_said(&output, &["rows.csv", word]);
        assert!(!place.path("store.redb").exists());
    }
}

#[tokio::test]
async fn a_column_that_the_caller_names_has_to_be_there() {
    let place = Place::file();
    let row = format!("{POST},7,like,f,2024-03-01\n");
    place.write("rows.csv", format!("post_id,user_id,reaction_type,active,updated_at\n{row}"));
    let output = place.run(&["import", "rows.csv", "--columns", "is_active=actve"]);
    assert_code(&output, 65);
    assert_said(&output, &["names no column actve", "--columns is_active=NAME"]);
    assert!(!place.path("store.redb").exists());
    assert_code(&place.run(&["import", "rows.csv", "--columns", "is_active=active"]), 0);
    assert_eq!(place.exported(), "");
}

/// As an export writes when nothing has changed.
#[tokio::test]
async fn no_line_is_no_row_where_the_name_says_ndjson() {
    let place = Place::file();
    place.write("none.ndjson", "");
    place.write("none.ndjson.gz", gzip(b""));
    for name in ["none.ndjson", "none.ndjson.gz"] {
        assert_code(&place.run(&["import", name]), 0);
        assert_code(&place.run(&["diff", name]), 0);
    }
}

/// Else nobody would know that differences are missing from what it printed.
#[tokio::test]
async fn differences_that_cannot_be_printed_end_the_comparison() {
    let (place, imported) = import(HEADER.to_owned() + &row(POST, 7, "like", true, "2024-03-01"));
    assert_code(&imported, 0);
    place.write("none.ndjson", "");
    let mut diff = place.command(&["diff", "none.ndjson"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = diff.stdin(Stdio::null()).stdout(full).output().unwrap();
    assert_code(&output, 1);
    assert_said(&output, &["No space left on device", "the comparison is not complete"]);
}

/// A pipe can be opened only once.
#[tokio::test]
async fn a_named_pipe_is_read_like_a_file() {
    let place = Place::file();
    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = format!("{HEADER}{}", super::many_rows(20, 100));
    let writing = std::thread::spawn(move || std::fs::write(pipe, text));
    let importing = place.command(&["import", "pipe"]).stdin(Stdio::null()).spawn();
    let mut importing = importing.unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = importing.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > Duration::from_secs(60) {
            importing.kill().unwrap();
            panic!("it waits for somebody who writes again");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));
    writing.join().unwrap().unwrap();
    assert_eq!(place.exported().lines().count(), 2000);
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let place = Place::file();
    for (name, word) in [("none.csv", "no such file"), (".", "directory")] {
        let output = place.run(&["import", name]);
        assert_code(&output, 64);
        assert_said(&output, &[name, word]);
    }
    assert!(!place.path("store.redb").exists());
}

#[tokio::test]
async fn compressed_files_are_read_and_half_ones_are_refused() {
    let text = format!("{HEADER}{}", super::many_rows(20, 100));
    let place = Place::file();
    let whole = gzip(text.as_bytes());
    place.write("rows.csv.gz", &whole);
    assert_code(&place.run(&["import", "rows.csv.gz"]), 0);
    place.write("rows.csv", &text);
    assert_code(&place.run(&["diff", "rows.csv"]), 0);
    // The same content is the same import.
    assert_summary(&place.run(&["import", "rows.csv"]), &["2000 done by an earlier run"]);
    for (name, bytes) in [("half.csv.gz", &whole[..whole.len() / 2]), ("no.csv.gz", b"no gzip")] {
        let other = Place::file();
        other.write(name, bytes);
        let output = other.run(&["import", name]);
        assert_code(&output, 65);
        assert_said(&output, &[name, "get a whole copy"]);
        if other.path("store.redb").exists() {
            assert_eq!(other.exported(), "");
        }
    }
}

#[tokio::test]
async fn zstd_files_are_read_and_half_ones_are_refused() {
    let text = format!("{HEADER}{}", super::many_rows(20, 100));
    let (first, second) = text.split_at(text.len() / 2);
    let frame = |text: &str| {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        ruzstd::encoding::compress_to_vec(text.as_bytes(), level)
    };
    let whole = [frame(first), frame(second)].concat();
    let place = Place::file();
    place.write("rows.csv.zst", &whole);
    let output = place.run(&["import", "rows.csv.zst"]);
    assert_code(&output, 0);
    assert_summary(&output, &["2000 added"]);
    place.write("half.csv.zst", &whole[..whole.len() - 9]);
    let output = place.run(&["import", "half.csv.zst"]);
    assert_code(&output, 65);
    assert_said(&output, &["half.csv.zst", "get a whole copy"]);
}

#[tokio::test]
async fn a_line_of_a_hundred_megabytes_takes_no_memory() {
    let place = Place::file();
    let mut file = fs::File::create(place.path("rows.csv")).unwrap();
    file.write_all(format!("{HEADER}{POST},7,\"").as_bytes()).unwrap();
    let part = vec![b'x'; 1 << 20];
    (0..100).for_each(|_| file.write_all(&part).unwrap());
    let last = row(OTHER, 7, "like", true, "2024-03-01 12:00:00");
    file.write_all(format!("\",t,,\n{last}").as_bytes()).unwrap();
    drop(file);
    let mut command = place.command(&["import", "rows.csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (status, mut peak) = (format!("/proc/{}/status", child.id()), 0);
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let most = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.and_then(|most| most.trim().trim_end_matches(" kB").parse().ok());
        peak = most.unwrap_or(peak);
    }
    assert!((1..95_000).contains(&peak), "{peak} kB");
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 1);
    assert_said(&output, &["line 2: it is longer than 65536 bytes"]);
    assert_eq!(place.exported(), line(OTHER, 7, "like", NOON));
}

#[tokio::test]
async fn a_pipe_is_read_to_its_end_and_one_that_breaks_in_a_row_loses_only_that() {
    let place = Place::file();
    let good = row(POST, 7, "like", true, "2024-03-01 12:00:00");
    let mut command = place.command(&["import", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(format!("{HEADER}{good}{}", &good[..50]).as_bytes()).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 1);
    assert_said(&output, &["line 3", "stdin.rejects.ndjson"]);
    assert_eq!(place.exported(), line(POST, 7, "like", NOON));
}

#[tokio::test]
async fn a_reject_file_of_something_else_is_left_alone() {
    let place = Place::file();
    let bad = row(POST, 0, "like", true, "2024-03-01");
    place.write("rows.csv.rejects.ndjson", "my notes\n");
    let output = place.import(&bad, &[]);
    assert_code(&output, 64);
    assert_said(&output, &["--rejects rows.csv.rejects.ndjson", "something else is there"]);
    assert_eq!(place.read("rows.csv.rejects.ndjson"), "my notes\n");
    assert!(!place.path("store.redb").exists());
    // Another name; an empty file; the file of an earlier run of the same import.
    place.write("empty", "");
    for name in ["other", "empty", "other"] {
        assert_code(&place.import(&bad, &["--rejects", name]), 1);
        assert_eq!(place.read(name).lines().count(), 2);
    }
    assert_code(&place.import("", &["--rejects", "other"]), 0);
    assert!(!place.path("other").exists(), "nothing is rejected any more");
}

#[tokio::test]
async fn a_reject_file_that_cannot_be_written_is_an_error() {
    let place = Place::file();
    let output =
        place.import(&row(POST, 0, "like", true, "2024-03-01"), &["--rejects", "no/such/file"]);
    assert_code(&output, 64);
    assert_said(&output, &["no/such/file"]);
}
