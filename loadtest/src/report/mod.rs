//! The results of a run, as a table for people and as JSON for machines.

mod barrier;

use serde_json::{Value, json};

use crate::burst::{BurstOptions, BurstReport};
use crate::rate::RateReport;
use crate::soak::SoakReport;
use crate::verify::Verdict;
use crate::watch::WatchReport;

pub use barrier::{barrier_failed, barrier_json, barrier_table};

/// The percentile of the sorted values, by nearest rank.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    match sorted.len() {
        0 => 0,
        n => sorted[(n * percent).div_ceil(100).clamp(1, n) - 1],
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

/// Aligned rows, each a name and a value.
fn table(rows: &[(&str, String)]) -> String {
    rows.iter().map(|(name, value)| format!("{name:<22}{value}\n")).collect()
}

/// A burst as a table.
pub fn burst_table(options: &BurstOptions, report: &BurstReport) -> String {
    let mut sorted = report.latency_micros.clone();
    sorted.sort_unstable();
    table(&[
        ("rounds", format!("{} of {} right", report.rounds, options.rounds)),
        ("taps", format!("{} counted exactly once", report.taps)),
        ("users a round", options.users.min(options.taps as u64).to_string()),
        ("in flight together", format!("at least {} of {}", report.least_overlap, options.taps)),
        ("latency p50", millis(percentile(&sorted, 50))),
        ("latency p99", millis(percentile(&sorted, 99))),
        ("latency max", millis(percentile(&sorted, 100))),
        (
            "proved",
            format!(
                "{} taps on {} posts, final states included: each tap was counted exactly once",
                report.taps, report.rounds
            ),
        ),
    ])
}

/// What a burst had proved before it failed.
pub fn burst_until(options: &BurstOptions, right: usize) -> String {
    let (taps, rounds) = (right * options.taps, options.rounds);
    table(&[("proved", format!("{taps} taps in {right} of {rounds} rounds; not the others"))])
}

/// A burst as JSON.
pub fn burst_json(options: &BurstOptions, report: &BurstReport) -> Value {
    let mut sorted = report.latency_micros.clone();
    sorted.sort_unstable();
    json!({
        "kind": "burst",
        "ok": true,
        "rounds": report.rounds,
        "taps": report.taps,
        "users": options.users,
        "mix": options.mix,
        "least_overlap": report.least_overlap,
        "latency_micros": {
            "p50": percentile(&sorted, 50),
            "p99": percentile(&sorted, 99),
            "max": percentile(&sorted, 100),
        },
    })
}

/// A fixed rate as a table.
pub fn rate_table(report: &RateReport) -> String {
    let at = |quantile| millis(report.latency_micros.value_at_quantile(quantile));
    let errors: u64 = report.errors.iter().map(|(_, times)| times).sum();
    let mut text = table(&[
        ("taps due", report.due.to_string()),
        ("answered 2xx", report.answered.to_string()),
        ("errors", errors.to_string()),
        ("took", format!("{:.1} s", report.took.as_secs_f64())),
        ("latency p50", at(0.50)),
        ("latency p90", at(0.90)),
        ("latency p99", at(0.99)),
        ("latency p99.9", at(0.999)),
        ("latency max", millis(report.latency_micros.max())),
    ]);
    text.push_str("(latency counts from the moment at which a tap was meant to be sent)\n");
    for (error, times) in &report.errors {
        text.push_str(&format!("{times} × {error}\n"));
    }
    text
}

/// What a run at a fixed rate shows.
pub fn rate_proved(report: &RateReport) -> String {
    let (answered, due) = (report.answered, report.due);
    let text = format!(
        "{answered} of {due} taps were answered 2xx; how they were counted was not checked (burst \
         and soak do that)"
    );
    table(&[("proved", text)])
}

/// A fixed rate as JSON.
pub fn rate_json(report: &RateReport) -> Value {
    let error = |(error, times): &(String, u64)| json!({ "error": error, "times": times });
    let at = |quantile| report.latency_micros.value_at_quantile(quantile);
    json!({
        "kind": "rate",
        "ok": report.is_right(),
        "due": report.due,
        "answered": report.answered,
        "errors": report.errors.iter().map(error).collect::<Vec<_>>(),
        "seconds": report.took.as_secs_f64(),
        "latency_micros": {
            "p50": at(0.50), "p90": at(0.90), "p99": at(0.99), "p999": at(0.999),
            "max": report.latency_micros.max(),
        },
    })
}

