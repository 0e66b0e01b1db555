//! How an answer leaves: its head, its pace, and the ways in which it may break off.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};

use crate::answer::{Answer, Content, Event};
use crate::arrivals::Arrival;
use crate::behaviour::{Behaviour, Failure};
use crate::error::Refusal;
use crate::gates::Gate;
use crate::listener::Unanswered;
use crate::question::Dialect;
use crate::{anthropic, google, identity};

const TRAILER: HeaderName = HeaderName::from_static("x-simulated-trailer");

/// Between the last byte and the end of a connection that breaks off, so that the byte does leave.
const LAST_BYTE_LEAVES: Duration = Duration::from_millis(5);

/// How a connection breaks off. On a busy machine the time may be over before anybody looks, so that what came before
/// is let out first.
const BREAKS_OFF: [Step; 3] = [Step::Wait(Duration::ZERO), Step::Wait(LAST_BYTE_LEAVES), Step::Break];

/// The response that carries an answer, or a refusal, in the way that the request asked for.
pub(crate) fn response(
    answer: Result<Answer, Refusal>,
    dialect: Dialect,
    behaviour: &Behaviour,
    gate: Option<Arc<Gate>>,
    arrival: Arrival,
    elapsed: Duration,
) -> Response<Body> {
    let mut response = Response::new(Body::whole(Bytes::new()));
    match dialect {
        Dialect::OpenAi => ordinary_headers(response.headers_mut(), elapsed),
        Dialect::Anthropic => anthropic::ordinary_headers(response.headers_mut()),
        Dialect::Google => {}
    }
    let (content_type, steps) = match answer.map(|answer| answer.content) {
        Ok(Content::Document { content_type, bytes }) => (content_type, document_steps(bytes, behaviour)),
        Ok(Content::Events(events)) => {
            ("text/event-stream; charset=utf-8", event_steps(events, dialect, behaviour))
        }
        Ok(Content::List(elements)) => {
            ("application/json; charset=UTF-8", event_steps(elements, dialect, behaviour))
        }
        Err(refusal) => {
            *response.status_mut() = refusal.status;
            retry_headers(response.headers_mut(), &refusal, behaviour);
            ("application/json", VecDeque::from([Step::Send(refusal.body().into(), 0)]))
        }
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(Step::Announce(length)) = steps.front() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(*length));
    }
    if behaviour.trailers {
        response.headers_mut().insert(header::TRAILER, HeaderValue::from_name(TRAILER));
    }
    arrival.answering(response.status());
    *response.body_mut() = Body { steps, wait: None, gate, arrival: Some(arrival) };
    response
}

