//! Settings from flags, variables, a file and defaults; and the errors of invalid ones.

mod check_config;
mod palettes;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::commands::cli::{assert_usage, onetap, run};
use crate::support::program::{Program, outcome};
use crate::support::redis_server::{Kind, free_port, shared};
use crate::support::{http::Connection, prefix};

/// A folder with a configuration file.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("onetap.toml"), content).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("onetap.toml")
    }

    /// The program, to be started in the folder with this file.
    fn onetap(&self, args: &[&str]) -> Command {
        let mut command = onetap(&[&["--config", "onetap.toml"], args].concat());
        command.current_dir(self.0.path());
        command
    }

    fn check(&self, args: &[&str]) -> Output {
        self.onetap(&[&["check-config"], args].concat()).output().unwrap()
    }
}

/// The source and the value of a setting, as `check-config` prints them.
#[track_caller]
fn said(output: &Output, name: &str) -> (String, String) {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = text.lines().find(|line| line.split(' ').next() == Some(name));
    let row = row.unwrap_or_else(|| panic!("{name} is not in {text}"));
    let (source, value) = row[name.len()..].trim_start().split_once(' ').unwrap();
    (source.to_owned(), value.trim_start().to_owned())
}

#[track_caller]
fn assert_said(output: &Output, name: &str, source: &str, value: &str) {
    assert_eq!(said(output, name), (source.to_owned(), value.to_owned()), "{name}");
}

