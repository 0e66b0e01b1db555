//! A run from its beginning to its end, with the outside made up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::StatusCode;
use policy::run::{
    Answer, BodyWanted, CallFailed, Called, Counted, Effect, Outcome, Passage, Run, Step as Asked,
    Unavailable,
};
use policy::{Phase, Policy};
use serde::Serialize;

use super::choice::Choice;
use super::message::ResponseText;

/// A policy asks the outside a bounded number of times; this is far more.
const MOST_STEPS: usize = 10_000;

/// What the outside is assumed to say.
#[derive(Debug, Args)]
pub(crate) struct Assumptions {
    /// Assume that the limits of `rate-limit` are reached
    #[arg(long, help_heading = "Assumptions")]
    limits_reached: bool,
    /// Assume that circuits are open and nobody gets through
    #[arg(long, help_heading = "Assumptions")]
    circuits_open: bool,
    /// Assume that `http-request` is answered with this status and an empty body; otherwise, that nobody answers
    #[arg(long, value_name = "STATUS", help_heading = "Assumptions")]
    called: Option<StatusCode>,
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum Step {
    /// A rule's conditions held.
    Fired { rule: String, name: Option<String> },
    /// A rule's conditions did not hold.
    Passed { rule: String, name: Option<String> },
    /// The outside was needed.
    Asked { what: String, assumed: &'static str },
    /// The request goes to a provider.
    Dispatched { headers: Vec<String>, providers: Vec<String> },
    /// Strategies choose among models, or keys.
    Chose(Choice),
    /// An answer of the policy's author.
    Answered { status: u16, body: String },
    /// A refusal.
    Refused { status: u16, code: Option<u16>, message: String, detail: Option<String> },
    /// The provider's answer goes to the caller.
    Relayed { status: u16, headers: Vec<String> },
}

/// Plays it. Rules that were looked at stand between those that fired, in the order of the document.
pub(super) fn play(
    policy: &Arc<Policy>,
    mut run: Run,
    body: &Bytes,
    response: Option<&ResponseText>,
    assumptions: &Assumptions,
) -> Vec<Step> {
    let mut told =
        Told { policy: policy.clone(), phase: Phase::Connect, next: 0, fired: 0, steps: Vec::new() };
    let mut asked = run.start();
    for _ in 0..MOST_STEPS {
        told.rules(&run);
        asked = match asked {
            Asked::Respond(answer) => {
                told.steps.push(answered(answer));
                return told.steps;
            }
            Asked::Relay(relay) => {
                told.rest(Phase::Response);
                told.steps
                    .push(Step::Relayed { status: relay.status.as_u16(), headers: names(&relay.headers) });
                return told.steps;
            }
            Asked::Forward => {
                told.rest(Phase::Request);
                told.dispatched(&run, body);
                let Some(response) = response else { return told.steps };
                run.response(response.status, response.headers.clone(), None)
            }
            Asked::Ask(Effect::Dispatch(_)) => {
                told.dispatched(&run, body);
                let Some(response) = response else { return told.steps };
                run.response(response.status, response.headers.clone(), None)
            }
            Asked::Ask(effect) => {
                let (what, assumed, outcome) = outcome(&effect, body, response, assumptions);
                told.steps.push(Step::Asked { what, assumed });
                run.resume(outcome)
            }
        };
    }
    told.steps
}

/// What has been told, and up to which rule.
struct Told {
    policy: Arc<Policy>,
    phase: Phase,
    next: usize,
    fired: usize,
    steps: Vec<Step>,
}

impl Told {
    /// Tells which rules have fired since, and which have not.
    fn rules(&mut self, run: &Run) {
        let policy = self.policy.clone();
        for rule in run.fired().skip(self.fired) {
            self.fired += 1;
            let place = Phase::ALL.into_iter().find_map(|phase| {
                let at = policy.rules(phase).iter().position(|other| other.path() == rule.path())?;
                Some((phase, at))
            });
            let Some((phase, at)) = place else { continue };
            if self.phase == Phase::Connect && phase == Phase::Request {
                self.rest(Phase::Connect);
            }
            self.enter(phase);
            self.passed(at);
            self.next = at + 1;
            self.steps.push(Step::Fired { rule: rule.path().to_owned(), name: rule.name.clone() });
        }
    }

    /// Tells that none of the rules that are left in a phase has fired.
    fn rest(&mut self, phase: Phase) {
        if self.phase < phase && phase == Phase::Request {
            self.passed(self.policy.rules(self.phase).len());
        }
        self.enter(phase);
        self.passed(self.policy.rules(phase).len());
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase != phase {
            (self.phase, self.next) = (phase, 0);
        }
    }

    fn passed(&mut self, end: usize) {
        let rules = self.policy.rules(self.phase);
        for rule in rules.iter().take(end).skip(self.next) {
            self.steps.push(Step::Passed { rule: rule.path().to_owned(), name: rule.name.clone() });
        }
        self.next = self.next.max(end);
    }

    fn dispatched(&mut self, run: &Run, body: &Bytes) {
        let headers = names(run.request().headers);
        let configured = self.policy.ai_gateway().into_iter().flat_map(|gateway| &gateway.providers);
        let providers =
            configured.enumerate().filter(|(_, provider)| !provider.disabled).map(|(at, provider)| match run
                .provider_keys(at)
            {
                Ok(keys) if keys.is_empty() => format!("{}: no key of the policy's", provider.id),
                Ok(keys) => format!("{}: {} of the policy's keys", provider.id, keys.len()),
                Err(refusal) => format!("{}: its keys cannot be computed: {}", provider.id, refusal.message),
            });
        let providers = providers.collect();
        self.steps.push(Step::Dispatched { headers, providers });
        self.steps.extend(Choice::of(&self.policy, run, body).map(Step::Chose));
    }
}

fn answered(answer: Answer) -> Step {
    match answer {
        Answer::Written(written) => Step::Answered {
            status: written.status.as_u16(),
            body: String::from_utf8_lossy(&written.body).into_owned(),
        },
        Answer::Refused(refusal) => Step::Refused {
            status: refusal.status.as_u16(),
            code: refusal.code,
            message: refusal.message,
            detail: refusal.detail,
        },
    }
}

/// What is asked, what is assumed to be the answer, and that answer.
fn outcome(
    effect: &Effect,
    body: &Bytes,
    response: Option<&ResponseText>,
    assumptions: &Assumptions,
) -> (String, &'static str, Outcome) {
    match effect {
        Effect::Count(count) => {
            let seconds = count.window.as_secs();
            let what = format!("count against the limit `{}`, {} in {seconds}s", count.name, count.capacity);
            let retry_after = count.window;
            match assumptions.limits_reached {
                true => (what, "it is reached", Outcome::Count(Ok(Counted::Exceeded { retry_after }))),
                false => (what, "there is room", Outcome::Count(Ok(Counted::Within))),
            }
        }
        Effect::Keys(keys) => {
            (format!("fetch the keys at {}", keys.url), "nobody answers", Outcome::Keys(Err(Unavailable)))
        }
        Effect::Call(call) => {
            let what = format!("send {} to {}", call.method, host_of(&call.url));
            let took = Duration::ZERO;
            match assumptions.called {
                Some(status) => {
                    let (headers, body) = (http::HeaderMap::new(), Bytes::new());
                    let called = Called { status, headers, body, resolved_ip: None, took };
                    (what, "it is answered with the status that was said", Outcome::Call(Ok(called)))
                }
                None => {
                    let failed = CallFailed { reason: "nobody was asked", took };
                    (what, "nobody answers", Outcome::Call(Err(failed)))
                }
            }
        }
        Effect::Breaker(breaker) => {
            let what = format!("ask whether the circuit {} is closed", breaker.circuit);
            match assumptions.circuits_open {
                true => (what, "it is open", Outcome::Breaker(Ok(Passage::Block))),
                false => (what, "it is closed", Outcome::Breaker(Ok(Passage::Allow))),
            }
        }
        Effect::RequestBody(wanted) => (
            format!("read the request's body{}", form(*wanted)),
            "what was given",
            Outcome::Body(Ok(body.clone())),
        ),
        Effect::ResponseBody(wanted) => {
            let body = response.map(|response| response.body.clone()).unwrap_or_default();
            (format!("read the answer's body{}", form(*wanted)), "what was given", Outcome::Body(Ok(body)))
        }
        // Whoever asked has dealt with this one.
        Effect::Dispatch(_) => {
            ("ask a provider".to_owned(), "nobody answers", Outcome::NotDispatched(policy::Value::Null))
        }
    }
}

fn names(headers: &http::HeaderMap) -> Vec<String> {
    let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

fn form(wanted: BodyWanted) -> &'static str {
    match wanted {
        BodyWanted::Raw => " as it came",
        BodyWanted::Plain => "",
    }
}

/// The host of an address: the rest may hold secrets.
fn host_of(url: &str) -> String {
    let uri: Option<http::Uri> = url.parse().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_else(|| "an address".to_owned())
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called = |name: &Option<String>| match name {
            Some(name) => format!(" “{}”", name.escape_debug()),
            None => String::new(),
        };
        match self {
            Self::Fired { rule, name } => write!(f, "{rule}{}: it applies", called(name)),
            Self::Passed { rule, name } => write!(f, "{rule}{}: its conditions do not hold", called(name)),
            Self::Asked { what, assumed } => write!(f, "    would {what}; assumed: {assumed}"),
            Self::Dispatched { headers, providers } => {
                write!(f, "The request goes to a provider, with the headers {}.", headers.join(", "))?;
                providers.iter().try_for_each(|provider| write!(f, "\n    {provider}"))
            }
            Self::Chose(choice) => choice.fmt(f),
            Self::Answered { status, body } => {
                write!(f, "The policy answers {status}.")?;
                body.lines().try_for_each(|line| write!(f, "\n    {}", line.escape_debug()))
            }
            Self::Refused { status, code, message, detail } => {
                write!(f, "The request is refused with {status}: {message}")?;
                if let Some(code) = code {
                    write!(f, " (ERR_NGROK_{code})")?;
                }
                detail.iter().try_for_each(|detail| write!(f, "\n    {detail}"))
            }
            Self::Relayed { status, headers } => {
                write!(
                    f,
                    "The answer goes to the caller with {status}, with the headers {}.",
                    headers.join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::explain::arrival;
    use super::super::message::RequestText;
    use super::*;

    const POLICY: &str = "\
on_http_request:
  - name: strangers
    expressions: [\"!('authorization' in req.headers)\"]
    actions:
      - type: custom-response
        config: {status_code: 401, body: who are you}
  - name: the internal host
    expressions: [\"req.host == 'internal.example'\"]
    actions: [{type: log, config: {metadata: {a: b}}}]
  - type: rate-limit
    config: {name: calls, algorithm: sliding_window, capacity: 10, rate: 60s, bucket_key: [conn.client_ip]}
  - type: ai-gateway
    config: {providers: [{id: openai, api_keys: [{value: \"${secrets.get('openai', 'api-key')}\"}]}]}
on_http_response:
  - type: add-headers
    config: {headers: {x-gateway: ours}}
";

    fn played(request: &str, response: Option<&str>, limits_reached: bool) -> Vec<String> {
        let policy = Arc::new(check::policy(POLICY).unwrap());
        let request = RequestText::read(request).unwrap();
        let body = request.body.clone();
        let run = Run::new(policy.clone(), arrival(request, [203, 0, 113, 9].into(), Default::default()));
        let response = response.map(|text| ResponseText::read(text).unwrap());
        let assumptions = Assumptions { limits_reached, circuits_open: false, called: None };
        let steps = play(&policy, run, &body, response.as_ref(), &assumptions);
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_request_is_followed_rule_by_rule() {
        let told =
            played("POST /v1/chat/completions\nhost: a.example\nauthorization: Bearer x\n\n{}", None, false);
        assert_eq!(
            told,
            [
                "on_http_request[0] “strangers”: its conditions do not hold",
                "on_http_request[1] “the internal host”: its conditions do not hold",
                "on_http_request[2]: it applies",
                "    would count against the limit `calls`, 10 in 60s; assumed: there is room",
                "on_http_request[3]: it applies",
                "The request goes to a provider, with the headers authorization, host.\n    openai: 1 of the policy's keys",
            ]
        );
    }

    #[test]
    fn the_rules_for_answers_follow_an_answer() {
        let request = "POST /v1/chat/completions\nhost: a.example\nauthorization: Bearer x\n\n{}";
        let told = played(request, Some("HTTP/1.1 200 OK\n\n{}"), false);
        assert_eq!(
            told[6..],
            [
                "on_http_response[0]: it applies",
                "The answer goes to the caller with 200, with the headers x-gateway.",
            ]
        );
    }

    #[test]
    fn it_is_told_who_said_no() {
        let told = played("GET /v1/models\nhost: a.example", None, false);
        assert_eq!(told.first().unwrap(), "on_http_request[0] “strangers”: it applies");
        assert_eq!(told.last().unwrap(), "The policy answers 401.\n    who are you");
        let told = played("GET /v1/models\nhost: a.example\nauthorization: x", None, true);
        assert!(told.last().unwrap().starts_with("The request is refused with 429: "), "{told:?}");
    }
}
