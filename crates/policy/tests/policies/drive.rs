//! Drives a run as a proxy would, with the outside played from a list.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::Secret;
use policy::actions::ai_gateway::{Dispatch, OnError};
use policy::actions::jwt_validation::KeySet;
use policy::facts::{Connection, Endpoint};
use policy::operator::{KnownProvider, Operator};
use policy::run::{
    Answer, Arrival, BodyWanted, CallFailed, Called, Counted, Effect, Outcome, Passage, Relay, Run, Step,
    Unavailable,
};
use policy::{Policy, Value};
use time::OffsetDateTime;

use crate::case::{self, Request};

/// The moment at which every case plays: 2026-11-22 06:00:00 UTC.
pub(crate) const NOW: i64 = 1_795_327_200;

/// An operator who knows a few providers and has a model running at home.
pub(crate) fn operator() -> Operator {
    let provider = |id: &str, aliases: &[&str]| KnownProvider {
        id: id.to_owned(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
    };
    Operator {
        providers: vec![
            provider("openai", &["open-ai"]),
            provider("anthropic", &[]),
            provider("google", &["gemini"]),
            provider("deepseek", &["deep-seek"]),
            provider("groq", &["groqcloud"]),
        ],
        plain_hosts: vec!["localhost:11434".to_owned()],
        internal_hosts: vec![
            ("ollama.internal".to_owned(), "http://10.0.0.5:11434".to_owned()),
            ("vllm.internal".to_owned(), "http://10.0.0.6:8000".to_owned()),
        ],
        ..Operator::default()
    }
}

pub(crate) struct Drive {
    pub(crate) run: Run,
    pub(crate) asked: Vec<String>,
    pub(crate) dispatch: Option<Dispatch>,
    pub(crate) messages: Vec<String>,
    body: Bytes,
    halts: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// On the way to a provider, which the policy does not choose.
    Forward,
    /// On the way to a provider, by `ai-gateway`.
    Dispatch,
    Relay(Relay),
    Respond(Answer),
}

impl Ended {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Dispatch => "dispatch",
            Self::Relay(_) => "relay",
            Self::Respond(Answer::Written(_)) => "written",
            Self::Respond(Answer::Refused(_)) => "refused",
        }
    }
}

pub(crate) fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    let mut headers = HeaderMap::new();
    pairs.for_each(|(name, value)| {
        headers.append(name, value);
    });
    headers
}

impl Drive {
    pub(crate) fn new(policy: &Arc<Policy>, request: &Request, secrets: &BTreeMap<String, String>) -> Self {
        let secrets: BTreeMap<String, Arc<Secret>> = secrets
            .iter()
            .map(|(name, value)| (name.clone(), Arc::new(Secret::new(value.as_str()))))
            .collect();
        let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
        let mut headers = headers(&request.headers);
        headers.entry(http::header::HOST).or_insert(HeaderValue::from_str(&request.host).unwrap());
        let arrival = Arrival {
            now,
            seed: 7,
            id: "req_1".into(),
            connection: Connection {
                client_ip: request.ip.parse().unwrap(),
                client_port: 50_000,
                server_ip: [10, 0, 0, 1].into(),
                server_port: 443,
                started_at: now,
                tls: None,
            },
            endpoint: Some(Endpoint {
                id: "ep_1".into(),
                url: "https://gateway.example".into(),
                host: "gateway.example".into(),
                port: 443,
                protocol: "https",
            }),
            method: request.method.parse().unwrap(),
            scheme: "https",
            authority: request.host.clone(),
            uri: request.path.parse().unwrap(),
            version: http::Version::HTTP_11,
            headers,
            secrets: Arc::new(move |vault, name| {
                secrets.get(&format!("{}/{name}", vault.unwrap_or("default"))).cloned()
            }),
        };
        Self {
            run: Run::new(policy.clone(), arrival),
            asked: Vec::new(),
            dispatch: None,
            messages: Vec::new(),
            body: Bytes::from(request.body.clone()),
            halts: policy.ai_gateway().is_some_and(|gateway| gateway.on_error == OnError::Halt),
        }
    }

