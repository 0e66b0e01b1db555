//! The way back: the provider's answer, verbatim but for what concerns only the connections.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::{HeaderValue, Method, Response};
use http_body::Body as _;
use model::usage::Outcome;

use super::answered::{self, Answered};
use super::consult::Consulted;
use super::dispatch::Dispatched;
use crate::answer::Answer;
use crate::headers;
use crate::rating::Rating;
use crate::refusal::Refusal;
use crate::relayed::{Relayed, Running, Source, Tap};
use crate::visit::{Visit, content_type};

/// Answers up to this length are sent in one write with their head.
const SMALL_BYTES: u64 = 64 * 1024;

/// Everything about an answer that the caller has not got yet.
pub struct Pending {
    /// The provider's answer.
    pub dispatched: Dispatched,
    /// What it is rated by.
    pub rating: Arc<Rating>,
    /// Whether a chunk must be hidden.
    pub hides_usage: bool,
    /// The policy that sees the answer before the caller does.
    pub consulted: Option<Box<Consulted>>,
}

/// The caller's answer. Small ones are read first, so that one which breaks off can still be told
/// as an error.
pub async fn answer(mut visit: Visit, pending: Pending) -> Response<Answer> {
    let Pending { dispatched, rating, hides_usage, consulted } = pending;
    let Dispatched { answer, connection, reusable, watch, paying, is_visible, stops_billing } = dispatched;
    let (mut head, body) = answer.into_parts();
    visit.first_byte();
    let is_events = content_type(&head.headers).eq_ignore_ascii_case("text/event-stream");
    let is_list = !is_events
        && rating.endpoint.streams_lists()
        && head.status.is_success()
        && content_type(&head.headers).ends_with("json");
    let is_stream = is_events || is_list;
    rating.note_tier(&head.headers);
    let record = visit.record();
    record.status = head.status.as_u16();
    record.streamed = is_stream;
    record.response_content_type = content_type(&head.headers).to_owned();
    record.response_content_type.truncate(128);
    headers::strip_answer(&mut head.headers);
    let on_credits = rating.markup().is_some();
    if on_credits {
        headers::strip_operators(&mut head.headers);
    }

    let is_plain = head.headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    let is_read = is_plain && rating.endpoint.runs_a_model();
    let hides_usage = hides_usage && is_plain && is_stream && head.status.is_success();
    if hides_usage {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    let length = body.size_hint().exact();
    let is_small = !is_stream && length.is_some_and(|length| length <= SMALL_BYTES);
    let tap = match is_read {
        true if is_list => Tap::list(rating.endpoint, paying.is_some()),
        true if is_stream && paying.is_some() => Tap::paid_stream(rating.endpoint),
        true if is_stream => Tap::stream(rating.endpoint),
        // What credits pay for is heard to its end, even if the caller is gone by then.
        true if record.response_content_type.ends_with("json") && is_small && !on_credits => Tap::whole(),
        true if record.response_content_type.ends_with("json") => Tap::json(is_small),
        _ => Tap::none(),
    };
    let (listener, deps) = (visit.listener(), Arc::clone(visit.deps()));
    let source = Source { body, connection: Some(connection), reusable, watch };
    let (shows_all, stops_billing) = (is_visible && is_stream, stops_billing && is_stream);
    let paying = paying.filter(|_| is_stream);
    let running = Running { visit, tap, rating, paying, shows_all, stops_billing };
    let mut relayed = Relayed::new(source, running, hides_usage);
    // The policy has the last word on what the caller sees. What the provider did is paid for all the same.
    if let Some(consulted) = consulted.filter(|consulted| consulted.compiled.looks_at_answers) {
        let answered = Answered { head, relayed, is_small, is_stream: is_events, listener };
        return answered::answer(answered, consulted, &deps).await;
    }
    if is_small {
        return match relayed.whole().await {
            Ok((bytes, mut ended)) => {
                ended.visit.mark(&mut head.headers);
                ended.close();
                Response::from_parts(head, Answer::Whole(bytes))
            }
            Err((refusal, visit)) => visit.refused(&refusal),
        };
    }
    relayed.mark(&mut head.headers);
    Response::from_parts(head, Answer::Relayed(Box::new(relayed)))
}

/// An answer that the gateway's policy gives to a request.
pub async fn written(mut visit: Visit, method: &Method, answer: policy::run::Answer) -> Response<Answer> {
    let answer = match answer {
        policy::run::Answer::Written(answer) => answer,
        policy::run::Answer::Refused(refusal) => return visit.refused(&Refusal::Policy(Box::new(refusal))),
    };
    let mut response = answered::as_written(answer).await;
    let length = response.body().size_hint().lower();
    let record = visit.record();
    record.status = response.status().as_u16();
    // Where it answers because nobody else did, why that is stands there already.
    if record.cause.is_empty() {
        record.outcome = Outcome::Refused;
        record.cause = "policy".to_owned();
    }
    record.response_bytes = if method == Method::HEAD { 0 } else { length };
    record.response_content_type = content_type(response.headers()).chars().take(128).collect();
    visit.mark(response.headers_mut());
    visit.close();
    response
}

/// An answer that we give ourselves.
pub fn own(mut visit: Visit, method: &Method, body: Bytes) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(body.clone()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    let record = visit.record();
    record.status = 200;
    record.outcome = model::usage::Outcome::Answered;
    record.response_bytes = if method == Method::HEAD { 0 } else { body.len() as u64 };
    record.response_content_type = "application/json".to_owned();
    visit.mark(response.headers_mut());
    visit.close();
    response
}
