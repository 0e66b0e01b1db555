//! A policy at work on one request.
//!
//! A [`Run`] walks the rules and stops where the outside is needed, with a [`Step`] that says for what; whoever
//! drives it does that and comes back with an [`Outcome`]. It does no I/O, and nothing in it waits.
//!
//! What guards a gateway fails closed: a condition or an action that cannot do its work ends the request, with
//! 500 and `ERR_NGROK_2254` if the policy is to blame, with 503 and `ERR_NGROK_2253` if something outside did not
//! answer. Only what adorns and tells (`add-headers`, `compress-response`, `log`, and an `http-request` that
//! says `on_error: continue`) is skipped instead, as are rules that have nothing else.

mod answer;
mod effect;
mod exchange;
mod failure;
mod message;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use model::Secret;

pub use self::answer::{Answer, Refusal, Written};
pub use self::effect::{
    BodyWanted, Call, CallFailed, Called, Count, Counted, Effect, KeysWanted, Outcome, Passage, Unavailable,
};
pub use self::exchange::{Arrival, FindSecret};
use self::exchange::{Body, MOST_STEPS};
pub(crate) use self::exchange::{BodyOrEffect, Exchange};
pub(crate) use self::failure::Failure;
pub use self::message::Message;
use crate::actions::ai_gateway::report::Report;
use crate::actions::circuit_breaker::Breaker;
use crate::actions::compress_response::Algorithm;
use crate::actions::{Action, Next};
use crate::document::policy::{Policy, Rule};
use crate::facts::Budget;
use crate::phase::Phase;
use crate::value::{Map, Value};

/// How often one request may make a policy ask the outside for something.
const MOST_ASKS: u32 = 500;

/// A policy at work on one request.
pub struct Run {
    policy: Arc<Policy>,
    exchange: Exchange,
    rule: usize,
    /// The action that is at work in the rule; `None` if its conditions have not been looked at.
    action: Option<usize>,
    asked: Option<Effect>,
    state: State,
    fired: Vec<(Phase, usize)>,
    asks: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Rules of the request are looked at.
    Asking,
    /// Rules of an answer that the policy gave are looked at.
    Replying,
    /// Rules of a provider's answer are looked at.
    Relaying,
    /// There is nothing left to look at.
    Ended,
}

/// What is to be done now.
#[derive(Debug)]
pub enum Step {
    /// Do this, and come back with what came of it.
    Ask(Effect),
    /// The request goes to a provider, as [`Run::request`] tells it, and the policy has no word on which. What
    /// the provider answers goes to [`Run::response`].
    Forward,
    /// The provider's answer goes to the caller, like this.
    Relay(Relay),
    /// This goes to the caller.
    Respond(Answer),
}

/// A provider's answer as it goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Relay {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as rules have left them.
    pub headers: HeaderMap,
    /// Its body, if it was replaced.
    pub body: Option<Bytes>,
    /// How the body is to be compressed; the headers say so already.
    pub compress: Option<Algorithm>,
}

/// The request as rules have left it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Its method.
    pub method: &'r Method,
    /// The host that it is meant for.
    pub authority: &'r str,
    /// Its path and query.
    pub uri: &'r Uri,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Headers that have said to the policy who calls: a password, a token of the owner's identity provider.
    /// They stay in `headers` for later rules to read, and are not for any provider.
    pub consumed: &'r [HeaderName],
    /// Its body, if it was replaced.
    pub body: Option<&'r Bytes>,
}

impl Run {
    /// A policy and the request that it is to look at. Go on with [`start`](Self::start).
    pub fn new(policy: Arc<Policy>, arrival: Arrival) -> Self {
        let exchange = Exchange::new(arrival);
        Self {
            policy,
            exchange,
            rule: 0,
            action: None,
            asked: None,
            state: State::Asking,
            fired: Vec::new(),
            asks: 0,
        }
    }

    /// Looks at the rules until the outside is needed or there are no more.
    pub fn start(&mut self) -> Step {
        self.walk(None)
    }