/// A verdict as a table.
pub fn verdict_table(verdict: &Verdict) -> String {
    let mut rows = vec![
        ("posts", verdict.posts.to_string()),
        ("taps sent", verdict.attempts.to_string()),
        ("answered", format!("{}, {} of them replays", verdict.answered, verdict.replayed)),
        ("refused", format!("{}, and {} by a rule", verdict.refused, verdict.ruled_out)),
        ("outcome unknown", format!("{}, {} surely applied", verdict.unknown, verdict.filled)),
        ("reads", verdict.reads.to_string()),
    ];
    if verdict.losses > 0 {
        let moments = if verdict.losses == 1 { "moment" } else { "moments" };
        rows.push(("lost", format!("{} changes, at {} {moments}", verdict.lost, verdict.losses)));
    }
    let undecided = verdict.violations.iter().filter(|violation| violation.undecided).count();
    let violations = verdict.violations.len();
    rows.push(match undecided {
        0 => ("violations", violations.to_string()),
        _ => ("violations", format!("{violations}, {undecided} of them undecided")),
    });
    table(&rows)
}

/// What a verdict proves, and what it does not.
pub fn proved(verdict: &Verdict) -> String {
    let Verdict { posts, answered, reads, finals, unknown, .. } = *verdict;
    let bad = verdict.violations.len();
    let mut text = match (bad, answered) {
        (0, 0) => "nothing: no tap was answered 2xx".to_owned(),
        (0, _) => format!(
            "{answered} answered taps and {reads} reads on {posts} posts: each tap was counted \
             exactly once"
        ),
        _ => format!("nothing of {bad} of {posts} posts: their answers cannot all be true"),
    };
    if verdict.proves() && verdict.palette {
        text.push_str("; the limits of its palette held");
    }
    if verdict.proves() && !verdict.palette {
        text.push_str("; not checked: the limits of a palette, for the history names none");
    }
    if posts > finals {
        text.push_str(&format!("; not checked: the final state of {} posts", posts - finals));
    }
    if unknown > 0 && verdict.proves() {
        text.push_str(&format!("; {unknown} taps of unknown outcome were at most once"));
    }
    table(&[("proved", text)])
}

/// A soak as a table.
pub fn soak_table(report: &SoakReport) -> String {
    let sent = report.verdict.attempts as f64;
    let mut text = verdict_table(&report.verdict);
    text.push_str(&table(&[(
        "took",
        format!(
            "{:.1} s, {:.0} taps/s",
            report.took.as_secs_f64(),
            sent / report.took.as_secs_f64()
        ),
    )]));
    for (error, times) in &report.errors {
        text.push_str(&format!("{times} × {error}\n"));
    }
    text
}

/// A soak as JSON.
pub fn soak_json(report: &SoakReport, ok: bool) -> Value {
    json!({
        "kind": "soak",
        "ok": ok,
        "history": report.history.display().to_string(),
        "seconds": report.took.as_secs_f64(),
        "errors": report.errors,
        "verdict": report.verdict,
    })
}

/// Watched streams as a table.
pub fn watch_table(report: &WatchReport) -> String {
    let at = |quantile| millis(report.lag_micros.value_at_quantile(quantile));
    let mut text = rate_table(&report.taps);
    text.push_str(&table(&[
        ("streams", format!("{}, open after {:.1} s", report.streams, report.opened.as_secs_f64())),
        ("events", report.events.to_string()),
        ("taps heard of", format!("{} times", report.lag_micros.len())),
        ("lag p50", at(0.50)),
        ("lag p99", at(0.99)),
        ("lag max", millis(report.lag_micros.max())),
        ("wrong streams", report.wrong.len().to_string()),
    ]));
    text.push_str(
        "(lag counts from the moment at which a tap was meant to be sent to the first event that \
         has it, on each stream)\n",
    );
    for wrong in report.wrong.iter().take(10) {
        text.push_str(&format!("{wrong}\n"));
    }
    let (streams, due) = (report.streams, report.taps.due);
    let right = streams - report.wrong.len().min(streams);
    text.push_str(&table(&[(
        "proved",
        format!(
            "{right} of {streams} streams ended at the true count, and {} of {due} taps were \
             answered 2xx; how taps were counted was not checked (burst and soak do that)",
            report.taps.answered
        ),
    )]));
    text
}

/// Watched streams as JSON.
pub fn watch_json(report: &WatchReport) -> Value {
    let at = |quantile| report.lag_micros.value_at_quantile(quantile);
    json!({
        "kind": "watch",
        "ok": report.is_right(),
        "taps": rate_json(&report.taps),
        "streams": report.streams,
        "opened_seconds": report.opened.as_secs_f64(),
        "events": report.events,
        "wrong": report.wrong,
        "lag_micros": { "p50": at(0.50), "p99": at(0.99), "max": report.lag_micros.max() },
    })
}
