//! The load test against servers that are not onetap, or do not answer. It has to end soon, hold
//! little memory, exit with 1, and say that nothing is proved.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stranger {
    /// A body without end.
    EndlessBody,
    /// A body without end, with a `Content-Length`.
    HugeLength,
    /// A head without end.
    EndlessHead,
    /// One event without end; the server refuses all other requests.
    EndlessEvent,
    /// Correct events, without end.
    EndlessEvents,
    /// Taps seem to be counted, and the list of users has no last page.
    EndlessPages,
    /// The same, with a page of a thousand users.
    HugePage,
    /// HTML pages.
    Html,
    /// 503 to everything.
    Only503,
    /// 404 to everything, as another service.
    Only404,
    /// It answers reads, and refuses every tap.
    NoTaps,
    /// A stream that opens and sends nothing.
    Mute,
}

fn serve(kind: Stranger) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // The thread ends when its client goes away.
            std::thread::spawn(move || answer_all(stream, kind));
        }
    });
    url
}

fn answer_all(stream: TcpStream, kind: Stranger) -> std::io::Result<()> {
    let (mut lines, mut out) = (BufReader::new(stream.try_clone()?).lines(), stream);
    let mut revision = 1;
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        revision += 1;
        answer(&mut out, kind, &request, revision)?;
    }
    Ok(())
}

fn answer(
    out: &mut TcpStream,
    kind: Stranger,
    request: &str,
    revision: u64,
) -> std::io::Result<()> {
    let is_tap = !request.starts_with("GET");
    let is_stream = request.contains("/stream?");
    let summary = format!(
        r#"{{"revision":{revision},"total":1,"reactions":[{{"reaction":"like","count":1}}]}}"#
    );
    let nothing = r#"{"revision":7,"total":0,"reactions":[]}"#;
    match kind {
        Stranger::EndlessBody => endless(out, "HTTP/1.1 200 OK\r\n\r\n", " "),
        Stranger::HugeLength => {
            endless(out, "HTTP/1.1 503 Gone\r\ncontent-length: 99999999999\r\n\r\n", " ")
        }
        Stranger::EndlessHead => endless(out, "HTTP/1.1 200 OK\r\n", "x-more: and more\r\n"),
        Stranger::EndlessEvent if is_stream => endless(out, "HTTP/1.1 200 OK\r\n\r\n", "data: {"),
        Stranger::EndlessEvents if is_stream => {
            endless(out, "HTTP/1.1 200 OK\r\n\r\n", &format!("data: {summary}\n\n"))
        }
        Stranger::Mute if is_stream => out.write_all(b"HTTP/1.1 200 OK\r\n\r\n"),
        Stranger::EndlessPages | Stranger::HugePage if is_tap => {
            let told = r#"{"active":true,"changed":true,"count":1,"revision":9}"#;
            whole(out, "201 Created", told)
        }
        Stranger::EndlessPages if request.contains("/users?") => {
            whole(out, "200 OK", r#"{"users":[{"user_id":"1"}],"next_cursor":"on"}"#)
        }
        Stranger::HugePage if request.contains("/users?") => {
            let users = vec![r#"{"user_id":"1"}"#; 1000].join(",");
            whole(out, "200 OK", &format!(r#"{{"users":[{users}],"next_cursor":null}}"#))
        }
        Stranger::EndlessPages | Stranger::HugePage => whole(out, "200 OK", &summary),
        Stranger::Html => whole(out, "200 OK", "<html>Welcome</html>"),
        Stranger::Only404 => whole(out, "404 Not Found", r#"{"code":"not_found"}"#),
        Stranger::NoTaps if !is_tap => whole(out, "200 OK", nothing),
        _ => whole(out, "503 Service Unavailable", r#"{"code":"store_unavailable"}"#),
    }
}

fn whole(out: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    out.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes())
}

fn endless(out: &mut TcpStream, head: &str, part: &str) -> std::io::Result<()> {
    out.write_all(head.as_bytes())?;
    let parts = part.repeat(64 * 1024 / part.len());
    loop {
        out.write_all(parts.as_bytes())?;
    }
}

/// The output of the load test, and the most memory that it held, in KiB.
fn run(arguments: &[&str], url: &str) -> (Output, u64) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_onetap-loadtest"));
    program.args(arguments).args(["--url", url]);
    let program = program.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let (status, begun) = (format!("/proc/{}/status", child.id()), Instant::now());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{arguments:?}: no end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    (child.wait_with_output().unwrap(), most)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Asserts that the load test says that it proved nothing, and that it held little memory.
#[track_caller]
fn assert_unproved(kind: Stranger, arguments: &[&str]) -> String {
    let (output, most) = run(arguments, &serve(kind));
    assert_eq!(output.status.code(), Some(1), "{kind:?} {arguments:?}: {output:?}");
    assert!(most < 100 * 1024, "{kind:?} {arguments:?}: {most} KiB");
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(said.contains("prove"), "{kind:?} {arguments:?}: {said}");
    assert!(said.len() < 20_000, "{kind:?} {arguments:?}: {} bytes are said", said.len());
    said
}

const SOAK: &[&str] = &["soak", "--taps", "200", "--seconds", "5"];
const RATE: &[&str] = &["rate", "--rate", "50", "--seconds", "2"];
const WATCH: &[&str] =
    &["watch", "--streams", "5", "--posts", "5", "--rate", "50", "--seconds", "2"];
const BURST: &[&str] = &["burst", "--rounds", "2"];

/// Answers without end: in the head, in the body, with and without a length.
#[test]
fn an_answer_without_end_is_cut() {
    let kinds = [Stranger::EndlessBody, Stranger::HugeLength, Stranger::EndlessHead];
    for (kind, says) in kinds.into_iter().zip(["more than 262144", "more than 262144", "broke"]) {
        for arguments in [SOAK, RATE, BURST] {
            let said = assert_unproved(kind, arguments);
            assert!(said.contains(says), "{kind:?} {arguments:?}: {said}");
        }
        assert_unproved(kind, WATCH);
    }
}

#[test]
fn a_stream_without_end_is_cut() {
    let said = assert_unproved(Stranger::EndlessEvent, WATCH);
    assert!(said.contains("more than 65536 bytes"), "{said}");
    assert_unproved(Stranger::EndlessEvents, WATCH);
}

#[test]
fn a_list_of_users_without_end_is_cut() {
    for kind in [Stranger::EndlessPages, Stranger::HugePage] {
        let said = assert_unproved(kind, &["burst", "--rounds", "1", "--taps", "2"]);
        assert!(said.contains("a list of users that has no end"), "{said}");
    }
}

#[test]
fn who_answers_no_tap_proves_nothing() {
    let kinds = [Stranger::Html, Stranger::Only503, Stranger::Only404, Stranger::NoTaps];
    for kind in kinds {
        let said = assert_unproved(kind, SOAK);
        assert!(said.contains("no tap was answered 2xx, so nothing is proved"), "{said}");
        assert!(said.contains("proved                nothing"), "{said}");
        let said = assert_unproved(kind, RATE);
        assert!(said.contains("proved                0 of 100 taps were answered 2xx"), "{said}");
        let said = assert_unproved(kind, BURST);
        assert!(said.contains("proved                0 taps in 0 of 2 rounds"), "{said}");
        let said = assert_unproved(kind, WATCH);
        assert!(kind != Stranger::Html || said.contains("ended before its first event"), "{said}");
    }
}

#[test]
fn a_stream_that_says_nothing_is_given_up() {
    let said = assert_unproved(Stranger::Mute, WATCH);
    assert!(said.contains("no answer within 30 s"), "{said}");
}
