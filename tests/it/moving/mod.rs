//! Moving in and out: the commands `import`, `export` and `diff`, and their routes, as a process.

mod bad_input;
mod export;
mod gentle;
mod import;
mod restore;
mod stopping;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::prefix;
use crate::support::program::{Program, onetap};
use crate::support::redis_server::{Kind, shared};

pub(crate) const POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";
pub(crate) const OTHER: &str = "0192f0c1-2345-7890-abcd-ef012345678a";
pub(crate) const HEADER: &str = "post_id,user_id,reaction_type,is_active,created_at,updated_at\n";

/// A store that commands use: themselves, or through the service that holds it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    /// How commands name it.
    args: Vec<String>,
    service: Option<Program>,
}

impl Place {
    fn of(args: &[&str], service: Option<Program>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, args: args.iter().map(|arg| (*arg).to_owned()).collect(), service }
    }

    /// A store file.
    pub(crate) fn file() -> Self {
        Self::of(&["--store", "file:store.redb"], None)
    }

    /// Its own part of the shared Redis.
    pub(crate) fn redis() -> Self {
        Self::of(&["--store", &shared(Kind::Redis).url(), "--key-prefix", &prefix()], None)
    }

    /// A service over memory.
    pub(crate) fn service() -> Self {
        let service = Program::start(&["--store", "memory:"]);
        let url = format!("http://{}", service.address());
        Self::of(&["--url", &url], Some(service))
    }

    /// Whether it is a store file.
    pub(crate) fn is_file(&self) -> bool {
        self.args.iter().any(|arg| arg.starts_with("file:"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let own = self.args.iter().map(String::as_str);
        let mut command = onetap(&args.iter().copied().chain(own).collect::<Vec<_>>());
        command.current_dir(self.folder.path());
        command
    }

    /// Runs a command on the store.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    /// Imports a table with these rows and no header.
    pub(crate) fn import(&self, rows: &str, args: &[&str]) -> Output {
        self.write("rows.csv", format!("{HEADER}{rows}"));
        self.run(&[&["import", "rows.csv"], args].concat())
    }

    /// What the store has, as `export` writes it.
    pub(crate) fn exported(&self) -> String {
        let output = self.run(&["export"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Lets a service answer for the store meanwhile.
    pub(crate) async fn serving<T>(&self, work: impl AsyncFnOnce(&Program) -> T) -> T {
        if let Some(service) = &self.service {
            return work(service).await;
        }
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        let mut command =
            onetap(&[&["--listen", "127.0.0.1:0", "--threads", "2"], &args[..]].concat());
        let service = Program::spawn(command.current_dir(self.folder.path()));
        service.until_ready().await;
        work(&service).await
    }
}

/// The output of a command, however long it is. A command that keeps running is killed.
pub(crate) fn run(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (pid, (sender, ended)) = (child.id().to_string(), std::sync::mpsc::channel::<()>());
    let watch = std::thread::spawn(move || {
        let timeout = Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if ended.recv_timeout(Duration::from_secs(60)) == timeout {
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(sender);
    watch.join().unwrap();
    output
}

/// A row of a table.
pub(crate) fn row(post: &str, user: u64, reaction: &str, active: bool, at: &str) -> String {
    let flag = if active { 't' } else { 'f' };
    format!("{post},{user},{reaction},{flag},{at},{at}\n")
}

/// A line of an export.
pub(crate) fn line(post: &str, user: u64, reaction: &str, at: &str) -> String {
    format!(
        "{{\"post_id\":\"{post}\",\"user_id\":\"{user}\",\"reaction\":\"{reaction}\",\
         \"reacted_at\":\"{at}\"}}\n"
    )
}

/// The id of the post with this number.
pub(crate) fn numbered(n: u64) -> String {
    format!("0192f0c1-2345-7890-abcd-{n:012x}")
}

/// Rows of this many posts with so many users each, sorted as an export sorts them.
pub(crate) fn many_rows(posts: u64, users: u64) -> String {
    let mut rows = String::new();
    for post in 0..posts {
        for user in 0..users {
            // All users have the same number of digits, so texts and numbers sort alike.
            let at = format!("2024-03-01 12:{:02}:{:02}+00", post % 60, user % 60);
            write!(rows, "{}", row(&numbered(post), 100_000 + user, "like", true, &at)).unwrap();
        }
    }
    rows
}

#[track_caller]
pub(crate) fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

/// Asserts that the last line of stderr has these words.
#[track_caller]
pub(crate) fn assert_said(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for word in words {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
}

/// Asserts that the summary on stdout has these lines, whatever their spaces.
#[track_caller]
pub(crate) fn assert_summary(output: &Output, lines: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: Vec<_> = text.lines().map(str::trim).collect();
    for line in lines {
        assert!(found.contains(line), "no `{line}` in {text} {output:?}");
    }
}

pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}

/// `at_places! { [file, redis] { a_test } }` runs each test in each of the places.
macro_rules! at_places {
    ([$($place:ident),+] $tests:tt) => {
        $($crate::moving::at_places! { @ $place $tests })+
    };
    (@ $place:ident { $($test:ident),+ $(,)? }) => {
        mod $place {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::moving::Place::$place()).await;
            })+
        }
    };
}
pub(crate) use at_places;
