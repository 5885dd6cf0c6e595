//! SIGHUP: the configuration and the keys are read again, while the service runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use onetap::auth;

use crate::support::http::Connection;
use crate::support::post;
use crate::support::program::Program;

/// A folder with a configuration file, and the program with it.
struct Running {
    folder: TempDir,
    program: Program,
}

impl Running {
    fn with(configuration: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("onetap.toml"), configuration).unwrap();
        // The program that runs the tests may ignore SIGHUP.
        let mut hearing = Command::new("env");
        hearing.env_clear().current_dir(folder.path());
        hearing.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_onetap")]);
        hearing.args(["--config", "onetap.toml", "--listen", "127.0.0.1:0", "--store", "memory:"]);
        Self { program: Program::spawn(hearing.args(args)), folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reload(&self, configuration: &str) {
        fs::write(self.file("onetap.toml"), configuration).unwrap();
        self.program.signal("-HUP");
    }

    async fn put(&self, reaction: &str) -> u16 {
        let path = format!("/v1/posts/{}/reactions/{reaction}/users/1", post());
        self.program.send("PUT", &path).await.status
    }

    async fn until_counted(&self, result: &str, times: u64) {
        let name = format!("onetap_reloads_total{{result=\"{result}\"}}");
        self.program.until_figure(&name, times).await;
    }
}

#[tokio::test]
async fn a_hangup_changes_the_palettes() {
    let running = Running::with("[palettes.default]\nreactions = ['up']\n", &[]);
    assert_eq!([running.put("up").await, running.put("like").await], [201, 422]);
    let before = running.program.send("GET", "/v1/palettes").await;
    running.reload("[palettes.default]\nreactions = ['like']\n");
    running.until_counted("good", 1).await;
    assert_eq!([running.put("up").await, running.put("like").await], [422, 201]);
    let after = running.program.send("GET", "/v1/palettes").await;
    assert_eq!(after.json()["palettes"]["default"]["reactions"], json!(["like"]));
    assert_ne!(before.header("etag"), after.header("etag"));
    assert!(running.program.log().contains("onetap has read its configuration again"));
}

#[tokio::test]
async fn a_file_that_a_start_would_refuse_changes_nothing() {
    let good = "[palettes.default]\nreactions = ['up']\n";
    let running = Running::with(good, &[]);
    let other = "[palettes.default]\nreactions = ['like']\n";
    let bad = [
        ("rubbish\n", "onetap.toml:"),
        ("[limits]\nidle_timeout = '1s'\n", "it is shorter than --head-timeout"),
        ("[server]\nthread = 2\n", "did you mean `threads`?"),
        ("[server]\nthreads = 'two'\n", "it is text, which this setting does not take"),
        ("[log]\nlog = 'loud'\n", "`loud` is no level"),
        ("[auth]\npublic_reads = true\n", "it means nothing without"),
        ("[auth]\njwks_file = 'none'\n", "jwks_file none: "),
    ];
    for (i, (more, words)) in bad.iter().enumerate() {
        running.reload(&format!("{other}{more}"));
        running.until_counted("bad", i as u64 + 1).await;
        running.program.until_logged(words).await;
        assert_eq!([running.put("up").await, running.put("like").await], [201, 422], "{words}");
    }
    fs::remove_file(running.file("onetap.toml")).unwrap();
    running.program.signal("-HUP");
    running.until_counted("bad", 8).await;
    assert_eq!([running.put("up").await, running.put("like").await], [201, 422]);
    let log = running.program.log();
    assert_eq!(log.matches("until then onetap goes on with what it read before").count(), 8);
    running.reload(other);
    running.until_counted("good", 1).await;
    assert_eq!([running.put("up").await, running.put("like").await], [422, 201]);
}

#[tokio::test]
async fn a_hangup_changes_what_is_logged() {
    for format in ["text", "json"] {
        let running =
            Running::with("[log]\nlog = 'warn'\n", &["--access-log", "--log-format", format]);
        let is_of = |line: &&str| line.contains("/healthz");
        let lines = || running.program.log().lines().filter(is_of).count();
        running.program.send("GET", "/healthz").await;
        running.reload("[log]\nlog = 'info'\n");
        running.until_counted("good", 1).await;
        assert_eq!(lines(), 0, "{}", running.program.log());
        running.program.send("GET", "/healthz").await;
        running.program.until_logged("/healthz").await;
        running.reload("[log]\nlog = 'error'\n");
        running.until_counted("good", 2).await;
        running.program.send("GET", "/healthz").await;
        running.reload("[log]\nlog = 'info'\n");
        running.until_counted("good", 3).await;
        running.program.send("GET", "/docs").await;
        running.program.until_logged("/docs").await;
        assert_eq!(lines(), 1, "{}", running.program.log());
    }
}

#[tokio::test]
async fn settings_that_need_a_restart_are_named() {
    let running = Running::with("[palettes.default]\nreactions = ['up']\n", &[]);
    running.reload("[palettes.default]\nreactions = ['like']\n[limits]\nhead_timeout = '4s'\n");
    running.until_counted("good", 1).await;
    let words = "--head-timeout: changed; restart onetap to use the new values";
    running.program.until_logged(words).await;
    assert_eq!(running.put("like").await, 201);
}

#[tokio::test]
async fn a_new_password_of_the_store_needs_a_restart() {
    let store = |password| format!("[store]\nstore = 'redis://:{password}@127.0.0.1:1'\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("onetap.toml");
    fs::write(&file, store("one")).unwrap();
    let mut hearing = Command::new("env");
    hearing.env_clear().args(["--default-signal=HUP", env!("CARGO_BIN_EXE_onetap"), "--config"]);
    let program = Program::spawn(hearing.arg(&file).args(["--listen", "127.0.0.1:0"]));
    fs::write(&file, store("two")).unwrap();
    program.signal("-HUP");
    program.until_logged("--store: changed; restart onetap").await;
    assert!(!program.log().contains("two"), "{}", program.log());
}

/// What cannot be read in time holds up neither other files nor the end.
#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_a_bad_file() {
    let folder = tempfile::tempdir().unwrap();
    let [secret, services] = ["secret", "services"].map(|name| folder.path().join(name));
    fs::write(&secret, "x".repeat(40)).unwrap();
    let line = |name| {
        auth::key_line(
            name,
            auth::Scopes::from_words("read").unwrap(),
            "never",
            &auth::new_service_key([7; 32]),
        )
    };
    fs::write(&services, line("one")).unwrap();
    let [secret_path, services_path] = [&secret, &services].map(|path| path.to_str().unwrap());
    let args = ["--jwt-hs256-secret-file", secret_path, "--service-keys-file", services_path];
    let mut running = Running::with("", &args);
    for path in [&secret, &running.file("onetap.toml")] {
        fs::remove_file(path).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    running.program.until_logged("secret: it is a pipe").await;
    running.program.signal("-HUP");
    running.program.until_logged("onetap.toml: it is a pipe").await;
    fs::write(&services, line("another")).unwrap();
    running.program.until_logged("services: onetap has read it again").await;
    running.program.terminate();
    assert_eq!(running.program.exit_code().await, Some(0));
}

/// If the file with keys is bad, SIGHUP changes the palettes all the same. Each SIGHUP logs the bad file
/// once more.
#[tokio::test]
async fn a_hangup_reads_the_keys_too_and_each_file_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "x".repeat(40)).unwrap();
    let palettes = |name| format!("[palettes.default]\nreactions = ['{name}']\n");
    let args = ["--jwt-hs256-secret-file", secret.to_str().unwrap()];
    let running = Running::with(&palettes("up"), &args);
    let offered = async || running.program.send("GET", "/v1/palettes").await.body;
    fs::write(&secret, "short").unwrap();
    running.program.until_logged("the secret has 5 bytes").await;
    for (times, name) in [(2, "like"), (3, "love")] {
        running.reload(&palettes(name));
        let told =
            || async { running.program.log().matches("the secret has 5 bytes").count() == times };
        running.program.until("told again", told).await;
        let changed = || async { offered().await.contains(&format!("\"{name}\"")) };
        running.program.until("changed", changed).await;
    }
    // A request without a token still meets a service that asks for one.
    assert_eq!(running.put("love").await, 401);
}

/// Without a configuration file, keys are enough for SIGHUP not to be the end.
#[tokio::test]
async fn with_keys_alone_a_hangup_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "x".repeat(40)).unwrap();
    let mut hearing = Command::new("env");
    hearing.env_clear().args(["--default-signal=HUP", env!("CARGO_BIN_EXE_onetap")]);
    hearing.args(["--listen", "127.0.0.1:0", "--store", "memory:", "--jwt-hs256-secret-file"]);
    let mut program = Program::spawn(hearing.arg(&secret));
    program.signal("-HUP");
    program.until_logged("onetap has read it again").await;
    let mut connection = Connection::open(program.address()).await;
    assert_eq!(connection.send("GET", "/healthz", &[], "").await.status, 200);
    program.signal("-TERM");
    assert_eq!(program.exit_code().await, Some(0));
}
