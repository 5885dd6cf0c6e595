//! `onetap import`: rows of a table or an export into a store.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::moving::{self, many};
use crate::app::{Failure, say};
use crate::config::{Config, ConfigError, ImportArgs, Settings, StoreConfig};
use crate::moving::{
    Ended, From, Imported, Meaning, Posted, Reading, Request, Target, Totals, import,
};
use crate::store::AnyStore;
use crate::store::memory::MemoryStore;

/// Runs the import.
pub(super) fn run(args: &ImportArgs, settings: &Settings) -> Result<(), Failure> {
    let config = Config::new(settings)?;
    moving::log(settings, &config)?;
    let from = From::named(&args.file);
    let meaning = Meaning { receipt: args.restore, ..moving::meaning(&args.meaning, &config) };
    let failed = |error| moving::input_failure(&args.file, error);
    let reading = Reading::of(from, meaning).map_err(failed)?;
    let rejects = args.rejects.clone().unwrap_or_else(|| rejects_of(&args.file));
    let reading = reading
        .rejecting_to(&rejects)
        .map_err(|why| ConfigError::told(format!("--rejects {}", rejects.display()), &why))?;
    let service = moving::service(&args.service, settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    runtime.block_on(async {
        let stop = moving::stop_on_signals()?;
        let target = match moving::is_there(&config) {
            // There is no store file yet: try the import on an empty store, and make no file.
            Err(_) if args.dry_run && service.is_none() && can_be_made(&config) => {
                Target::Store(AnyStore::Memory(MemoryStore::new(config.retention)))
            }
            _ => moving::target(service, &config).await?,
        };
        let (grouping, told) = (target.grouping(), Arc::clone(&stop));
        let whole = moving::apart(move || reading.read(grouping, &told)).await?.map_err(failed)?;
        let Some(whole) = whole else {
            return Err(Failure::Stopped("stopped while reading; nothing was imported".into()));
        };
        let ImportArgs { merge, dry_run, restore, retry_for, .. } = *args;
        let request = Request { target, merge, dry_run, restore, retry_for, stop };
        report(args, &import(request, whole).await, began.elapsed())
    })
}

/// Whether a store file could be made: nothing is there, and its folder is.
fn can_be_made(config: &Config) -> bool {
    let StoreConfig::File(path, _) = &config.store else { return false };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    matches!(path.try_exists(), Ok(false)) && folder.unwrap_or(Path::new(".")).is_dir()
}

fn rejects_of(file: &Path) -> PathBuf {
    let mut name = match From::named(file) {
        From::Stdin => "stdin".into(),
        From::File(path) => path.into_os_string(),
    };
    name.push(".rejects.ndjson");
    name.into()
}

/// Prints the summary, and says what is left to do.
fn report(args: &ImportArgs, imported: &Imported, took: Duration) -> Result<(), Failure> {
    let Imported { rows, rejects, totals, ended, .. } = imported;
    let all = many(*rows, "row");
    let told = say(&summary(args, imported, took));
    let go_on = "run the same command again to go on from there";
    match ended {
        Ended::Stopped => {
            let done = totals.rows_done();
            return Err(Failure::Stopped(format!("stopped after {done} of {all}; {go_on}")));
        }
        Ended::GaveUp(why) => return Err(Failure::Partly(format!("{why}; {go_on}"))),
        Ended::Whole => {}
    }
    let mut left = Vec::new();
    if rejects.count > 0 {
        let (line, why) = rejects.first.clone().unwrap_or_default();
        let path = rejects.path.display();
        let count = many(rejects.count, "row");
        left.push(format!("rejected: {count} (line {line}: {why}); {path} has them all"));
    }
    if totals.skipped.posts > 0 {
        let skipped = if args.dry_run { "would be skipped" } else { "skipped" };
        let hint = "--merge takes only rows that are newer than the last tap";
        left.push(format!("{skipped} for live taps: {}; {hint}", named(&totals.skipped)));
    }
    if totals.damaged.posts > 0 {
        left.push(format!("damaged in the store: {}", named(&totals.damaged)));
    }
    if left.is_empty() { told } else { Err(Failure::Partly(left.join(". "))) }
}

fn named(posted: &Posted) -> String {
    let mut text = format!("{} with {} (", many(posted.posts, "post"), many(posted.rows, "row"));
    let names: Vec<_> = posted.named.iter().map(ToString::to_string).collect();
    text += &names.join(", ");
    text += if names.len() as u64 == posted.posts { ")" } else { ", …)" };
    text
}

fn summary(args: &ImportArgs, imported: &Imported, took: Duration) -> String {
    let Imported { rows, read_in, rejects, totals, .. } = imported;
    let Totals { counts, ruled, rules_lost, estimate, done, skipped, damaged } = totals;
    let what = if args.dry_run { "would be " } else { "" };
    let all = many(rows + rejects.count, "row");
    let mut text = format!("{all} of {}\n", From::named(&args.file).name());
    let mut line = |count: u64, words: &str| {
        if count > 0 {
            // A String takes everything.
            let _ = writeln!(text, "  {count:>11} {words}");
        }
    };
    line(counts.added, &format!("{what}added"));
    line(counts.moved, &format!("{what}given another time"));
    line(counts.removed, &format!("{what}removed"));
    line(counts.unchanged, "unchanged");
    line(*done, "done by an earlier run");
    line(counts.lost, "left out: older than a live tap");
    line(imported.repeated(), "left out: another row of the same member is newer");
    let posts = many(skipped.posts, "post");
    line(skipped.rows, &format!("{what}skipped, on {posts} with live taps"));
    line(damaged.rows, &format!("not imported, on {}", many(damaged.posts, "damaged post")));
    let posts = |count: &u64| if *count == 1 { "post" } else { "posts" };
    line(*ruled, &format!("{} {what}given other rules", posts(ruled)));
    line(
        *rules_lost,
        &format!("{} left with other rules, because of live taps", posts(rules_lost)),
    );
    line(rejects.count, "rejected");
    if args.dry_run {
        text += &estimate.describe();
    }
    let rate = (u128::from(*rows) * 1000 / took.as_millis().max(1)).to_string();
    let _ = writeln!(
        text,
        "in {:.1} s, of which {:.1} s for reading: {rate} rows/s",
        took.as_secs_f64(),
        read_in.as_secs_f64()
    );
    text
}
