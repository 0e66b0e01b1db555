//! What an `ai-gateway` action did, as `actions.ngrok.ai_gateway` tells it to later rules. Keys are told so
//! that their owner knows which is meant, and nobody can use them.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::run::Arrival;
use crate::value::Value;

/// What was done about a request. The request itself is known to the run that it is told to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Why nobody answered; `None` if somebody did.
    pub error: Option<Error>,
    /// The model that the caller named; empty if none.
    pub model: String,
    /// What the caller would take instead.
    pub models: Vec<String>,
    /// Models that were not tried, and why.
    pub rejected: Vec<Rejected>,
    /// How many tokens the prompt has by our estimate, where it was made.
    pub input_tokens: Option<u64>,
    /// How long it took, but for the waiting for providers.
    pub gateway_latency: Duration,
    /// What strategies came to.
    pub selection: Vec<Selection>,
    /// Whom was asked, in the order in which that was done.
    pub tried: Vec<Tried>,
}

/// Why something failed.
#[derive(Debug, Clone)]
pub struct Error {
    /// A code, such as `ERR_NGROK_3807`; empty if there is none for it.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// A model that was not tried.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// As `provider:model`, or as the caller named it.
    pub model: String,
    /// Why.
    pub reason: String,
}

/// What a strategy for models came to. Models are told as `provider:model`.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The strategy as it is written.
    pub strategy: String,
    /// Why it could not be followed.
    pub error: Option<String>,
    /// What it chose.
    pub returned: Vec<Arc<str>>,
    /// What of that the gateway allows.
    pub allowed: Vec<Arc<str>>,
    /// What of that the caller takes.
    pub named: Vec<Arc<str>>,
    /// What is tried, if this is the strategy that counts.
    pub to_try: Vec<Arc<str>>,
}

/// What a strategy for keys came to.
#[derive(Debug, Clone, Default)]
pub struct KeySelection {
    /// The strategy as it is written.
    pub strategy: String,
    /// Why it could not be followed.
    pub error: Option<String>,
    /// The ids of the keys that are tried.
    pub to_try: Vec<Arc<str>>,
}

/// A model at a provider that was asked.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// What the provider calls it.
    pub model: String,
    /// The provider's id.
    pub provider: String,
    /// Who made the model; empty if that is not known.
    pub author: String,
    /// What strategies for keys came to.
    pub keys: Vec<KeySelection>,
    /// What was sent to it.
    pub requests: Vec<Request>,
}

/// A request to a provider.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Why it failed; `None` if it was answered well.
    pub error: Option<String>,
    /// Where it was sent; empty if it was not.
    pub url: String,
    /// The key that it bore, [`redacted`]; empty for those of the operator.
    pub api_key: String,
    /// What was answered, if anything was.
    pub response: Option<Response>,
    /// How long the head of the answer took.
    pub first_byte: Option<Duration>,
    /// How long all of it took, as far as it was waited for.
    pub total: Duration,
}

/// An answer of a provider.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body if it says that something is wrong and goes to nobody.
    pub body_on_error: Vec<u8>,
}

/// How much is told of a body.
pub const MOST_BODY_ON_ERROR: usize = 1024;
/// How many items are told of a list.
const MOST_ITEMS: usize = 100;

