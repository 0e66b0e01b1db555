//! The way back: the provider's answer, verbatim but for what concerns only the connections.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::{HeaderValue, Method, Response};
use http_body::Body as _;
use model::usage::Outcome;
use policy::run::Written;

use super::consult::Consulted;
use super::dispatch::Dispatched;
use crate::answer::Answer;
use crate::headers;
use crate::rating::Rating;
use crate::refusal::{Listener, Refusal};
use crate::relayed::{Relayed, Running, Source, Tap};
use crate::visit::{self, Visit, content_type};

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
    let is_stream = content_type(&head.headers).eq_ignore_ascii_case("text/event-stream");
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
        true if is_stream && paying.is_some() => Tap::paid_stream(rating.endpoint),
        true if is_stream => Tap::stream(rating.endpoint),
        // What credits pay for is heard to its end, even if the caller is gone by then.
        true if record.response_content_type.ends_with("json") && is_small && !on_credits => Tap::whole(),
        true if record.response_content_type.ends_with("json") => Tap::json(is_small),
        _ => Tap::none(),
    };
    // The policy has the last word on what the caller sees. What the provider did is paid for all the same.
    let looking = consulted.filter(|consulted| consulted.compiled.looks_at_answers);
    let instead = looking.and_then(|mut consulted| {
        match consulted.answered(head.status, std::mem::take(&mut head.headers)) {
            Ok(shown) => {
                (head.status, head.headers) = (shown.status, shown.headers);
                None
            }
            Err(answer) => Some(*answer),
        }
    });
    let listener = visit.listener();
    let source = Source { body, connection: Some(connection), reusable, watch };
    let (shows_all, stops_billing) = (is_visible && is_stream, stops_billing && is_stream);
    let paying = paying.filter(|_| is_stream);
    let running = Running { visit, tap, rating, paying, shows_all, stops_billing };
    let mut relayed = Relayed::new(source, running, hides_usage);
    if let Some(instead) = instead {
        // A short answer is read to its end; of any other, this caller will never take a byte.
        if !is_small {
            drop(relayed);
        } else {
            match relayed.whole().await {
                Ok((_, ended)) => ended.close(),
                Err((refusal, visit)) => drop(visit.refused(&refusal)),
            }
        }
        return told_instead(listener, instead);
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

/// What the policy says in the place of an answer that was metered already.
fn told_instead(listener: Listener, answer: policy::run::Answer) -> Response<Answer> {
    match answer {
        policy::run::Answer::Written(answer) => as_written(answer),
        policy::run::Answer::Refused(refusal) => visit::told(listener, &Refusal::Policy(Box::new(refusal))),
    }
}

/// As the policy's author wrote it, but for what concerns only the connection and what would be mistaken
/// for ours.
fn as_written(Written { status, headers, body, compress: _ }: Written) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(body));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    headers::strip_answer(response.headers_mut());
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// An answer that the gateway's policy gives to a request.
pub fn written(mut visit: Visit, method: &Method, answer: policy::run::Answer) -> Response<Answer> {
    let answer = match answer {
        policy::run::Answer::Written(answer) => answer,
        policy::run::Answer::Refused(refusal) => return visit.refused(&Refusal::Policy(Box::new(refusal))),
    };
    let length = answer.body.len() as u64;
    let mut response = as_written(answer);
    let record = visit.record();
    record.status = response.status().as_u16();
    record.outcome = Outcome::Refused;
    record.cause = "policy".to_owned();
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
