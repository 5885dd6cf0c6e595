//! Sends spans to a collector: OTLP over HTTP, through the client that onetap has anyway.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};

use crate::telemetry::ThrottledWarnings;

/// How long one batch may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What sends spans to this address.
pub(super) fn exporter(url: &str) -> Result<SpanExporter, String> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .build();
    SpanExporter::builder()
        .with_http()
        .with_http_client(Client { agent: agent.into(), warnings: ThrottledWarnings::default() })
        .with_endpoint(url)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| error.to_string())
}

#[derive(Debug)]
struct Client {
    agent: ureq::Agent,
    warnings: ThrottledWarnings,
}

impl Client {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let response = self.agent.run(Request::from_parts(head, &body[..]))?;
        let (head, mut body) = response.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }

    fn warn(&self, why: &str) {
        self.warnings.about(&format!(
            "traces do not reach their collector: {why}; requests go on without them"
        ));
    }
}

#[async_trait]
impl HttpClient for Client {
    /// Blocks: batches have a thread of their own.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request);
        match &answer {
            Ok(response) if response.status().is_success() => {
                self.warnings.settled("traces are sent again")
            }
            Ok(response) => self.warn(&format!("it answers {}", response.status())),
            Err(error) => self.warn(&error.to_string()),
        }
        Ok(answer?)
    }
}