impl Report {
    /// As `actions.ngrok.ai_gateway`.
    pub(crate) fn value(&self, arrival: &Arrival, consumed: &[HeaderName]) -> Value {
        let mut told = vec![
            ("status", Value::from(if self.error.is_some() { "error" } else { "success" })),
            ("client", self.client(arrival, consumed)),
            ("input_ngrok_tokens", count(self.input_tokens)),
            // Answers are told of before they have come.
            ("output_ngrok_tokens", count(self.error.is_some().then_some(0))),
            ("gateway_latency_ms", milliseconds(self.gateway_latency)),
            ("model_selection", list(&self.selection, Selection::value)),
            ("models_tried", list(&self.tried, Tried::value)),
        ];
        if let Some(Error { code, message }) = &self.error {
            let code = if code.is_empty() { Value::Null } else { Value::from(code.as_str()) };
            told.push(("error", Value::map([("code", code), ("message", Value::from(message.as_str()))])));
        } else if let Some((last, index)) = self.tried.last().zip(self.tried.len().checked_sub(1)) {
            let requests = last.requests.len().saturating_sub(1);
            told.push((
                "success",
                Value::map([
                    ("model_index", count(Some(index as u64))),
                    ("request_index", count(Some(requests as u64))),
                    ("model", Value::from(last.model.as_str())),
                    ("provider", Value::from(last.provider.as_str())),
                    ("author", Value::from(last.author.as_str())),
                ]),
            ));
        }
        Value::map(told)
    }

    fn client(&self, arrival: &Arrival, consumed: &[HeaderName]) -> Value {
        let user_agent = arrival.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let rejected = |Rejected { model, reason }: &Rejected| {
            Value::map([("model", Value::from(model.as_str())), ("reason", Value::from(reason.as_str()))])
        };
        Value::map([
            ("method", Value::from(arrival.method.as_str())),
            ("path", Value::from(arrival.uri.path())),
            ("request_headers", headers(&arrival.headers, consumed)),
            ("user_agent", Value::from(user_agent.unwrap_or_default())),
            ("model", Value::from(self.model.as_str())),
            ("models", texts(&self.models)),
            ("api_key_hash", key_hash(&arrival.headers)),
            ("rejected_models", list(&self.rejected, rejected)),
        ])
    }
}

impl Selection {
    fn value(&self) -> Value {
        Value::map([
            ("strategy", Value::from(self.strategy.as_str())),
            ("error", maybe(self.error.as_deref())),
            ("candidates_returned", texts(&self.returned)),
            ("candidates_after_allowed_filter", texts(&self.allowed)),
            ("candidates_after_client_filter", texts(&self.named)),
            ("models_to_try", texts(&self.to_try)),
        ])
    }
}

impl KeySelection {
    fn value(&self) -> Value {
        Value::map([
            ("strategy", Value::from(self.strategy.as_str())),
            ("error", maybe(self.error.as_deref())),
            ("keys_to_try", texts(&self.to_try)),
        ])
    }
}

impl Tried {
    fn value(&self) -> Value {
        Value::map([
            ("model", Value::from(self.model.as_str())),
            ("provider", Value::from(self.provider.as_str())),
            ("author", Value::from(self.author.as_str())),
            ("api_key_selection", list(&self.keys, KeySelection::value)),
            ("requests_made", list(&self.requests, Request::value)),
        ])
    }
}

impl Request {
    fn value(&self) -> Value {
        // A condition such as `response.status_code >= 500` has an answer where nobody answered, too.
        let none = Response { status: StatusCode::default(), ..Response::default() };
        let status = self.response.as_ref().map_or(0, |response| response.status.as_u16().into());
        let response = self.response.as_ref().unwrap_or(&none);
        Value::map([
            ("status", Value::from(if self.error.is_some() { "error" } else { "success" })),
            ("error", maybe(self.error.as_deref())),
            // Who answers says that at the end of his answer, if at all.
            ("upstream_input_tokens", count(self.error.is_some().then_some(0))),
            ("upstream_output_tokens", count(self.error.is_some().then_some(0))),
            (
                "request",
                Value::map([
                    ("url", Value::from(self.url.as_str())),
                    ("api_key", self.api_key.as_str().into()),
                ]),
            ),
            (
                "response",
                Value::map([
                    ("status_code", Value::Int(status)),
                    ("headers", headers(&response.headers, &[])),
                    ("body_on_error", beginning(&response.body_on_error)),
                ]),
            ),
            (
                "upstream_latency",
                Value::map([
                    ("time_to_first_byte_ms", self.first_byte.map_or(Value::Null, milliseconds)),
                    ("total_ms", milliseconds(self.total)),
                ]),
            ),
        ])
    }
}

