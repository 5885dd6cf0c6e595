//! `onetap diff`: what differs between a file and a store.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use super::export;
use super::moving::{self, many};
use crate::app::{self, Failure};
use crate::config::{Config, DiffArgs, Settings};
use crate::moving::{Difference, Differences, From, Grouping, Reading, diff};

/// Compares.
pub(super) fn run(args: &DiffArgs, settings: &Settings) -> Result<(), Failure> {
    let config = Config::new(settings)?;
    moving::log(settings, &config)?;
    let meaning = moving::meaning(&args.meaning, &config);
    let failed = |error| moving::input_failure(&args.file, error);
    let reading = Reading::of(From::named(&args.file), meaning).map_err(failed)?;
    let service = moving::service(&args.service, settings)?;
    if service.is_none() {
        moving::is_there(&config)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let target = moving::target(service, &config).await?;
        let go_on = AtomicBool::new(false);
        let read = moving::apart(move || reading.read(Grouping::Posts, &go_on)).await?;
        let Some(whole) = read.map_err(failed)? else { return Ok(()) };
        let (rows, rejects) = (many(whole.rows, "row"), whole.rejects.clone());
        let broken = Arc::new(OnceLock::new());
        let told = Arc::clone(&broken);
        let found = move |difference: &Difference| {
            app::print(&(difference.line() + "\n")).map_err(|error| told.set(error)).is_ok()
        };
        let differences = diff(target, whole, found).await.map_err(export::failure)?;
        if let Some(error) = broken.get() {
            let line = format!("standard output: {error}; the comparison is not complete");
            return Err(Failure::Partly(line));
        }
        eprintln!("onetap: the same: {}, of {rows}", differences.same);
        let mut left = Vec::new();
        if differences.all() > 0 {
            let Differences { missing, extra, time, rules, .. } = differences;
            left.push(format!(
                "missing from the store: {missing}, there without a row: {extra}, with another \
                 time: {time}, posts with other rules: {rules}"
            ));
        }
        if rejects.count > 0 {
            let (line, why) = rejects.first.unwrap_or_default();
            let count = many(rejects.count, "row");
            left.push(format!("not readable: {count} (line {line}: {why})"));
        }
        if left.is_empty() { Ok(()) } else { Err(Failure::Partly(left.join(". "))) }
    })
}
