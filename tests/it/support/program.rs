//! The program as a process of its own, with its log.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::http::{Connection, Response};

/// The program with these arguments and without environment variables.
pub(crate) fn onetap(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onetap"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// The output of a command that should end at once. A command that keeps running is killed.
pub(crate) fn outcome(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

/// A running service. Killed on drop.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where `/metrics` and `/readyz` are, if there is a TCP address for them alone.
    pub(crate) admin: Option<SocketAddr>,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Serves on a free port.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", args)
    }

    /// Serves on this address. With a Unix socket there is no TCP address to send requests to.
    pub(crate) fn start_at(listen: &str, args: &[&str]) -> Self {
        Self::spawn(&mut onetap(&[&["--listen", listen, "--threads", "2"], args].concat()))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (said, errors) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut said = said.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let mut greeting = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut greeting).unwrap();
        let mut admin = None;
        if command.get_args().any(|arg| arg == "--admin-listen") {
            let lines = output.lines().map_while(Result::ok);
            let found = lines.filter_map(|line| line.strip_prefix("Metrics: ").map(str::to_owned));
            let found = found.take(1).next().unwrap_or_else(|| panic!("{}", log.lock().unwrap()));
            let address = found.strip_prefix("http://").and_then(|it| it.strip_suffix("/metrics"));
            admin = address.map(|address| address.parse().unwrap());
        }
        let address = greeting
            .trim()
            .strip_prefix("Listening on ")
            .map(|listens| listens.strip_prefix("http://").unwrap_or("127.0.0.1:0").to_owned());
        let address = address.unwrap_or_else(|| panic!("{}", log.lock().unwrap()));
        Self { address: address.parse().unwrap(), admin, child, log }
    }

    pub(crate) async fn send(&self, method: &str, path: &str) -> Response {
        Connection::open(self.address).await.send(method, path, &[], "").await
    }

    /// Its resident memory now, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many files it has open, connections included.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Its memory in use, in KiB.
    pub(crate) fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// One of its metrics.
    pub(crate) async fn figure(&self, name: &str) -> u64 {
        figure(&self.send("GET", "/metrics").await.body, name)
    }

    /// Waits until a metric has this value.
    pub(crate) async fn until_figure(&self, name: &str, value: u64) {
        let is_so = || async { self.figure(name).await == value };
        self.until(&format!("{name} = {value}"), is_so).await;
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Lets it write files of any size, if it was started with a soft limit.
    pub(crate) fn lift_the_limit_on_files(&self) {
        let pid = self.child.id().to_string();
        let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
        assert!(lifted.expect("`prlimit`, of util-linux, is needed").success());
    }

    /// Waits for the process to end, and returns its exit code.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < Duration::from_secs(20), "still there: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains these words.
    pub(crate) async fn until_logged(&self, words: &str) {
        self.until(&format!("`{words}` in the log"), || async { self.log().contains(words) }).await;
    }

    /// Waits until `/readyz` is 200.
    pub(crate) async fn until_ready(&self) {
        let ready = || async { self.send("GET", "/readyz").await.status == 200 };
        self.until("ready", ready).await;
    }

    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> F) {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < Duration::from_secs(20), "not {what}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A metric without labels in the text of `/metrics`.
pub(crate) fn figure(figures: &str, name: &str) -> u64 {
    let mut lines = figures.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(key, _)| *key == name);
    found.unwrap_or_else(|| panic!("no {name} in {figures}")).1.parse().unwrap()
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
