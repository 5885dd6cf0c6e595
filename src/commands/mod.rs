//! What the program can be asked to do: one file a command.

mod backup;
mod serve;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Hangup, SignalKind, signal};

use crate::app::{Failure, file_failure, say};
use crate::config::{self, Command, Config, Parsed, StoreConfig};
use crate::http;
use crate::store::file::FileStore;

/// Signals that would end the process where nobody means to: a limit on the size of files is an
/// error of the write, and nothing is to be reloaded.
const HARMLESS: [SignalKind; 3] = [
    SignalKind::from_raw(Signal::XFSZ.as_raw()),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// Sees to it that they end nothing. Needs a runtime.
fn take_no_harm() -> io::Result<()> {
    // A signal that somebody has listened to does nothing else, also when the listener has gone.
    HARMLESS.into_iter().try_for_each(|kind| signal(kind).map(drop))
}

/// Listens to SIGHUP, unless the parent process has it ignored, as `nohup` does.
fn hangup() -> io::Result<Option<Hangup>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    match ignored.unwrap_or_default() & 1 {
        0 => signal(SignalKind::hangup()).map(Some),
        _ => Ok(None),
    }
}

/// Waits for SIGHUP; for ever, if it is ignored.
async fn heard(hangup: &mut Option<Hangup>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

/// The program: reads the command line, does what it says.
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
    let args: Vec<_> = args.into_iter().collect();
    run_command(&args).map_err(|failure| match failure {
        Failure::Config(error) => config::by_variable(error, &args).into(),
        other => other,
    })
}

fn run_command(args: &[OsString]) -> Result<(), Failure> {
    let cli = match config::parse(args.iter().cloned())? {
        Parsed::Run(cli) => cli,
        Parsed::Print(text) => {
            say(&text);
            return Ok(());
        }
    };
    match cli.command {
        None | Some(Command::Serve) => serve::run(cli.serve),
        Some(Command::CheckConfig) => {
            let config = Config::new(cli.serve)?;
            if let StoreConfig::File(path, _) = &config.store {
                FileStore::look(path).map_err(|error| file_failure(path, error))?;
            }
            say(&config.describe());
            Ok(())
        }
        Some(Command::Openapi) => {
            say(&http::openapi_document());
            Ok(())
        }
        Some(Command::Backup(args)) => backup::run(&args),
    }
}