    /// Goes on with what came of the effect that was asked for. An outcome of another kind is a mistake of the
    /// caller, and ends the request.
    pub fn resume(&mut self, outcome: Outcome) -> Step {
        match self.asked.take() {
            Some(effect) if effect.fits(&outcome) => self.walk(Some((effect, outcome))),
            _ => {
                self.end(Failure::evaluation("an effect was answered that was not asked for").refusal("run"))
            }
        }
    }

    /// Looks at a provider's answer; what `actions.ngrok.ai_gateway` becomes is told with it.
    pub fn response(&mut self, status: StatusCode, headers: HeaderMap, ai_gateway: Option<Value>) -> Step {
        if self.state != State::Asking {
            return self.end(Failure::evaluation("there is an answer already").refusal("run"));
        }
        if let Some(result) = ai_gateway {
            self.exchange.found_value("ai_gateway", result);
        }
        self.answer_with(status, headers, State::Relaying);
        self.walk(None)
    }

    /// What an `ai-gateway` action did, as `actions.ngrok.ai_gateway` becomes.
    pub fn told(&self, report: &Report) -> Value {
        report.value(&self.exchange.arrival, &self.exchange.consumed)
    }

    /// Lets rules for answers read what an `ai-gateway` action did.
    pub fn learns(&mut self, report: &Report) {
        let told = self.told(report);
        self.exchange.found_value("ai_gateway", told);
    }

