//! Durations by bucket.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, MetricEncoder, NoLabelSet};

/// Upper bounds of the buckets, in seconds. One more bucket has no bound.
const BOUNDS: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5];

/// How often something took how long. Every histogram at `/metrics` has the same buckets.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    by_bucket: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.by_bucket[bucket] += 1;
        self.sum += took;
    }

    /// Counts all of the other.
    pub fn merge(&mut self, other: &Self) {
        self.by_bucket.iter_mut().zip(other.by_bucket).for_each(|(sum, more)| *sum += more);
        self.sum += other.sum;
    }

    /// Writes the series with these labels into a family of the type histogram.
    ///
    /// # Errors
    ///
    /// If the writer fails.
    pub fn encode(
        &self,
        family: &mut MetricEncoder<'_>,
        labels: &impl EncodeLabelSet,
    ) -> std::fmt::Result {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(self.by_bucket).collect();
        let (sum, count) = (self.sum.as_secs_f64(), self.by_bucket.iter().sum());
        family.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
