//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use super::flags::Flags;
use super::sections::Sections;
use super::setting::{Kind, Setting};
use super::{ConfigError, DiffArgs, EraseArgs, ExportArgs, ImportArgs, JobsArgs, units};

/// Reactions that count every tap exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "onetap",
    version,
    after_help = "Each flag is also a variable (--max-body: ONETAP_MAX_BODY) and a key of the \
                  configuration file (max_body in [limits]; the headings above are its \
                  sections). Palettes stand in the file alone. A flag goes before a variable, a \
                  variable before the file. Durations and sizes have units: 500ms, 2s, 1h 30m; \
                  512B, 64KiB, 1GiB. Each switch takes =false."
)]
pub struct Cli {
    /// What to do; serve unless said otherwise.
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    sections: Sections,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service (this is also what happens without a command)
    Serve,
    /// Print every setting with its value and where it comes from, without running anything
    CheckConfig(CheckConfigArgs),
    /// Print a configuration file with every setting, commented out
    DefaultConfig(DefaultConfigArgs),
    /// Print the OpenAPI document
    Openapi,
    /// Copy a store file, also while a service holds it; then check the copy
    Backup(BackupArgs),
    /// Print a token for a user, signed with the secret in `--jwt-hs256-secret-file`
    Token(TokenArgs),
    /// Read a token or a service key from stdin, and say whether the service accepts it
    CheckToken,
    /// Print a new service key, and its line for the file of `--service-keys-file`
    ServiceKey(ServiceKeyArgs),
    /// Read reactions from a table or an export into a store
    Import(ImportArgs),
    /// Write all reactions of a store to standard output
    Export(ExportArgs),
    /// Compare a file with a store; exit code 1 if they differ
    Diff(DiffArgs),
    /// Start jobs of a running service, and look at them
    Jobs(JobsArgs),
    /// Erase users of a running service, on all posts
    Erase(EraseArgs),
    /// Ask a running service whether it can count taps: exit code 0 if it can, 1 if not
    Health(HealthArgs),
    /// Print the manual page, in the format of man(1)
    Man,
    /// Print the completions for a shell
    Completions(CompletionsArgs),
}

/// Which service `health` asks.
#[derive(Clone, Debug, Args)]
pub struct HealthArgs {
    /// The service, such as http://127.0.0.1:8080 [default: where `--listen` says]
    #[arg(long)]
    pub url: Option<String>,

    /// How long to wait for the answer
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = units::timeout)]
    pub timeout: Duration,
}

/// Whose completions `completions` prints.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// What a token says.
#[derive(Clone, Debug, Args)]
pub struct TokenArgs {
    /// The user
    #[arg(long, value_name = "USER_ID")]
    pub user: String,

    /// How long the token is valid
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = units::retention)]
    pub expires_in: Duration,

    /// A post that the token is good for; repeat it [default: all posts]
    #[arg(long, value_name = "POST_ID")]
    pub post: Vec<String>,
}

/// What a service key is good for.
#[derive(Clone, Debug, Args)]
pub struct ServiceKeyArgs {
    /// The name of the key in the log, one word
    #[arg(long)]
    pub name: String,

    /// Some of `act-as`, `moderate`, `read`, `feed` and `admin`, separated by commas
    #[arg(long)]
    pub scopes: String,

    /// When it expires: `never`, or a time like `2027-01-31T00:00:00Z`
    #[arg(long, default_value = "never", value_name = "TIME")]
    pub expires: String,
}

/// What `check-config` checks.
#[derive(Clone, Debug, Args)]
pub struct CheckConfigArgs {
    /// Also connect to the Redis, or open the store file
    #[arg(long)]
    pub connect: bool,
}

/// The format of `default-config`.
#[derive(Clone, Debug, Args)]
pub struct DefaultConfigArgs {
    /// Print tables in Markdown instead, as docs/operations.md has them
    #[arg(long)]
    pub markdown: bool,
}

/// What `backup` copies, and where to.
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// The store file, as `--store` names it: file:PATH
    #[arg(long)]
    pub from: String,

    /// Where to write the copy; no file may be there yet
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// What the arguments ask the program to do.
#[derive(Debug)]
pub enum Parsed {
    /// Run a command.
    Run(Command, Box<Flags>),
    /// Print a text, such as the help.
    Print(String),
}

/// Reads the command line.
///
/// # Errors
///
/// If an argument is unknown or has a wrong value.
pub fn parse(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Parsed, ConfigError> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let read = command_line().try_get_matches_from(&args).and_then(|matches| {
        let command = Cli::from_arg_matches(&matches)?.command.unwrap_or(Command::Serve);
        Ok((command, matches))
    });
    let error = match read {
        Ok((command, matches)) => {
            return Ok(Parsed::Run(command, Box::new(Flags { matches, args })));
        }
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Ok(Parsed::Print(error.render().to_string()))
        }
        _ => Err(as_spelled(ConfigError::from_clap(&error), &args)),
    }
}

/// All that the command line takes.
pub fn command_line() -> clap::Command {
    // A flag means the same before and after the command.
    with_kinds(Cli::command()).mut_args(|arg| arg.global(true))
}

/// Names the flag in the error as the operator wrote it, perhaps by an old name.
fn as_spelled(error: ConfigError, args: &[OsString]) -> ConfigError {
    let command = definitions();
    let mut settings = Setting::all(&command).into_iter();
    match settings.find(|setting| setting.flag() == error.key) {
        Some(setting) => ConfigError { key: setting.spelled(args), ..error },
        None => error,
    }
}

/// The settings as clap arguments, without commands.
pub(super) fn definitions() -> clap::Command {
    with_kinds(Sections::augment_args(clap::Command::new("onetap")))
}

/// Adds the rules that all settings of a kind share.
fn with_kinds(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| match Kind::of(&arg) {
        // `--strict` is `--strict=true`; `--strict=false` turns it off.
        Kind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(units::switch)
            .value_name("BOOL"),
        // `-1s` is an invalid value, not a flag.
        Kind::Number | Kind::Decimal | Kind::Quantity => arg.allow_hyphen_values(true),
        Kind::Text | Kind::List => arg,
    })
}
