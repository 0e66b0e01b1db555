//! What a request's head says, as the beginning of its record.

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use model::Nanos;
use model::usage::{Outcome, Provenance, Timings, Tokens, UsageRecord};

use super::{Arrival, content_type};
use crate::headers::{CF_AIG_COLLECT_LOG, CF_AIG_EVENT_ID, flag};
use crate::spans::Trace;
use crate::stages::resolve::Place;

/// The record of a request of which nothing but the head is known.
pub(super) fn first_words(
    arrival: Arrival,
    place: &Place,
    head: &Parts,
    trace: Option<Trace>,
) -> UsageRecord {
    let gateway = &place.gateway.gateway;
    UsageRecord {
        id: arrival.id,
        request_id: arrival.id,
        account: place.account_id,
        gateway: gateway.internal_id,
        gateway_slug: gateway.id.to_string(),
        token: String::new(),
        step: 0,
        attempt: 0,
        provider: String::new(),
        model_asked: String::new(),
        model_served: String::new(),
        endpoint: String::new(),
        method: head.method.as_str().to_owned(),
        path: String::new(),
        streamed: false,
        key_source: None,
        key_alias: String::new(),
        dialect: String::new(),
        tokens: Tokens::default(),
        units: Vec::new(),
        provenance: Provenance::None,
        price_version: String::new(),
        cost: None,
        paid: Nanos::ZERO,
        charge: Nanos::ZERO,
        markup_ppm: 0,
        tier: String::new(),
        price_model: String::new(),
        custom_cost: false,
        hold: None,
        status: 0,
        outcome: Outcome::HungUp,
        error_code: 0,
        cause: String::new(),
        timings: Timings::default(),
        request_bytes: 0,
        response_bytes: 0,
        request_content_type: bounded(content_type(&head.headers), 128),
        response_content_type: String::new(),
        user_agent: visible(&head.headers, &header::USER_AGENT, 256).unwrap_or_default(),
        event_id: visible(&head.headers, &CF_AIG_EVENT_ID, 128).unwrap_or_else(|| arrival.id.to_string()),
        metadata: String::new(),
        collect_log: flag(&head.headers, &CF_AIG_COLLECT_LOG).unwrap_or(gateway.collect_logs),
        policy_logs: String::new(),
        trace_id: trace.map(|trace| trace.id).unwrap_or_default(),
    }
}

/// A header's text, cut to a length; nothing if it is empty or has bytes that are no text.
fn visible(headers: &HeaderMap, name: &HeaderName, length: usize) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| bounded(text, length))
}

/// The beginning of a text that a caller wrote; records do not grow with it.
pub fn bounded(text: &str, length: usize) -> String {
    text[..text.floor_char_boundary(length)].to_owned()
}
