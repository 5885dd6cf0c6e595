//! The command line.

mod barrier;
mod soak;
mod verify;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::burst::{self, BurstError, BurstOptions};
use crate::client::{ClientError, Target};
use crate::history;
use crate::rate::{self, RateOptions};
use crate::report;

/// Sends taps to a running onetap and proves that it counted each exactly once. The taps stay in
/// its store, on new posts with random ids: use a store that you can throw away.
#[derive(Debug, Parser)]
#[command(name = "onetap-loadtest", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    burst: BurstArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send one tap of each user at one moment, and prove that the palette's limits held
    Barrier(barrier::BarrierArgs),
    /// Send taps at one moment and prove the final state (the default command)
    Burst(BurstArgs),
    /// Send taps at a fixed rate and measure the latency that users would see
    Rate(RateArgs),
    /// Send a mixed load through faults, record it, and judge the record
    Soak(SoakArgs),
    /// Judge recorded histories: are their answers possible if every tap was counted exactly once?
    Verify(VerifyArgs),
    /// Hold streams open, send taps at a fixed rate, and measure how late each tap reaches each
    /// stream
    Watch(WatchArgs),
}

#[derive(Clone, Debug, Args)]
struct Common {
    /// Address of the service
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
struct BurstArgs {
    #[command(flatten)]
    common: Common,
    /// Taps in a round, each over a connection of its own
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=4096))]
    taps: u16,
    /// Number of rounds, each on a new post
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Number of users that the taps come from, in turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    users: u64,
    /// Send PUT and DELETE among the toggles
    #[arg(long)]
    mix: bool,
}

#[derive(Clone, Debug, Args)]
struct RateArgs {
    #[command(flatten)]
    common: Common,
    /// Taps per second
    #[arg(long, default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Seconds to send for
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Number of connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
}

#[derive(Clone, Debug, Args)]
struct SoakArgs {
    #[command(flatten)]
    common: Common,
    /// Seconds to send for (30 unless --taps is given); Ctrl-C ends the load early and judges it
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    seconds: Option<u32>,
    /// Most operations to send, reads included
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    taps: Option<u64>,
    /// Number of connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Number of users
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    users: u64,
    /// Number of posts, all new
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    posts: u16,
    /// Send an idempotency key with every tap, and retry with it the taps of unknown outcome
    #[arg(long)]
    keys: bool,
    /// The service's --request-timeout, in milliseconds: a tap may still be applied this long after
    /// a 504 or after its connection broke
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    request_timeout_ms: u32,
    /// Record the history to this file and keep it; otherwise it is kept only if it is wrong
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Accept that a failover loses the newest changes, even answered ones
    #[arg(long)]
    allow_lost_suffix: bool,
}

#[derive(Clone, Debug, Args)]
struct WatchArgs {
    /// Taps, and over how many connections to send them
    #[command(flatten)]
    taps: RateArgs,
    /// Number of streams to hold open, spread evenly over the posts
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    streams: u32,
    /// Number of posts, all new
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    posts: u32,
}

#[derive(Clone, Debug, Args)]
struct VerifyArgs {
    /// Recorded histories; loadtest/HISTORY.md describes the format
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Accept that a failover loses the newest changes, even answered ones
    #[arg(long)]
    allow_lost_suffix: bool,
    /// Also write the verdicts to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Exit codes. 0: proved, as the last line says. 1: something was wrong, a request had no good
/// answer, or nothing was proved. 64: the command line cannot be run. 65: a file is not a history,
/// or has no tap. 69: the service cannot be reached.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                // Printing fails only if standard output is closed.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            return fail(&usage(&error.to_string()), 64);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string(), 1),
    };
    match cli.command {
        None => runtime.block_on(run_burst(cli.burst)),
        Some(Command::Barrier(args)) => runtime.block_on(barrier::run(args)),
        Some(Command::Burst(args)) => runtime.block_on(run_burst(args)),
        Some(Command::Rate(args)) => runtime.block_on(run_rate(args)),
        Some(Command::Soak(args)) => runtime.block_on(soak::run(args)),
        Some(Command::Verify(args)) => verify::run(&args),
        Some(Command::Watch(args)) => runtime.block_on(watch::run(args)),
    }
}

/// What is wrong with the command line, as one line.
fn usage(rendered: &str) -> String {
    let ends = ["\n\nUsage:", "\n\nFor more information"].map(|end| rendered.find(end));
    let end = ends.into_iter().flatten().min().unwrap_or(rendered.len());
    let words: Vec<&str> = rendered[..end].split_whitespace().collect();
    let said = words.join(" ").replace(" tip: ", "; tip: ");
    format!("{}; see --help", said.strip_prefix("error: ").unwrap_or(&said))
}

