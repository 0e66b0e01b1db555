//! `http-request`: asks another server, whose answer later rules may read.

mod result;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};

use self::result::{Attempt, result};
use super::Next;
use super::headers::Headers;
use crate::actions::texts::short_text;
use crate::document::place::Place;
use crate::expression::{Expression, Scope};
use crate::facts::Retry;
use crate::phase::Phase;
use crate::problem::Code;
use crate::run::{Call, Effect, Exchange, Failure, Outcome};
use crate::template::Template;
use crate::value::Value;

/// A request to another server.
pub struct HttpRequest {
    url: Template,
    method: Method,
    query_params: Vec<(String, Template)>,
    headers: Headers,
    body: Option<Template>,
    timeout: Duration,
    max_redirects: u8,
    retry_condition: Option<Arc<Expression>>,
    halts: bool,
}

/// How often a request is repeated at most.
const MOST_RETRIES: usize = 3;
/// The longest answer that is read.
const MOST_BYTES: usize = 256 * 1024;
/// The longest address that is called.
const LONGEST_URL: usize = 16 * 1024;
/// How many gateways that call each other may stand in a row.
const MOST_CALLERS: u32 = 3;
/// Says how many stood in the row before.
const CALLERS: &str = "tollgate-policy-calls";

impl HttpRequest {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let known = &[
            "url",
            "method",
            "query_params",
            "headers",
            "body",
            "timeout",
            "max_redirects",
            "retry_condition",
            "on_error",
        ];
        let fields = place.fields(known)?;
        let url = fields.need("url", url);
        let methods = [("GET", 0), ("PUT", 1), ("POST", 2), ("PATCH", 3), ("DELETE", 4), ("OPTIONS", 5)];
        let method = fields.or("method", 0, |place| place.choice(&methods)).map(|method| match method {
            1 => Method::PUT,
            2 => Method::POST,
            3 => Method::PATCH,
            4 => Method::DELETE,
            5 => Method::OPTIONS,
            _ => Method::GET,
        });
        let query_params = fields.or("query_params", Vec::new(), |place| place.list(0..=32, parameter));
        let headers = fields.or("headers", Headers::none(), |place| Headers::read(place, 0..=10));
        let body = fields.maybe("body", Place::template);
        let seconds = Duration::from_secs(1)..=Duration::from_secs(30);
        let timeout = fields.or("timeout", Duration::from_secs(3), |place| place.duration(seconds));
        let max_redirects = fields.or("max_redirects", 0, |place| place.integer(0..=100));
        let scope = if place.phase() == Phase::Response { Scope::ResponseRetry } else { Scope::RequestRetry };
        let retry_condition = fields.maybe("retry_condition", |place| place.expression_in(scope));
        let halts =
            fields.or("on_error", false, |place| place.choice(&[("continue", false), ("halt", true)]));
        Some(Self {
            url: url?,
            method: method?,
            query_params: query_params?,
            headers: headers?,
            body: body?,
            timeout: timeout?,
            max_redirects: u8::try_from(max_redirects?).ok()?,
            retry_condition: retry_condition?.map(Arc::new),
            halts: halts?,
        })
    }

    /// Whether what comes later goes on without it.
    pub(crate) fn may_fail(&self) -> bool {
        !self.halts
    }

    pub(crate) fn act(
        &self,
        exchange: &mut Exchange,
        answered: Option<(Effect, Outcome)>,
    ) -> Result<Next, Failure> {
        let (call, outcome) = match answered {
            Some((Effect::Call(call), Outcome::Call(outcome))) => (call, outcome),
            _ => {
                exchange.calls.clear();
                return match self.call(exchange) {
                    Ok(call) => Ok(Next::Ask(Effect::Call(call))),
                    Err(failure) => self.failed(exchange, failure),
                };
            }
        };
        let attempt = Attempt::new(&call, outcome);
        exchange.calls.push(attempt.told());
        let left = call.timeout.saturating_sub(attempt.took);
        if exchange.calls.len() <= MOST_RETRIES && !left.is_zero() && self.wants_again(exchange, &attempt)? {
            return Ok(Next::Ask(Effect::Call(Call { timeout: left, ..call })));
        }
        let attempts = std::mem::take(&mut exchange.calls);
        let failed = attempt.error.is_some();
        exchange.found("http_request", result(&attempt, attempts));
        if failed && self.halts {
            return Err(Failure::unavailable("an HTTP request that the policy needs was not answered"));
        }
        Ok(Next::Go)
    }

    fn failed(&self, exchange: &mut Exchange, failure: Failure) -> Result<Next, Failure> {
        if self.halts {
            return Err(failure);
        }
        let error = Value::map([
            ("code", Value::from("ERR_NGROK_2253")),
            ("message", Value::from(failure.to_string())),
        ]);
        exchange.found("http_request", [("error", error)]);
        Ok(Next::Go)
    }

    fn wants_again(&self, exchange: &Exchange, attempt: &Attempt) -> Result<bool, Failure> {
        let Some(condition) = &self.retry_condition else { return Ok(false) };
        let attempts = u32::try_from(exchange.calls.len()).unwrap_or(u32::MAX);
        let retry = Retry { attempts, last_attempt: attempt.last() };
        Ok(exchange.look_at(Some(&retry), |facts| condition.holds(facts))?)
    }

    fn call(&self, exchange: &Exchange) -> Result<Call, Failure> {
        let callers = callers(&exchange.arrival.headers);
        if callers >= MOST_CALLERS {
            return Err(Failure::evaluation("gateways call each other in a circle"));
        }
        exchange.look(|facts| {
            let url = short_text(&self.url, facts, LONGEST_URL)?;
            let mut url = url.as_str().to_owned();
            let mut query = form_urlencoded::Serializer::new(String::new());
            for (name, value) in &self.query_params {
                query.append_pair(name, short_text(value, facts, 8192)?.as_str());
            }
            let query = query.finish();
            if !query.is_empty() {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str(&query);
            }
            if !is_callable(&url) {
                return Err(Failure::evaluation(
                    "the address of an HTTP request is not one that can be called",
                ));
            }
            let mut headers = self.headers.render(facts)?;
            headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("tollgate"));
            headers.insert("ngrok-req-type", HeaderValue::from_static("http-request"));
            headers.insert(CALLERS, HeaderValue::from(callers + 1));
            let client = exchange.arrival.connection.client_ip.to_canonical().to_string();
            if let Ok(client) = HeaderValue::from_str(&client) {
                headers.insert("x-forwarded-for", client);
            }
            if let Ok(id) = HeaderValue::from_str(&exchange.arrival.id) {
                headers.insert("ngrok-req-id", id);
            }
            let body = match &self.body {
                Some(body) => Bytes::copy_from_slice(body.render_text(facts)?.as_str().as_bytes()),
                None => Bytes::new(),
            };
            Ok(Call {
                method: self.method.clone(),
                url,
                headers,
                body,
                timeout: self.timeout,
                max_redirects: self.max_redirects,
                max_bytes: MOST_BYTES,
            })
        })
    }
}

/// An address; what is computed in it is looked at when it is.
fn url(place: &Place<'_>) -> Option<Template> {
    let text = place.text()?;
    if !text.contains("${") && !is_callable(text) {
        return place.wrong_so(
            Code::Url,
            "This is not an address that can be called.",
            "Write it with `https://` or `http://` and a host.",
        );
    }
    place.template()
}

fn is_callable(url: &str) -> bool {
    url.len() <= LONGEST_URL
        && url.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        })
}

fn parameter(place: &Place<'_>) -> Option<(String, Template)> {
    let fields = place.fields(&["key", "value"])?;
    let key = fields.need("key", |place| place.text_of(1..=128));
    let value = fields.need("value", |place| {
        place.text_of(0..=8192)?;
        place.template()
    });
    Some((key?, value?))
}

/// How many gateways have called before this one.
fn callers(headers: &HeaderMap) -> u32 {
    match headers.get(CALLERS) {
        Some(value) => value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX),
        None => 0,
    }
}
