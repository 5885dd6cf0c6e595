//! The registry: components register their metrics here, and `/metrics` shows them.

use prometheus_client::encoding::{prometheus_text, text};

pub use prometheus_client::collector::Collector;
pub use prometheus_client::encoding::DescriptorEncoder;

/// A text format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older format of Prometheus.
    Prometheus,
}

impl Format {
    /// The `Content-Type` of this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Registry(prometheus_client::registry::Registry);

impl Default for Registry {
    /// A registry with the metrics that every program has: build and process.
    fn default() -> Self {
        let mut registry = Self(prometheus_client::registry::Registry::default());
        registry.register(super::build::Build);
        // These names are the same in every program, so they have no prefix.
        #[cfg(any(target_os = "android", target_os = "linux"))]
        registry.0.register_collector(Box::new(super::process::Process));
        registry
    }
}

impl Registry {
    /// Adds the metrics of a component, each name with the prefix `onetap_`.
    pub fn register(&mut self, component: impl Collector) {
        self.0.sub_registry_with_prefix("onetap").register_collector(Box::new(component));
    }

    /// All metrics with their current values.
    pub fn encode(&self, format: Format) -> String {
        let mut text = String::new();
        let written = match format {
            Format::OpenMetrics => text::encode(&mut text, &self.0),
            Format::Prometheus => prometheus_text::encode(&mut text, &self.0),
        };
        // Writing to a String cannot fail, so only a component can.
        if written.is_err() {
            tracing::error!("a component could not write its figures");
        }
        text
    }
}
