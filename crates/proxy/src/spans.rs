//! One span a request, built from its record when it is over: tracing costs nothing before that, and
//! nothing at all when no endpoint is configured.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::HeaderValue;
use model::Nanos;
use model::usage::{KeySource, Outcome, UsageRecord};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use crate::attributes as names;
use crate::headers::TRACEPARENT;

/// Where spans go.
#[derive(Debug, Clone)]
pub struct Spans(SdkTracer);

/// The trace that a request belongs to, as W3C's `traceparent` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace's id.
    pub id: [u8; 16],
    /// The span that we are a child of; zero for none.
    parent: [u8; 8],
    /// Our own span's id.
    span: [u8; 8],
    sampled: bool,
}

impl Trace {
    /// The caller's trace, or one that begins here if spans go anywhere. `request` is the request's
    /// id, from which new ids are made: it is unique already.
    pub fn of(headers: &HeaderMap, request: uuid::Uuid, begins_here: bool) -> Option<Self> {
        let request = request.into_bytes();
        let span = std::array::from_fn(|at| request[at + 8]);
        let told = headers.get(&TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parsed);
        match told {
            Some((id, parent, sampled)) => Some(Self { id, parent, span, sampled }),
            None => begins_here.then_some(Self { id: request, parent: [0; 8], span, sampled: true }),
        }
    }

    /// What the provider is told, so that its spans hang below ours.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        let sampled = u8::from(self.sampled);
        let (id, span) = (TraceId::from_bytes(self.id), SpanId::from_bytes(self.span));
        HeaderValue::try_from(format!("00-{id}-{span}-{sampled:02x}")).ok()
    }
}

impl Spans {
    /// Spans of this tracer.
    pub fn new(tracer: SdkTracer) -> Self {
        Self(tracer)
    }

    /// Sends the span of a request that has ended, for which so much was held, and of whose body these members
    /// were not sent on.
    pub fn ended(&self, trace: &Trace, record: &UsageRecord, held: Nanos, removed: Vec<String>) {
        let began = UNIX_EPOCH + Duration::from_millis((record.id.as_u128() >> 80) as u64);
        let ended = began + Duration::from_micros(record.timings.total);
        let parent = SpanContext::new(
            TraceId::from_bytes(trace.id),
            SpanId::from_bytes(trace.parent),
            if trace.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
            true,
            TraceState::default(),
        );
        let is_child = trace.parent != [0; 8];
        let parent = if is_child { Context::new().with_remote_span_context(parent) } else { Context::new() };
        let builder = self
            .0
            .span_builder(format!("{} {}", record.endpoint, record.model_asked).trim_end().to_owned())
            .with_kind(SpanKind::Server)
            .with_trace_id(TraceId::from_bytes(trace.id))
            .with_span_id(SpanId::from_bytes(trace.span))
            .with_start_time(began)
            .with_attributes(attributes(record, held, removed))
            .with_status(match record.outcome {
                Outcome::Failed | Outcome::Ended => Status::error(record.cause.clone()),
                _ => Status::Unset,
            });
        self.0.build_with_context(builder, &parent).end_with_timestamp(ended);
    }
}

fn attributes(record: &UsageRecord, held: Nanos, removed: Vec<String>) -> Vec<KeyValue> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new(names::OPERATION, operation(&record.endpoint)),
        KeyValue::new(names::PROVIDER, record.provider.clone()),
        KeyValue::new(names::METHOD, record.method.clone()),
        KeyValue::new(names::STATUS, i64::from(record.status)),
        KeyValue::new(names::ACCOUNT, record.account.to_string()),
        KeyValue::new(names::GATEWAY, record.gateway_slug.clone()),
        KeyValue::new(names::REQUEST, record.request_id.to_string()),
        KeyValue::new(names::OUTCOME, record.outcome.as_str()),
        KeyValue::new(names::INPUT_TOKENS, count(record.tokens.total_input())),
        KeyValue::new(names::OUTPUT_TOKENS, count(record.tokens.total_output())),
        KeyValue::new(names::CACHED_TOKENS, count(record.tokens.cached_input)),
    ];
    let mut text = |name, value: &str| {
        if !value.is_empty() {
            attributes.push(KeyValue::new(name, value.to_owned()));
        }
    };
    text(names::MODEL_ASKED, &record.model_asked);
    text(names::MODEL_SERVED, &record.model_served);
    text(names::ERROR_TYPE, &record.cause);
    text(names::KEY_SOURCE, record.key_source.map_or("", |source| source.as_str()));
    text(names::PRICE_VERSION, &record.price_version);
    text(names::PROVENANCE, record.provenance.as_str());
    attributes.extend(record.cost.map(|cost| KeyValue::new(names::COST, cost.0)));
    if record.key_source == Some(KeySource::Credits) {
        attributes.push(KeyValue::new(names::CHARGE, record.charge.0));
        attributes.push(KeyValue::new(names::HELD, held.0));
    }
    if !removed.is_empty() {
        let removed: Vec<StringValue> = removed.into_iter().map(StringValue::from).collect();
        attributes.push(KeyValue::new(names::REMOVED_PARAMS, Value::Array(Array::String(removed))));
    }
    attributes
}

/// The conventions' own word, where they have one.
fn operation(endpoint: &str) -> String {
    match endpoint {
        "chat_completions" | "responses" => "chat",
        "completions" => "text_completion",
        other => other,
    }
    .to_owned()
}

fn parsed(text: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let mut parts = text.trim().split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let later = version != "00" && version.len() == 2 && version != "ff";
    if !(version == "00" && parts.next().is_none() || later) || flags.len() != 2 {
        return None;
    }
    let hex = |text: &str, length: usize| {
        let digits =
            text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        digits.then(|| u128::from_str_radix(text, 16).ok()).flatten().filter(|value| *value != 0)
    };
    let parent = u64::try_from(hex(parent, 16)?).ok()?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((hex(id, 32)?.to_be_bytes(), parent.to_be_bytes(), flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_trace_goes_on_through_us() {
        let mut headers = HeaderMap::new();
        let told = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert(&TRACEPARENT, HeaderValue::from_static(told));
        let trace = Trace::of(&headers, uuid::Uuid::from_u128(0x1234), false).unwrap();
        let passed_on = trace.traceparent().unwrap();
        assert_eq!(passed_on, "00-0af7651916cd43dd8448eb211c80319c-0000000000001234-01");
    }

    #[test]
    fn a_trace_begins_here_only_if_spans_go_anywhere() {
        let mut headers = HeaderMap::new();
        headers.insert(&TRACEPARENT, HeaderValue::from_static("00-zz-1-01"));
        assert_eq!(Trace::of(&headers, uuid::Uuid::from_u128(7), false), None);
        assert_eq!(Trace::of(&headers, uuid::Uuid::from_u128(7), true).unwrap().id[15], 7);
    }
}
