//! The program: exit codes, output, signals.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::prefix;
use crate::support::redis_server::{Kind, shared};

pub(crate) fn onetap(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onetap"));
    command.args(args).env_clear().stdin(Stdio::null());
    // A program built for coverage writes its profile there.
    command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    onetap(args).output().unwrap()
}

/// Asserts this exit code and one line on stderr that contains these words.
#[track_caller]
pub(crate) fn assert_usage(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(last.starts_with("onetap: "), "{said}");
    for word in words {
        assert!(last.contains(word), "`{word}` is not in: {said}");
    }
    assert!(output.stdout.is_empty());
}

/// Invalid arguments, and words of the error.
const BAD: &[(&[&str], &[&str])] = &[
    (&["--listen", "9090"], &["--listen: `9090`", "such as 127.0.0.1:9090"]),
    (&["--listen", ":9090"], &["--listen", "such as 127.0.0.1:9090"]),
    (&["--listen", "*:9090"], &["--listen", "such as 127.0.0.1:9090"]),
    (&["--listen", "unix:"], &["--listen: `unix:`", "unix:PATH"]),
    (&["--listen", "unix:///run/x.sock"], &["--listen", "`unix:/run/x.sock`?"]),
    (&["--allowed-host", "https://forum.example/"], &["--allowed-host", "write `forum.example`"]),
    (&["--allowed-host", "forum.example:443"], &["--allowed-host", "write `forum.example`"]),
    (&["--allowed-host", "*"], &["--allowed-host", "not a host name"]),
    (&["--log-format", "xml"], &["--log-format", "text, json"]),
    (
        &["--store", "sqlite:x"],
        &["--store: onetap cannot keep reactions in `sqlite:`; give `file:"],
    ),
    (&["--store", "redis://:a/b@h"], &["--store: its user or password", "%2F"]),
    (&["--store", "redis://:a?b@h"], &["--store: its user or password", "%3F"]),
    (&["--listen", "127.0.0.2"], &["--listen", "such as 127.0.0.2:8080"]),
    (&["--listen", "::1"], &["--listen", "such as [::1]:8080"]),
    (&["--listen", ""], &["--listen", "such as 127.0.0.1:8080"]),
    (&["--listen", "example.org:80"], &["--listen", "IP:PORT"]),
    (&["--listen", "0.0.0.0:8080"], &["--insecure-no-auth", "every caller may do everything"]),
    (&["--listen", "[::]:8080"], &["--insecure-no-auth"]),
    (&["--listen", "192.0.2.1:8080"], &["--insecure-no-auth"]),
    (&["--store", "postgres://x"], &["--store: onetap cannot", "`postgres:`", "redis[s]://"]),
    (&["--store", "memory"], &["--store: `memory`", "`memory:`?"]),
    (&["--store", "Memory://"], &["--store", "`memory:`?"]),
    (&["--store", "./a.redb"], &["--store", "`file:./a.redb`?"]),
    (&["--store", "/var/lib/onetap"], &["--store", "`file:/var/lib/onetap`?"]),
    (&["--store", "onetap.redb"], &["--store", "`file:onetap.redb`?"]),
    (&["--store", "localhost"], &["--store", "`redis://localhost`?"]),
    (&["--store", "cache:6379"], &["--store", "`redis://cache:6379`?"]),
    (&["--store", "onetap"], &["--store", "file:PATH", "redis"]),
    (&["--store", "file:/no/such/folder/x"], &["--store file:/no/such/", "make it first"]),
    (&["--store", "file:/"], &["--store file:/", "directory"]),
    (&["--store", "file:/dev/null/x"], &["--store file:/dev/null/x", "not a directory"]),
    (&["--store", "file:/dev/null"], &["--store file:/dev/null", "not a regular file"]),
    (&["--store", "file:"], &["--store", "file:PATH"]),
    (&["--store", "file://a.redb"], &["--store: `file://a.redb`", "`file:a.redb`?"]),
    (&["--store", "file:///tmp/a.redb"], &["--store", "`file:/tmp/a.redb`?"]),
    (&["--store", "file://"], &["--store", "`file:PATH`?"]),
    (&["--store", "redis://"], &["--store"]),
    (&["--store", "redis://host:port"], &["--store"]),
    (&["--store", "memory:", "--key-prefix", "x"], &["--key-prefix", "memory:"]),
    (&["--redis-queue-calls", "5"], &["--redis-queue-calls", "file:"]),
    (&["--redis-connect-timeout-ms", "5"], &["--redis-connect-timeout-ms", "file:"]),
    (&["--store", "memory:", "--file-cache-mib", "5"], &["--file-cache-mib", "memory:"]),
    (&["--store", "redis://h", "--file-queue-taps", "5"], &["--file-queue-taps", "redis:"]),
    (&["--file-queue-taps", "0"], &["--file-queue-taps"]),
    (&["--store", "redis://h", "--key-prefix", "a:b"], &["--key-prefix"]),
    (&["--store", "redis://h", "--key-prefix", "{a}"], &["--key-prefix"]),
    (&["--store", "redis://h", "--key-prefix", ""], &["--key-prefix"]),
    (&["--cors-origin", "*"], &["--cors-origin", "name each origin"]),
    (&["--cors-origin", "forum.example"], &["--cors-origin", "https://forum.example"]),
    (&["--cors-origin", "https://forum.example/"], &["--cors-origin", "write it so"]),
    (&["--cors-origin", "https://a.example,x y"], &["--cors-origin", "SCHEME://HOST"]),
    (&["--write-timeout-ms", "0"], &["--write-timeout-ms"]),
    (&["--threads", "0"], &["--threads", "between 1 and 1024"]),
    (&["--threads", "many"], &["--threads"]),
    (&["--request-timeout-ms", "0"], &["--request-timeout-ms: `0`"]),
    (&["--request-timeout", "-1s"], &["--request-timeout: `-1s` is not a duration", "500ms"]),
    (&["--request-timeout", "2h30"], &["--request-timeout: `2h30` is not a duration", "1h 30m"]),
    (&["--request-timeout", "25h"], &["--request-timeout: `25h`", "between 1ms and 1day"]),
    (&["--max-body", "64 KoB"], &["--max-body: `64 KoB` is not a size", "64KiB"]),
    (&["--max-body", "5GiB"], &["--max-body: `5GiB`", "between 1B and 4GiB"]),
    (&["--strict=perhaps"], &["--strict: `perhaps`", "true or false"]),
    (&["--request-timeout-ms", "20000"], &["--shutdown-grace: ", "--request-timeout-ms"]),
    (
        &["--idempotency-retention-seconds", "3"],
        &["--idempotency-retention-seconds: ", "--request-timeout"],
    ),
    (&["--idle-timeout-ms", "10"], &["--idle-timeout-ms: ", "--head-timeout"]),
    (&["--max-uri-bytes", "1"], &["--max-uri-bytes"]),
    (&["--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2"], &["--listen", "given twice"]),
    (&["--no-such-flag"], &["--no-such-flag", "--help"]),
    (&["--thread", "2"], &["--threads"]),
    (&["no-such-command"], &["no-such-command"]),
    (&["--log", "a=b=c"], &["--log"]),
    (&["--log", "debgu"], &["--log", "debgu", "debug"]),
    (&["--store", "redis://h/-1"], &["--store"]),
    (&["--store", "redis://h?x=1"], &["--store"]),
];

