//! One case over sockets: what is said to the proxy, what the outside says, and what must be seen on either side.

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use e2e::http::Answer;
use serde_json::Value;

use crate::case::{Answered, Case, Dispatched, Expect, Folder, Outcome};
use crate::outside::{Said, Seen, joined};
use crate::stage::{OF_GATEWAY, Stage};

/// Cases whose point a socket of this machine cannot show, and why.
const BEYOND: &[(&str, &str, &str)] = &[
    ("asking-elsewhere", "gateways do not call each other for ever", "the proxy itself stops them before"),
    ("rate-limit-not-enforced", "one too many is told and passes", "it is told to the log alone"),
];

impl Case {
    /// Why a socket cannot show it, if it cannot.
    pub(crate) fn beyond_sockets(&self, folder: &Folder) -> Option<&'static str> {
        let named = BEYOND.iter().find(|(of, name, _)| (*of, *name) == (&*folder.name, &*self.name));
        let calls = folder.policy.contains("type: http-request");
        let unplayed = self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Keys(_) => Some("its token is of another time"),
            Outcome::Unavailable if !calls => Some("what it needs is always there"),
            Outcome::NotDispatched(how) if how.get("error").is_some() => Some("how all fail is not played"),
            Outcome::Other(_) => Some("its outcome is of a kind that is not played"),
            _ => None,
        });
        let unplayed =
            unplayed.or(self.request.ip.contains(':').then_some("the gateway has no such address"));
        let empty = self.secrets.values().any(String::is_empty);
        let unplayed = unplayed.or(empty.then_some("no secret that is kept is empty"));
        named.map(|(_, _, why)| *why).or(unplayed)
    }

    /// Whether what happened before matters, so that it has a gateway of its own.
    pub(crate) fn is_stateful(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Exceeded(_) | Outcome::Passage(_)))
    }

    /// Plays it at a host; says what differs from what was expected.
    pub(crate) async fn is_played(&self, stage: &Stage, folder: &Folder, host: &str) -> anyhow::Result<()> {
        self.comes_to_pass(stage, host).await?;
        let mut at_provider = Vec::new();
        let mut elsewhere = Vec::new();
        for outcome in &self.outcomes {
            match outcome {
                Outcome::Called { status, body } => elsewhere.push(Said::json(*status, body)),
                Outcome::Unavailable => {
                    elsewhere.extend([Said::Nothing, Said::Nothing, Said::Nothing, Said::Nothing])
                }
                Outcome::Answered(answered) => at_provider.push(answered.said()),
                Outcome::NotDispatched(_) => at_provider.extend(vec![Said::json(500, "{}"); 10]),
                _ => {}
            }
        }
        stage.provider.begin(at_provider);
        stage.called.begin(elsewhere);
        let answer = stage.send(host, self).await?;
        let seen = stage.provider.seen();
        let told = || {
            format!("{} {:?} {}; at the provider: {seen:#?}", answer.status, answer.headers, answer.text())
        };
        self.caller_saw(&answer, host).and_then(|()| self.provider_saw(&seen, folder)).with_context(told)?;
        self.others_saw(&stage.called.seen())
    }

    /// Brings about what is to have happened before.
    async fn comes_to_pass(&self, stage: &Stage, host: &str) -> anyhow::Result<()> {
        for outcome in &self.outcomes {
            let (enough, said) = match outcome {
                Outcome::Exceeded(_) => (429, Vec::new()),
                Outcome::Passage(passage) if passage == "block" => (503, vec![Said::json(500, "{}"); 200]),
                _ => continue,
            };
            stage.provider.begin(said);
            let mut sent = 0;
            while stage.send(host, self).await?.status != enough {
                sent += 1;
                ensure!(sent < 200, "it never comes to {enough}");
            }
        }
        Ok(())
    }

    fn caller_saw(&self, answer: &Answer, host: &str) -> anyhow::Result<()> {
        let Expect { end, status, code, headers, body, messages, .. } = &self.expect;
        let answered = self.outcomes.iter().rev().find_map(|outcome| match outcome {
            Outcome::Answered(answered) => Some(answered.status),
            _ => None,
        });
        let usual = if self.is_of_a_model() { 200 } else { 404 };
        let expected = match &**end {
            "forward" | "dispatch" => usual,
            "relay" => status.or(answered).context("a status")?,
            "written" => status.unwrap_or(200),
            "refused" => status.context("a status")?,
            end => bail!("an end called {end}"),
        };
        ensure!(answer.status == expected, "the caller saw {} and not {expected}", answer.status);
        if end == "refused" {
            let code = code.map(|code| format!("ERR_NGROK_{code}")).unwrap_or_default();
            ensure!(answer.header("ngrok-error-code") == code, "the code is not {code}");
        }
        for (name, expected) in headers.iter().filter(|(name, _)| *name != "content-length") {
            let expected = expected
                .as_ref()
                .map(|value| value.replace("https://gateway.example", &format!("http://{host}")));
            let found = joined(&answer.headers, name);
            match (&**name, &found) {
                // How much is left of the window is a matter of when the case is played.
                ("retry-after", Some(seconds)) => {
                    ensure!(
                        seconds.parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)),
                        "{seconds}"
                    );
                }
                _ => ensure!(found == expected, "`{name}` is {found:?} and not {expected:?}"),
            }
        }
        // What is compressed on the way is not read here.
        if let Some(expected) = body.as_ref().filter(|_| !answer.headers.contains_key("content-encoding")) {
            ensure!(is_body(&answer.body, expected), "the body is not {expected}");
        }
        if let Some(expected) = messages {
            let text = answer.text();
            let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            ensure!(found == *expected, "the messages are {found:?}");
        }
        Ok(())
    }

    fn provider_saw(&self, seen: &[Seen], folder: &Folder) -> anyhow::Result<()> {
        let Expect { end, request_headers, request_url, request_body, consumed, dispatched, .. } =
            &self.expect;
        let fails = self.outcomes.iter().any(|outcome| matches!(outcome, Outcome::NotDispatched(_)));
        let answers = self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Answered(_))).count();
        let goes_on = matches!(&**end, "forward" | "dispatch") && self.is_of_a_model();
        let times = answers.max(usize::from(goes_on));
        ensure!(fails || seen.len() == times, "the provider was asked {} times and not {times}", seen.len());
        let shown: Vec<_> = seen.iter().map(|request| request.header("authorization")).collect();
        let keys = self.keys(folder);
        let expected: Vec<_> = keys.iter().map(|key| Some(format!("Bearer {key}"))).take(times).collect();
        ensure!(fails || shown == expected, "the provider was shown {shown:?} and not {expected:?}");
        let Some(request) = seen.first() else { return Ok(()) };
        for name in consumed {
            ensure!(request.header(name) != self.said(name), "the provider was shown `{name}`");
        }
        for (name, expected) in request_headers.iter().filter(|(name, _)| *name != "host") {
            let found = request.header(name);
            ensure!(found == *expected, "`{name}` went on as {found:?} and not {expected:?}");
        }
        if let Some(expected) = request_url {
            let path = expected.find('/').map_or("/", |slash| &expected[slash..]);
            ensure!(request.uri == *path, "{} was asked for and not {path}", request.uri);
        }
        if let Some(expected) = request_body {
            ensure!(is_body(&request.body, expected), "the body went on as {:?}", request.body);
        }
        dispatched.as_ref().map_or(Ok(()), |dispatched| dispatched.went(request))
    }

    /// The keys that the provider must be shown, the first of them first.
    fn keys(&self, folder: &Folder) -> Vec<&str> {
        let said = if self.expect.shown.is_empty() { &self.expect.keys } else { &self.expect.shown };
        match &said[..] {
            [] if folder.policy.contains("api_keys:") => vec!["sk-stored"],
            [] => vec![OF_GATEWAY],
            said => said.iter().map(String::as_str).collect(),
        }
    }

    fn others_saw(&self, seen: &[Seen]) -> anyhow::Result<()> {
        let path_of = |url: &str| {
            let after = url.split_once("://").map_or(url, |(_, rest)| rest);
            after.find('/').map_or_else(|| "/".to_owned(), |slash| after[slash..].to_owned())
        };
        let calls = self.expect.asked.iter().filter_map(|asked| asked.strip_prefix("call "));
        let expected: Vec<String> = calls
            .filter_map(|call| call.split_once(' '))
            .map(|(method, url)| format!("{method} {}", path_of(url)))
            .collect();
        if expected.is_empty() {
            return Ok(());
        }
        let found: Vec<String> = seen.iter().map(|seen| format!("{} {}", seen.method, seen.uri)).collect();
        ensure!(found == expected, "others were asked {found:?} and not {expected:?}");
        Ok(())
    }

    /// Whether it asks for something that providers answer.
    fn is_of_a_model(&self) -> bool {
        let asked = self.expect.request_url.as_ref().map_or("", String::as_str);
        self.request.path.contains("/v1/") || asked.contains("/v1/")
    }

    fn said(&self, name: &str) -> Option<String> {
        let said = self.request.headers.iter().filter(|(said, _)| said.eq_ignore_ascii_case(name));
        let values: Vec<&str> = said.map(|(_, value)| &**value).collect();
        (!values.is_empty()).then(|| values.join(" | "))
    }
}

