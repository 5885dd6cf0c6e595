//! A real PostgreSQL for one test, on a Unix socket in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A running server with an empty database `forum`. It stops on drop.
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
}

/// Where its programs are: a folder that `ONETAP_TEST_POSTGRES` names, or Debian's.
fn programs() -> PathBuf {
    if let Some(path) = std::env::var_os("ONETAP_TEST_POSTGRES") {
        return path.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    found.retain(|folder| folder.join("initdb").exists());
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!(
            "PostgreSQL is not here: `make tools` installs it (apt-get install postgresql), or name the folder of its \
             programs in ONETAP_TEST_POSTGRES"
        )
    })
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Self { folder, programs: programs() };
        if is_root() {
            let own = Command::new("chown").arg("postgres").arg(server.path()).status();
            assert!(own.unwrap().success(), "the user postgres is needed, as its package makes it");
        }
        let data = server.path().join("data").display().to_string();
        let socket = server.path().display().to_string();
        server.run(
            "initdb",
            &["-D", &data, "-A", "trust", "-U", "forum", "--no-sync", "-E", "UTF8", "--locale=C"],
        );
        let options = format!("-F -k {socket} -c listen_addresses=''");
        let log = server.path().join("log").display().to_string();
        server.run("pg_ctl", &["-D", &data, "-o", &options, "-l", &log, "-w", "start"]);
        server.run("createdb", &["-h", &socket, "-U", "forum", "forum"]);
        server
    }

    /// The folder of its socket.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What psql needs to find it.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        let host = self.path().display().to_string();
        [("PGHOST", host), ("PGUSER", "forum".into()), ("PGDATABASE", "forum".into())]
    }

    /// What a statement answers, a row a line.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        let output = psql
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .envs(self.variables())
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs one of its programs. It refuses to run as root.
    fn try_run(&self, program: &str, args: &[&str]) -> Output {
        let program = self.programs.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        // A server that inherits a pipe would keep it open.
        let log = std::fs::File::create(self.path().join("said")).unwrap();
        command.args(args).current_dir("/").stdout(log.try_clone().unwrap()).stderr(log);
        command.output().unwrap()
    }

    fn run(&self, program: &str, args: &[&str]) {
        let output = self.try_run(program, args);
        let said = std::fs::read_to_string(self.path().join("said")).unwrap_or_default();
        assert!(output.status.success(), "{program}: {said}");
    }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap_or_default().contains("\nUid:\t0\t")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.path().join("data").display().to_string();
        self.try_run("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
    }
}
