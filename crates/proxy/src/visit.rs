//! A request from its arrival to its end, with the usage record that it leaves. However it ends, by
//! an answer, a refusal, a hang-up or a mistake of ours, the record is closed exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http_body::Body as _;
use meter::OpenRecord;
use model::Nanos;
use model::usage::{Outcome, Provenance, Timings, Tokens, UsageRecord};
use process::failpoint;
use uuid::Uuid;

use crate::answer::Answer;
use crate::deps::Deps;
use crate::headers::{self, CF_AIG_COLLECT_LOG, CF_AIG_EVENT_ID};
use crate::refusal::{self, Fault, Listener, Refusal, Shape};
use crate::spans::Trace;
use crate::stages::resolve::Place;

/// When a request came, and what it is called.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The request's id, which is also its log's and its record's.
    pub id: Uuid,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    at: Instant,
}

impl Arrival {
    /// Now.
    pub fn now() -> Self {
        let at_ms = crate::request_id::now_ms();
        Self { id: crate::request_id::request_id(at_ms), at_ms, at: Instant::now() }
    }
}

/// A request at a known gateway.
pub struct Visit {
    deps: Arc<Deps>,
    record: Box<UsageRecord>,
    open: Option<OpenRecord>,
    arrival: Arrival,
    /// In which shape the caller reads errors.
    pub shape: Shape,
    /// The trace that the request belongs to.
    pub trace: Option<Trace>,
    fault: &'static str,
    /// How long the caller's body was waited for, which is not our time.
    pub waited: Duration,
    /// Counts a body that is passed on while it comes.
    pub passed: Option<Arc<AtomicU64>>,
    dispatched: Option<Instant>,
    first_byte: Option<Instant>,
    is_closed: bool,
}

impl Visit {
    /// Begins the record with what the request's head says.
    pub fn begin(deps: &Arc<Deps>, arrival: Arrival, place: &Place, head: &Parts, shape: Shape) -> Self {
        let trace = Trace::of(&head.headers, arrival.id, deps.spans.is_some());
        deps.metrics.in_flight.inc();
        Self {
            deps: Arc::clone(deps),
            record: Box::new(first_words(arrival, place, head, trace)),
            open: None,
            arrival,
            shape,
            trace,
            fault: "none",
            waited: Duration::ZERO,
            passed: None,
            dispatched: None,
            first_byte: None,
            is_closed: false,
        }
    }

    /// The record, to be added to.
    pub fn record(&mut self) -> &mut UsageRecord {
        &mut self.record
    }

    /// When it came.
    pub fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// Whom a refusal would be told.
    pub fn listener(&self) -> Listener {
        Listener { shape: self.shape, request_id: self.arrival.id }
    }

    /// What the request shares with all others.
    pub fn deps(&self) -> &Arc<Deps> {
        &self.deps
    }

    /// Writes the record down before the provider is called. When there is no room, a request on
    /// its own key goes on without one; the meter counts what is missed.
    pub fn open(&mut self) {
        self.open = self.deps.meter.open(&self.record).ok();
        failpoint("spool_opened");
    }

    /// The request leaves for the provider.
    pub fn dispatched(&mut self) {
        let now = Instant::now();
        self.dispatched = Some(now);
        let queue = now.duration_since(self.arrival.at).saturating_sub(self.waited);
        self.record.timings.queue = microseconds(queue);
        self.record.timings.own = self.record.timings.queue;
    }

    /// The provider's answer began.
    pub fn first_byte(&mut self) {
        let now = Instant::now();
        self.first_byte = Some(now);
        if let Some(dispatched) = self.dispatched {
            self.record.timings.upstream_first_byte = microseconds(now - dispatched);
        }
        failpoint("first_byte");
    }

    /// The provider's answer ended.
    pub fn last_byte(&mut self) {
        if let Some(dispatched) = self.dispatched {
            self.record.timings.upstream_last_byte = microseconds(dispatched.elapsed());
        }
        failpoint("last_byte");
    }

    /// The headers that every answer of this request bears.
    pub fn mark(&mut self, headers: &mut HeaderMap) {
        if let Some(first_byte) = self.first_byte {
            self.record.timings.own = self.record.timings.queue + microseconds(first_byte.elapsed());
        }
        let id = uuid_value(self.arrival.id);
        if self.record.collect_log {
            headers.insert(&headers::CF_AIG_LOG_ID, id.clone());
        }
        let event_id = if self.record.event_id.is_empty() {
            id.clone()
        } else {
            HeaderValue::try_from(self.record.event_id.as_str()).unwrap_or_else(|_| id.clone())
        };
        headers.insert(&CF_AIG_EVENT_ID, event_id);
        headers.insert(&headers::CF_AIG_REQUEST_ID, id);
        headers.insert(&headers::CF_AIG_STEP, HeaderValue::from_static("0"));
        if let Some(timing) = self.server_timing() {
            headers.append(&headers::SERVER_TIMING, timing);
        }
    }