fn ordinary_headers(headers: &mut HeaderMap, elapsed: Duration) {
    headers.reserve(16);
    for (name, value) in [
        ("openai-organization", "org-simulated"),
        ("openai-version", "2020-10-01"),
        ("openai-project", "proj_simulated"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "1999985"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "0s"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    headers.insert(HeaderName::from_static("openai-processing-ms"), HeaderValue::from(milliseconds.max(1)));
    if let Ok(id) = HeaderValue::from_str(&identity::fresh_hex("req_", 32)) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
}

fn retry_headers(headers: &mut HeaderMap, refusal: &Refusal, behaviour: &Behaviour) {
    let after = behaviour.retry_after.as_ref().or(refusal.retry_after.as_ref());
    for (name, value) in [("retry-after", after), ("retry-after-ms", behaviour.retry_after_ms.as_ref())] {
        let value = value.filter(|value| *value != "none");
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if refusal.status == StatusCode::TOO_MANY_REQUESTS {
        let remaining = match refusal.dialect {
            Dialect::OpenAi => "x-ratelimit-remaining-requests",
            Dialect::Anthropic => "anthropic-ratelimit-requests-remaining",
            // Google tells nothing of what is left.
            Dialect::Google => return,
        };
        headers.insert(remaining, HeaderValue::from_static("0"));
    }
}

/// What a body does next.
enum Step {
    /// Says nothing, but holds the length that the head announces.
    Announce(usize),
    Wait(Duration),
    /// Waits at the gate.
    Gate,
    /// Some bytes, and how many tokens of the answer they are.
    Send(Bytes, u64),
    Trailer,
    /// What was sent is less than the whole answer, although it ends in good order.
    FallShort,
    Break,
}

fn document_steps(bytes: Bytes, behaviour: &Behaviour) -> VecDeque<Step> {
    let mut steps = VecDeque::new();
    if let Some(Failure::HalfDocument | Failure::HeadOnly) = behaviour.failure {
        steps.push_back(Step::Announce(bytes.len()));
    }
    if !behaviour.first_chunk.is_zero() {
        steps.push_back(Step::Wait(behaviour.first_chunk));
    }
    if behaviour.failure == Some(Failure::HeadOnly) {
        steps.extend(BREAKS_OFF);
    } else if behaviour.failure == Some(Failure::HalfDocument) {
        let half = bytes.slice(..bytes.len() / 2);
        steps.push_back(Step::Send(half, 0));
        steps.extend(BREAKS_OFF);
    } else if behaviour.trailers {
        steps.extend([Step::Send(bytes, 0), Step::Trailer]);
    } else {
        steps.push_back(Step::Send(bytes, 0));
    }
    steps
}

fn event_steps(events: Vec<Event>, dialect: Dialect, behaviour: &Behaviour) -> VecDeque<Step> {
    let mut steps = VecDeque::with_capacity(events.len() * 2 + 3);
    let mut contents = 0;
    let mut pause = behaviour.first_chunk;
    let mut has_failed = false;
    if behaviour.failure == Some(Failure::HeadOnly) {
        return VecDeque::from(BREAKS_OFF);
    }
    for event in events {
        if event.content.is_some() {
            if behaviour.gate_after == Some(contents) {
                steps.push_back(Step::Gate);
            }
            match behaviour.failure {
                Some(Failure::HalfStream(after)) if contents >= after => break,
                Some(Failure::ErrorInStream(after)) if contents >= after => {
                    steps.extend([Step::FallShort, Step::Send(error_event(dialect), 0)]);
                    return steps;
                }
                Some(Failure::Malformed(after)) if contents >= after && !has_failed => {
                    has_failed = true;
                    let malformed: &[u8] = match dialect {
                        Dialect::OpenAi => b"data: {\"id\":\"chatcmpl-\xff\",\"choices\":[{\n\n",
                        Dialect::Google => b"data: {\"candidates\": [{\"\xff\r\n\r\n",
                        Dialect::Anthropic => b"event: content_block_delta\ndata: {\"type\":\"\xff\",[{\n\n",
                    };
                    steps.push_back(Step::Send(Bytes::from_static(malformed), 0));
                }
                _ => {}
            }
            contents += 1;
        }
        // A frame of its own for each event, as each leaves the provider on its own.
        steps.push_back(Step::Wait(pause));
        steps.push_back(Step::Send(event.frame, event.content.unwrap_or_default()));
        pause = behaviour.between_chunks;
    }
    match behaviour.failure {
        Some(Failure::HalfStream(_)) => steps.extend(BREAKS_OFF),
        _ if behaviour.trailers => steps.push_back(Step::Trailer),
        _ => {}
    }
    steps
}

fn error_event(dialect: Dialect) -> Bytes {
    let (mut frame, refusal) = match dialect {
        Dialect::OpenAi => (b"data: ".to_vec(), Refusal::of_status(StatusCode::INTERNAL_SERVER_ERROR, "")),
        Dialect::Anthropic => (b"event: error\ndata: ".to_vec(), anthropic::overloaded()),
        Dialect::Google => (b"data: ".to_vec(), google::refused(StatusCode::SERVICE_UNAVAILABLE)),
    };
    frame.extend(refusal.body());
    frame.extend(b"\n\n");
    frame.into()
}

/// A body that follows its steps and remembers whether it came to its end.
pub(crate) struct Body {
    steps: VecDeque<Step>,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    gate: Option<Arc<Gate>>,
    arrival: Option<Arrival>,
}

impl Body {
    /// A body of known length that nobody keeps account of.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { steps: VecDeque::from([Step::Send(bytes.into(), 0)]), wait: None, gate: None, arrival: None }
    }

    fn broken(&mut self) {
        if let Some(arrival) = &mut self.arrival {
            arrival.broken();
        }
    }

    fn answered(&mut self) {
        if let Some(arrival) = &mut self.arrival {
            arrival.answered();
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Unanswered;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unanswered>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                std::task::ready!(wait.as_mut().poll(context));
                self.wait = None;
            }
            match self.steps.pop_front() {
                Some(Step::Announce(_)) => {}
                // Even no pause lets what came before it be written first.
                Some(Step::Wait(Duration::ZERO)) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Wait(duration)) => self.wait = Some(Box::pin(tokio::time::sleep(duration))),
                Some(Step::Gate) => {
                    self.wait = self.gate.clone().map(|gate| Box::pin(gate.pass()) as _);
                }
                Some(Step::Send(bytes, tokens)) => {
                    if let Some(arrival) = &mut self.arrival {
                        arrival.delivering(tokens);
                    }
                    // Nobody asks again after the last of the announced bytes.
                    if self.steps.is_empty() {
                        self.answered();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Trailer) => {
                    self.answered();
                    let trailers = HeaderMap::from_iter([(TRAILER, HeaderValue::from_static("the end"))]);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Some(Step::FallShort) => self.broken(),
                Some(Step::Break) => {
                    self.broken();
                    return Poll::Ready(Some(Err(Unanswered)));
                }
                None => {
                    self.answered();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.wait.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.steps.front() {
            Some(Step::Send(bytes, _)) if self.steps.len() == 1 => SizeHint::with_exact(bytes.len() as u64),
            None => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
