//! How often onetap has read its files again.

use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;

use crate::telemetry::{Collector, Counter, DescriptorEncoder};

/// Files with keys, and the configuration file, that were read again.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    /// onetap uses what they hold.
    pub(super) good: Counter,
    /// onetap goes on with what they held before.
    pub(super) bad: Counter,
}

impl Collector for Reloads {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let help =
            "Files that onetap has read again: good ones, and bad ones, which change nothing.";
        let mut reloads = encoder.encode_descriptor("reloads", help, None, MetricType::Counter)?;
        for (result, count) in [("good", &self.good), ("bad", &self.bad)] {
            let labels = [("result", result)];
            let mut series = reloads.encode_family(&labels)?;
            series.encode_counter::<NoLabelSet, _, f64>(&count.get(), None)?;
        }
        Ok(())
    }
}
