//! `onetap backup`: a copy of a store file, also while a service holds it.

use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::Instant;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{Failure, say};
use crate::config::{BackupArgs, ConfigError};
use crate::store::file::{BackupError, OpenError, back_up, unfinished};

pub(super) fn run(args: &BackupArgs) -> Result<(), Failure> {
    let Some(from) = args.from.strip_prefix("file:").filter(|path| !path.is_empty()) else {
        // `--from` may be the address of a Redis with a password, so the error does not repeat it.
        return Err(ConfigError::new("--from", "it names no store file", "write file:PATH").into());
    };
    // A lower priority: the service's taps go first.
    let _ = rustix::process::nice(10);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (from, to, began) = (PathBuf::from(from), args.to.clone(), Instant::now());
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = super::hangup()?;
        super::take_no_harm()?;
        let copying = tokio::task::spawn_blocking(move || copy(&from, &to));
        let stopped = tokio::select! {
            copied = copying => {
                let entries = copied.map_err(std::io::Error::other)??;
                let size = std::fs::metadata(&args.to)?.len();
                return say(&format!(
                    "{}: {entries} entries, {}, copied and checked in {:.1} s\n\
                     To restore it, stop the service and start it with --store file:{0}\n",
                    args.to.display(),
                    ByteSize(size).display().iec(),
                    began.elapsed().as_secs_f64(),
                ));
            }
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            () = super::heard(&mut hangup) => SignalKind::hangup(),
        };
        let _ = std::fs::remove_file(unfinished(&args.to));
        eprintln!("onetap: stopped; no copy was made");
        exit(128 + stopped.as_raw_value());
    })
}

fn copy(from: &Path, to: &Path) -> Result<u64, Failure> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} entries {per_sec} {eta}")
    {
        bar.set_style(style);
    }
    let done = back_up(from, to, |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.entries);
    });
    bar.finish_and_clear();
    match done {
        Ok(done) => Ok(done.entries),
        Err(error) => {
            let line = error.to_string();
            Err(match error {
                BackupError::Target(path, why) => {
                    ConfigError::told(format!("--to {}", path.display()), &why).into()
                }
                BackupError::Source(path, OpenError::Unusable(why)) => {
                    ConfigError::told(format!("--from file:{}", path.display()), &why).into()
                }
                BackupError::Source(_, OpenError::Damaged(_)) => Failure::Data(line),
                BackupError::Source(_, OpenError::Locked)
                | BackupError::Held(..)
                | BackupError::Write(..)
                | BackupError::Read(..) => Failure::Taken(line),
            })
        }
    }
}
