//! The way back: the provider's answer, verbatim but for what concerns only the connections.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::{HeaderValue, Method, Response};
use http_body::Body as _;

use super::dispatch::Dispatched;
use crate::answer::Answer;
use crate::headers;
use crate::rating::Rating;
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
}

/// The caller's answer. Small ones are read first, so that one which breaks off can still be told
/// as an error.
pub async fn answer(mut visit: Visit, pending: Pending) -> Response<Answer> {
    let Pending { dispatched, rating, hides_usage } = pending;
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
    let source = Source { body, connection: Some(connection), reusable, watch };
    let (shows_all, stops_billing) = (is_visible && is_stream, stops_billing && is_stream);
    let paying = paying.filter(|_| is_stream);
    let running = Running { visit, tap, rating, paying, shows_all, stops_billing };
    let mut relayed = Relayed::new(source, running, hides_usage);
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
