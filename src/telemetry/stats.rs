//! Structs of counters whose doc comments are the help texts at `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// A number that any thread may change.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Subtracts what was added before.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// The current number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a number may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows. Its name ends in `_total`.
    Counter,
    /// It rises and falls.
    Gauge,
}

/// A metric with one value.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// Its name, without the common prefix.
    pub name: &'a str,
    /// Its help text.
    pub help: &'a str,
    /// Its kind.
    pub kind: Kind,
    /// Its value.
    pub value: u64,
}

/// Encodes metrics for a [`Collector`](super::Collector).
///
/// # Errors
///
/// If the writer fails.
pub fn encode_figures(
    mut encoder: DescriptorEncoder<'_>,
    figures: &[Figure<'_>],
) -> std::fmt::Result {
    for Figure { name, help, kind, value } in figures {
        let metric: &dyn EncodeMetric = match kind {
            Kind::Counter => &ConstCounter::new(*value),
            Kind::Gauge => &ConstGauge::new(*value),
        };
        let kind = metric.metric_type();
        metric.encode(encoder.encode_descriptor(name, help.trim_start(), None, kind)?)?;
    }
    Ok(())
}

/// Declares a struct of [`Counter`]s and its metrics. Each field has its kind and its name. Its doc
/// comment is the help text.
macro_rules! stats {
    (
        $(#[$about:meta])*
        $vis:vis struct $stats:ident {
            $($(#[doc = $help:literal])+ $kind:ident $field:ident: $name:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        $vis struct $stats {
            $($(#[doc = $help])+ $vis $field: $crate::telemetry::Counter,)*
        }

        impl $crate::telemetry::Collector for $stats {
            fn encode(
                &self,
                encoder: $crate::telemetry::DescriptorEncoder<'_>,
            ) -> std::fmt::Result {
                $crate::telemetry::encode_figures(encoder, &[$($crate::telemetry::Figure {
                    name: $name,
                    help: concat!($($help),+),
                    kind: $crate::telemetry::Kind::$kind,
                    value: self.$field.get(),
                }),*])
            }
        }
    };
}
pub(crate) use stats;

#[cfg(test)]
mod tests {
    use super::super::{Format, Registry};

    stats! {
        /// What a test counts.
        struct TestStats {
            /// Things that were
            /// done.
            Counter done: "things",
            /// Things at work.
            Gauge at_work: "things_at_work",
        }
    }

    #[test]
    fn a_doc_comment_is_the_help_text() {
        let (mut registry, stats) =
            (Registry::default(), std::sync::Arc::new(TestStats::default()));
        registry.register(std::sync::Arc::clone(&stats));
        stats.done.add(3);
        stats.at_work.add(2);
        stats.at_work.sub(1);
        let open = registry.encode(Format::OpenMetrics);
        let expected = "# HELP onetap_things Things that were done.\n\
                        # TYPE onetap_things counter\nonetap_things_total 3\n\
                        # HELP onetap_things_at_work Things at work.\n\
                        # TYPE onetap_things_at_work gauge\nonetap_things_at_work 1\n";
        assert!(open.contains(expected), "{open}");
        let older = registry.encode(Format::Prometheus);
        assert!(older.contains("# TYPE onetap_things_total counter\nonetap_things_total 3\n"));
    }
}
