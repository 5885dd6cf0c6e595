//! `onetap-loadtest watch`.

use std::process::ExitCode;

use super::{WatchArgs, allow_connections, bar, fail, finish, unreachable};
use crate::client::Target;
use crate::rate::{self, RateOptions};
use crate::report;
use crate::watch;

pub(super) async fn run(args: WatchArgs) -> ExitCode {
    let target = match Target::new(&args.taps.common.url) {
        Ok(target) => target,
        Err(error) => return fail(&error.to_string(), 64),
    };
    let open = u64::from(args.streams) + u64::from(args.taps.connections);
    if let Err(code) = allow_connections("--streams with --connections", open) {
        return code;
    }
    let options = RateOptions {
        rate: args.taps.rate,
        seconds: args.taps.seconds,
        connections: usize::from(args.taps.connections),
        posts: rate::new_posts(args.posts as usize),
    };
    let bar = bar(u64::from(options.rate) * u64::from(options.seconds));
    let moving = bar.clone();
    let progress = move |due| moving.set_position(due);
    let result = watch::run(&target, &options, args.streams as usize, progress).await;
    bar.finish_and_clear();
    match result {
        Ok(report) => {
            print!("{}", report::watch_table(&report));
            let code = u8::from(!report.is_right());
            finish(args.taps.common.json.as_deref(), &report::watch_json(&report), code)
        }
        Err(error) => fail(&format!("{error}; nothing is proved"), unreachable(&error)),
    }
}