    /// Plays to the end, or to where a provider is asked and the list has no answer left.
    pub(crate) fn play(&mut self, outcomes: &[case::Outcome]) -> Result<Ended, String> {
        let mut outcomes = outcomes.iter().peekable();
        let mut answer: Option<&case::Answered> = None;
        let mut step = self.run.start();
        for _ in 0..1000 {
            step = match step {
                Step::Respond(answer) => return Ok(Ended::Respond(answer)),
                Step::Relay(relay) => {
                    let messages = answer.map_or(&[][..], |answered| &answered.messages);
                    self.messages = case::pass(&mut self.run, messages)?;
                    return Ok(Ended::Relay(relay));
                }
                Step::Forward => match outcomes.next() {
                    None => return Ok(Ended::Forward),
                    Some(case::Outcome::Answered(answered)) => self.answered(answer.insert(answered)),
                    Some(_) => return Err("a provider can only answer".into()),
                },
                Step::Ask(effect) => {
                    self.asked.push(words(&effect));
                    match effect {
                        Effect::Dispatch(dispatch) => {
                            self.dispatch = Some(dispatch);
                            match outcomes.next() {
                                None => return Ok(Ended::Dispatch),
                                Some(case::Outcome::Answered(answered)) => {
                                    self.answered(answer.insert(answered))
                                }
                                Some(case::Outcome::NotDispatched(json)) if !self.halts => {
                                    self.run.resume(Outcome::NotDispatched(Value::from_json(json.clone())))
                                }
                                Some(_) => return Err("this does not answer a dispatch".into()),
                            }
                        }
                        Effect::RequestBody(_) => {
                            let unavailable =
                                |outcome: &&case::Outcome| matches!(outcome, case::Outcome::Unavailable);
                            let body = match outcomes.next_if(unavailable) {
                                Some(_) => Err(Unavailable),
                                None => Ok(self.body.clone()),
                            };
                            self.run.resume(Outcome::Body(body))
                        }
                        Effect::ResponseBody(_) => {
                            let body = answer.map(|answered| answered.body.clone()).unwrap_or_default();
                            self.run.resume(Outcome::Body(Ok(body.into())))
                        }
                        effect => {
                            let outcome = outcome(&effect, outcomes.next())?;
                            self.run.resume(outcome)
                        }
                    }
                }
            };
        }
        Err("the run does not end".into())
    }

    fn answered(&mut self, answered: &case::Answered) -> Step {
        let status = StatusCode::from_u16(answered.status).unwrap();
        self.run.response(status, headers(&answered.headers), None)
    }
}

/// What an effect asks for, in words for `asked`.
fn words(effect: &Effect) -> String {
    match effect {
        Effect::Count(count) => {
            format!("count {} {} in {}s", count.name, count.capacity, count.window.as_secs())
        }
        Effect::Keys(keys) => format!("keys {}{}", keys.url, if keys.fresh { " fresh" } else { "" }),
        Effect::Call(call) => format!("call {} {}", call.method, call.url),
        Effect::Breaker(breaker) => format!("breaker {}", breaker.circuit),
        Effect::RequestBody(BodyWanted::Raw) => "raw request body".into(),
        Effect::RequestBody(BodyWanted::Plain) => "request body".into(),
        Effect::ResponseBody(_) => "response body".into(),
        Effect::Dispatch(_) => "dispatch".into(),
    }
}

/// A set is kept from request to request, as proxies do: it remembers whom it has let in.
fn key_set(text: &str) -> Result<Arc<KeySet>, String> {
    static SETS: LazyLock<Mutex<HashMap<String, Arc<KeySet>>>> = LazyLock::new(Mutex::default);
    let mut sets = SETS.lock().map_err(|error| error.to_string())?;
    if let Some(set) = sets.get(text) {
        return Ok(Arc::clone(set));
    }
    let set = Arc::new(KeySet::parse(text.as_bytes()).map_err(|error| error.to_string())?);
    sets.insert(text.to_owned(), Arc::clone(&set));
    Ok(set)
}

/// What the outside answers.
pub(crate) fn outcome(effect: &Effect, outcome: Option<&case::Outcome>) -> Result<Outcome, String> {
    let unavailable = matches!(outcome, Some(case::Outcome::Unavailable));
    Ok(match (effect, outcome) {
        (Effect::Count(_), _) if unavailable => Outcome::Count(Err(Unavailable)),
        (Effect::Count(_), Some(case::Outcome::Within)) => Outcome::Count(Ok(Counted::Within)),
        (Effect::Count(_), Some(case::Outcome::Exceeded(seconds))) => {
            Outcome::Count(Ok(Counted::Exceeded { retry_after: Duration::from_secs(*seconds) }))
        }
        (Effect::Keys(_), _) if unavailable => Outcome::Keys(Err(Unavailable)),
        (Effect::Keys(_), Some(case::Outcome::Keys(set))) => Outcome::Keys(Ok(key_set(&set.to_string())?)),
        (Effect::Call(_), _) if unavailable => {
            Outcome::Call(Err(CallFailed { reason: "connection refused", took: Duration::from_millis(5) }))
        }
        (Effect::Call(_), Some(case::Outcome::Called { status, body })) => Outcome::Call(Ok(Called {
            status: StatusCode::from_u16(*status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(body.clone()),
            resolved_ip: None,
            took: Duration::from_millis(20),
        })),
        (Effect::Breaker(_), _) if unavailable => Outcome::Breaker(Err(Unavailable)),
        (Effect::Breaker(_), Some(case::Outcome::Passage(passage))) => {
            Outcome::Breaker(Ok(if passage == "block" { Passage::Block } else { Passage::Allow }))
        }
        (effect, _) => return Err(format!("nothing answers `{}`", words(effect))),
    })
}
