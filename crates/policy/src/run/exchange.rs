//! A request and its answer while rules work on them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use model::Secret;
use time::OffsetDateTime;

use super::effect::{BodyWanted, Effect, Outcome};
use super::failure::Failure;
use crate::actions::circuit_breaker::Breaker;
use crate::actions::compress_response::Algorithm;
use crate::actions::jwt_validation::Keyring;
use crate::facts::{Budget, Connection, Endpoint, Facts, Randomness, Request, Response, Retry, Secrets};
use crate::phase::Phase;
use crate::value::{Map, Value};

/// How many steps the expressions of one request, or of one message of a stream, may take together: some
/// hundred of them as a rule, and a few hundredths of a second at worst.
pub(crate) const MOST_STEPS: u32 = 400_000;

/// How many bytes of bodies may be searched for one request, each replacement counting the whole body.
const MOST_SEARCHED: usize = 64 << 20;

/// Finds a secret by vault and name; see [`Secrets`].
pub type FindSecret = Arc<dyn Fn(Option<&str>, &str) -> Option<Arc<Secret>> + Send + Sync>;

/// A request that has arrived, and what is known around it.
pub struct Arrival {
    /// What time it is.
    pub now: OffsetDateTime,
    /// Where random numbers begin.
    pub seed: u64,
    /// Our id for the request.
    pub id: String,
    /// The connection it came on.
    pub connection: Connection,
    /// The endpoint that it was sent to.
    pub endpoint: Option<Endpoint>,
    /// Its method.
    pub method: Method,
    /// `https` or `http`, as the client sees it.
    pub scheme: &'static str,
    /// The host that it is meant for, with the port if one was written.
    pub authority: String,
    /// Its target.
    pub uri: Uri,
    /// The version of HTTP that it was sent in.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// What `secrets.get` finds.
    pub secrets: FindSecret,
}

/// The request as it is now, the answer as far as there is one, and what actions have found.
pub(crate) struct Exchange {
    pub(crate) phase: Phase,
    pub(crate) arrival: Arrival,
    random: Randomness,
    pub(crate) budget: Budget,
    searched: usize,
    pub(crate) vars: Arc<Map>,
    actions: Arc<Map>,
    pub(crate) response: Option<(StatusCode, HeaderMap)>,
    pub(crate) request_body: Body,
    pub(crate) response_body: Body,
    pub(crate) logs: Vec<Value>,
    /// Headers that have said who calls. They were meant for this gateway, and no provider sees them.
    pub(crate) consumed: Vec<HeaderName>,
    pub(crate) breakers: Vec<Breaker>,
    pub(crate) compress: Option<Algorithm>,
    pub(crate) keyring: Keyring,
    /// What came of the calls that the `http-request` action now at work has made.
    pub(crate) calls: Vec<Value>,
}

/// A body, in the forms in which it was brought.
#[derive(Default)]
pub(crate) struct Body {
    raw: Option<Bytes>,
    plain: Option<Bytes>,
    changed: bool,
}

impl Body {
    /// The body in this form, if it was brought already.
    pub(crate) fn get(&self, wanted: BodyWanted) -> Option<&Bytes> {
        match wanted {
            BodyWanted::Raw => self.raw.as_ref(),
            BodyWanted::Plain => self.plain.as_ref(),
        }
    }

    pub(crate) fn bring(&mut self, wanted: BodyWanted, bytes: Bytes) {
        match wanted {
            BodyWanted::Raw => self.raw = Some(bytes),
            BodyWanted::Plain => self.plain = Some(bytes),
        }
    }

    /// A body of our own.
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self { raw: Some(bytes.clone()), plain: Some(bytes), changed: true }
    }

    /// What it was replaced with, if it was.
    pub(crate) fn replacement(&self) -> Option<&Bytes> {
        if self.changed { self.plain.as_ref() } else { None }
    }
}

impl Exchange {
    pub(crate) fn new(arrival: Arrival) -> Self {
        Self {
            phase: Phase::Connect,
            random: Randomness::seeded(arrival.seed),
            budget: Budget::of(MOST_STEPS),
            searched: 0,
            arrival,
            vars: Map::empty().clone(),
            actions: Map::empty().clone(),
            response: None,
            request_body: Body::default(),
            response_body: Body::default(),
            logs: Vec::new(),
            consumed: Vec::new(),
            breakers: Vec::new(),
            compress: None,
            keyring: Keyring::default(),
            calls: Vec::new(),
        }
    }

