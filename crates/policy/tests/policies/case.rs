//! A request, what the outside answers, and what must come of it: `cases.json`.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::Policy;
use policy::run::{Answer, Message};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::drive::{Drive, Ended};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What must happen, as a sentence.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) request: Request,
    /// Secrets, as `vault/name`.
    #[serde(default = "secrets")]
    pub(crate) secrets: BTreeMap<String, String>,
    /// What the outside answers, in the order in which it is asked.
    #[serde(default)]
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) expect: Expect,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) ip: String,
    /// A header may stand several times.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            host: "gateway.example".into(),
            ip: "203.0.113.9".into(),
            headers: Vec::new(),
            body: r#"{"model":"gpt-4o"}"#.into(),
        }
    }
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Outcome {
    /// There was room in the window.
    Within,
    /// There was none, and there will be some after so many seconds.
    Exceeded(u64),
    /// A key set.
    Keys(Json),
    /// What an HTTP request was answered.
    Called { status: u16, body: String },
    /// `allow`, `block`
    Passage(String),
    /// Whatever was asked for is not available.
    Unavailable,
    /// A provider has answered.
    Answered(Answered),
    /// All providers have failed; what `actions.ngrok.ai_gateway` becomes.
    NotDispatched(Json),
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) body: String,
    /// The messages of a stream.
    #[serde(default)]
    pub(crate) messages: Vec<String>,
}

/// What is not said may be anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// `forward`, `dispatch`, `relay`, `written`, `refused`
    pub(crate) end: String,
    #[serde(default)]
    pub(crate) status: Option<u16>,
    /// Of a refusal.
    #[serde(default)]
    pub(crate) code: Option<u16>,
    /// Of the answer; `null` for one that must not be there.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Option<String>>,
    /// Of the answer.
    #[serde(default)]
    pub(crate) body: Option<String>,
    /// Of the request that goes to a provider; `null` for one that must not be there.
    #[serde(default)]
    pub(crate) request_headers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(crate) request_url: Option<String>,
    #[serde(default)]
    pub(crate) request_body: Option<String>,
    /// Headers that no provider sees, because they said here who calls.
    #[serde(default)]
    pub(crate) consumed: Option<Vec<String>>,
    /// The rules whose conditions held.
    #[serde(default)]
    pub(crate) fired: Option<Vec<String>>,
    /// What was asked of the outside, in words.
    #[serde(default)]
    pub(crate) asked: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) logs: Option<Json>,
    /// The keys of the first configured provider.
    #[serde(default)]
    pub(crate) keys: Option<Vec<String>>,
    /// What the policy adds to what goes to a provider.
    #[serde(default)]
    pub(crate) dispatched: Option<Json>,
    /// The messages of the stream, as they go on.
    #[serde(default)]
    pub(crate) messages: Option<Vec<String>>,
}

fn secrets() -> BTreeMap<String, String> {
    [
        ("gateway-auth/access-token", "let-me-in"),
        ("gateway-auth/client-a-token", "token-of-a"),
        ("gateway-auth/client-b-token", "token-of-b"),
        ("openai/api-key", "sk-stored"),
        ("openai/second-key", "sk-second"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// Something that is not as it must be.
fn differs<T: std::fmt::Debug + PartialEq>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected:?}, found {found:?}")) }
}

impl Case {
    /// Plays the case; says what differs from what was expected.
    pub(crate) fn check(&self, policy: &Arc<Policy>) -> Result<(), String> {
        let expect = &self.expect;
        let mut drive = Drive::new(policy, &self.request, &self.secrets);
        let ended = drive.play(&self.outcomes)?;
        if let Some(asked) = &expect.asked {
            differs("asked", asked, &drive.asked)?;
        }
        differs("end", &expect.end.as_str(), &ended.name())?;
        self.check_request(&drive)?;
        let (status, headers, body) = match &ended {
            Ended::Forward | Ended::Dispatch => (None, None, None),
            Ended::Relay(relay) => (Some(relay.status), Some(&relay.headers), relay.body.clone()),
            Ended::Respond(Answer::Written(written)) => {
                (Some(written.status), Some(&written.headers), Some(written.body.clone()))
            }
            Ended::Respond(Answer::Refused(refusal)) => {
                differs("code", &expect.code, &refusal.code)?;
                (Some(refusal.status), Some(&refusal.headers), None)
            }
        };
        if let Some(expected) = expect.status {
            differs("status", &Some(expected), &status.map(|status| status.as_u16()))?;
        }
        for (name, expected) in &expect.headers {
            differs(name, expected, &headers.and_then(|headers| text_of(headers, name)))?;
        }
        if let Some(expected) = &expect.body {
            let found = body.map(|body| String::from_utf8_lossy(&body).into_owned());
            differs("body", &Some(expected.clone()), &found)?;
        }
        if let Some(expected) = &expect.messages {
            differs("messages", expected, &drive.messages)?;
        }
        if let Some(expected) = &expect.logs {
            let logs = drive.run.take_logs().iter().map(|log| log.to_json().unwrap()).collect();
            differs("logs", expected, &Json::Array(logs))?;
        }
        Ok(())
    }

    fn check_request(&self, drive: &Drive) -> Result<(), String> {
        let expect = &self.expect;
        let request = drive.run.request();
        for (name, expected) in &expect.request_headers {
            differs(name, expected, &text_of(request.headers, name))?;
        }
        if let Some(expected) = &expect.request_url {
            differs("url", expected, &format!("{}{}", request.authority, request.uri))?;
        }
        if let Some(expected) = &expect.request_body {
            let found = request.body.map(|body| String::from_utf8_lossy(body).into_owned());
            differs("request body", &Some(expected.clone()), &found)?;
        }
        if let Some(expected) = &expect.consumed {
            differs("consumed", expected, &request.consumed.iter().map(ToString::to_string).collect())?;
        }
        if let Some(expected) = &expect.fired {
            differs("fired", expected, &drive.run.fired().map(|rule| rule.path().to_owned()).collect())?;
        }
        if let Some(expected) = &expect.keys {
            let keys = drive.run.provider_keys(0).map_err(|refusal| format!("{refusal:?}"))?;
            let keys = keys.iter().map(|key| key.expose().to_owned()).collect();
            differs("keys", expected, &keys)?;
        }
        if let Some(expected) = &expect.dispatched {
            let dispatch = drive.dispatch.as_ref().ok_or("nothing was dispatched")?;
            let headers = dispatch
                .headers
                .keys()
                .map(|name| (name.to_string(), Json::from(text_of(&dispatch.headers, name.as_str()))));
            let query =
                dispatch.query_params.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str())));
            let found = serde_json::json!({
                "headers": headers.collect::<serde_json::Map<_, _>>(),
                "query_params": query.collect::<serde_json::Map<_, _>>(),
                "body": dispatch.body.iter().cloned().collect::<serde_json::Map<_, _>>(),
            });
            differs("dispatched", expected, &found)?;
        }
        Ok(())
    }
}

/// The values of a header, joined.
fn text_of(headers: &http::HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    (!values.is_empty()).then(|| values.join(" | "))
}

/// Shows messages to a run, as a proxy does.
pub(crate) fn pass(run: &mut policy::Run, messages: &[String]) -> Result<Vec<String>, String> {
    messages
        .iter()
        .map(|data| {
            let mut message = Message { data: data.clone(), retry: None };
            run.message(&mut message).map_err(|refusal| format!("{refusal:?}"))?;
            Ok(message.data)
        })
        .collect()
}
