//! The commands of the program, one a file.

mod backup;
mod check_config;
mod completions;
mod default_config;
mod diff;
mod export;
mod health;
mod import;
mod jobs;
mod man;
mod moving;
mod serve;
mod token;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Hangup, SignalKind, signal};

use crate::app::{Failure, say};
use crate::auth;
use crate::config::{self, Command, ConfigError, Flags, Listen, Parsed, Settings};
use crate::http;

/// Signals whose default action would end the process without need. SIGXFSZ: the write itself fails
/// when it exceeds the limit on file sizes. SIGUSR1 and SIGUSR2: onetap does nothing.
const HARMLESS: [SignalKind; 3] = [
    SignalKind::from_raw(Signal::XFSZ.as_raw()),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// Replaces the default action of those signals. Needs a runtime.
fn take_no_harm() -> io::Result<()> {
    // tokio's signal handler stays installed after the listener is dropped.
    HARMLESS.into_iter().try_for_each(|kind| signal(kind).map(drop))
}

/// Listens for SIGHUP, unless the parent process made it ignored, as `nohup` does.
fn hangup() -> io::Result<Option<Hangup>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    match ignored.unwrap_or_default() & 1 {
        0 => signal(SignalKind::hangup()).map(Some),
        _ => Ok(None),
    }
}

/// Waits for SIGHUP. Never returns if the signal is ignored.
async fn heard(hangup: &mut Option<Hangup>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

/// The program: parses the command line and runs the command.
pub fn main() -> ExitCode {
    match command(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("onetap: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn command(args: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let (command, flags) = match config::parse(args)? {
        Parsed::Run(command, flags) => (command, flags),
        Parsed::Print(text) => return say(&text),
    };
    match command {
        Command::Serve => with_settings(&flags, |settings| serve::run(&flags, settings)),
        Command::CheckConfig(args) => {
            with_settings(&flags, |settings| check_config::run(&args, settings))
        }
        Command::DefaultConfig(args) => default_config::run(&args),
        Command::Openapi => say(&http::openapi_document()),
        Command::Backup(args) => backup::run(&args),
        Command::Token(args) => with_settings(&flags, |settings| token::mint_one(&args, settings)),
        Command::CheckToken => with_settings(&flags, token::check),
        Command::ServiceKey(args) => token::new_key(&args),
        Command::Jobs(args) => jobs::run(&args, &flags),
        Command::Erase(args) => jobs::erase(&args, &flags),
        Command::Import(args) => with_settings(&flags, |settings| import::run(&args, settings)),
        Command::Export(args) => with_settings(&flags, |settings| export::run(&args, settings)),
        Command::Diff(args) => with_settings(&flags, |settings| diff::run(&args, settings)),
        Command::Health(args) => with_settings(&flags, |settings| health::run(&args, settings)),
        Command::Man => man::run(),
        Command::Completions(args) => completions::run(&args),
    }
}

/// The address of the service that runs on this machine with these settings.
fn own_url(flags: &Flags) -> Result<String, Failure> {
    with_settings(flags, |settings| {
        let (listen, base_path) = settings.place();
        let why = match listen {
            Listen::Tcp(address) if address.port() != 0 => {
                let address = SocketAddr::new(health::reachable(address.ip()), address.port());
                return Ok(format!("http://{address}{}", base_path.join("/")));
            }
            Listen::Tcp(_) => "port 0 is any port, so this command cannot know which",
            Listen::Unix(_) => "jobs are asked for over TCP only",
        };
        Err(ConfigError::new("--listen", why, "name the service by --url").into())
    })
}

/// Runs a command that needs the settings. Its errors name a setting by the flag, variable or key
/// that gave it.
fn with_settings<T>(
    flags: &Flags,
    work: impl FnOnce(&Settings) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let settings = Settings::merge(flags)?;
    work(&settings).map_err(|failure| match failure {
        Failure::Config(error) => settings.given.name(error).into(),
        Failure::Data(line) => Failure::Data(settings.given.name_in(&line)),
        Failure::Taken(line) => Failure::Taken(settings.given.name_in(&line)),
        Failure::Partly(line) => Failure::Partly(line),
        Failure::Stopped(line) => Failure::Stopped(line),
        Failure::Unready(line) => Failure::Unready(settings.given.name_in(&line)),
        Failure::Io(error) => Failure::Io(error),
    })
}

/// The header `Authorization` with the service key in the first line of a file.
fn bearer(path: &Path) -> Result<String, Failure> {
    let key = format!("--service-key {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(&*key, error.to_string(), "name a text file that can be read")
    })?;
    match text.lines().next().map(str::trim) {
        Some(line) if line.starts_with(auth::KEY_PREFIX) => Ok(format!("Bearer {line}")),
        _ => {
            let hint = "put a key into its first line, as `onetap service-key` prints it";
            Err(ConfigError::new(key, "it has no service key", hint).into())
        }
    }
}