    /// Shows what is known now.
    pub(crate) fn look<T>(&self, see: impl FnOnce(&Facts<'_>) -> T) -> T {
        self.look_at(None, see)
    }

    /// The same when it is to be decided whether to call again.
    pub(crate) fn look_at<T>(&self, retry: Option<&Retry>, see: impl FnOnce(&Facts<'_>) -> T) -> T {
        let arrival = &self.arrival;
        let request = Request {
            id: &arrival.id,
            method: &arrival.method,
            scheme: arrival.scheme,
            authority: &arrival.authority,
            uri: &arrival.uri,
            version: arrival.version,
            headers: &arrival.headers,
            received_at: arrival.now,
            body_received_at: None,
        };
        // An empty secret is none: compared with it, whoever sends nothing would be let in.
        let find = |vault: Option<&str>, name: &str| {
            (arrival.secrets)(vault, name).filter(|secret| !secret.expose().is_empty())
        };
        let response = self.response.as_ref().map(|(status, headers)| Response { status: *status, headers });
        see(&Facts {
            now: arrival.now,
            random: &self.random,
            secrets: Secrets::new(&find),
            vars: &self.vars,
            actions: &self.actions,
            connection: Some(&arrival.connection),
            endpoint: arrival.endpoint.as_ref(),
            request: (self.phase != Phase::Connect).then_some(&request),
            response: response.as_ref(),
            choice: None,
            retry,
            budget: Some(&self.budget),
        })
    }

    /// Takes steps from what this request may do.
    pub(crate) fn work(&self, steps: usize) -> Result<(), Failure> {
        if self.budget.take(steps) { Ok(()) } else { Err(Failure::evaluation("the policy does too much")) }
    }

    /// Counts a text in which something is looked for.
    pub(crate) fn search(&mut self, bytes: usize) -> Result<(), Failure> {
        self.searched = self.searched.saturating_add(bytes);
        if self.searched > MOST_SEARCHED {
            return Err(Failure::evaluation("the policy looks for too much in too large a body"));
        }
        Ok(())
    }

    /// What an action found, as `actions.ngrok.<name>`.
    pub(crate) fn found(
        &mut self,
        name: &'static str,
        result: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        self.found_value(name, Value::map(result));
    }

    /// The same, when the result is a value already.
    pub(crate) fn found_value(&mut self, name: &'static str, result: Value) {
        Arc::make_mut(&mut self.actions).insert(name, result);
    }

    /// The headers that actions of this phase change.
    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        match &mut self.response {
            Some((_, headers)) if self.phase >= Phase::Response => headers,
            _ => &mut self.arrival.headers,
        }
    }

    /// Keeps a body that was brought.
    pub(crate) fn keep_body(&mut self, answered: Option<(Effect, Outcome)>) -> Result<(), Failure> {
        let (body, wanted, outcome) = match answered {
            Some((Effect::RequestBody(wanted), Outcome::Body(outcome))) => {
                (&mut self.request_body, wanted, outcome)
            }
            Some((Effect::ResponseBody(wanted), Outcome::Body(outcome))) => {
                (&mut self.response_body, wanted, outcome)
            }
            _ => return Ok(()),
        };
        body.bring(wanted, outcome.map_err(|_| Failure::unavailable("the body could not be read"))?);
        Ok(())
    }

    /// The body that actions of this phase read, or what to ask for if it was not brought yet.
    pub(crate) fn body(&self, wanted: BodyWanted) -> BodyOrEffect {
        let of_answer = self.phase >= Phase::Response;
        let body = if of_answer { &self.response_body } else { &self.request_body };
        match body.get(wanted) {
            Some(bytes) => BodyOrEffect::Body(bytes.clone()),
            None if of_answer => BodyOrEffect::Effect(Effect::ResponseBody(wanted)),
            None => BodyOrEffect::Effect(Effect::RequestBody(wanted)),
        }
    }

    /// Puts other bytes in the body's place. What described the old ones goes.
    pub(crate) fn replace_body(&mut self, bytes: Bytes) {
        let headers = self.headers_mut();
        for name in ["content-encoding", "content-length", "content-md5", "digest", "content-digest", "etag"]
        {
            headers.remove(name);
        }
        // It is compressed on its way out, whatever it is by then.
        if let (true, Some(algorithm)) = (self.phase >= Phase::Response, self.compress) {
            let name = HeaderValue::from_static(algorithm.name());
            self.headers_mut().insert(http::header::CONTENT_ENCODING, name);
        }
        *(if self.phase >= Phase::Response { &mut self.response_body } else { &mut self.request_body }) =
            Body::own(bytes);
    }

    /// The request's whole address.
    pub(crate) fn url(&self) -> String {
        let path = self.arrival.uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}://{}{path}", self.arrival.scheme, self.arrival.authority)
    }
}

/// A body, or what to ask for it.
pub(crate) enum BodyOrEffect {
    Body(Bytes),
    Effect(Effect),
}
