//! The spans. Most requests have none: what they pay is the draw that decides.

use std::borrow::Cow;
use std::env;

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, ContextGuard, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use super::{Ended, TraceHeaders, TraceOptions, collector};

/// Begins spans, and sends those that have ended to the collector.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Spans go to the collector in batches, from a thread of their own. When the collector does
    /// not keep up, new spans are dropped; no request waits for it.
    ///
    /// # Errors
    ///
    /// If the address is none; the text says why.
    pub fn new(options: &TraceOptions) -> Result<Self, String> {
        let exporter = collector::exporter(&options.url)?;
        let mut resource = Resource::builder();
        if env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("onetap");
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.with_attribute(version).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(options.ratio))))
            .build();
        let scope = InstrumentationScope::builder("onetap").with_version(env!("CARGO_PKG_VERSION"));
        let tracer = provider.tracer_with_scope(scope.build());
        Ok(Self { provider, tracer })
    }

    /// The span of a request, if it is traced. The header `traceparent` of a trusted caller decides
    /// whether it is, and which trace it is a part of. Everyone else's is only linked to: strangers
    /// decide nothing about what is recorded.
    pub fn begin(&self, headers: &TraceHeaders<'_>, trusted: bool) -> Option<RequestSpan> {
        let fresh = Context::new();
        let caller = match headers.traceparent {
            Some(_) => TraceContextPropagator::new().extract_with_context(&fresh, headers),
            None => fresh.clone(),
        };
        let named = caller.span().span_context().clone();
        let builder = SpanBuilder::from_name("request").with_kind(SpanKind::Server);
        let (parent, builder) = match named.is_valid() && !trusted {
            true => (fresh, builder.with_links(vec![Link::with_context(named)])),
            false => (caller, builder),
        };
        let span = self.tracer.build_with_context(builder, &parent);
        span.is_recording()
            .then(|| RequestSpan(Context::new().with_value(self.clone()).with_span(span)))
    }

    /// Sends what has ended, and nothing more afterwards. Waits for at most five seconds.
    pub fn stop(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!("the last traces did not reach their collector: {error}");
        }
    }
}

impl Extractor for TraceHeaders<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        match name {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// The span of a request that is traced.
#[derive(Debug)]
pub struct RequestSpan(Context);

impl RequestSpan {
    /// While the guard lives, spans of this thread begin within this one.
    pub fn enter(&self) -> ContextGuard {
        self.0.clone().attach()
    }

    /// Ends the span with what became of the request.
    pub fn end(self, ended: &Ended<'_>) {
        let span = self.0.span();
        let name = match ended.route {
            Some(route) => Cow::Owned(format!("{} {route}", ended.method)),
            None => Cow::Borrowed(ended.method),
        };
        span.update_name(name);
        span.set_attribute(KeyValue::new("http.request.method", ended.method));
        if let Some(route) = ended.route {
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(ended.status)));
        span.set_attribute(KeyValue::new("onetap.request_id", ended.request_id.to_owned()));
        if let Some(code) = ended.code {
            span.set_attribute(KeyValue::new("error.type", code));
        }
        // As the conventions have it: what a caller did wrong is no error of the server.
        if ended.status >= 500 {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Polls a call of the store within a span of its own, if the request that makes it has one.
/// `fault` says in a word what is wrong with the store: its errors name posts, and spans do not.
pub(crate) fn in_span<T, E>(
    system: &'static str,
    call: &'static str,
    fault: fn(&E) -> Option<&'static str>,
    future: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    let span = Context::map_current(|request| {
        request.get::<Traces>().map(|traces| {
            let attributes =
                [KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", call)];
            let builder = SpanBuilder::from_name(call)
                .with_kind(SpanKind::Client)
                .with_attributes(attributes);
            // Boxed, so that the future of a tap stays small.
            Box::new(traces.tracer.build_with_context(builder, request))
        })
    });
    async move {
        let answer = future.await;
        if let Some(mut span) = span {
            if let Some(fault) = answer.as_ref().err().and_then(fault) {
                span.set_attribute(KeyValue::new("error.type", fault));
                span.set_status(Status::error(""));
            }
            span.end();
        }
        answer
    }
}
