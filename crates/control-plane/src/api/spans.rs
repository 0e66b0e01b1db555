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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    #[test]
    fn a_call_is_one_span_of_its_callers_trace_and_names_no_ids() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let spans = Spans::new(provider.tracer("test"));
        for told in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "nonsense",
        ] {
            let headers = HeaderMap::from_iter([(
                axum::http::HeaderName::from_static("traceparent"),
                axum::http::HeaderValue::from_static(told),
            )]);
            spans.end(&spans.begin(&headers), "GET", "/accounts/{account_id}", 503);
        }
        let spans = kept.0.lock().unwrap();
        // The second caller's trace is not sampled; the third has none, so one begins here.
        let [child, root] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!(child.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(child.parent_span_id.to_string(), "b7ad6b7169203331");
        assert_eq!(root.parent_span_id.to_string(), "0000000000000000");
        assert_eq!(
            (child.name.as_ref(), &child.status),
            ("GET /accounts/{account_id}", &Status::error("503"))
        );
        let attributes: Vec<_> = child
            .attributes
            .iter()
            .map(|KeyValue { key, value, .. }| (key.as_str(), value.to_string()))
            .collect();
        let expected = [
            ("http.request.method", "GET"),
            ("http.route", "/accounts/{account_id}"),
            ("http.response.status_code", "503"),
        ];
        assert_eq!(attributes, expected.map(|(key, value)| (key, value.to_owned())));
    }
}
