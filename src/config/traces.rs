//! `[traces]`: where OpenTelemetry traces go.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use url::Url;

use super::{ConfigError, InvalidSetting, OrNone};
use crate::telemetry::{self, TraceOptions};

/// Where OpenTelemetry traces go, and how many there are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "traces")]
pub struct TracesConfig {
    /// The OpenTelemetry collector that gets traces, by OTLP over HTTP, as
    /// `http://127.0.0.1:4318/v1/traces`; or `none`
    #[arg(long, default_value = "none", value_name = "URL")]
    pub otlp_url: OrNone<CollectorUrl>,

    /// The share of requests that are traced, from 0 to 1
    ///
    /// A request with a service key and the header `traceparent` is traced if that header says so,
    /// and without authentication every request with this header.
    #[arg(long, default_value = "0.01", value_name = "RATIO", value_parser = ratio)]
    pub trace_ratio: f64,
}

/// The address of an OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorUrl(Url);

impl TracesConfig {
    /// None if no traces are wanted.
    pub(super) fn options(&self) -> Result<Option<TraceOptions>, ConfigError> {
        let Some(url) = &self.otlp_url.0 else { return Ok(None) };
        telemetry::built().map_err(|why| ConfigError::told("--otlp-url", &why.to_string()))?;
        Ok(Some(TraceOptions { url: url.0.to_string(), ratio: self.trace_ratio }))
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CollectorUrl {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let Some(mut url) = url else {
            return Err(InvalidSetting::new(
                "onetap reaches collectors by plain HTTP only",
                "write http://HOST:PORT/v1/traces, of a collector on this machine or in your \
                 network",
            ));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidSetting::new(
                "a name or a password in it would get into logs",
                "put what the collector wants into the variable OTEL_EXPORTER_OTLP_HEADERS",
            ));
        }
        if url.path() == "/" {
            url.set_path("/v1/traces");
        }
        Ok(Self(url))
    }
}

fn ratio(text: &str) -> Result<f64, InvalidSetting> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(InvalidSetting::new(
            "it is not a number from 0 to 1",
            "write 0.01 for one request in a hundred",
        )),
    }
}
