//! One span a call, made when it is over and only where traces go somewhere: the route, the method and
//! the status, never an id or a body.

use std::time::SystemTime;

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

/// Where spans go.
#[derive(Debug, Clone)]
pub struct Spans(SdkTracer);

/// A call that has begun, and the trace that its `traceparent` says it belongs to.
pub(super) struct Begun {
    at: SystemTime,
    parent: Context,
}

impl Spans {
    /// Spans of this tracer.
    pub fn new(tracer: SdkTracer) -> Self {
        Self(tracer)
    }

    pub(super) fn begin(&self, headers: &HeaderMap) -> Begun {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        Begun { at: SystemTime::now(), parent }
    }

    pub(super) fn end(&self, begun: &Begun, method: &'static str, route: &str, status: u16) {
        let ours = if status >= 500 { Status::error(status.to_string()) } else { Status::Unset };
        let builder = self
            .0
            .span_builder(format!("{method} {route}"))
            .with_kind(SpanKind::Server)
            .with_start_time(begun.at)
            .with_status(ours)
            .with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", route.to_owned()),
                KeyValue::new("http.response.status_code", i64::from(status)),
            ]);
        self.0.build_with_context(builder, &begun.parent).end();
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
