//! What lanes measure beside counters: how full they are, and how long scripts take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::MetricType;

use crate::store::LaneStats;
use crate::telemetry::{Collector, Counter, DescriptorEncoder, Latencies};

/// How long scripts took, by script.
#[derive(Debug, Default)]
pub struct ScriptTimes(Mutex<BTreeMap<&'static str, Latencies>>);

impl ScriptTimes {
    pub(super) fn add(&self, script: &'static str, took: Duration) {
        self.0.lock().entry(script).or_default().add(took);
    }
}

impl Collector for ScriptTimes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let (name, help) = (
            "lane_script_duration_seconds",
            "Time from sending a script call to its reply, by script.",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (script, latencies) in self.0.lock().iter() {
            latencies.encode(&mut family, &[("script", *script)])?;
        }
        Ok(())
    }
}

/// One lane's share in a gauge. It is given back however the lane ends.
pub(super) struct Share {
    stats: Arc<LaneStats>,
    gauge: fn(&LaneStats) -> &Counter,
    share: u64,
}

impl Share {
    pub(super) fn new(stats: &Arc<LaneStats>, gauge: fn(&LaneStats) -> &Counter) -> Self {
        Self { stats: Arc::clone(stats), gauge, share: 0 }
    }

    pub(super) fn set(&mut self, share: usize) {
        let (old, share) = (self.share, share as u64);
        if share != old {
            // In this order, so that the sum is never below zero.
            let gauge = (self.gauge)(&self.stats);
            gauge.add(share);
            gauge.sub(old);
            self.share = share;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