    /// Ends the request with a refusal, and says what the caller is told.
    pub fn refused(mut self, refusal: &Refusal) -> Response<Answer> {
        let listener = self.listener();
        let mut response = told(listener, refusal);
        self.mark(response.headers_mut());
        self.record.status = response.status().as_u16();
        self.record.response_bytes = response.body().size_hint().lower();
        self.record.response_content_type = "application/json".to_owned();
        self.blame(refusal);
        self.close();
        response
    }

    /// Notes that the request did not end well, and why.
    pub fn blame(&mut self, refusal: &Refusal) {
        self.record.outcome = match refusal {
            ended if ended.ends_what_ran() => Outcome::Ended,
            _ if refusal.fault() == Fault::Provider || self.open.is_some() => Outcome::Failed,
            _ => Outcome::Refused,
        };
        if let Refusal::TokenMisplaced { .. } = refusal {
            self.forget_texts();
        }
        self.record.error_code = refusal.code();
        self.record.cause = refusal.cause().to_owned();
        self.fault = refusal.fault().as_str();
        // Whatever else is our own fault was logged where it came up.
        if matches!(refusal, Refusal::Bug) {
            tracing::error!(request.id = %self.arrival.id, "A mistake of ours broke request {}", self.arrival.id);
        }
    }

    /// A token stood where we keep what callers write, and logs have more readers than tokens.
    fn forget_texts(&mut self) {
        let UsageRecord { path, user_agent, event_id, metadata, request_content_type, .. } =
            &mut *self.record;
        for text in [path, user_agent, event_id, metadata, request_content_type] {
            text.clear();
        }
    }

    /// Notes that the caller did not wait for the end.
    pub fn left(&mut self) {
        self.record.outcome = Outcome::HungUp;
        self.record.cause = "caller_left".to_owned();
        self.fault = Fault::Caller.as_str();
    }

    /// Closes the record as it stands.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        if let Some(passed) = &self.passed {
            self.record.request_bytes = passed.load(Ordering::Relaxed);
        }
        self.record.timings.total = microseconds(self.arrival.at.elapsed());
        match self.open.take() {
            Some(open) => open.close(&self.record),
            None => drop(self.deps.meter.record(&self.record)),
        }
        self.deps.metrics.in_flight.dec();
        self.deps.metrics.ended(&self.record, self.fault);
        if let (Some(spans), Some(trace)) = (&self.deps.spans, &self.trace) {
            spans.ended(trace, &self.record);
        }
    }

    /// What we added and what the provider took, in milliseconds.
    fn server_timing(&self) -> Option<HeaderValue> {
        let Timings { own, upstream_first_byte: upstream, .. } = self.record.timings;
        let own = if self.dispatched.is_some() { own } else { microseconds(self.arrival.at.elapsed()) };
        let (own, own_rest, up, up_rest) = (own / 1000, own % 1000, upstream / 1000, upstream % 1000);
        let text = format!("tollgate;dur={own}.{own_rest:03}, upstream;dur={up}.{up_rest:03}");
        HeaderValue::try_from(text).ok()
    }
}

/// Whatever is dropped before its end was left by its caller, or by a panic of ours.
impl Drop for Visit {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        if std::thread::panicking() {
            self.record.status = 500;
            self.blame(&Refusal::Bug);
            self.record.outcome = Outcome::Failed;
        } else {
            self.left();
        }
        self.end();
    }
}

/// A refusal with nothing in it that needs a gateway.
pub fn told(listener: Listener, refusal: &Refusal) -> Response<Answer> {
    let response: Result<Response<Answer>, http::Error> =
        refusal::head(refusal).body(Answer::Whole(listener.body(refusal).into()));
    let mut response = response.unwrap_or_default();
    response.headers_mut().insert(&headers::CF_AIG_REQUEST_ID, uuid_value(listener.request_id));
    response
}

/// A part of an answer's content type: what stands before its parameters.
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn first_words(arrival: Arrival, place: &Place, head: &Parts, trace: Option<Trace>) -> UsageRecord {
    let gateway = &place.gateway.gateway;
    let flag = |name: &HeaderName| match head.headers.get(name).map(HeaderValue::as_bytes) {
        Some(b"true") => Some(true),
        Some(b"false") => Some(false),
        _ => None,
    };
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
        collect_log: flag(&CF_AIG_COLLECT_LOG).unwrap_or(gateway.collect_logs),
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

fn uuid_value(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static(""))
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
