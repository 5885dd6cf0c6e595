//! `onetap-loadtest barrier`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Common, allow_connections, fail, finish};
use crate::barrier::{self, BarrierError};
use crate::burst::BurstError;
use crate::client::Target;
use crate::history;
use crate::report;

#[derive(Clone, Debug, Args)]
pub(super) struct BarrierArgs {
    #[command(flatten)]
    common: Common,
    /// Number of users, each over two connections of their own
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(2..=4096))]
    users: u16,
}

pub(super) async fn run(args: BarrierArgs) -> ExitCode {
    let target = match Target::new(&args.common.url) {
        Ok(target) => target,
        Err(error) => return fail(&error.to_string(), 64),
    };
    if let Err(code) = allow_connections("--users", 2 * u64::from(args.users)) {
        return code;
    }
    let (json, code) = match barrier::run(&target, args.users.into()).await {
        Ok(report) => {
            print!("{}", report::barrier_table(&report));
            (report::barrier_json(&report), 0)
        }
        Err(BarrierError::Unreachable(error)) => return fail(&error.to_string(), 69),
        Err(error) => {
            let history = match &error {
                BarrierError::Round(BurstError::Wrong { history, .. }) => {
                    history.iter().map(history::tap_value).collect()
                }
                _ => Value::Null,
            };
            if !history.is_null() {
                eprintln!("{history:#}");
            }
            let problem = error.to_string();
            fail(&problem, 1);
            print!("{}", report::barrier_failed());
            (json!({ "kind": "barrier", "ok": false, "error": problem, "history": history }), 1)
        }
    };
    finish(args.common.json.as_deref(), &json, code)
}