    /// The request as rules have left it.
    pub fn request(&self) -> Request<'_> {
        let arrival = &self.exchange.arrival;
        Request {
            method: &arrival.method,
            authority: &arrival.authority,
            uri: &arrival.uri,
            headers: &arrival.headers,
            consumed: &self.exchange.consumed,
            body: self.exchange.request_body.replacement(),
        }
    }

    /// The keys that the policy has for a provider, by its place in the configuration; in the order in which
    /// they are tried. They are computed only for providers that are.
    pub fn provider_keys(&self, provider: usize) -> Result<Vec<Secret>, Box<Refusal>> {
        let gateway = self.policy.ai_gateway();
        let Some(provider) = gateway.and_then(|gateway| gateway.providers.get(provider)) else {
            return Ok(Vec::new());
        };
        self.exchange
            .look(|facts| provider.keys(facts))
            .map_err(|failure| Box::new(failure.refusal("ai-gateway.providers")))
    }

    /// What is known now, for the strategies of `ai-gateway`.
    pub fn look<T>(&self, see: impl FnOnce(&crate::Facts<'_>) -> T) -> T {
        self.exchange.look(see)
    }

    /// The policy that is at work.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The rules whose conditions held, in the order in which they were looked at.
    pub fn fired(&self) -> impl Iterator<Item = &Rule> {
        self.fired.iter().filter_map(|(phase, at)| self.policy.rules(*phase).get(*at))
    }

    /// The circuits that want to know how the provider fared.
    pub fn breakers(&self) -> &[Breaker] {
        &self.exchange.breakers
    }

    /// What `log` actions have left for the usage record.
    pub fn take_logs(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.exchange.logs)
    }

    fn walk(&mut self, mut answered: Option<(Effect, Outcome)>) -> Step {
        let policy = self.policy.clone();
        loop {
            if self.state == State::Ended {
                return self.end(Failure::evaluation("the run has ended").refusal("run"));
            }
            let rules = policy.rules(self.exchange.phase);
            let Some(rule) = rules.get(self.rule) else {
                match self.phase_over() {
                    Some(step) => return step,
                    None => continue,
                }
            };
            let at = match self.action {
                Some(at) => at,
                None => match self.holds(rule) {
                    Ok(true) => {
                        self.fired.push((self.exchange.phase, self.rule));
                        0
                    }
                    Ok(false) => {
                        self.next_rule();
                        continue;
                    }
                    Err(failure) if rule.must_be_decided() => {
                        return self.end(failure.refusal(&format!("{}.expressions", rule.path)));
                    }
                    Err(_) => {
                        self.next_rule();
                        continue;
                    }
                },
            };
            let Some(action) = rule.actions.get(at) else {
                self.next_rule();
                continue;
            };
            self.action = Some(at + 1);
            match action.act(&mut self.exchange, answered.take()) {
                Ok(Next::Go) => {}
                Ok(Next::Ask(effect)) => {
                    self.asks += 1;
                    if self.asks > MOST_ASKS {
                        return self
                            .end(Failure::evaluation("the policy asks for too much").refusal(&rule.path));
                    }
                    self.action = Some(at);
                    return Step::Ask(self.asked.insert(effect).clone());
                }
                Ok(Next::Reply(written)) => {
                    if let Some(step) = self.reply(written) {
                        return step;
                    }
                }
                Ok(Next::End(answer)) => return self.end(answer),
                Err(_) if action.may_fail() => {}
                Err(failure) => return self.end(failure.refusal(&format!("{}.actions[{at}]", rule.path))),
            }
        }
    }

    fn holds(&self, rule: &Rule) -> Result<bool, Failure> {
        if rule.expressions.is_empty() {
            return Ok(true);
        }
        self.exchange.look(|facts| {
            for expression in &rule.expressions {
                if !expression.holds(facts)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn next_rule(&mut self) {
        self.rule += 1;
        self.action = None;
    }

    /// What follows when a phase has no more rules; `None` if another phase does.
    fn phase_over(&mut self) -> Option<Step> {
        match (self.state, self.exchange.phase) {
            (State::Asking, Phase::Connect) => {
                self.enter(Phase::Request);
                None
            }
            (State::Asking, _) => Some(Step::Forward),
            (State::Replying, _) => {
                self.state = State::Ended;
                let (status, headers) = self.exchange.response.take().unwrap_or_default();
                let body = self.exchange.response_body.replacement().cloned().unwrap_or_default();
                let compress = self.compress(&headers);
                Some(Step::Respond(Answer::Written(Written { status, headers, body, compress })))
            }
            (State::Relaying | State::Ended, _) => {
                self.state = State::Ended;
                let (status, headers) = self.exchange.response.clone().unwrap_or_default();
                let body = self.exchange.response_body.replacement().cloned();
                let compress = self.compress(&headers);
                Some(Step::Relay(Relay { status, headers, body, compress }))
            }
        }
    }

    /// How the body is to be compressed, if its headers still say so.
    fn compress(&self, headers: &HeaderMap) -> Option<Algorithm> {
        let said = headers.get(http::header::CONTENT_ENCODING);
        self.exchange.compress.filter(|algorithm| said.is_some_and(|said| said == algorithm.name()))
    }

    /// An answer of the policy's author. One to a request is looked at by the rules for answers; one of theirs
    /// is the last word.
    fn reply(&mut self, written: Written) -> Option<Step> {
        if self.state != State::Asking {
            return Some(self.end(written));
        }
        let Written { status, headers, body, compress: _ } = written;
        self.answer_with(status, headers, State::Replying);
        self.exchange.response_body = Body::own(body);
        None
    }

    fn answer_with(&mut self, status: StatusCode, headers: HeaderMap, state: State) {
        self.exchange.response = Some((status, headers));
        self.state = state;
        self.asked = None;
        self.enter(Phase::Response);
    }

    fn enter(&mut self, phase: Phase) {
        self.exchange.phase = phase;
        // Variables belong to the phase that set them.
        self.exchange.vars = Map::empty().clone();
        self.rule = 0;
        self.action = None;
    }

    fn end(&mut self, answer: impl Into<Answer>) -> Step {
        self.state = State::Ended;
        Step::Respond(answer.into())
    }

    /// Looks at a message of a streamed answer, and changes it as the rules say. If they cannot, the stream
    /// must end there: a message that nobody looked at is not passed on.
    pub fn message(&mut self, message: &mut Message) -> Result<(), Box<Refusal>> {
        let policy = self.policy.clone();
        if self.exchange.phase != Phase::Message {
            self.enter(Phase::Message);
        }
        self.exchange.budget = Budget::of(MOST_STEPS);
        for rule in policy.rules(Phase::Message) {
            let refused = |failure: Failure| Box::new(failure.refusal(&rule.path));
            let holds = self.holds(rule).map_err(refused)?;
            for action in rule.actions.iter().filter(|_| holds) {
                if let Action::FindReplace(action) = action {
                    action.act_on_message(&mut self.exchange, message).map_err(refused)?;
                }
            }
        }
        Ok(())
    }
}