#[test]
fn a_bad_configuration_is_one_line_and_exit_code_64() {
    for (args, words) in BAD {
        let output = run(args);
        assert_usage(&output, 64, words);
        let lines = String::from_utf8_lossy(&output.stderr).lines().count();
        assert_eq!(lines, 1, "{args:?}");
        if args[0] != "no-such-command" {
            // The subcommands refuse it likewise.
            for command in ["serve", "check-config"] {
                assert_usage(&run(&[&[command], *args].concat()), 64, words);
            }
        }
    }
}

#[test]
fn localhost_and_unix_sockets_are_listened_on() {
    for (listen, shown) in [
        ("localhost", "127.0.0.1:8080"),
        ("localhost:9", "127.0.0.1:9"),
        ("unix:a.sock", "unix:a.sock"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
    ] {
        let output = run(&["check-config", "--listen", listen]);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find(|line| line.starts_with("--listen")).unwrap();
        assert!(line.ends_with(&format!(" {shown}")), "{line}");
    }
    let nowhere = ["--listen", "unix:/no/such/folder/x", "--store", "memory:"];
    assert_usage(&run(&nowhere), 64, &["--listen unix:/no/such", "may write to"]);
    assert_usage(&run(&["backup"]), 64, &["--from", "--to"]);
}

/// See <https://no-color.org>. `script` gives the program a terminal.
#[test]
fn a_log_on_a_terminal_has_colours_unless_somebody_wants_none() {
    let log = |variables: &[(&str, &str)]| {
        let command = format!(
            "timeout -s TERM 1 {} --listen 127.0.0.1:0 --store memory:",
            env!("CARGO_BIN_EXE_onetap")
        );
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).env_remove("NO_COLOR");
        script.env("TERM", "xterm").envs(variables.iter().copied());
        let output = script.output().expect("`script`, of util-linux, is needed");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(log(&[]).contains("\u{1b}["), "{}", log(&[]));
    assert!(log(&[("NO_COLOR", "")]).contains("\u{1b}["), "empty means nothing");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let said = log(&[variable]);
        assert!(said.contains("no authentication") && !said.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn what_came_from_a_variable_is_called_by_its_name() {
    for (variable, value, words) in [
        ("ONETAP_THREADS", "none", "ONETAP_THREADS"),
        ("ONETAP_SERVICE_KEY_FILE", "keys", "did you mean ONETAP_SERVICE_KEYS_FILE?"),
        ("ONETAP_STRICT", "perhaps", "ONETAP_STRICT"),
        ("ONETAP_STORE", "memory", "ONETAP_STORE: `memory`"),
        ("ONETAP_STORE", "file:/no/such/folder/x", "ONETAP_STORE file:/no/such"),
        ("ONETAP_LISTEN", "9090", "ONETAP_LISTEN: `9090`"),
        ("ONETAP_KEY_PREFIX", "x", "ONETAP_KEY_PREFIX: it means nothing with --store file:"),
        ("ONETAP_MAX_URI_BYTES", "1", "ONETAP_MAX_URI_BYTES"),
    ] {
        let output = onetap(&["check-config"]).env(variable, value).output().unwrap();
        assert_usage(&output, 64, &[words]);
        let flag = variable.replace("ONETAP_", "--").replace('_', "-").to_lowercase();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains(&flag), "{said}");
    }
    // A flag goes before its variable.
    let flag = onetap(&["--listen=x", "check-config"]).env("ONETAP_LISTEN", "9090").output();
    assert_usage(&flag.unwrap(), 64, &["--listen: `x`"]);
    let longer = ["check-config", "--redis-password-file", "/no/such/file", "--store", "redis://h"];
    let output = onetap(&longer).env("ONETAP_REDIS_USERNAME", "x").output().unwrap();
    assert_usage(&output, 64, &["--redis-password-file"]);
}

#[test]
fn flags_mean_the_same_before_and_after_the_command() {
    let after = run(&["check-config", "--store", "memory:", "--threads", "3"]);
    assert!(after.status.success(), "{after:?}");
    for before in [
        &["--store", "memory:", "--threads", "3", "check-config"][..],
        &["--store", "memory:", "check-config", "--threads", "3"],
        &["--threads", "9", "--store", "memory:", "check-config", "--threads", "3"],
    ] {
        assert_eq!(run(before).stdout, after.stdout, "{before:?}");
    }
    for command in
        [&["--listen", "x"][..], &["--listen", "x", "serve"], &["serve", "--listen", "x"]]
    {
        assert_usage(&run(command), 64, &["--listen: `x`"]);
    }
}

#[test]
fn what_may_be_secret_is_not_repeated() {
    let secret = "redis://user:hunter2@127.0.0.1:1/0";
    let checked = run(&["check-config", "--store", secret]);
    assert!(checked.status.success());
    let help = onetap(&["--help"]).env("ONETAP_STORE", secret).output().unwrap();
    let bad = [
        &["--store", "redisx://user:hunter2@host"][..],
        &["--stores=redis://user:hunter2@host"],
        &["--stores", "redis://user:hunter2@host"],
        &["redis://user:hunter2@host"],
        &["serve", "redis://user:hunter2@host"],
        &["--listen", "redis://user:hunter2@host"],
        &["--cors-origin", "redis://user:hunter2@host,redis://other:hunter2@host"],
    ];
    for output in bad.map(run).into_iter().chain([checked, help]) {
        for text in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(text).contains("hunter2"), "{output:?}");
        }
    }
}

