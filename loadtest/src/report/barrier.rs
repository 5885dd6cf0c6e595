//! The result of a barrier.

use serde_json::{Value, json};

use super::{millis, percentile, table};
use crate::barrier::{BarrierReport, Crowd};

/// A barrier as a table.
pub fn barrier_table(report: &BarrierReport) -> String {
    let BarrierReport { palette, kinds, group } = report;
    let most = palette.max_kinds_per_post;
    let latency = |crowd: &Crowd| {
        let mut sorted = crowd.latency_micros.clone();
        sorted.sort_unstable();
        let (p50, p99) = (percentile(&sorted, 50), percentile(&sorted, 99));
        format!("p50 {}, p99 {}", millis(p50), millis(p99))
    };
    let mut rows = vec![
        ("different reactions", format!("{} of at most {most}", kinds.kinds)),
        ("taps for them", format!("{}, {} of them refused", kinds.taps, kinds.refused)),
        ("in flight together", format!("at least {} of {}", kinds.overlap, kinds.taps)),
        ("latency", latency(kinds)),
    ];
    let mut proved = format!(
        "at no moment did a post have more than {most} different reactions, and each of {} \
         refusals had a cause",
        kinds.refused + group.as_ref().map_or(0, |(_, crowd)| crowd.refused)
    );
    if let Some(([one, other], crowd)) = group {
        rows.push(("exclusive group", format!("{one} and {other}, {} taps", crowd.taps)));
        rows.push(("latency", latency(crowd)));
        proved.push_str("; at no moment did a user have two of the group");
    }
    proved.push_str("; each tap was counted exactly once");
    if !report.meets_the_limit() {
        let why = "the palette has no more reactions, so none was refused";
        proved.push_str(&format!("; not checked: max_kinds_per_post at its limit ({why})"));
    }
    if group.is_none() {
        proved.push_str("; not checked: an exclusive group (the palette has none)");
    }
    rows.push(("proved", proved));
    table(&rows)
}

/// What a barrier proves that failed.
pub fn barrier_failed() -> String {
    table(&[("proved", "nothing: the barrier did not end well".to_owned())])
}

/// A barrier as JSON.
pub fn barrier_json(report: &BarrierReport) -> Value {
    let crowd = |crowd: &Crowd| {
        let mut sorted = crowd.latency_micros.clone();
        sorted.sort_unstable();
        json!({
            "taps": crowd.taps,
            "refused": crowd.refused,
            "kinds": crowd.kinds,
            "overlap": crowd.overlap,
            "latency_micros": {
                "p50": percentile(&sorted, 50),
                "p99": percentile(&sorted, 99),
                "max": percentile(&sorted, 100),
            },
        })
    };
    json!({
        "kind": "barrier",
        "ok": true,
        "palette": report.palette,
        "meets_the_limit": report.meets_the_limit(),
        "kinds": crowd(&report.kinds),
        "group": report.group.as_ref().map(|(pair, taps)| {
            json!({ "reactions": pair, "taps": crowd(taps) })
        }),
    })
}
