//! What the program can be asked to do: one file a command.

mod backup;
mod serve;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::app::{Failure, file_failure, say};
use crate::config::{self, Command, Config, Parsed, StoreConfig};
use crate::http;
use crate::store::file::FileStore;

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