/// A key as it may be told: its first seven characters and its last four, of one that has many more.
pub fn redacted(key: &str) -> String {
    let count = key.chars().count();
    if count < 22 {
        return if key.is_empty() { String::new() } else { "...".to_owned() };
    }
    key.chars().take(7).chain("...".chars()).chain(key.chars().skip(count - 4)).collect()
}

/// Headers, of which those that say who calls are told like keys.
fn headers(headers: &HeaderMap, consumed: &[HeaderName]) -> Value {
    Value::map(headers.keys().map(|name| {
        let told = |value: &http::HeaderValue| {
            let text = String::from_utf8_lossy(value.as_bytes());
            match name.as_str() {
                "cookie" | "set-cookie" => Value::from("..."),
                _ if is_secret(name) || consumed.contains(name) || value.is_sensitive() => {
                    Value::from(redacted_value(&text))
                }
                _ => Value::from(&*text),
            }
        };
        (name.as_str(), Value::list(headers.get_all(name).iter().map(told).collect()))
    }))
}

fn is_secret(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "authorization" | "proxy-authorization" | "x-amz-security-token")
        || name.contains("api-key")
        || name.contains("token")
        || name.contains("secret")
        || name.ends_with("-authorization")
}

/// Of a key behind `Bearer`, what may be told; of passwords and cookies, only that they are there.
fn redacted_value(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => {
            format!("{scheme} {}", redacted(key.trim()))
        }
        Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => format!("{scheme} ..."),
        Some(_) => "...".to_owned(),
        None => redacted(value),
    }
}

/// A digest of the key that the caller sent, by which his requests are found again.
fn key_hash(headers: &HeaderMap) -> Value {
    let names = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    let sent = names.iter().find_map(|name| headers.get(*name));
    sent.map_or(Value::Null, |value| {
        let key = value.as_bytes();
        let is_bearer = key.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
        let key = if is_bearer { key[7..].trim_ascii() } else { key };
        Value::from(hex::encode(Sha256::digest(key)))
    })
}

/// The beginning of a body, without half a character at its end.
fn beginning(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(&body[..body.len().min(MOST_BODY_ON_ERROR)]).into_owned();
    let end = text.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
    Value::from(&text[..text.floor_char_boundary(end.min(MOST_BODY_ON_ERROR))])
}

fn count(count: Option<u64>) -> Value {
    count.map_or(Value::Null, |count| Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn milliseconds(length: Duration) -> Value {
    Value::Int(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
}

fn maybe(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

fn texts(texts: &[impl AsRef<str>]) -> Value {
    list(texts, |text| Value::from(text.as_ref()))
}

fn list<T>(items: &[T], value: impl Fn(&T) -> Value) -> Value {
    Value::list(items.iter().take(MOST_ITEMS).map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_key_its_owner_knows_which_it_is() {
        assert_eq!(redacted("sk-proj-abcdefghijklmn7890"), "sk-proj...7890");
        assert_eq!((redacted("short-key-of-eleven").as_str(), redacted("").as_str()), ("...", ""));
        assert_eq!(redacted_value("Bearer sk-proj-abcdefghijklmn7890"), "Bearer sk-proj...7890");
        assert_eq!(redacted_value("Basic YWRhOmVuY2hhbnRyZXNzLW9mLW51bWJlcnM="), "Basic ...");
        assert_eq!(redacted_value("session=0123456789abcdef0123456789; x=y"), "...");
    }

    #[test]
    fn a_body_is_told_in_its_beginning() {
        let body = "é".repeat(1000);
        let told = beginning(body.as_bytes());
        assert_eq!(told.as_str(), Some("é".repeat(512).as_str()));
        let told = beginning(&[0xff; 2000]);
        assert!(told.as_str().is_some_and(|told| told.len() <= MOST_BODY_ON_ERROR));
    }
}
