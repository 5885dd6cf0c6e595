//! `onetap-loadtest soak`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::{SoakArgs, allow_connections, fail, finish, unreachable, verify};
use crate::client::Target;
use crate::report;
use crate::soak::{self, SoakError, SoakOptions};
use crate::verify::Rules;

/// The default without `--seconds` and `--taps`.
const SECONDS: u32 = 30;

pub(super) async fn run(args: SoakArgs) -> ExitCode {
    let target = match Target::new(&args.common.url) {
        Ok(target) => target,
        Err(error) => return fail(&error.to_string(), 64),
    };
    if let Err(code) = allow_connections("--connections", args.connections.into()) {
        return code;
    }
    let record = args.record.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("onetap-soak-{}.ndjson", std::process::id()))
    });
    let seconds = args.seconds.or(if args.taps.is_none() { Some(SECONDS) } else { None });
    let options = SoakOptions {
        time: seconds.map(|seconds| Duration::from_secs(seconds.into())),
        taps: args.taps,
        connections: args.connections.into(),
        users: args.users,
        posts: args.posts.into(),
        keys: args.keys,
        request_timeout: Duration::from_millis(args.request_timeout_ms.into()),
        record,
        rules: Rules { allow_lost_suffix: args.allow_lost_suffix },
        begun: Arc::default(),
    };
    // If no signal handler can be set, Ctrl-C just ends the process.
    let stop = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let report = match soak::run(target, options, stop).await {
        Ok(report) => report,
        Err(error) => {
            let code = match error {
                SoakError::Unreachable(_) => 69,
                SoakError::NoEnding(ref error) => unreachable(error),
                SoakError::Record { .. } => 64,
                SoakError::History { .. } => 1,
            };
            return fail(&error.to_string(), code);
        }
    };
    print!("{}", report::soak_table(&report));
    verify::explain(&report.history, &report.verdict);
    if report.verdict.answered == 0 {
        fail("no tap was answered 2xx, so nothing is proved: see what was answered above", 1);
    }
    let right = report.verdict.proves();
    if right && args.record.is_none() {
        // A leftover file does no harm.
        let _ = std::fs::remove_file(&report.history);
    } else {
        println!("{:<22}{}", "history", report.history.display());
    }
    print!("{}", report::proved(&report.verdict));
    finish(args.common.json.as_deref(), &report::soak_json(&report, right), u8::from(!right))
}
