//! The registry: components register their figures here, and `/metrics` shows them.

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
    /// What `Content-Type` says of it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// All figures of the process.
#[derive(Debug)]
pub struct Registry(prometheus_client::registry::Registry);

impl Default for Registry {
    /// With the figures that every program has: its build, and what the system knows of it.
    fn default() -> Self {
        let mut registry = Self(prometheus_client::registry::Registry::default());
        registry.register(super::build::Build);
        // Their names are the same in every program, so they have no prefix.
        #[cfg(any(target_os = "android", target_os = "linux"))]
        registry.0.register_collector(Box::new(super::process::Process));
        registry
    }
}

impl Registry {
    /// Shows what a component counts, each name with `onetap_` before it.
    pub fn register(&mut self, component: impl Collector) {
        self.0.sub_registry_with_prefix("onetap").register_collector(Box::new(component));
    }

    /// All figures as they are now.
    pub fn encode(&self, format: Format) -> String {
        let mut text = String::new();
        let written = match format {
            Format::OpenMetrics => text::encode(&mut text, &self.0),
            Format::Prometheus => prometheus_text::encode(&mut text, &self.0),
        };
        // Only a component can fail, since a String takes everything.
        if written.is_err() {
            tracing::error!("a component could not write its figures");
        }
        text
    }
}