/// Invalid files, and the error that follows the file's name.
const BAD_FILES: &[(&str, &str)] = &[
    (
        "[server]\nlisen = 'x'",
        ":2: server.lisen: onetap has no such setting; did you mean `listen`?",
    ),
    ("[limits]\nrequest_timeout_ms = 2", ":2: limits.request_timeout_ms: onetap has no such"),
    ("[limits]\nrequest_timeout_ms = 2", "did you mean `request_timeout`?"),
    ("[log]\nreqest_timeout = 2", "did you mean `request_timeout` in [limits]?"),
    ("[log]\nzzz = 2", "`onetap default-config` prints all that there are"),
    (
        "[server]\nkey_prefix = 'x'",
        ":2: server.key_prefix: it is not in its section; write it in [redis]",
    ),
    ("\nlisten = 'x'", ":2: listen: it is not in its section; write it in [server]"),
    ("config = 'x'", ":1: config: onetap has no such setting"),
    ("[sever]\n", ":1: [sever]: onetap has no such section; did you mean [server]?"),
    ("server = 1", ":1: server: it is not written as a section; write [server]"),
    ("store = 'memory:'", "write [store] on a line of its own, and the setting `store` below it"),
    ("[[server]]\n", ":1: server: it is not written as a section; write [server]"),
    ("[server]\n[log]\n[server]", ":3: server: it is there twice"),
    ("[server]\nthreads = 1\nthreads = 2", ":3: threads: it is there twice"),
    (
        "[server]\nthreads = '4'",
        ":2: server.threads: it is text, which this setting does not take; write a whole",
    ),
    ("[server]\nthreads = 4.5", ":2: server.threads: it is a number with a point"),
    ("[server]\nthreads = [4]", ":2: server.threads: it is a list"),
    ("[server]\nthreads = 0", ":2: server.threads: `0` is not a whole number between 1 and 1024"),
    (
        "[server]\nlisten = 80",
        ":2: server.listen: it is a whole number, which this setting does not take",
    ),
    ("[server]\nlisten = {}", ":2: server.listen: it is a section"),
    ("[server]\nlisten = ''", ":2: server.listen: `` is not IP:PORT"),
    (r#"server.listen = "a\nb\u0000""#, r":1: server.listen: `a\nb\u{0}` is not IP:PORT"),
    (
        "[server]\ndemo = 'yes'",
        ":2: server.demo: it is text, which this setting does not take; write true or",
    ),
    (
        "[server]\nallowed_host = 'a'",
        ":2: server.allowed_host: it is text, which this setting does not take; write a list",
    ),
    ("[server]\nallowed_host = [1]", ":2: server.allowed_host: it is a list of something else"),
    ("[limits]\nhead_timeout = 2020-01-01", ":2: limits.head_timeout: it is a date or a time"),
    ("[limits]\n\nhead_timeout = -1", ":3: limits.head_timeout: `-1` is not a duration"),
    ("[limits]\nhead_timeout = '2h30'", ":2: limits.head_timeout: `2h30` is not a duration; write"),
    (
        "[limits]\nidle_timeout = '1s'",
        ":2: limits.idle_timeout: it is shorter than --head-timeout;",
    ),
    (
        "[limits]\nrequest_timeout = '1m'",
        "--shutdown-grace: it is shorter than limits.request_timeout,",
    ),
    (
        "[redis]\nkey_prefix = 'x'",
        ":2: redis.key_prefix: it means nothing with --store file:; drop it",
    ),
    ("[store]\nstore = 'memory:'\nstrict = true", ":3: store.strict: it wants a store that keeps"),
    (
        "[server]\nlisten = '0.0.0.0:80'",
        ":2: server.listen 0.0.0.0:80: other machines can reach it",
    ),
    ("[log]\nlog = 'debgu'", ":2: log.log: `debgu` is no level; write one of"),
    (
        "[traces]\ntrace_ratio = '0.5'",
        ":2: traces.trace_ratio: it is text, which this setting does not take; write a number such",
    ),
    ("[traces]\ntrace_ratio = 1.5", ":2: traces.trace_ratio: it is not a number from 0 to 1"),
    ("[traces]\ntrace_ratio = -1", ":2: traces.trace_ratio: it is not a number from 0 to 1"),
    ("[traces]\ntrace_ratio = nan", ":2: traces.trace_ratio: it is not a number from 0 to 1"),
    ("[server", ":1: "),
    ("[store]\nstore = redis://x", ":2: string values must be quoted"),
];

#[test]
fn a_bad_file_is_one_line_that_names_the_line_and_exit_code_64() {
    for (content, words) in BAD_FILES {
        let folder = Folder::with(content);
        for command in [&["check-config"][..], &["serve"], &[]] {
            let output = outcome(&mut folder.onetap(command));
            assert_usage(&output, 64, &[words]);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(text.lines().count(), 1, "{text}");
            let by_file = words.starts_with(':');
            assert!(!by_file || text.starts_with(&format!("onetap: onetap.toml{words}")), "{text}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_line_and_exit_code_64() {
    let folder = Folder::with(b"[server]\n# caf\xe9\n");
    let place = folder.0.path();
    let open_to_all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place, open_to_all).unwrap();
    let name = |path: &Path| path.to_str().unwrap().to_owned();
    for (path, words) in [
        (folder.path(), "line 2 is not UTF-8; save the file as UTF-8"),
        (place.to_owned(), "it is a directory; name a file in it"),
        (place.join("none.toml"), "there is no such file; `onetap default-config` prints one"),
        (place.join("onetap.toml/x"), "Not a directory"),
        ("/dev/zero".into(), "it is larger than 1 MiB"),
    ] {
        let path = name(&path);
        let by_flag = run(&["check-config", "--config", &path]);
        assert_usage(&by_flag, 64, &[&format!("--config {path}: "), words]);
        let by_variable = outcome(onetap(&[]).env("ONETAP_CONFIG", &path));
        assert_usage(&by_variable, 64, &[&format!("ONETAP_CONFIG {path}: "), words]);
    }
    // Root may read everything, so the program runs as somebody else where the tests run as root.
    let (program, shut) = (place.join("onetap"), place.join("shut.toml"));
    fs::copy(env!("CARGO_BIN_EXE_onetap"), &program).unwrap();
    fs::write(&shut, "").unwrap();
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = Command::new(&program);
    command.args(["check-config", "--config"]).arg(&shut).env_clear().stdin(Stdio::null());
    if fs::read(&shut).is_ok() {
        command.uid(65_534);
    }
    let refused = command.output().unwrap();
    assert_usage(
        &refused,
        64,
        &[&name(&shut), "this user may not read it; give the user the right"],
    );
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file_before_the_default() {
    let folder = Folder::with(
        "[server]\nthreads = 3\nallowed_host = ['a.example', 'b.example']\ndemo = false\n\
         [limits]\nrequest_timeout = '3s'\nhead_timeout = 3000\nmax_body = '3KiB'\nmax_uri = 300\n\
         [store]\nstore = 'memory:'\n[memory]\nmemory_max = '3MiB'\n\
         [log]\naccess_log = true\n",
    );
    let mut command =
        folder.onetap(&["check-config", "--request-timeout", "1s", "--access-log=false"]);
    command.envs([
        ("ONETAP_REQUEST_TIMEOUT", "2s"),
        ("ONETAP_HEAD_TIMEOUT", "2s"),
        ("ONETAP_ALLOWED_HOST", "c.example,d.example"),
        ("ONETAP_ACCESS_LOG", "yes"),
        ("ONETAP_MAX_BODY", ""),
    ]);
    let output = command.output().unwrap();
    for (name, source, value) in [
        ("--config", "flag", "onetap.toml"),
        ("--request-timeout", "flag", "1s"),
        ("--access-log", "flag", "false"),
        ("--head-timeout", "variable", "2s"),
        // The variable's list replaces that of the file.
        ("--allowed-host", "variable", "c.example, d.example"),
        ("--max-body", "file", "3KiB"),
        ("--max-uri", "file", "300B"),
        ("--threads", "file", "3"),
        ("--demo", "file", "false"),
        ("--store", "file", "memory:"),
        ("--memory-max", "file", "3MiB"),
        ("--body-timeout", "default", "10s"),
        ("--cors-origin", "default", "only pages of the service's own origin"),
    ] {
        assert_said(&output, name, source, value);
    }
    let other = Folder::with("[server]\nthreads = 5\n");
    let path = other.path();
    let by_variable = onetap(&["check-config"]).env("ONETAP_CONFIG", &path).output().unwrap();
    assert_said(&by_variable, "--config", "variable", path.to_str().unwrap());
    assert_said(&by_variable, "--threads", "file", "5");
    // The flag names the file, although the variable names another.
    let both = folder.onetap(&["check-config"]).env("ONETAP_CONFIG", &path).output().unwrap();
    assert_said(&both, "--threads", "file", "3");
    // A bad value does no harm if another source overrides it.
    let bad = Folder::with("[server]\nthreads = 0\n");
    assert_said(&bad.check(&["--threads", "2"]), "--threads", "flag", "2");
}

#[tokio::test]
async fn the_service_runs_with_what_the_file_says() {
    let folder = Folder::with(
        "[server]\nlisten = '127.0.0.1:0'\n[store]\nstore = 'memory:'\n[limits]\nmax_body = '10B'\n",
    );
    let service = Program::spawn(&mut folder.onetap(&[]));
    let path = format!("/v1/posts/{}/reactions/like/users/1/toggle", crate::support::post());
    let json = [("content-type", "application/json")];
    let mut connection = Connection::open(service.address).await;
    connection
        .send("POST", &path, &json, r#"{"from":  false}"#)
        .await
        .assert_problem(413, "body_too_large");
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_name() {
    for (name, words) in [
        ("ONETAP_STRCT", "ONETAP_STRCT: onetap has no such variable; did you mean ONETAP_STRICT?"),
        ("ONETAP_LISTN", "did you mean ONETAP_LISTEN?"),
        ("ONETAP_REDIS_PASSWRD", "did you mean ONETAP_REDIS_PASSWORD?"),
        ("ONETAP_PORTS", "ONETAP_PORTS: onetap has no such variable; unset it"),
        ("ONETAP_CACHE_PORT", "ONETAP_CACHE_PORT: onetap has no such variable"),
        ("ONETAP_ZZZ", "onetap --help"),
    ] {
        for command in ["serve", "check-config"] {
            let output = outcome(onetap(&[command, "--store", "memory:"]).env(name, "1"));
            assert_usage(&output, 64, &[words]);
        }
        let bytes = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff");
        let output = onetap(&["check-config"]).env("ONETAP_LISTEN", bytes).output().unwrap();
        assert_usage(&output, 64, &["ONETAP_LISTEN: it is not UTF-8"]);
        // A command without settings ignores them.
        assert!(onetap(&["openapi"]).env(name, "1").output().unwrap().status.success());
    }
}

/// Kubernetes sets such variables for services named `onetap` or `onetap-…`. Our tests, benches and back ends
/// have their own.
#[test]
fn variables_of_others_are_left_alone_and_an_empty_one_is_unset() {
    let plain = run(&["check-config"]);
    assert!(plain.status.success());
    for (names, value) in [
        (
            &[
                "PORT",
                "PORT_80_TCP",
                "SERVICE_HOST",
                "SERVICE_PORT_HTTP",
                "CACHE_SERVICE_HOST",
                "CACHE_SERVICE_PORT",
                "CACHE_PORT_6379_TCP_ADDR",
                "TEST_REDIS",
                "FAULT_TAPS",
                "BIN",
                "URL",
            ][..],
            "1",
        ),
        (&["CACHE_PORT"], "tcp://10.0.0.1:6379"),
        (
            &[
                "STORE",
                "LISTEN",
                "THREADS",
                "STRICT",
                "REDIS_PASSWORD",
                "MEMORY_MAX",
                "CONFIG",
                "STRCT",
            ],
            "",
        ),
    ] {
        let mut command = onetap(&["check-config"]);
        command.envs(names.iter().map(|name| (format!("ONETAP_{name}"), value)));
        assert_eq!(command.output().unwrap().stdout, plain.stdout, "{names:?}");
    }
}

/// Old names of flags. A bare number keeps the unit in which the old name ends.
const OLD_NAMES: &[(&str, &str, &str)] = &[
    ("head-timeout-ms", "2000", "2s"),
    ("body-timeout-ms", "2000", "2s"),
    ("request-timeout-ms", "2000", "2s"),
    ("idle-timeout-ms", "6000", "6s"),
    ("write-timeout-ms", "2000", "2s"),
    ("shutdown-grace-ms", "2500", "2s 500ms"),
    ("redis-connect-timeout-ms", "2000", "2s"),
    ("max-body-bytes", "2048", "2KiB"),
    ("max-uri-bytes", "2048", "2KiB"),
    ("file-cache-mib", "64", "64MiB"),
    ("change-log-retention-seconds", "120", "2m"),
    ("idempotency-retention-seconds", "120", "2m"),
];

#[test]
fn every_old_name_still_works() {
    for (old, value, shown) in OLD_NAMES {
        let (new, _) = old.rsplit_once('-').unwrap();
        let store = if old.starts_with("redis") { "redis://h" } else { "file:x" };
        let mut results = Vec::new();
        for name in [old, new] {
            results.push((
                "flag",
                run(&["check-config", "--store", store, &format!("--{name}"), value]),
            ));
            let variable = format!("ONETAP_{}", name.replace('-', "_").to_uppercase());
            let mut command = onetap(&["check-config", "--store", store]);
            results.push(("variable", command.env(variable, value).output().unwrap()));
        }
        for (source, output) in results {
            assert_said(&output, &format!("--{new}"), source, shown);
        }
        // The error uses the name that the operator used.
        let bad = run(&["check-config", &format!("--{old}"), "x"]);
        assert_usage(&bad, 64, &[&format!("--{old}: `x` is not a ")]);
    }
    let mut both = onetap(&["check-config"]);
    both.env("ONETAP_MAX_BODY", "1").env("ONETAP_MAX_BODY_BYTES", "1");
    let words = "ONETAP_MAX_BODY_BYTES: it is another name of ONETAP_MAX_BODY, and both are set";
    assert_usage(&both.output().unwrap(), 64, &[words]);
}

#[test]
fn every_switch_can_be_turned_off_and_a_duration_has_a_unit() {
    for switch in ["--insecure-no-auth", "--demo", "--strict", "--access-log"] {
        for (text, value) in
            [("", "true"), ("=true", "true"), ("=false", "false"), ("=no", "false")]
        {
            assert_said(&run(&["check-config", &format!("{switch}{text}")]), switch, "flag", value);
        }
        let behind = run(&["check-config", switch, "false"]);
        assert_usage(&behind, 64, &["false"]);
    }
    assert_said(&run(&["check-config"]), "--demo", "default", "true");
    for text in ["2 s", "2s", "2000ms", "2000"] {
        let output = run(&["check-config", "--request-timeout", text]);
        assert_said(&output, "--request-timeout", "flag", "2s");
    }
}