fn fail(problem: &str, code: u8) -> ExitCode {
    eprintln!("onetap-loadtest: {problem}");
    ExitCode::from(code)
}

/// Open files besides the connections: the runtime's, the report, the history, a terminal.
const OTHER_FILES: u64 = 32;

/// Raises the limit on open files as far as possible. If it is too low for the connections, reports
/// that before sending anything: a run with fewer connections would measure something else.
fn allow_connections(flags: &str, wanted: u64) -> Result<(), ExitCode> {
    let wanted = wanted + OTHER_FILES;
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    if limit >= wanted {
        return Ok(());
    }
    let problem = format!(
        "{flags} needs {wanted} open files and only {limit} are allowed: raise the limit (ulimit -n \
         {wanted}), or ask for fewer"
    );
    Err(fail(&problem, 64))
}

/// A progress bar on a terminal, nothing elsewhere.
fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn write_json(file: Option<&Path>, value: &Value) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, format!("{value:#}\n"))
        .map_err(|error| format!("--json {}: {error}", file.display()))
}

async fn run_burst(args: BurstArgs) -> ExitCode {
    let target = match Target::new(&args.common.url) {
        Ok(target) => target,
        Err(error) => return fail(&error.to_string(), 64),
    };
    if let Err(code) = allow_connections("--taps", args.taps.into()) {
        return code;
    }
    let options = BurstOptions {
        taps: usize::from(args.taps),
        rounds: args.rounds as usize,
        users: args.users,
        mix: args.mix,
    };
    let bar = bar(u64::from(args.rounds));
    let result = burst::run(&target, &options, |round| bar.set_position(round as u64)).await;
    bar.finish_and_clear();
    let (json, code) = match result {
        Ok(report) => {
            print!("{}", report::burst_table(&options, &report));
            (report::burst_json(&options, &report), 0)
        }
        Err(error) => {
            let problem = error.to_string();
            let right = match &error {
                BurstError::Unreachable(_) => 0,
                BurstError::Request { round, .. }
                | BurstError::Wrong { round, .. }
                | BurstError::NoOverlap { round } => round - 1,
            };
            let history = match error {
                BurstError::Wrong { history, .. } => {
                    history.iter().map(history::tap_value).collect()
                }
                BurstError::Unreachable(_) => return fail(&problem, 69),
                BurstError::Request { .. } | BurstError::NoOverlap { .. } => Value::Null,
            };
            if !history.is_null() {
                eprintln!("{history:#}");
            }
            fail(&problem, 1);
            print!("{}", report::burst_until(&options, right));
            (json!({ "kind": "burst", "ok": false, "error": problem, "history": history }), 1)
        }
    };
    finish(args.common.json.as_deref(), &json, code)
}

async fn run_rate(args: RateArgs) -> ExitCode {
    let target = match Target::new(&args.common.url) {
        Ok(target) => target,
        Err(error) => return fail(&error.to_string(), 64),
    };
    if let Err(code) = allow_connections("--connections", args.connections.into()) {
        return code;
    }
    let options = RateOptions {
        rate: args.rate,
        seconds: args.seconds,
        connections: usize::from(args.connections),
        posts: rate::new_posts(1000),
    };
    let bar = bar(u64::from(args.rate) * u64::from(args.seconds));
    let moving = bar.clone();
    let told = std::sync::Arc::new(|_, _, _: &_| ());
    let result: Result<_, ClientError> =
        rate::run(&target, &options, move |due| moving.set_position(due), told).await;
    bar.finish_and_clear();
    match result {
        Ok(report) => {
            print!("{}{}", report::rate_table(&report), report::rate_proved(&report));
            let code = u8::from(!report.is_right());
            finish(args.common.json.as_deref(), &report::rate_json(&report), code)
        }
        Err(error) => fail(&error.to_string(), unreachable(&error)),
    }
}

/// The exit code if the service cannot be reached, or is another service.
fn unreachable(error: &ClientError) -> u8 {
    if matches!(error, ClientError::Connect(..)) { 69 } else { 1 }
}

fn finish(file: Option<&Path>, json: &Value, code: u8) -> ExitCode {
    match write_json(file, json) {
        Ok(()) => ExitCode::from(code),
        Err(problem) => fail(&problem, 1),
    }
}
