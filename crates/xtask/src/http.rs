//! Calls to what runs on this machine: whether it is ready, and the management API.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::children::{Child, Children};

/// A client that hands every status back as an answer.
pub(crate) struct Http {
    agent: ureq::Agent,
}

/// A status and the body that came with it, null if it was not JSON.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Http {
    pub(crate) fn new() -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self { agent }
    }

    /// Sends a request with these headers and, if there is one, this JSON body.
    pub(crate) fn call(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body.to_string())?;
                self.agent.run(request)
            }
            None => self.agent.run(request.body(())?),
        };
        let mut answer = answer.with_context(|| format!("{method} {url}"))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_json().unwrap_or(Value::Null);
        Ok(Answer { status, body })
    }

    /// Waits until the URL answers 200, or the program behind it has ended.
    pub(crate) fn wait_until_ready(&self, children: &Children, program: &Child, url: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if self.call("GET", url, &[], None).is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if let Some(status) = program.exited() {
                children.wait_if_stopping();
                bail!("{} ended ({status}):\n{}", program.name, program.last_words());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready after a minute ({url}):\n{}", program.name, program.last_words());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The management API, as one of its users sees it.
pub(crate) struct Api<'a> {
    pub(crate) http: &'a Http,
    /// The address without `/client/v4`.
    pub(crate) url: &'a str,
    /// A session's token or an API token; none yet at setup and login.
    pub(crate) token: Option<String>,
}

impl Api<'_> {
    /// What stands in `result`; an answer without success is an error.
    pub(crate) fn result(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut answer = self.answer(method, path, body)?;
        if !(200..300).contains(&answer.status) {
            bail!("{method} {path} was answered with {}: {}", answer.status, answer.body);
        }
        Ok(answer.body["result"].take())
    }

    /// Gives an account credits, as the operator. With the same `key` it does so once.
    pub(crate) fn grant(&self, account_id: &str, nanos: i64, key: &str) -> Result<()> {
        let mut headers = self.headers();
        headers.push(("idempotency-key", format!("{key} {account_id}")));
        let url = format!("{}/client/v4/accounts/{account_id}/ai-gateway/billing/credits", self.url);
        let answer = self.http.call("POST", &url, &headers, Some(&json!({"amount_nanos": nanos})))?;
        if answer.status != 200 {
            bail!("granting credits was answered with {}: {}", answer.status, answer.body);
        }
        Ok(())
    }

    /// Whatever the answer is.
    pub(crate) fn answer(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.http.call(method, &format!("{}/client/v4{path}", self.url), &self.headers(), body)
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        self.token.iter().map(|token| ("authorization", format!("Bearer {token}"))).collect()
    }
}

/// A text that the answer must hold.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("no `{name}` in the answer"))
}