#[test]
fn check_config_says_what_it_comes_to() {
    let output = run(&["check-config", "--threads", "3"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("127.0.0.1:8080") && said.contains("file:./onetap.redb"), "{said}");
    assert!(said.contains("The store file was not opened"), "{said}");
    let demo = |said: &str| said.lines().find(|l| l.starts_with("--demo")).unwrap().to_owned();
    for (expected, output) in [
        (" true", run(&["check-config"])),
        (" true", run(&["--demo", "check-config"])),
        (" false", run(&["check-config", "--demo=false"])),
        (" true", onetap(&["check-config"]).env("ONETAP_DEMO", "yes").output().unwrap()),
        (" false", onetap(&["check-config"]).env("ONETAP_DEMO", "no").output().unwrap()),
    ] {
        let said = demo(&String::from_utf8_lossy(&output.stdout));
        assert!(said.ends_with(expected), "{expected}: {said}");
    }
    let by_variable = onetap(&["check-config"]).env("ONETAP_THREADS", "3").output().unwrap();
    let by_variable = String::from_utf8_lossy(&by_variable.stdout).into_owned();
    assert_eq!(by_variable.replace("variable  3", "flag      3"), said);
}

#[test]
fn openapi_prints_the_committed_document() {
    let output = run(&["openapi"]);
    assert!(output.status.success());
    assert!(output.stdout == include_bytes!("../../../openapi.json"), "it has drifted");
}

#[test]
fn that_nobody_reads_what_it_prints_is_no_failure() {
    for args in ["openapi", "check-config", "--help"] {
        let line = "(\"$0\" \"$1\"; echo $? >&2) | head -c 1";
        let mut enough = Command::new("sh");
        enough.args(["-c", line, env!("CARGO_BIN_EXE_onetap"), args]).stdin(Stdio::null());
        let output = enough.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "0\n");
    }
}

