//! `onetap-loadtest verify`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::{VerifyArgs, fail, finish};
use crate::history::Damaged;
use crate::report;
use crate::verify::{self, Rules, Verdict};

/// The most violations shown; one is nearly always enough.
const SHOWN: usize = 20;

/// Judges all files. A damaged file decides the exit code before a wrong one.
pub(super) fn run(args: &VerifyArgs) -> ExitCode {
    let rules = Rules { allow_lost_suffix: args.allow_lost_suffix };
    let (mut code, mut verdicts) = (0, Vec::new());
    for path in &args.files {
        match verify::file(path, rules) {
            Ok(verdict) if verdict.attempts == 0 => {
                let file = path.display().to_string();
                let problem = "nothing to verify: the history has no tap; record one with \
                               `onetap-loadtest soak --record FILE`, or write one as \
                               loadtest/HISTORY.md says";
                fail(&format!("{file}: {problem}"), 0);
                code = 65;
                verdicts.push(json!({ "file": file, "ok": false, "error": problem }));
            }
            Ok(verdict) => {
                println!("{}", path.display());
                print!("{}", report::verdict_table(&verdict));
                explain(path, &verdict);
                print!("{}", report::proved(&verdict));
                code = code.max(u8::from(!verdict.proves()));
                verdicts.push(json!({
                    "file": path.display().to_string(),
                    "ok": verdict.proves(),
                    "verdict": verdict,
                }));
            }
            Err(error) => {
                let file = path.display().to_string();
                fail(&format!("{file}: {error}"), 0);
                code = match error {
                    Damaged::Unreadable(_) => code.max(64),
                    Damaged::Line { .. } => 65,
                };
                verdicts.push(json!({ "file": file, "ok": false, "error": error.to_string() }));
            }
        }
    }
    let json = json!({ "kind": "verify", "ok": code == 0, "files": verdicts });
    finish(args.json.as_deref(), &json, code)
}

/// Prints the violations and their lines.
pub(super) fn explain(path: &Path, verdict: &Verdict) {
    let shown = &verdict.violations[..verdict.violations.len().min(SHOWN)];
    let wanted: BTreeSet<u64> = shown.iter().flat_map(|v| v.lines.iter().copied()).collect();
    // The file was read a moment ago. If it is gone, its lines are not shown.
    let lines = File::open(path).map(BufReader::new).into_iter().flat_map(|file| file.lines());
    let text: Vec<(u64, String)> = (1..)
        .zip(lines.map_while(Result::ok))
        .filter(|(number, _)| wanted.contains(number))
        .collect();
    for violation in shown {
        eprintln!("onetap-loadtest: {violation}");
        for line in &violation.lines {
            if let Ok(at) = text.binary_search_by_key(line, |(number, _)| *number) {
                eprintln!("  line {line}: {}", text[at].1);
            }
        }
    }
    if verdict.violations.len() > SHOWN {
        eprintln!("onetap-loadtest: and {} posts more", verdict.violations.len() - SHOWN);
    }
}