impl Dispatched {
    fn went(&self, request: &Seen) -> anyhow::Result<()> {
        for (name, expected) in &self.headers {
            ensure!(request.header(name).as_ref() == Some(expected), "`{name}` did not go on as {expected}");
        }
        let query = request.uri.query().unwrap_or_default();
        for (name, value) in &self.query_params {
            ensure!(
                query.split('&').any(|pair| pair == format!("{name}={value}")),
                "`{name}` is not in {query}"
            );
        }
        let sent: Value = serde_json::from_slice(&request.body)?;
        for (name, expected) in &self.body {
            // The case's address is another one of this machine.
            let expected: Value =
                serde_json::from_str(&expected.to_string().replace("203.0.113.", "127.113.0."))?;
            ensure!(sent[name] == expected, "`{name}` did not go on as {expected}: {sent}");
        }
        Ok(())
    }
}

impl Answered {
    fn said(&self) -> Said {
        let mut headers: Vec<_> =
            self.headers.iter().filter(|(name, _)| name != "content-length").cloned().collect();
        if self.messages.is_empty() && !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let events: String = self.messages.iter().map(|message| format!("data: {message}\n\n")).collect();
        let body = if self.messages.is_empty() { self.body.clone() } else { events };
        Said::Answer { status: self.status, headers, body: Bytes::from(body) }
    }
}

/// Whether a body is what is expected; a document may have more members, which the proxy adds.
fn is_body(found: &Bytes, expected: &str) -> bool {
    match (serde_json::from_slice(found), serde_json::from_str(expected)) {
        (Ok(found), Ok(expected)) => has(&found, &expected),
        _ => found == expected.as_bytes(),
    }
}

fn has(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(name, expected)| found.get(name).is_some_and(|found| has(found, expected)))
        }
        _ => found == expected,
    }
}
