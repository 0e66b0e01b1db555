//! The headers that answers of ours bear, whoever wrote the rest of them.

use http::Response;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use model::usage::Timings;
use uuid::Uuid;

use super::{Visit, microseconds};
use crate::answer::Answer;
use crate::headers::{self, CF_AIG_EVENT_ID};
use crate::refusal::{self, Listener, Refusal, Shape};

impl Visit {
    /// The headers that every answer of this request bears.
    pub fn mark(&mut self, headers: &mut HeaderMap) {
        if let Some(first_byte) = self.first_byte {
            self.record.timings.own = self.record.timings.queue + microseconds(first_byte.elapsed());
        }
        let id = uuid_value(self.arrival.id);
        if self.record.collect_log {
            headers.insert(&headers::CF_AIG_LOG_ID, uuid_value(self.record.id));
        }
        let event_id = if self.record.event_id.is_empty() {
            id.clone()
        } else {
            HeaderValue::try_from(self.record.event_id.as_str()).unwrap_or_else(|_| id.clone())
        };
        headers.insert(&CF_AIG_EVENT_ID, event_id);
        headers.insert(&headers::CF_AIG_REQUEST_ID, id);
        headers.insert(&headers::CF_AIG_STEP, HeaderValue::from_static("0"));
        self.left.mark(headers);
        let is_ngroks = matches!(self.shape, Shape::Ngrok(_));
        if let Some(asked) = self.asked.as_deref().and_then(|asked| HeaderValue::try_from(asked).ok()) {
            headers.insert(&headers::NGROK_AIG_MODEL, asked);
        }
        if self.attempts > 0 && (is_ngroks || self.asked.is_some()) {
            headers.insert(&headers::NGROK_AIG_ATTEMPTS, HeaderValue::from(self.attempts));
        }
        if is_ngroks {
            headers.insert(&headers::NGROK_AIG_REQUEST_ID, refusal::ngrok_request_id(self.arrival.id));
        }
        names_header(headers, &headers::NGROK_AIG_REMOVED_PARAMS, &self.removed);
        names_header(headers, &headers::NGROK_AIG_REJECTED_MODELS, &self.rejected);
        if let Some(limit) = self.output_limit {
            headers.insert(&headers::TOLLGATE_OUTPUT_LIMIT, HeaderValue::from(limit));
        }
        if let Some(timing) = self.server_timing() {
            headers.append(&headers::SERVER_TIMING, timing);
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

/// A refusal with nothing in it that needs a gateway.
pub fn told(listener: Listener, refusal: &Refusal) -> Response<Answer> {
    let response: Result<Response<Answer>, http::Error> =
        refusal::head(listener, refusal).body(Answer::Whole(listener.body(refusal).into()));
    let mut response = response.unwrap_or_default();
    response.headers_mut().insert(&headers::CF_AIG_REQUEST_ID, uuid_value(listener.request_id));
    if let Shape::Ngrok(_) = listener.shape {
        let id = refusal::ngrok_request_id(listener.request_id);
        response.headers_mut().insert(&headers::NGROK_AIG_REQUEST_ID, id);
    }
    refusal.mark(response.headers_mut());
    response
}

/// Names with commas between them, as far as they fit; what callers wrote is told without what might be
/// taken for something else.
fn names_header(headers: &mut HeaderMap, header: &'static HeaderName, names: &[String]) {
    const MOST: usize = 1024;
    let mut told = String::new();
    for name in names {
        let plain = name.chars().map(|character| match character {
            ',' => '_',
            character if character.is_ascii_graphic() => character,
            _ => '_',
        });
        let comma = if told.is_empty() { "" } else { "," };
        if told.len() + name.len() >= MOST {
            break;
        }
        told.push_str(comma);
        told.extend(plain);
    }
    if !told.is_empty()
        && let Ok(told) = HeaderValue::try_from(told)
    {
        headers.insert(header, told);
    }
}

fn uuid_value(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_as_far_as_they_fit_and_cannot_be_mistaken() {
        let told = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut headers = HeaderMap::new();
            names_header(&mut headers, &headers::NGROK_AIG_REMOVED_PARAMS, &names);
            headers.get(&headers::NGROK_AIG_REMOVED_PARAMS).map(|told| told.to_str().unwrap().to_owned())
        };
        assert_eq!(told(&["user", "we, ird\r\n", "größe"]).as_deref(), Some("user,we__ird__,gr__e"));
        assert_eq!(told(&["kept", &"x".repeat(2000), "seed"]).as_deref(), Some("kept"));
        assert_eq!(told(&[]), None);
    }
}