#[test]
fn a_taken_port_is_exit_code_69() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_usage(&run(&["--listen", &address, "--store", "memory:"]), 69, &[&address, "taken"]);
    // An address that this machine does not have is a matter of configuration.
    let foreign = run(&["--listen", "192.0.2.1:8080", "--insecure-no-auth"]);
    assert_usage(&foreign, 64, &["192.0.2.1:8080"]);
}

#[tokio::test]
async fn a_redis_of_another_layout_is_exit_code_64() {
    let (server, prefix) = (shared(Kind::Redis), prefix());
    let mut redis = server.client().await;
    let key = format!("{prefix}:layout");
    let _: () = redis::cmd("SET").arg(&key).arg("99").query_async(&mut redis).await.unwrap();
    let output =
        run(&["--listen", "127.0.0.1:0", "--store", &server.url(), "--key-prefix", &prefix]);
    assert_usage(&output, 64, &[&key, "99", "--key-prefix"]);
}

#[test]
fn it_greets_serves_and_stops_on_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut child = onetap(&["--listen", "127.0.0.1:0", "--store", "memory:"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = lines.next().unwrap().unwrap();
        let url = greeting.strip_prefix("Listening on ").expect(&greeting).to_owned();
        let hint = lines.next().unwrap().unwrap();
        assert!(hint.contains(&format!("curl -w '\\n' -X PUT {url}/v1/posts/")), "{hint}");
        let curl = hint.strip_prefix("Try: ").unwrap().replace("curl ", "curl -sS ");
        let rest: Vec<String> = lines.by_ref().take(2).map(Result::unwrap).collect();
        assert_eq!(rest, [format!("Docs: {url}/docs"), format!("Demo: {url}/demo")]);
        let answer = Command::new("sh").args(["-c", &curl]).output().unwrap();
        let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(answer.contains(r#""active":true,"changed":true,"count":1"#), "{answer}");
        assert!(answer.ends_with('\n'), "the prompt has a line of its own: {answer}");

        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let begun = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("will NOT survive a restart"), "{said}");
        assert!(said.contains("every caller may do everything"), "{said}");
    }
}

/// The reader of the log has died. A log line that cannot be written must not keep the service from
/// ending.
#[test]
fn it_stops_although_nobody_reads_its_log() {
    let mut child = onetap(&["--listen", "127.0.0.1:0", "--store", "memory:"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut greeting = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut greeting).unwrap();
    drop(child.stderr.take());
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let begun = Instant::now();
    let ended = loop {
        match child.try_wait().unwrap() {
            None if begun.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            ended => break ended,
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(ended.expect("it should have ended").code(), Some(0));
}

#[test]
fn output_that_cannot_be_written_is_exit_code_69() {
    for command in [
        &["--help"][..],
        &["check-config"],
        &["completions", "bash"],
        &["default-config"],
        &["man"],
        &["openapi"],
        &["service-key", "--name", "forum", "--scopes", "read"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = onetap(command).stdout(full).output().unwrap();
        assert_usage(&output, 69, &["standard output: No space left on device"]);
    }
}
